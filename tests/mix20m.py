"""The trace mix20m: 20,000,000 accesses of 8 bytes, hard on every cache, the same bits on every machine.

Half of the accesses follow a Zipf law (s = 0.9) over 2^20 lines in a random order, 30 % scan 32 MiB, 20 % chase
pointers through a random cycle of 2^17 lines; a quarter of the first two kinds are writes. Random numbers are
SplitMix64 from the seed 42, one an access and a second one for an access of the first kind. The counts of other
simulators in `tests/golden` are for exactly this trace, which `MD5` identifies.
"""

import hashlib
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MD5 = "a04a8ea41a7169c287c8bbfdda7316f5"
ACCESSES = 20_000_000
ZIPF_LINES, CHASE_LINES, SCAN_BYTES = 1 << 20, 1 << 17, 32 << 20
ZIPF_BASE, SCAN_BASE, CHASE_BASE = 0x1000_0000, 0x4000_0000, 0x8000_0000
WRITE = np.uint64(1 << 63)

U64s = NDArray[np.uint64]


def draws(start: int, count: int) -> U64s:
    """Random numbers `start`, `start + 1`, ...: the state of SplitMix64 is its position times a constant."""
    with np.errstate(over="ignore"):
        place = np.arange(start + 1, start + 1 + count, dtype=np.uint64)
        z = np.uint64(42) + place * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def shuffled(count: int, start: int) -> U64s:
    """0..count in the order of Fisher and Yates; takes `count - 1` draws from `start` on."""
    bounds = np.arange(count, 1, -1, dtype=np.uint64)
    order = list(range(count))
    for i, j in zip(range(count - 1, 0, -1), (draws(start, count - 1) % bounds).tolist(), strict=True):
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.uint64)


def first_draws(is_zipf: NDArray[np.bool_], is_taken: bool) -> NDArray[np.bool_]:
    """Which draws begin an access, where one that says "zipf" takes the next draw along.

    In a run of draws that all say so every second one begins an access; `is_taken`: the very first draw does not.
    """
    says = is_zipf.copy()
    says[0] &= not is_taken
    place = np.arange(len(says))
    run_start = np.maximum.accumulate(np.where(says, -1, place)) + 1
    begins = says & ((place - run_start) % 2 == 0)
    firsts = np.where(says, begins, ~np.concatenate([[is_taken], begins[:-1]]))
    firsts[0] = not is_taken
    return firsts


def pieces(piece: int = 1 << 21) -> Iterator[U64s]:
    """The words of the trace, without end, in pieces; bit 63 says write."""
    line_of_rank = shuffled(ZIPF_LINES, 0)
    cycle = shuffled(CHASE_LINES, ZIPF_LINES - 1)
    cdf = np.cumsum([math.pow(rank, -0.9) for rank in range(1, ZIPF_LINES + 1)])
    cdf /= cdf[-1]
    position = ZIPF_LINES - 1 + CHASE_LINES - 1
    scanned, chased = 0, int(np.flatnonzero(cycle == 0)[0])
    is_taken = False
    while True:
        numbers = draws(position, piece + 1)
        firsts = first_draws(numbers[:-1] % 10 < 5, is_taken)
        is_taken = bool(firsts[-1] and numbers[-2] % 10 < 5)
        position += piece
        x, second = numbers[:-1][firsts], numbers[1:][firsts]
        kind = x % 10
        is_zipf, is_chase = kind < 5, kind >= 8
        is_scan = ~is_zipf & ~is_chase
        words = np.empty(len(x), dtype=np.uint64)
        ranks = np.searchsorted(cdf, (second[is_zipf] >> np.uint64(11)) * 2.0**-53)
        lines = line_of_rank[np.minimum(ranks, ZIPF_LINES - 1)]
        words[is_zipf] = ZIPF_BASE + lines * np.uint64(64) + (x[is_zipf] >> np.uint64(16) & np.uint64(7)) * np.uint64(8)
        count = int(is_scan.sum())
        words[is_scan] = SCAN_BASE + np.arange(scanned, scanned + count, dtype=np.uint64) * np.uint64(8) % SCAN_BYTES
        scanned += count
        count = int(is_chase.sum())
        steps = np.arange(chased + 1, chased + 1 + count) % CHASE_LINES
        words[is_chase] = CHASE_BASE + cycle[steps] * np.uint64(64)
        chased += count
        words[~is_chase & (x >> np.uint64(8) & np.uint64(3) == 0)] |= WRITE
        yield words


def words(accesses: int = ACCESSES) -> U64s:
    """The first accesses of the trace."""
    taken: list[U64s] = []
    made = 0
    for piece in pieces():
        taken.append(piece[: accesses - made])
        made += len(taken[-1])
        if made == accesses:
            return np.concatenate(taken)
    raise AssertionError("pieces() has no end")


def md5(trace: U64s) -> str:
    """The digest of the raw file of a trace."""
    return hashlib.md5(trace.astype("<u8", copy=False).data, usedforsecurity=False).hexdigest()
