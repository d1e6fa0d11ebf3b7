"""Simulation of a scenario on a machine, and page replacement on a reference string."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import msgspec

from runq import _core
from runq.errors import ConfigError
from runq.machine import Machine
from runq.models import Model
from runq.models import load as load_model
from runq.replay import load_machine
from runq.scenario import Scenario
from runq.sched import Policy
from runq.simulate_result import SimulateResult, options_json, result_of

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


def simulate(
    scenario: Scenario | str | PathLike[str],
    machine: Machine | str | PathLike[str] | None = None,
    model: Model | str | Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    races: bool = False,
    policy: Policy | None = None,
    progress: SimulateProgress | None = None,
    **parameters: Any,
) -> SimulateResult:
    """Runs a scenario on a machine.

    Args:
        scenario: a `Scenario`, the name of one that comes with runq, or the path of a TOML file.
        machine: a `Machine`, the name of one that comes with runq, or the path of a TOML file; by default
            `granite-rapids-vm`, whose kernel is measured.
        model: what the tasks of the scenario are: a model of `runq.models`, its name, or `name:workers`; that of the
            scenario if absent, and threads if it has none.
        seed: seed of everything random.
        races: whether races on shared variables are looked for; changes nothing else, and takes longer.
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
        return _run(with_model(load_scenario(scenario), model), machine, seed, policy, progress, races)
    from runq import scenarios

    values = scenarios.parameters(name, **parameters)
    built = with_model(scenarios.module(name).build(values), model)
    result = _run(built, machine, seed, policy, progress, races)
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
    from runq import scenarios

    if isinstance(scenario, Scenario):
        return scenario
    name = scenario_name(scenario)
    if name is not None:
        return scenarios.load(name)
    if isinstance(scenario, (str, PathLike)):
        return Scenario.from_toml(scenario)
    raise TypeError(f"scenario: must be a Scenario, a name or a path, got {type(scenario).__name__}")


def with_model(scenario: Scenario, model: Model | str | Mapping[str, Any] | None) -> Scenario:
    """A scenario whose tasks are those of a model."""
    if model is None:
        return scenario
    return msgspec.structs.replace(scenario, model=load_model(model).to_dict())


def with_outcome(result: SimulateResult, name: str, parameters: msgspec.Struct) -> SimulateResult:
    """A result with what its scenario is about."""
    from runq import scenarios

    return msgspec.structs.replace(result, outcome=scenarios.module(name).outcome(parameters, result))


def _run(
    scenario: Scenario,
    machine: object,
    seed: int,
    policy: Policy | None,
    progress: SimulateProgress | None,
    races: bool,
) -> SimulateResult:
    chosen = load_machine(DEFAULT_MACHINE if machine is None else machine)
    number = operator.index(seed)
    options = options_json(number, races=races)
    done = _core.simulate(chosen.to_json(), scenario.to_json(), options, policy=policy, progress=progress)
    return result_of(done, scenario, chosen, number)
