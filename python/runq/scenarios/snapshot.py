"""A Redis snapshot (BGSAVE): what writes during the save cost in copied pages and memory, and what the fork costs.

A key's bytes lie in pools: its value in a slot of its jemalloc size class, its robj and key (32 B), and in the hash
table its dictEntry (32 B). A write dirties one slot of each pool that it changes; the first write to a page after the
fork copies it. Pages copied therefore follow from where the written keys lie in each pool, not from the bytes written.

Leaves out: writes in place of values of other size classes, the incremental rehash, and memory that the child dirties
by itself. A SET that moves its value to the slot that the SET before it freed is left out as well: it changes what
later saves find, not what this one copies.
"""

import bisect
from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["ENTRY_BYTES", "OBJECT_BYTES", "Parameters", "build", "outcome", "size_class", "value_slot_bytes"]

# robj (16 B) and key (16 B); a dictEntry is 24 B in a class of 32.
OBJECT_BYTES = 32
ENTRY_BYTES = 32

_PAGE = 4096


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        keys: how many there are.
        value_bytes: length of each value.
        command: `set` writes value, robj and dictEntry; `setrange` changes the value in place and touches its robj.
        memory_order: how values and keys lie in memory: as they were inserted, or as a hash table has them, which is
            also what a long life of SETs leads to.
        skew: which keys are written: any (`uniform`), a hot set of keys next to one another (`hot-contiguous`) or
            anywhere (`hot-scattered`), or by Zipf's law (`zipf`).
        hot_fraction: the part of the keys that is hot.
        hot_probability: how many writes go there.
        zipf_skew: the exponent of Zipf's law.
        writes_per_s: the rate of writes.
        duration_ms: how long the child saves.
        base_pages: pages that any save copies: stacks, buffers, allocator, counters.
        huge_pages: whether the pools lie in pages of 2 MiB.
    """

    keys: int = 400_000
    value_bytes: int = 200
    command: Literal["set", "setrange"] = "set"
    memory_order: Literal["insert", "hash"] = "insert"
    skew: Literal["uniform", "hot-contiguous", "hot-scattered", "zipf"] = "uniform"
    hot_fraction: float = 0.01
    hot_probability: float = 1.0
    zipf_skew: float = 0.99
    writes_per_s: int = 30_000
    duration_ms: float = 500
    base_pages: int = 105
    huge_pages: bool = False


def size_class(count: int) -> int:
    """The size class of jemalloc that holds `count` bytes: multiples of 16 up to 128, then four a doubling.

    >>> [size_class(count) for count in (1, 17, 129, 204, 1004)]
    [8, 32, 160, 224, 1024]
    """
    if count <= 8:
        return 8
    if count <= 128:
        return -(-count // 16) * 16
    step = 1 << ((count - 1).bit_length() - 3)
    return -(-count // step) * step


def value_slot_bytes(value_bytes: int) -> int:
    """The slot of a value: its string's header, and a zero behind it; up to 44 B it shares the slot of its robj."""
    limits, headers = [1 << 8, 1 << 16, 1 << 32], [3, 5, 9, 17]
    header = headers[bisect.bisect_right(limits, value_bytes)]
    robj = 16 if value_bytes <= 44 else 0
    return size_class(robj + header + value_bytes + 1)


def build(parameters: Parameters) -> Scenario:
    """A server that loads its keys, forks, and writes while the child saves."""
    for field in ("keys", "value_bytes", "writes_per_s"):
        if getattr(parameters, field) < 1:
            raise ConfigError(f"scenario.{field}", "must be at least 1", str(getattr(parameters, field)))
    if parameters.duration_ms <= 0:
        raise ConfigError("scenario.duration_ms", "must be above 0", str(parameters.duration_ms))
    slot = value_slot_bytes(parameters.value_bytes)
    page_size = "2MiB" if parameters.huge_pages else "4KiB"
    pools = {"values": slot, "objects": OBJECT_BYTES, "entries": ENTRY_BYTES}
    load: list[dict[str, Any]] = []
    for name, bytes_each in pools.items():
        # A page more, since the last bytes of values are touched as units of their own.
        size = bytes_each * parameters.keys + _PAGE
        load.append({"op": "mmap", "region": name, "size": size, "page_size": page_size})
        load.append({"op": "touch", "region": name})
    if parameters.base_pages:
        load.append({"op": "mmap", "region": "base", "size": _PAGE * parameters.base_pages})
        load.append({"op": "touch", "region": "base"})
    writes = max(1, round(parameters.writes_per_s * parameters.duration_ms / 1000))
    each = [*_touches(parameters, slot), {"op": "sleep", "ns": round(1e9 / parameters.writes_per_s)}]
    save = [{"op": "sleep", "ns": round(parameters.duration_ms * 1e6)}, {"op": "exit"}]
    program = [
        *load,
        {"op": "measure", "name": "fork", "body": [{"op": "fork", "child": save}]},
        *([{"op": "touch", "region": "base"}] if parameters.base_pages else []),
        {"op": "repeat", "times": writes, "body": [{"op": "measure", "name": "write", "body": each[:-1]}, each[-1]]},
        {"op": "wait_child"},
    ]
    return Scenario(name="snapshot", processes=[ProcessSpec("redis", program)])


def _touches(parameters: Parameters, slot: int) -> list[dict[str, Any]]:
    """What one write touches, the same key in each pool."""
    keys: dict[str, Any] = {"stream": "keys", "count": 1}
    if parameters.skew == "zipf":
        keys |= {"pattern": "zipf", "skew": parameters.zipf_skew}
    elif parameters.skew == "uniform":
        keys |= {"pattern": "uniform"}
    else:
        hot = {"hot_fraction": parameters.hot_fraction, "hot_probability": parameters.hot_probability}
        keys |= {"pattern": "hot"} | hot
    is_scattered = parameters.memory_order == "hash" or parameters.skew == "hot-scattered"

    def touch(region: str, unit: int, is_scattered: bool, offset: int = 0) -> dict[str, Any]:
        # As many units in every pool: only then do equal streams name equal keys.
        place: dict[str, Any] = {"size": unit * parameters.keys}
        if offset:
            place["offset"] = offset
        if is_scattered:
            place["scatter"] = True
        return {"op": "touch", "region": region, "unit": unit, **place, **keys}

    touches = [touch("values", slot, is_scattered)]
    if parameters.command == "set":
        # A value may cross into the next page. Its last byte is what tells.
        last = parameters.value_bytes - 1
        touches += [touch("values", slot, is_scattered, offset=last)] if last > 0 and _PAGE % slot else []
        touches += [touch("entries", ENTRY_BYTES, is_scattered=True)]
    return [*touches, touch("objects", OBJECT_BYTES, is_scattered)]


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Pages copied, peak memory, and what the fork and the slowest write held up."""
    copied = result.faults.get("cow_copy", 0) + result.faults.get("huge_cow", 0)
    server = next(process for process in result.processes if process.name == "redis")
    fork_ns = result.forks[0].time_ns if result.forks else None
    resident = server.resident_pages or result.memory.frames_peak - copied
    return {
        "pages_copied": copied,
        "bytes_copied": _PAGE * copied,
        "copied_share": copied / max(1, resident),
        "peak_memory_bytes": _PAGE * result.memory.frames_peak,
        "fork_ns": fork_ns,
        "write_ns_median": result.measures["write"].median_ns if "write" in result.measures else None,
        "write_ns_max": result.measures["write"].max_ns if "write" in result.measures else None,
        "writes": result.measures["write"].count if "write" in result.measures else 0,
    }
