"""Sweeps over the geometry of caches turned into passes over the trace: all associativities at once.

Where only misses of LRU or FIFO caches are asked for, `runq.all_associativity` counts those of all numbers of sets and
ways in one pass; the caches inside filter the trace, once for each combination of them. What a pass cannot count, such
as write-backs or the digest, and machines where outer caches act on inner ones, are replayed as ever. A pass counts
exactly what a replay counts: nothing in a table tells which of the two it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np

from runq import _core
from runq._one_pass import Associativity, all_associativity
from runq._size import parse_size
from runq.errors import RunqError
from runq.machine import Cache, Machine
from runq.sweeps._metrics import matches

__all__ = ["OnePass", "plan_passes"]

# Ways that a pass counts.
_WAYS_MAX = 32

# Geometries that are planned for; a sweep over more is replayed.
_GEOMETRIES_MAX = 20_000

_WRITE = 1 << 63

# Metrics that a pass tells of a level.
_MISSES = "misses"


class _Geometry(NamedTuple):
    """A cache of a machine: which pass counts it, and which of the caches of that pass it is."""

    caches: str
    sets: int
    ways: int


class OnePass:
    """The misses of the caches of some machines, counted together."""

    def __init__(self, names: Mapping[str, dict[str, _Geometry]], passes: Mapping[str, Associativity]) -> None:
        self._names, self._passes = names, passes

    def __len__(self) -> int:
        """How many passes there were."""
        return len(self._passes)

    def answer(self, machine: str) -> tuple[tuple[str, ...], tuple[Any, ...]] | None:
        """Names and values of the metrics of a machine; None if no pass counted it."""
        geometries = self._names.get(machine)
        if geometries is None:
            return None
        values = [self._passes[one.caches].misses_of(one.sets, one.ways) for one in geometries.values()]
        return tuple(geometries), tuple(values)


def plan_passes(
    machines: Iterable[tuple[str, Machine]], trace: _core.SweepTrace, metrics: Sequence[str]
) -> OnePass | None:
    """Passes for those machines, each with its key, that passes can count; None where replays are as good."""
    if not all(path.startswith("levels.") and path.endswith(f".{_MISSES}") for path in metrics):
        return None
    names: dict[str, dict[str, _Geometry]] = {}
    wanted: dict[str, tuple[Machine, int, set[int], int]] = {}
    for key, machine in machines:
        if len(names) >= _GEOMETRIES_MAX:
            return None
        found = _geometries(machine, metrics)
        if found is None:
            continue
        names[key] = {name: geometry for name, (_, geometry) in found.items()}
        for level, geometry in found.values():
            _, _, sets, ways = wanted.get(geometry.caches, (machine, level, set(), 0))
            wanted[geometry.caches] = (machine, level, sets | {geometry.sets}, max(ways, geometry.ways))
    # A pass takes about as long as a replay.
    if len(wanted) >= len(names):
        return None
    source = _source(trace)
    try:
        passes = {
            key: all_associativity(
                source,
                sets=sorted(sets),
                max_ways=ways,
                policy=cast(Any, machine.caches[level].replacement),
                line_size=machine.caches[level].line_size,
                kind=machine.caches[level].kind or "data",
                inner=machine.caches[:level],
            )
            for key, (machine, level, sets, ways) in wanted.items()
        }
    except RunqError:
        # A trace without accesses of the kind: the replay says what it has to say.
        return None
    return OnePass(names, passes)


def _geometries(machine: Machine, metrics: Sequence[str]) -> dict[str, tuple[int, _Geometry]] | None:
    """The caches that the metrics ask for, by the name of the metric: their level and geometry."""
    levels = [level for level, cache in enumerate(machine.caches) if _is_asked(cache.name, metrics)]
    if not levels or not _is_simple(machine, max(levels)):
        return None
    found = {}
    for level in levels:
        cache = machine.caches[level]
        sets = parse_size("size", cache.size) // (parse_size("line_size", cache.line_size) * cache.ways)
        if cache.replacement not in ("lru", "fifo") or cache.ways > _WAYS_MAX or sets & (sets - 1) or not sets:
            return None
        inside = [json.loads(_json(one)) for one in machine.caches[:level]]
        key = json.dumps([inside, cache.line_size, cache.kind, cache.replacement])
        found[f"levels.{cache.name}.{_MISSES}"] = (level, _Geometry(key, sets, cache.ways))
    return found


def _is_asked(name: str, metrics: Sequence[str]) -> bool:
    return any(matches(path, f"levels.{name}.{_MISSES}") for path in metrics)


def _is_simple(machine: Machine, last: int) -> bool:
    """Whether what a cache up to `last` misses depends on the caches inside it alone."""
    if machine.cpus > 1 or machine.placement != "identity" or machine.page_walk is not None:
        return False
    if last > 0 and machine.present_write_backs:
        return False
    kinds = {cache.kind for cache in machine.caches[: last + 1]}
    line_sizes = {parse_size("line_size", cache.line_size) for cache in machine.caches}
    return len(kinds) == len(line_sizes) == 1 and all(
        cache.inclusion == "non-inclusive"
        and cache.write_policy == "write-back"
        and cache.write_allocate
        and cache.prefetcher == "none"
        for cache in machine.caches
    )


def _json(cache: Cache) -> str:
    # What does not change which lines it holds does not make a pass of its own.
    return msgspec.json.encode(msgspec.structs.replace(cache, latency_cycles=None)).decode()


def _source(trace: _core.SweepTrace) -> Any:
    """The trace as `all_associativity` takes one."""
    columns = trace.columns()
    words = np.frombuffer(columns["words"], dtype=np.uint64)
    if set(columns) == {"words"}:
        return words
    fetches = np.frombuffer(columns.get("fetches", bytes(len(words))), dtype=np.uint8)
    writes = (words & np.uint64(_WRITE)) != 0
    table = {"address": words & ~np.uint64(_WRITE), "kind": np.where(fetches != 0, 2, writes.astype(np.uint8))}
    if "sizes" in columns:
        table["size"] = np.frombuffer(columns["sizes"], dtype=np.uint32)
    return table
