"""Scenarios that come with runq: `names()` tells which, `load(name, ...)` builds one from its parameters.

Each is a module with its `Parameters` (a frozen struct with documented defaults), `build`, which makes the scenario of
them, and `outcome`, which reads from a result what the scenario is about. Those of services make a `ServiceScenario`.
"""

from importlib import import_module
from typing import Any, Literal, Protocol, cast, overload

import msgspec

from runq.errors import ConfigError
from runq.scenario import Scenario, convert
from runq.service_result import ServiceResult
from runq.service_scenario import ServiceScenario
from runq.simulate_result import SimulateResult

__all__ = [
    "ScenarioModule",
    "ServiceModule",
    "ServiceName",
    "load",
    "module",
    "names",
    "outcome",
    "parameters",
    "summary",
]

_NAMES = (
    "address-space",
    "blocking-syscalls",
    "cache-stampede",
    "context-switch",
    "cpu-hogs",
    "dining-philosophers",
    "false-sharing",
    "fork-join",
    "fork-latency",
    "lock-contention",
    "oversubscription",
    "page-replacement",
    "pipeline",
    "priority-inversion",
    "producer-consumer",
    "retry-storm",
    "scheduler-zoo",
    "shared-counter",
    "sleepers",
    "snapshot",
    "timer-ticks",
    "web-service",
)


# Those of services.
ServiceName = Literal["cache-stampede", "retry-storm"]


class ServiceModule(Protocol):
    """What the module of a service offers."""

    Parameters: type[msgspec.Struct]

    def build(self, parameters: Any) -> ServiceScenario:
        """The service of these parameters."""

    def outcome(self, parameters: Any, result: ServiceResult) -> dict[str, Any]:
        """What the service is about, read from its result."""


class ScenarioModule(Protocol):
    """What a scenario's module offers."""

    Parameters: type[msgspec.Struct]

    def build(self, parameters: Any) -> Scenario:
        """The scenario of these parameters."""

    def outcome(self, parameters: Any, result: SimulateResult) -> dict[str, Any]:
        """What the scenario is about, read from its result."""


def names() -> list[str]:
    """The names of the scenarios, sorted.

    >>> import runq
    >>> runq.scenarios.names()[:3]
    ['address-space', 'blocking-syscalls', 'cache-stampede']
    """
    return list(_NAMES)


@overload
def module(name: ServiceName) -> ServiceModule: ...  # type: ignore[overload-overlap] # names are texts
@overload
def module(name: str) -> ScenarioModule: ...
def module(name: str) -> ScenarioModule | ServiceModule:
    """The module of a scenario."""
    if name not in _NAMES:
        raise ConfigError("scenario", f"must be a TOML file or one of {', '.join(_NAMES)}", repr(name))
    return cast(ScenarioModule | ServiceModule, import_module(f"runq.scenarios.{name.replace('-', '_')}"))


def parameters(name: str, **values: Any) -> msgspec.Struct:
    """The parameters of a scenario: its defaults, with `values` instead.

    >>> import runq
    >>> runq.scenarios.parameters("fork-latency", resident="64MiB").repeats
    5
    """
    kind = module(name).Parameters
    known = kind.__struct_fields__
    for key in values:
        if key not in known:
            raise ConfigError(
                f"scenario.{key}", f"must be a parameter of {name}: {', '.join(known)}", repr(values[key])
            )
    return convert(values, kind, f"scenario {name}")


@overload
def load(name: ServiceName, **values: Any) -> ServiceScenario: ...
@overload
def load(name: str, **values: Any) -> Scenario: ...
def load(name: str, **values: Any) -> Scenario | ServiceScenario:
    """The scenario of that name with its parameters; what is not said is at its default.

    >>> import runq
    >>> runq.scenarios.load("fork-latency", resident="64MiB", state="clean").processes[0].name
    'server'
    """
    return module(name).build(parameters(name, **values))


def outcome(name: str, parameters: msgspec.Struct, result: Any) -> dict[str, Any]:
    """What a result says of what its scenario is about; nothing if that never came to happen."""
    made: Any = module(name)
    try:
        return dict(made.outcome(parameters, result))
    except (LookupError, ZeroDivisionError, StopIteration):
        # Cut short, or changed by paths, so that it has no requests, no measure, no time to divide by.
        return {}


def summary(name: str) -> str:
    """What a scenario shows, in one line."""
    return (getattr(module(name), "__doc__", None) or "").strip().split("\n")[0]
