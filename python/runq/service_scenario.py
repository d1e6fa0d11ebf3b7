"""A service: clients with their policy, a dependency with its capacity, a cache between, and what goes wrong when.

`docs/services.md` lists the fields of its tables. Their rules live in Rust and are held when it is run.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Self

import msgspec

from runq.errors import ConfigError
from runq.machine import read_toml
from runq.scenario import assign, convert, split_assignment, toml_value

__all__ = ["ServiceScenario", "is_service_path"]

Table = dict[str, Any]

_TABLES = ("load.", "client.", "dependency.", "cache.", "keys.", "troubles[")
_NUMBERS = ("duration_ns", "window_ns", "events_max", "name")


class ServiceScenario(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Clients that call a dependency.

    >>> import runq
    >>> service = runq.ServiceScenario(
    ...     name="queue",
    ...     load={"arrivals": {"poisson": {"rate_per_s": 800}}},
    ...     dependency={"service_ns": {"exponential": {"mean_ns": 1e6}}},
    ...     duration_ns=100e9,
    ... )
    >>> r = runq.simulate(service)
    >>> 3e6 < r.dependency.mean_wait_ns < 5e6
    True

    Attributes:
        name: what results call it.
        load: who asks, and when.
        dependency: what answers.
        duration_ns: when the run ends.
        client: what clients do about calls that are slow or fail.
        cache: what is in front of the dependency; nothing if absent.
        keys: what is asked for.
        troubles: what goes wrong for a while.
        window_ns: how long a row of the time series is.
        events_max: events after which the run is an error.
    """

    name: str
    load: Table
    dependency: Table
    duration_ns: float
    client: Table = {}
    cache: Table | None = None
    keys: Table = {}
    troubles: Sequence[Table] = ()
    window_ns: float = 1e9
    events_max: int = 1_000_000_000

    def __post_init__(self) -> None:
        """Freezes the list."""
        msgspec.structs.force_setattr(self, "troubles", tuple(self.troubles))

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Reads a service written as nested dicts and lists, as TOML and JSON files hold it."""
        return convert(tree, cls, "service")

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Self:
        """Reads a service file."""
        return cls.from_dict(read_toml(path))

    def to_dict(self) -> dict[str, Any]:
        """The service as nested dicts and lists, without what is at its default."""
        tree: dict[str, Any] = json.loads(self.to_json())
        return tree

    def to_json(self) -> str:
        """The service as JSON, without what is at its default."""
        try:
            return msgspec.json.encode(self).decode()
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ConfigError("service", "must be made of tables, lists, texts and numbers", str(error)) from None

    def to_toml(self) -> str:
        """The service as a file that `from_toml` reads."""
        return "\n".join(_lines(self.to_dict())) + "\n"

    def with_set(self, *assignments: str) -> Self:
        """A service with values changed by path, such as `client.retries=0`."""
        tree = self.to_dict()
        for assignment in assignments:
            path, value = split_assignment(assignment)
            assign(tree, path, value)
        return self.from_dict(tree)


def is_service_path(path: str) -> bool:
    """Whether it leads to a value of a service as files have it; else it is a parameter of one that has some."""
    return path in _NUMBERS or path.startswith(_TABLES)


def _lines(tree: dict[str, Any]) -> Iterable[str]:
    for key, value in tree.items():
        if not isinstance(value, (dict, list)):
            yield f"{key} = {toml_value(value)}"
    tables = [(f"[{key}]", value) for key, value in tree.items() if isinstance(value, dict)]
    tables += [("[[troubles]]", trouble) for trouble in tree.get("troubles", [])]
    for header, values in tables:
        yield from ("", header)
        yield from (f"{key} = {toml_value(value)}" for key, value in values.items() if value is not None)
