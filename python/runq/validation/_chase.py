"""Pointer chases: a cycle through lines in random order, each access waiting for the one before."""

from typing import TYPE_CHECKING

from runq.machine import Machine
from runq.replay import replay

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["chase_ns"]

# Cycles are repeated until caches and their random choices have settled: where a cycle nearly fits, one pass is not
# enough. Of long ones, which no cache holds, so many accesses warm up and so many are counted.
_WARMUP_PASSES = 10
_WARMUP_MIN = 40_000
_WARMUP_MAX = 1 << 22
_COUNTED_MAX = 1 << 19

# Cycles that fit into few pages depend on where those pages lie: so many seeds are averaged.
_SEEDS = 3
_LONG = 100_000


def chase_ns(addresses: "NDArray[np.uint64]", machine: Machine, seed: int) -> float:
    """Time an access of a chase through these addresses, in an order drawn from the seed."""
    seeds = range(seed, seed + (_SEEDS if len(addresses) < _LONG else 1))
    return sum(_once(addresses, machine, each) for each in seeds) / len(seeds)


def _once(addresses: "NDArray[np.uint64]", machine: Machine, seed: int) -> float:
    import numpy as np

    count = len(addresses)
    # A chain is built by storing at each place where the next is: pages are first touched in the order of the chase.
    order = np.random.Generator(np.random.PCG64(seed)).permutation(addresses)
    warmup = min(max(_WARMUP_PASSES * count, -(-_WARMUP_MIN // count) * count), _WARMUP_MAX)
    counted = min(count, _COUNTED_MAX)
    trace = np.resize(order, warmup + counted)
    result = replay(trace, machine, warmup=warmup, dependent=True, seed=seed)
    return result.latency_cycles / counted * 1000 / machine.frequency_mhz
