"""One pass over a memory trace for many caches: all associativities, and miss-ratio curves."""

import json
import operator
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from runq import _core
from runq._size import parse_size
from runq._source import trace_source
from runq.errors import ConfigError
from runq.machine import Cache, Machine, PageSize, StreamKind, Tlb
from runq.replay import Progress
from runq.result import Trace

__all__ = ["Associativity", "MissRatioCurve", "all_associativity", "miss_ratio_curve"]

Words = NDArray[np.uint64]
Format = Literal["lackey", "din", "champsim", "raw", "csv"]

# A curve as plain values goes at least so far, so that those of different traces have the same sizes.
_LINES_TOLD = 1 << 25


class OnePassResult:
    """What both kinds of result have: columns of equal length, and what was counted.

    Attributes:
        accesses: references of the trace: accesses of the kind asked for, cut at lines.
        references: those of them that `inner` did not serve; without it all. Misses are misses of these.
        ignored: accesses of another kind.
        line_size: bytes a line, or a page.
        trace: what was passed over.
        simulate_seconds: seconds spent in the simulator.
        read_seconds: seconds spent on reading and converting the trace, in a thread beside it.
    """

    def __init__(self, rest: dict[str, Any], line_size: int, name: str) -> None:
        self.accesses: int = rest["accesses"]
        self.references: int = rest["references"]
        self.ignored: int = rest["ignored"]
        self.line_size = line_size
        self.trace = Trace(name=name, format=rest["format"], compression=rest["compression"])
        self.simulate_seconds: float = rest["simulate_seconds"]
        self.read_seconds: float = rest["read_seconds"]

    def columns(self) -> dict[str, Words]:
        """The columns by name; they cannot be written to."""
        raise NotImplementedError

    def to_arrow(self) -> "ColumnTable":
        """A table for anything that takes `__arrow_c_stream__`: pyarrow, polars, duckdb, pandas."""
        return ColumnTable(self.columns())

    def to_numpy(self) -> NDArray[np.void]:
        """The rows as a structured array."""
        columns = self.columns()
        table = np.zeros(len(columns["misses"]), dtype=[(name, np.uint64) for name in columns])
        for name, column in columns.items():
            table[name] = column
        return table

    def _rest(self) -> dict[str, Any]:
        names = ("accesses", "references", "ignored", "line_size", "simulate_seconds", "read_seconds")
        return {name: getattr(self, name) for name in names} | {"trace": msgspec.to_builtins(self.trace)}


class ColumnTable:
    """Columns that hand themselves out through the Arrow PyCapsule interface."""

    def __init__(self, columns: dict[str, Words]) -> None:
        self._columns = columns

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """One column of uint64 for each."""
        return _core.arrow_stream([(name, column.tolist()) for name, column in self._columns.items()])


