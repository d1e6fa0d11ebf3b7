"""Replay of a memory trace through a machine."""

import json
import operator
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import msgspec

from runq import _core
from runq._source import trace_source
from runq.machine import Machine, Region
from runq.result import Coherence, Group, Level, Options, PageWalkCounts, ReplayResult, TlbCounts, Trace

__all__ = ["Progress", "replay"]

# Called with bytes consumed, bytes in all (`None` where unknown) and accesses so far, at most ten times a second.
Progress = Callable[[int, int | None, int], object]


def replay(
    trace: object,
    machine: Machine | str | PathLike[str],
    *,
    format: Literal["lackey", "din", "champsim", "raw", "csv"] | None = None,
    skip: int = 0,
    warmup: int = 0,
    limit: int | None = None,
    seed: int = 0,
    dependent: bool = False,
    address_spaces: Literal["shared", "per-thread"] = "shared",
    by_thread: bool = False,
    by_ip: int = 0,
    regions: Sequence[Region] = (),
    engine: Literal["auto", "general", "batch"] = "auto",
    progress: Progress | None = None,
) -> ReplayResult:
    """Replays `trace` on `machine` and counts where its accesses went.

    A trace is a path (`-` for standard input), an object with `read`, bytes, a NumPy array or a table:

    - An array of uint64 holds one access a word: bit 63 says write, the rest is the byte address. If it is contiguous
      it is not copied; it must not be changed meanwhile.
    - A structured array, a dict of arrays or an Arrow table (pyarrow, polars, ...) has a column `address` and may have
      `size`, `kind` (0/1/2, or read/write/fetch), `thread` and `ip`.

    Files are read a piece at a time, decompressed as their content asks for (gzip, xz, zstd), and parsed as `format`
    says, or their name, or their first lines.

    Args:
        trace: what to replay.
        machine: a `Machine`, the name of one that comes with runq, or the path of a TOML file.
        format: the format of a file, if its name and content do not tell.
        skip: accesses to drop at the start.
        warmup: accesses to simulate without counting, after those.
        limit: accesses to count at most.
        seed: seed of everything random.
        dependent: whether each access waits for the one before. If not, `machine.mlp` of them overlap.
        address_spaces: whether threads share one address space or have one each.
        by_thread: count by thread too.
        by_ip: count that many instruction addresses too, those with the largest latency sum.
        regions: count by ranges of addresses too; they may have pages of their own size.
        engine: which simulator runs. Results are equal; `batch` is fast and refuses what it cannot do.
        progress: called at most ten times a second with bytes consumed, bytes in all or None, and accesses so far.

    Raises:
        ConfigError: the machine or an option breaks a rule.
        TraceError: the trace is not what its format asks for, or cannot be read.
        ReplayError: the trace cannot be replayed to its end.

    >>> import runq
    >>> machine = runq.Machine(caches=[runq.Cache("L1D", size="32KiB", ways=8)])
    >>> r = runq.replay({"address": [0, 8, 4096], "kind": ["read", "write", "read"]}, machine)
    >>> r["L1D"].reads, r["L1D"].writes, r["L1D"].misses
    (2, 1, 2)
    """
    machine = load_machine(machine)
    options: dict[str, Any] = {
        "skip": _plain(skip),
        "warmup": _plain(warmup),
        "limit": _plain(limit),
        "seed": _plain(seed),
        "dependent": dependent,
        "address_spaces": address_spaces,
        "by_thread": by_thread,
        "by_ip": _plain(by_ip),
        "regions": [msgspec.to_builtins(region) for region in regions],
        "engine": engine,
    }
    source = trace_source(trace)
    done = _core.replay(
        source.object,
        machine.to_json(),
        json.dumps(options),
        format=format,
        name=source.name,
        progress=progress,
    )
    return _result(done, machine.resolve(), msgspec.convert(options, Options), source.name)


def _plain(number: object) -> object:
    """Turns NumPy's integers into Python's; whether what remains is right is for Rust to say."""
    return operator.index(number) if hasattr(number, "__index__") and not isinstance(number, bool) else number


def load_machine(machine: object) -> Machine:
    """A `Machine` from itself, the name of one that comes with runq, or the path of a TOML file."""
    from runq import machines

    if isinstance(machine, Machine):
        return machine
    if isinstance(machine, str) and (machine in machines.names() or not Path(machine).exists()):
        return machines.load(machine)
    if isinstance(machine, (str, PathLike)):
        return Machine.from_toml(machine)
    raise TypeError(f"machine: must be a Machine, a name or a path, got {type(machine).__name__}")


def _result(done: _core.Replayed, machine: Machine, options: Options, name: str) -> ReplayResult:
    tree = json.loads(done.result)
    level_names = [cache.name for cache in machine.caches]
    private_names = [cache.name for cache in machine.caches if not cache.shared]

    def groups(rows: list[dict[str, Any]]) -> list[tuple[str, Group]]:
        named = (row | {"misses": dict(zip(level_names, row["misses"], strict=True))} for row in rows)
        return [(row.pop("key"), msgspec.convert(row, Group)) for row in named]

    return ReplayResult(
        accesses=tree["accesses"],
        ignored_fetches=tree["ignored_fetches"],
        levels={name: msgspec.convert(level, Level) for name, level in tree["levels"]},
        tlbs={name: msgspec.convert(tlb, TlbCounts) for name, tlb in tree["tlbs"]},
        per_cpu=tuple(
            {name: msgspec.convert(level, Level) for name, level in zip(private_names, levels, strict=True)}
            for levels in tree["per_cpu"]
        ),
        page_walks=tree["page_walks"],
        page_walk=_page_walk(tree["page_walk"], machine) if tree["page_walk"] else None,
        coherence=msgspec.convert(tree["coherence"], Coherence),
        by_thread={int(key): group for key, group in groups(tree["threads"])},
        by_region=dict(groups(tree["regions"])),
        by_ip={int(key, 16): group for key, group in groups(tree["ips"])},
        latency_cycles=tree["latency_cycles"],
        cycles=tree["cycles"],
        engine=tree["engine"],
        digest=tree["digest"],
        config=machine,
        options=options,
        trace=Trace(name=name, format=done.format, compression=done.compression),
        version=_core.__version__,
        simulate_seconds=done.simulate_seconds,
        read_seconds=done.read_seconds,
    )


def _page_walk(tree: dict[str, Any], machine: Machine) -> PageWalkCounts:
    walk = machine.page_walk
    assert walk is not None, "walks that read tables are those of a machine that has them"
    levels = {"structure_caches": walk.structure_caches, "host_structure_caches": walk.host_structure_caches}
    for name, caches in levels.items():
        tree[name] = {cache.level: counts for cache, counts in zip(caches, tree[name], strict=True)}
    for name in ("reads_by_level", "host_reads_by_level"):
        tree[name] = dict(enumerate(tree[name], start=1))
    tree["reads_served"] = {
        cache.name: reads for cache, reads in zip(machine.caches, tree["reads_served"], strict=True)
    }
    return msgspec.convert(tree, PageWalkCounts)
