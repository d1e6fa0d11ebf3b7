"""Other simulators of the same three levels, each driven the fastest way that keeps the order of accesses.

What turns the trace into their form is not timed; what they need to be called with is: Python objects, for both.
"""

import itertools
import time

import numpy as np
from traces import Words

LEVELS = {"L1": (64, 8), "L2": (1024, 16), "L3": (8192, 16)}
WRITE = np.uint64(1 << 63)


def pycachesim(words: Words) -> tuple[float, int]:
    """Millions of references a cpu second, and L1 misses.

    One call for the whole trace: `loadstore` takes pairs of (loads, stores) and does them in order, so a run of loads
    and the run of stores behind it are one pair. Misses differ from those of LRU, since a hit by a store does not make
    a line more recent there. A store that misses counts as a load that misses, so the misses are those of both.
    """
    import cachesim

    caches = {
        name: {
            "sets": sets,
            "ways": ways,
            "cl_size": 64,
            "replacement_policy": "LRU",
            "write_allocate": True,
            "write_back": True,
        }
        for name, (sets, ways) in LEVELS.items()
    }
    for inner, outer in itertools.pairwise(LEVELS):
        caches[inner] |= {"load_from": outer, "store_to": outer}
    simulator, by_name, _ = cachesim.CacheSimulator.from_dict(caches)
    pairs = load_store_pairs(words)
    start = time.process_time()
    simulator.loadstore(pairs)
    seconds = time.process_time() - start
    return len(words) / seconds / 1e6, by_name["L1"].MISS_count


def load_store_pairs(words: Words) -> list[tuple[list[int] | None, list[int] | None]]:
    is_write = (words & WRITE) != 0
    ends = np.flatnonzero(np.diff(is_write)) + 1
    runs = [run.tolist() for run in np.split(words & ~WRITE, ends)]
    if is_write[0]:
        runs.insert(0, None)
    if len(runs) % 2:
        runs.append(None)
    return list(zip(runs[::2], runs[1::2], strict=True))


def reference(words: Words) -> tuple[float, int]:
    """Millions of references a cpu second, and L1D misses, of the slow models that say what is right."""
    from reference import replay

    machine = {
        "caches": [
            {"name": "L1D", "size": "32KiB", "ways": 8},
            {"name": "L2", "size": "1MiB", "ways": 16},
            {"name": "L3", "size": "8MiB", "ways": 16},
        ]
    }
    kinds = ["write" if is_write else "read" for is_write in ((words & WRITE) != 0).tolist()]
    accesses = [(address, 1, kind, 0, 0) for address, kind in zip((words & ~WRITE).tolist(), kinds, strict=True)]
    start = time.process_time()
    result = replay(accesses, machine)
    seconds = time.process_time() - start
    return len(words) / seconds / 1e6, dict(result["levels"])["L1D"]["misses"]
