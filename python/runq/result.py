"""What a replay tells: counters by level, TLB, thread, region and instruction, and the cycles they cost."""

from typing import TYPE_CHECKING, Any

import msgspec

from runq import _core
from runq.machine import Machine, Region

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Coherence", "Group", "Level", "Lookups", "Options", "PageWalkCounts", "ReplayResult", "TlbCounts", "Trace"]


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a cache level, over all its cpus. They count references; demand means reads and writes."""

    reads: int
    writes: int
    read_misses: int
    write_misses: int
    misses: int
    write_backs: int
    write_backs_in: int
    write_back_misses: int
    write_throughs: int
    victims_in: int
    back_invalidations: int
    prefetch_reads: int
    prefetch_misses: int
    prefetches_issued: int
    prefetches_useful: int
    prefetches_late: int
    prefetches_polluting: int
    walk_reads: int
    walk_read_misses: int

    @property
    def accesses(self) -> int:
        """Demand reads and writes."""
        return self.reads + self.writes

    @property
    def hits(self) -> int:
        """Demand reads and writes that found their line here."""
        return self.accesses - self.misses

    @property
    def miss_ratio(self) -> float:
        """Misses by accesses; 0 without accesses."""
        return self.misses / self.accesses if self.accesses else 0.0


class TlbCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a TLB, over all its cpus."""

    lookups: int
    misses: int

    @property
    def miss_ratio(self) -> float:
        """Misses by lookups; 0 without lookups."""
        return self.misses / self.lookups if self.lookups else 0.0


