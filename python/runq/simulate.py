"""Simulation of a scenario on a machine, and page replacement on a reference string."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import msgspec

from runq import _core
from runq.errors import ConfigError
from runq.events import EVENTS_MAX
from runq.machine import Machine, read_toml
from runq.models import Model
from runq.models import load as load_model
from runq.replay import load_machine
from runq.scenario import Scenario
from runq.sched import Policy
from runq.service_result import ServiceResult, run_service
from runq.service_scenario import ServiceScenario
from runq.simulate_result import SimulateResult, options_json, result_of

if TYPE_CHECKING:
    from runq.scenarios import ServiceName

__all__ = ["DEFAULT_MACHINE", "PageFaults", "SimulateProgress", "page_replacement", "simulate"]

# The machine whose kernel is measured.
DEFAULT_MACHINE = "granite-rapids-vm"

# Called with simulated ns and events so far, at most ten times a second.
SimulateProgress = Callable[[float, int], object]


class PageFaults(msgspec.Struct, frozen=True):
    """Page replacement with a number of frames: references that found their page, and those that did not."""

    frames: int
    hits: int
    faults: int


@overload
def simulate(
    scenario: "ServiceScenario | ServiceName",
    machine: None = None,
    *,
    seed: int = 0,
    progress: SimulateProgress | None = None,
    **parameters: Any,
) -> ServiceResult: ...
@overload
def simulate(
    scenario: Scenario | str | PathLike[str],
    machine: Machine | str | PathLike[str] | None = None,
    model: Model | str | Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    races: bool = False,
    events: bool | int = False,
    policy: Policy | None = None,
    progress: SimulateProgress | None = None,
    **parameters: Any,
) -> SimulateResult: ...
def simulate(
    scenario: Scenario | ServiceScenario | str | PathLike[str],
    machine: Machine | str | PathLike[str] | None = None,
    model: Model | str | Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    races: bool = False,
    events: bool | int = False,
    policy: Policy | None = None,
    progress: SimulateProgress | None = None,
    **parameters: Any,
) -> SimulateResult | ServiceResult:
    """Runs a scenario on a machine, or a service, which needs none.

    Args:
        scenario: a `Scenario`, a `ServiceScenario`, the name of one that comes with runq, or the path of a TOML file.
        machine: a `Machine`, the name of one that comes with runq, or the path of a TOML file; by default
            `granite-rapids-vm`, whose kernel is measured.
        model: what the tasks of the scenario are: a model of `runq.models`, its name, or `name:workers`; that of the
            scenario if absent, and threads if it has none.
        seed: seed of everything random.
        races: whether races on shared variables are looked for; changes nothing else, and takes longer.
        events: whether what happens to tasks and workers is kept in `result.events`: the first million events, or the
            first so many; changes nothing else.
        policy: a policy of your own that schedules instead of the scenario's: with a queue a cpu it is asked about all
            of them, and cannot tell them apart.
        progress: called at most ten times a second with simulated ns and events so far.
        parameters: those of a scenario that comes with runq.

    Raises:
        ConfigError: scenario, parameters or machine break a rule.
        SimulationError: a program cannot be run to its end.

    >>> import runq
    >>> r = runq.simulate("fork-latency", resident="64MiB", state="clean")
    >>> r.outcome["fork_ns_min"] == 25_000 + 23.5 * 16384
    True
    """
    name = scenario_name(scenario)
    if name is None:
        if parameters:
            first = next(iter(parameters))
            raise ConfigError(f"scenario.{first}", "must be for a scenario that comes with runq", repr(scenario))
        return _run(with_model(load_any(scenario), model), machine, seed, policy, progress, races, events)
    from runq import scenarios

    values = scenarios.parameters(name, **parameters)
    built: Scenario | ServiceScenario = scenarios.module(name).build(values)
    result = _run(with_model(built, model), machine, seed, policy, progress, races, events)
    return with_outcome(result, name, values)


def page_replacement(
    pages: Iterable[int],
    *,
    frames: Sequence[int],
    policy: Literal["fifo", "lru", "clock", "random", "opt"] = "lru",
    seed: int = 0,
) -> list[PageFaults]:
    """Hits and faults of a reference string, for each number of frames.

    Args:
        pages: the pages in the order of their references.
        frames: numbers of frames to try.
        policy: which page makes room. `opt` knows the references to come.
        seed: seed of `random`.

    >>> import runq
    >>> belady = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]
    >>> [row.faults for row in runq.page_replacement(belady, frames=[3, 4], policy="fifo")]
    [9, 10]
    """
    try:
        numbers = [operator.index(page) for page in pages]
        counts = [operator.index(count) for count in frames]
    except TypeError as error:
        raise ConfigError("pages", f"must be whole numbers, and frames too ({error})", type(pages).__name__) from None
    if any(not 0 <= page < 1 << 64 for page in (*numbers, *counts)):
        raise ConfigError("pages", "must be 0 to 2^64-1, and frames too", str(min(*numbers, *counts, 0)))
    rows = _core.page_replacement(numbers, counts, policy, seed)
    return [PageFaults(*row) for row in rows]


def scenario_name(scenario: object) -> str | None:
    """The name of a scenario that comes with runq, if it is one and not a file."""
    if not isinstance(scenario, str):
        return None
    from runq import scenarios

    return scenario if scenario in scenarios.names() or not Path(scenario).exists() else None


def load_scenario(scenario: object) -> Scenario:
    """A `Scenario` from itself, the name of one that comes with runq, or the path of a TOML file."""
    loaded = load_any(scenario)
    if isinstance(loaded, ServiceScenario):
        raise ConfigError("scenario", "must be one of programs, not a service", repr(loaded.name))
    return loaded


def load_any(scenario: object) -> Scenario | ServiceScenario:
    """The same, or a service."""
    from runq import scenarios

    if isinstance(scenario, (Scenario, ServiceScenario)):
        return scenario
    name = scenario_name(scenario)
    if name is not None:
        return scenarios.load(name)
    if isinstance(scenario, (str, PathLike)):
        return scenario_of(read_toml(scenario))
    raise TypeError(f"scenario: must be a Scenario, a name or a path, got {type(scenario).__name__}")


def scenario_of(tree: Mapping[str, Any]) -> Scenario | ServiceScenario:
    """A scenario or a service from nested dicts and lists."""
    return ServiceScenario.from_dict(tree) if "dependency" in tree else Scenario.from_dict(tree)


@overload
def with_model(scenario: Scenario, model: Model | str | Mapping[str, Any] | None) -> Scenario: ...
@overload
def with_model(
    scenario: Scenario | ServiceScenario, model: Model | str | Mapping[str, Any] | None
) -> Scenario | ServiceScenario: ...
def with_model(
    scenario: Scenario | ServiceScenario, model: Model | str | Mapping[str, Any] | None
) -> Scenario | ServiceScenario:
    """A scenario whose tasks are those of a model."""
    if model is None:
        return scenario
    if isinstance(scenario, ServiceScenario):
        raise ConfigError("model", "must not be given for a service", repr(model))
    return msgspec.structs.replace(scenario, model=load_model(model).to_dict())


def changed_model(
    scenario: Scenario, model: Model | str | Mapping[str, Any] | None, choices: Mapping[str, Any]
) -> Model | None:
    """The model that was asked for, or that of the scenario, with choices changed by path."""
    chosen = None if model is None else load_model(model)
    if not choices:
        return chosen
    if chosen is None and scenario.model is not None:
        chosen = load_model(scenario.model)
    if chosen is None:
        path, value = next(iter(choices.items()))
        raise ConfigError(f"model.{path}", "must be for a model, and none is given", repr(value))
    return chosen.with_choices(choices)


def with_outcome(
    result: SimulateResult | ServiceResult, name: str, parameters: msgspec.Struct
) -> SimulateResult | ServiceResult:
    """A result with what its scenario is about."""
    from runq import scenarios

    return msgspec.structs.replace(result, outcome=scenarios.outcome(name, parameters, result))


def _run(
    scenario: Scenario | ServiceScenario,
    machine: object,
    seed: int,
    policy: Policy | None,
    progress: SimulateProgress | None,
    races: bool,
    events: bool | int,
) -> SimulateResult | ServiceResult:
    if isinstance(scenario, ServiceScenario):
        for name, value in (
            ("machine", machine),
            ("policy", policy),
            ("races", races or None),
            ("events", events or None),
        ):
            if value is not None:
                raise ConfigError(name, "must not be given for a service, which runs on none", repr(value)[:60])
        return run_service(scenario, operator.index(seed), progress)
    chosen = load_machine(DEFAULT_MACHINE if machine is None else machine)
    number = operator.index(seed)
    options = options_json(number, races=races, events=_events_kept(events))
    done = _core.simulate(chosen.to_json(), scenario.to_json(), options, policy=policy, progress=progress)
    return result_of(done, scenario, chosen, number)


def _events_kept(events: bool | int) -> int:
    """How many events are kept."""
    if isinstance(events, bool):
        return EVENTS_MAX if events else 0
    count = operator.index(events)
    if not 0 <= count < 1 << 31:
        raise ConfigError("events", "must be 0 to 2^31-1, or whether they are kept", str(count))
    return count