class Associativity(OnePassResult):
    """Misses of caches of several numbers of sets, each with 1 to `max_ways` ways.

    Attributes:
        sets, ways, misses: columns with a row a cache, ordered by sets and then by ways.
        policy: the replacement policy of all.
        max_ways: the largest number of ways.
    """

    def __init__(
        self, columns: dict[str, bytes], rest: dict[str, Any], line_size: int, name: str, policy: str, max_ways: int
    ) -> None:
        super().__init__(rest, line_size, name)
        self.sets, self.ways, self.misses = (_words(columns[name]) for name in ("sets", "ways", "misses"))
        self.policy = policy
        self.max_ways = max_ways

    @property
    def miss_ratio(self) -> NDArray[np.float64]:
        """Misses by the references that these caches saw."""
        return self.misses / max(self.references, 1)

    @property
    def size(self) -> Words:
        """Bytes of each cache."""
        return self.sets * self.ways * np.uint64(self.line_size)

    def table(self) -> Words:
        """Misses as an array of shape (numbers of sets, max_ways)."""
        return self.misses.reshape(-1, self.max_ways)

    def misses_of(self, sets: int, ways: int) -> int:
        """The misses of one cache; a `KeyError` if it is not among them."""
        place = np.flatnonzero((self.sets == sets) & (self.ways == ways))
        if not len(place):
            raise KeyError(f"no cache of {sets} sets and {ways} ways")
        return int(self.misses[place[0]])

    def columns(self) -> dict[str, Words]:
        """`sets`, `ways` and `misses`."""
        return {"sets": self.sets, "ways": self.ways, "misses": self.misses}

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, with a row a cache under `configurations`."""
        names = ("sets", "ways", "misses")
        rows = zip(*(column.tolist() for column in self.columns().values()), strict=True)
        configurations = [dict(zip(names, row, strict=True)) for row in rows]
        return {"configurations": configurations, "policy": self.policy, **self._rest()}

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict())

    def __str__(self) -> str:
        from runq._one_pass_table import associativity_table

        return associativity_table(self)

    def __repr__(self) -> str:
        return f"<Associativity of {self.trace.name}: {len(self.misses)} {self.policy} caches>"


class MissRatioCurve(OnePassResult):
    """Misses of fully associative LRU caches of every size, as rows where they change.

    A cache of `n` lines misses what the last row with at most `n` lines says.

    Attributes:
        lines, misses: columns; `lines` ascends from 1, `misses` falls.
        standard_errors: by row, how far the misses are off as a rule; zeros if the curve is exact.
        distinct: lines that were used at all; of a sampled curve, an estimate.
        sample: the part of the lines that was looked at; None: all of them, exactly.
    """

    def __init__(
        self, columns: dict[str, bytes], rest: dict[str, Any], line_size: int, name: str, sample: float | None
    ) -> None:
        super().__init__(rest, line_size, name)
        self.lines, self.misses = _words(columns["lines"]), _words(columns["misses"])
        self.standard_errors = _words(columns["errors"])
        self.distinct: int = rest["distinct"]
        self.sample = sample

    @property
    def miss_ratio(self) -> NDArray[np.float64]:
        """Misses of each row by references."""
        return self.misses / max(self.references, 1)

    @property
    def miss_ratio_error(self) -> NDArray[np.float64]:
        """Standard error of each row's miss ratio."""
        return self.standard_errors / max(self.references, 1)

    def misses_at(self, lines: Iterable[int] | int) -> Words:
        """Misses of caches of so many lines; all references for none."""
        wanted = np.atleast_1d(np.asarray(list(lines) if isinstance(lines, Iterable) else lines))
        row = np.searchsorted(self.lines, wanted, side="right")
        return np.concatenate([np.array([self.references], dtype=np.uint64), self.misses])[row]

    def miss_ratio_at(self, lines: Iterable[int] | int) -> NDArray[np.float64]:
        """Miss ratios of caches of so many lines."""
        return self.misses_at(lines) / max(self.references, 1)

    def powers_of_two(self, least: int = 1) -> list[int]:
        """1, 2, 4, ... until misses do not fall any more, and at least up to `least`."""
        last = max(int(self.lines[-1]), least)
        return [1 << bit for bit in range((last - 1).bit_length() + 1)]

    def columns(self) -> dict[str, Words]:
        """`lines`, `misses` and `standard_errors`."""
        return {"lines": self.lines, "misses": self.misses, "standard_errors": self.standard_errors}

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, with the curve at powers of two up to 2^25 and further where it still falls."""
        lines = self.powers_of_two(_LINES_TOLD)
        misses = self.misses_at(lines).tolist()
        curve = [{"lines": size, "misses": count} for size, count in zip(lines, misses, strict=True)]
        tree = {"curve": curve, "sample": self.sample, "distinct": self.distinct, **self._rest()}
        if self.sample is not None:
            tree["standard_errors"] = self._errors_at(lines).tolist()
        return tree

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict())

    def _errors_at(self, lines: list[int]) -> Words:
        row = np.searchsorted(self.lines, lines, side="right") - 1
        return self.standard_errors[row]

    def __str__(self) -> str:
        from runq._one_pass_table import curve_table

        return curve_table(self)

    def __repr__(self) -> str:
        how = "exact" if self.sample is None else f"sampled at {self.sample:g}"
        return f"<MissRatioCurve of {self.trace.name}: {len(self.lines)} rows, {how}>"


def all_associativity(
    trace: object,
    *,
    sets: Sequence[int],
    max_ways: int = 32,
    policy: Literal["lru", "fifo"] = "lru",
    line_size: int | str = 64,
    page_size: PageSize | None = None,
    kind: StreamKind = "data",
    inner: Sequence[Cache | Tlb] | Cache | Tlb = (),
    seed: int = 0,
    format: Format | None = None,
    progress: Progress | None = None,
) -> Associativity:
    """Counts the misses of all caches with these numbers of sets and 1 to `max_ways` ways, in one pass.

    Every count is what `replay` counts for the one cache: demand misses of a cache that allocates on every miss, for
    reads and writes alike. Behind `inner` levels it is what `replay` counts for a further level of the machine that is
    neither inclusive nor exclusive and to which write-backs are not presented.

    Args:
        trace: what to pass over; anything that `replay` takes.
        sets: numbers of sets: powers of two.
        max_ways: the largest number of ways, at most 32.
        policy: which line leaves a full set. FIFO has a slower pass of its own.
        line_size: bytes a line.
        page_size: the lines are pages of that size: the caches are TLBs.
        kind: which accesses count: `data`, `instruction` or `unified` (both).
        inner: caches (or, with `page_size`, TLBs) between the accesses and these caches, innermost first. They may have
            any policy.
        seed: seed of what is random in `inner`.
        format: the format of a file, if its name and content do not tell.
        progress: called as `replay` calls it.

    Raises:
        ConfigError: an option breaks a rule.
        TraceError: the trace is not what its format asks for, or cannot be read.
        ReplayError: no access is of the kind that counts.

    >>> import runq
    >>> caches = runq.all_associativity([0, 64, 128, 0, 64, 128], sets=[1, 2], max_ways=3)
    >>> caches.table()
    array([[6, 6, 3],
           [5, 3, 3]], dtype=uint64)
    """
    options = {
        "input": _input(line_size, page_size, kind, inner, seed),
        "sets": [_plain(count) for count in np.atleast_1d(np.asarray(sets, dtype=object))],
        "max_ways": _plain(max_ways),
        "order": policy,
    }
    source = trace_source(trace)
    columns, rest = _core.all_associativity(
        source.object, json.dumps(options, default=repr), format=format, name=source.name, progress=progress
    )
    line = _line_bytes(line_size, page_size)
    return Associativity(columns, json.loads(rest), line, source.name, policy, int(max_ways))


def miss_ratio_curve(
    trace: object,
    *,
    sample: float | None = None,
    line_size: int | str = 64,
    page_size: PageSize | None = None,
    kind: StreamKind = "data",
    inner: Sequence[Cache | Tlb] | Cache | Tlb = (),
    seed: int = 0,
    format: Format | None = None,
    progress: Progress | None = None,
) -> MissRatioCurve:
    """Counts the misses of fully associative LRU caches of every size, in one pass.

    Args:
        trace: what to pass over; anything that `replay` takes.
        sample: look at this part of the lines and estimate the rest, with a standard error; None: all, exactly.
        line_size: bytes a line.
        page_size: the lines are pages of that size: the caches are TLBs.
        kind: which accesses count: `data`, `instruction` or `unified` (both).
        inner: caches (or, with `page_size`, TLBs) between the accesses and these caches, innermost first.
        seed: seed of the sample, and of what is random in `inner`.
        format: the format of a file, if its name and content do not tell.
        progress: called as `replay` calls it.

    Raises:
        ConfigError: an option breaks a rule.
        TraceError: the trace is not what its format asks for, or cannot be read.
        ReplayError: no access is of the kind that counts, or there are more lines than memory.

    >>> import runq
    >>> curve = runq.miss_ratio_curve([0, 64, 128, 0, 64, 128])
    >>> curve.lines, curve.misses
    (array([1, 3], dtype=uint64), array([6, 3], dtype=uint64))
    """
    options = {"input": _input(line_size, page_size, kind, inner, seed), "sample": _number(sample)}
    source = trace_source(trace)
    columns, rest = _core.miss_ratio_curve(
        source.object, json.dumps(options, default=repr), format=format, name=source.name, progress=progress
    )
    return MissRatioCurve(columns, json.loads(rest), _line_bytes(line_size, page_size), source.name, sample)


def _input(line_size: object, page_size: object, kind: object, inner: object, seed: object) -> dict[str, Any]:
    levels: list[object] = [inner] if isinstance(inner, (Cache, Tlb)) else list(inner)  # type: ignore[call-overload]
    for index, level in enumerate(levels):
        if not isinstance(level, (Cache, Tlb)):
            raise ConfigError(f"inner[{index}]", "must be a Cache or a Tlb", repr(level))
    machine: dict[str, Any] | None = None
    if levels:
        caches = [level for level in levels if isinstance(level, Cache)]
        tlbs = [level for level in levels if isinstance(level, Tlb)]
        page: Any = {} if page_size is None else {"page_size": page_size}
        machine = json.loads(Machine(caches=caches, tlbs=tlbs, **page).to_json())
    return {
        "line_size": _plain(line_size),
        "page_size": page_size,
        "kind": kind,
        "inner": machine,
        "seed": _plain(seed),
    }


def _line_bytes(line_size: object, page_size: object) -> int:
    return parse_size("line_size", str(line_size if page_size is None else page_size))


def _plain(number: object) -> object:
    """Turns NumPy's integers into Python's; whether what remains is right is for Rust to say."""
    return operator.index(number) if hasattr(number, "__index__") and not isinstance(number, bool) else number


def _number(value: object) -> object:
    """A float that JSON can hold; what is no number stays what it is, for Rust to refuse."""
    if value is None or isinstance(value, (bool, str)):
        return value
    number = float(value)  # type: ignore[arg-type]
    return number if np.isfinite(number) else str(number)


def _words(column: bytes) -> Words:
    return np.frombuffer(column, dtype=np.uint64)
