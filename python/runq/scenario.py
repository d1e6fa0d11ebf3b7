"""A scenario: processes with their programs, and what the kernel does differently.

`docs/programs.md` lists the ops of a program. Their rules live in Rust and are held when the scenario is run.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self, TypeVar

import msgspec

from runq.errors import ConfigError
from runq.machine import read_toml

__all__ = ["ChannelSpec", "KernelChoices", "LockSpec", "Op", "ProcessSpec", "Scenario", "Variable", "is_path"]

# An op as TOML and JSON write it: a table whose field `op` says what it does.
Op = Mapping[str, Any]

_T = TypeVar("_T")

_TABLES = ("channels.", "dependencies.", "kernel.", "locks.", "model.", "processes[", "processes.", "variables.")
_VALUES = ("events_max", "memory", "model", "name", "until_ns")

# What msgspec says of a value of the wrong type, and where.
_WRONG_TYPE = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_WRONG_FIELD = re.compile(r"Object (?P<problem>.*field) `(?P<field>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PATH_STEP = re.compile(r"[^.\[\]]+|\[\d+\]")


class KernelChoices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the kernel of a scenario does differently.

    Attributes:
        placement: where frames are taken from.
        swap_policy: which page makes room when memory is full.
        aslr: whether addresses are drawn from the seed.
        fork_policy: whether a fork copies tables, or shares them until one of the two changes them.
        scheduler: who runs next: the name of a policy of `runq.sched`, or a table of that name with its numbers, as
            `{"round-robin": {"time_slice_us": 1000}}`.
        queues: whether cpus pick from one queue or each from its own; `auto` is per cpu for CFS and EEVDF, and where
            threads have an affinity.
        steal: whether a cpu takes threads from the queues of others.
        wake_affine: whether who is woken joins the cpu of who wakes it, if nobody waits there.
    """

    placement: Literal["contiguous", "random", "fragmented"] = "contiguous"
    swap_policy: Literal["fifo", "lru", "clock", "random"] = "lru"
    aslr: bool = True
    fork_policy: Literal["copy", "on-demand"] = "copy"
    scheduler: str | dict[str, dict[str, Any]] = "eevdf"
    queues: Literal["auto", "shared", "per-cpu"] = "auto"
    steal: bool = True
    wake_affine: bool = False


class LockSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A lock of a scenario.

    Attributes:
        kind: how it goes about it; `barging` if absent, `rwlock` where programs lock it for reading or writing.
        protocol: with `inherit` who holds it has the priority of who waits for it.
        prefer: who goes first at a reader-writer lock; `readers` if absent.
    """

    kind: Literal["barging", "fair", "adaptive", "go", "tas", "ttas", "ticket", "mcs", "rwlock"] | None = None
    protocol: Literal["none", "inherit"] = "none"
    prefer: Literal["readers", "writers", "fifo"] | None = None


class ChannelSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A channel of a scenario.

    Attributes:
        kind: `pipe`, through the kernel, or `queue`, through memory that both sides see, as Go's channels.
        capacity: how many messages a queue holds; none if absent: each `send` waits for a `recv`.
    """

    kind: Literal["pipe", "queue"] = "pipe"
    capacity: int | None = None