class Lookups(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a structure cache or nested TLB, over all cpus."""

    lookups: int
    hits: int

    @property
    def hit_ratio(self) -> float:
        """Hits by lookups; 0 without lookups."""
        return self.hits / self.lookups if self.lookups else 0.0


class PageWalkCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of page walks that read page tables, over all cpus.

    Attributes:
        walks: translations that no TLB held.
        reads: entries read; the sum of both `reads_by_level`, and of what served them.
        reads_by_level: those of an address space's tables; level 1 holds the leaves of 4 KiB pages.
        structure_caches: by level.
        host_walks: translations of guest-physical addresses that the nested TLB did not have.
        host_reads_by_level: reads of the host's tables; empty without nested paging.
        host_structure_caches: by level.
        nested_tlb: zero without one.
        reads_served: reads by the cache that had the line.
        reads_from_memory: reads that no cache served.
        reads_from_other_cpus: reads of lines that another cpu had modified.
        walk_cycles: what walks cost beside the hits of TLBs; part of the result's `latency_cycles`.
    """

    walks: int
    reads: int
    reads_by_level: dict[int, int]
    structure_caches: dict[int, Lookups]
    host_walks: int
    host_reads_by_level: dict[int, int]
    host_structure_caches: dict[int, Lookups]
    nested_tlb: Lookups
    reads_served: dict[str, int]
    reads_from_memory: int
    reads_from_other_cpus: int
    walk_cycles: int


class Coherence(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of coherence; zero on a machine of one cpu."""

    invalidations: int
    transfers: int
    upgrades: int
    true_sharing_misses: int
    false_sharing_misses: int


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one thread, region or instruction."""

    references: int
    reads: int
    writes: int
    fetches: int
    page_walks: int
    misses: dict[str, int]
    latency_cycles: int


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of a replay beside the machine and the trace."""

    skip: int = 0
    warmup: int = 0
    limit: int | None = None
    seed: int = 0
    dependent: bool = False
    address_spaces: str = "shared"
    by_thread: bool = False
    by_ip: int = 0
    regions: tuple[Region, ...] = ()
    engine: str = "auto"


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Which trace was replayed. Arrays have neither format nor compression."""

    name: str
    format: str | None = None
    compression: str | None = None


class ReplayResult(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a replay tells. `r["L1D"]` is a level or TLB by its name; `print(r)` is a table.

    Attributes:
        accesses: references counted; an access that crosses a line is several.
        ignored_fetches: instruction fetches left out because the machine takes data alone.
        levels: counters by cache, from the cpu outwards.
        tlbs: counters by TLB, likewise.
        per_cpu: counters of the private caches of each cpu, from two cpus on.
        page_walks: translations that no TLB held.
        page_walk: what walks read, on a machine whose walks read tables.
        coherence: invalidations, transfers, upgrades and sharing misses.
        by_thread: counters by thread id, if asked for.
        by_region: counters by region and `other`, if there are regions.
        by_ip: counters by instruction address, largest latency first, if asked for.
        latency_cycles: sum of the latencies of all references.
        cycles: the same with independent accesses overlapped.
        engine: which simulator ran, `batch` or `general`; their results are equal.
        digest: 16 hexadecimal digits over all counters; equal for equal inputs.
        config: the machine with all that it leaves open written out.
        options: what else was asked for.
        trace: which trace it was.
        version: that of runq.
        simulate_seconds: time in the simulator.
        read_seconds: time of opening, decompressing and parsing, in a thread beside it; 0 for raw arrays.
    """

    accesses: int
    ignored_fetches: int
    levels: dict[str, Level]
    tlbs: dict[str, TlbCounts]
    per_cpu: tuple[dict[str, Level], ...]
    page_walks: int
    page_walk: PageWalkCounts | None
    coherence: Coherence
    by_thread: dict[int, Group]
    by_region: dict[str, Group]
    by_ip: dict[int, Group]
    latency_cycles: int
    cycles: int
    engine: str
    digest: str
    config: Machine
    options: Options
    trace: Trace
    version: str
    simulate_seconds: float
    read_seconds: float

    def __getitem__(self, name: str) -> Any:
        """The `Level` or `TlbCounts` of that name."""
        if name in self.levels:
            return self.levels[name]
        if name in self.tlbs:
            return self.tlbs[name]
        raise KeyError(f"{name!r}: the machine has {', '.join([*self.levels, *self.tlbs])}")

    @property
    def seed(self) -> int:
        """The seed of everything random."""
        return self.options.seed

    @property
    def time_ns(self) -> float:
        """The cycles as time at the machine's clock rate, in ns."""
        return self.cycles * 1000 / self.config.frequency_mhz

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists and numbers: what `--json` prints. Instruction addresses are `0x` texts."""
        tree: dict[str, Any] = {
            "accesses": self.accesses,
            "simulate_seconds": self.simulate_seconds,
            "read_seconds": self.read_seconds,
            "levels": msgspec.to_builtins(self.levels),
            "tlbs": msgspec.to_builtins(self.tlbs),
            "cycles": self.cycles,
            "digest": self.digest,
            "latency_cycles": self.latency_cycles,
            "time_ns": self.time_ns,
            "page_walks": self.page_walks,
            "page_walk": msgspec.to_builtins(self.page_walk, str_keys=True),
            "ignored_fetches": self.ignored_fetches,
            "coherence": msgspec.to_builtins(self.coherence),
        }
        if self.per_cpu:
            tree["per_cpu"] = msgspec.to_builtins(self.per_cpu)
        for name, groups in (
            ("threads", {str(thread): group for thread, group in self.by_thread.items()}),
            ("regions", self.by_region),
            ("ips", {f"{ip:#x}": group for ip, group in self.by_ip.items()}),
        ):
            if groups:
                tree[name] = msgspec.to_builtins(groups)
        tree |= {
            "engine": self.engine,
            "seed": self.seed,
            "version": self.version,
            "trace": msgspec.to_builtins(self.trace),
            "options": msgspec.to_builtins(self.options),
            "config": msgspec.to_builtins(self.config),
        }
        return tree

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return msgspec.json.encode(self.to_dict()).decode()

    def to_arrow(self) -> "ArrowTable":
        """A table with one row a level and TLB, for anything that takes `__arrow_c_stream__`.

        pyarrow, polars, duckdb and pandas do: `polars.DataFrame(r.to_arrow())`. pyarrow need not be installed.
        """
        return ArrowTable(self)

    def to_numpy(self) -> "NDArray[np.void]":
        """The same rows as a structured array of shape (levels + TLBs,); counters that a row lacks are 0."""
        import numpy as np

        names, parts, columns = _rows(self)
        kinds = [("name", "U64"), ("part", "U5"), *((name, np.uint64) for name in columns)]
        table = np.zeros(len(names), dtype=kinds)
        table["name"], table["part"] = names, parts
        for name, values in columns.items():
            table[name] = [value or 0 for value in values]
        return table

    def __str__(self) -> str:
        from runq._table import replay_table

        return replay_table(self)

    def __repr__(self) -> str:
        return f"<ReplayResult of {self.trace.name} on {self.config.name}: {self.cycles} cycles, digest {self.digest}>"


class ArrowTable:
    """Columns that hand themselves out through the Arrow PyCapsule interface."""

    def __init__(self, result: ReplayResult) -> None:
        self._result = result

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The columns `name`, `part` (`cache` or `tlb`) and one a counter, null where the row has none."""
        names, parts, columns = _rows(self._result)
        return _core.arrow_stream([("name", names), ("part", parts), *columns.items()])


def _rows(result: ReplayResult) -> tuple[list[str], list[str], dict[str, list[int | None]]]:
    levels = [(name, "cache", msgspec.structs.asdict(level)) for name, level in result.levels.items()]
    tlbs = [(name, "tlb", msgspec.structs.asdict(tlb)) for name, tlb in result.tlbs.items()]
    rows = levels + tlbs
    counters = ["lookups", *(field.name for field in msgspec.structs.fields(Level))]
    columns: dict[str, list[int | None]] = {
        counter: [counts.get(counter) for _, _, counts in rows] for counter in counters
    }
    return [name for name, _, _ in rows], [part for _, part, _ in rows], columns
