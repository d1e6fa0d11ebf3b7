"""What a sweep runs at its points: the narrow protocol, and the verbs that fulfil it.

A target knows which paths are axes, turns points into chunks that an engine takes, and says what its job is. Engines,
stores and tables know nothing of scenarios and traces. A new verb is one more file and its name in `_VERBS`.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from runq.errors import ConfigError

__all__ = ["Job", "Point", "Row", "Rows", "Target", "target_of", "zero_of"]

# The verbs, and where their targets are.
_VERBS = {
    "compare": "runq.sweeps._compare",
    "replay": "runq.sweeps._replay",
    "simulate": "runq.sweeps._simulate",
}

# Of `simulate`, where what is simulated is a service.
_SERVICES = "runq.sweeps._service"


class Point(NamedTuple):
    """One simulation of a sweep: its number, which replicate, its seed, and the values of the axes in their order."""

    number: int
    replicate: int
    seed: int
    values: tuple[Any, ...]


class Row(NamedTuple):
    """What a point came to.

    Attributes:
        identity: 16 bytes that are equal for equal points; None if its configuration could not be read.
        error: why it failed; None if it is done.
        is_given_up: whether it was quarantined, since it ended what ran it.
        tries: how often it was tried.
        schema: which list of names of the chunk its values have.
        values: its metrics.
        tree: the whole result as JSON, if the job asks for it.
    """

    identity: bytes | None
    error: str | None
    is_given_up: bool
    tries: int
    schema: int
    values: tuple[Any, ...]
    tree: str | None = None


class Rows(NamedTuple):
    """The rows of a chunk in the order of its points, and the lists of names that they refer to."""

    schemas: Sequence[Sequence[str]]
    rows: Sequence[Row]


class Job(Protocol):
    """What all chunks of a sweep share; it can be pickled."""

    def run(self, chunk: bytes) -> Rows:
        """Runs a chunk to its end, in the calling thread or one beside it."""


class Target(Protocol):
    """What is run at every point."""

    verb: str
    # Metrics that are kept where none are named.
    metrics: tuple[str, ...]
    # Beginnings of metrics that are 0 where a result does not name them.
    zero: tuple[str, ...]

    def axes(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """Axes that it has beside those that are given; they come last and so change fastest."""

    def bind(self, names: Sequence[str], metrics: Sequence[str]) -> None:
        """Takes the axes; raises `ConfigError` for one that is none."""

    def job(self) -> Job:
        """What engines need beside chunks."""

    def chunk(self, points: Sequence[Point]) -> bytes:
        """Points as the job takes them; raises `ConfigError` for one that cannot be written down."""

    def prepare(self, values: Iterable[tuple[Any, ...]]) -> None:
        """Looks at all points before any is run, for what can be worked out for many of them together."""

    def known(self, point: Point) -> tuple[tuple[str, ...], tuple[Any, ...]] | None:
        """Names and values of the metrics of a point that need no run; None for one that does."""

    def finish(self, points: Sequence[Point], rows: Rows) -> Rows:
        """Adds what is known only here, such as the outcome of a scenario."""

    def definition(self) -> dict[str, Any]:
        """What was given, as JSON; `target_of` makes the same target of it. `unnamed` says what it cannot hold."""


def zero_of(verb: str) -> tuple[str, ...]:
    """Beginnings of the metrics of a verb that are 0 where a result does not name them."""
    return cast(tuple[str, ...], import_module(_VERBS[verb]).Target.zero)


def target_of(verb: object, *arguments: Any, **keywords: Any) -> Target:
    """The target of a verb, called with what the verb is called with."""
    name = verb if isinstance(verb, str) else getattr(verb, "__name__", "")
    if name not in _VERBS or not (isinstance(verb, str) or getattr(verb, "__module__", "").startswith("runq.")):
        raise ConfigError("target", f"must be one of {', '.join(_VERBS)}", repr(verb))
    home = import_module(_VERBS[name])
    if name == "simulate" and import_module(_SERVICES).is_service(next(iter(arguments), keywords.get("scenario"))):
        home = import_module(_SERVICES)
    return cast(Target, home.Target(*arguments, **keywords))