class ProcessSpec(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A process at the start: what it is called, what it does, and when.

    Attributes:
        name: what results call it.
        program: its ops.
        start_ns: when it starts.
        copies: how many there are of it.
        nice: from -20, first, to 19: its share under CFS and EEVDF.
        tickets: its share under lottery and stride; 100 if absent.
        priority: how urgent it is under `priority`; smaller goes first.
        affinity: the cpus that its threads may run on; all if absent.
    """

    name: str
    program: Sequence[dict[str, Any]]
    start_ns: float = 0
    copies: int = 1
    nice: int = 0
    tickets: int | None = None
    priority: int | None = None
    affinity: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Freezes the lists."""
        msgspec.structs.force_setattr(self, "program", tuple(self.program))
        if self.affinity is not None:
            msgspec.structs.force_setattr(self, "affinity", tuple(self.affinity))


class Variable(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A shared variable: the line that it lies on, its own if absent, and what it begins with."""

    line: str | None = None
    initial: int = 0


class Scenario(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Processes with their programs.

    >>> import runq
    >>> scenario = runq.Scenario(
    ...     name="fork",
    ...     processes=[runq.ProcessSpec("server", [{"op": "fork", "child": [{"op": "exit"}]}, {"op": "wait_child"}])],
    ... )
    >>> len(runq.simulate(scenario).forks)
    1

    Attributes:
        name: what results call it.
        processes: who runs; all are children of process 1.
        variables: shared variables by name; those that are not here begin at 0, each on a line of its own.
        kernel: what the kernel does differently.
        locks: locks by their names; those that are not here are as programs use them.
        channels: channels by their names; those that are not here are pipes.
        dependencies: what the op `call` calls, by name: tables as the `dependency` of a service.
        memory: `none` charges faults and calls; `addresses` sends every access through TLBs, page walks and caches;
            `footprint` goes by working sets and what of them survives a switch.
        model: what its tasks are: the name of a model, or a table of that name with what is to be other than usual;
            threads if absent.
        until_ns: when the run ends, if not by itself.
        events_max: events after which the run is an error.
    """

    name: str
    processes: Sequence[ProcessSpec]
    variables: dict[str, Variable] = {}
    kernel: KernelChoices = KernelChoices()
    locks: dict[str, LockSpec] = {}
    channels: dict[str, ChannelSpec] = {}
    dependencies: dict[str, dict[str, Any]] = {}
    memory: Literal["none", "addresses", "footprint"] = "none"
    model: str | dict[str, dict[str, Any]] | None = None
    until_ns: float | None = None
    events_max: int = 10_000_000_000

    def __post_init__(self) -> None:
        """Freezes the list."""
        msgspec.structs.force_setattr(self, "processes", tuple(self.processes))

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Reads a scenario written as nested dicts and lists, as TOML and JSON files hold it."""
        return convert(tree, cls, "scenario")

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Self:
        """Reads a scenario file."""
        return cls.from_dict(read_toml(path))

    def to_dict(self) -> dict[str, Any]:
        """The scenario as nested dicts and lists, without what is at its default."""
        tree: dict[str, Any] = json.loads(self.to_json())
        return tree

    def to_json(self) -> str:
        """The scenario as JSON, without what is at its default."""
        try:
            return msgspec.json.encode(self).decode()
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ConfigError("scenario", "must be made of tables, lists, texts and numbers", str(error)) from None

    def to_toml(self) -> str:
        """The scenario as a file that `from_toml` reads, one op a line."""
        return "\n".join(_toml_lines(self.to_dict())) + "\n"

    def with_set(self, *assignments: str) -> Self:
        """A scenario with values changed by path, such as `kernel.fork_policy=on-demand`.

        >>> import runq
        >>> runq.scenarios.load("address-space").with_set("kernel.aslr=false").kernel.aslr
        False
        """
        tree = self.to_dict()
        for assignment in assignments:
            path, value = split_assignment(assignment)
            assign(tree, path, value)
        return self.from_dict(tree)


def is_path(path: str) -> bool:
    """Whether it leads to a value of a scenario as files have it; else it is a parameter of one that has some."""
    return path in _VALUES or path.startswith(_TABLES)


def convert(tree: object, to: type[_T], name: str, *, strict: bool = True) -> _T:
    """Reads a value; errors name the path, the rule and the value."""
    try:
        return msgspec.convert(tree, to, strict=strict)
    except msgspec.ValidationError as error:
        raise _config_error(str(error), name, tree) from None


def split_assignment(text: str) -> tuple[str, Any]:
    """Reads `path=value`: the value is JSON, or else a text."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError("set", "must be PATH=VALUE", repr(text))
    try:
        return path.strip(), json.loads(value)
    except (ValueError, RecursionError):
        return path.strip(), value.strip()


def _config_error(message: str, name: str, tree: object) -> ConfigError:
    if found := _WRONG_TYPE.search(message):
        path = found["path"] or name
        value = _at(tree, found["path"]) if found["path"] else tree
        got = found["got"] if isinstance(value, (dict, list)) or value is None else json.dumps(value, default=str)
        return ConfigError(path, f"must be {found['expected'].replace(' | ', ' or ')}", got)
    if found := _WRONG_FIELD.search(message):
        return ConfigError(found["path"] or name, f"object {found['problem']}", found["field"])
    problem, _, path = message.rstrip("`").partition(" - at `$")
    path = path.lstrip(".")
    return ConfigError(path or name, problem[:1].lower() + problem[1:], json.dumps(_at(tree, path), default=str)[:60])


def _at(tree: object, path: str) -> object:
    """The value at a path; None if there is none."""
    node: Any = tree
    for step in _PATH_STEP.findall(path):
        try:
            node = node[int(step[1:-1])] if step.startswith("[") else node[step]
        except (LookupError, TypeError, ValueError):
            return None
    return node


def assign(tree: dict[str, Any], path: str, value: object) -> None:
    """Changes the value at a path."""
    steps = _PATH_STEP.findall(path)
    node: Any = tree
    for step in steps[:-1]:
        if step.startswith("[") or (isinstance(node, list) and step.isdigit()):
            node = _element(node, step, path)
        elif isinstance(node, dict):
            node = node.setdefault(step, {})
        else:
            raise ConfigError(path, f"must be a path of the scenario; {step} is none", json.dumps(node, default=str))
    last = steps[-1]
    if isinstance(node, dict) and not last.startswith("["):
        node[last] = value
        return
    _element(node, last, path)
    node[int(last.strip("[]"))] = value


def _element(node: Any, step: str, path: str) -> Any:
    index = int(step.strip("[]")) if step.strip("[]").isdigit() else -1
    if not isinstance(node, list) or not 0 <= index < len(node):
        count = len(node) if isinstance(node, list) else 0
        raise ConfigError(path, f"must be a path of the scenario; there are {count} elements", step)
    return node[index]


def _toml_lines(tree: dict[str, Any]) -> Iterable[str]:
    named = ("locks", "channels", "dependencies")
    tables = ("kernel", *named, "processes")
    for key, value in tree.items():
        if key not in tables:
            yield f"{key} = {toml_value(value)}"
    if tree.get("kernel"):
        yield from ("", "[kernel]", *(f"{key} = {toml_value(value)}" for key, value in tree["kernel"].items()))
    for table in named:
        if tree.get(table):
            yield from ("", f"[{table}]")
            yield from (f"{json.dumps(key)} = {toml_value(value)}" for key, value in tree[table].items())
    for process in tree["processes"]:
        yield from ("", "[[processes]]")
        for key, value in process.items():
            if key != "program":
                yield f"{key} = {toml_value(value)}"
        yield "program = ["
        for op in process["program"]:
            yield f"    {toml_value(op)},"
        yield "]"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else toml_value(name)


def toml_value(value: object) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {toml_value(part)}" for key, part in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    # Texts, numbers and booleans are the same in TOML and in JSON, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
