"""Compares the replacement policies of an L2 on a trace that LRU is bad at: a hot set beside scans.

python examples/compare_policies.py [TRACE]

With the path of a trace it compares them on that instead.
"""

import sys
from typing import get_args

import numpy as np
import runq
from numpy.typing import NDArray
from runq.machine import Policy

HOT_LINES = 6_000
SCAN_LINES = 12_000
ROUNDS = 20


def hot_set_and_scans() -> NDArray[np.uint64]:
    """Rounds of a hot set, used twice, and a scan of lines that are not used again."""
    hot = np.arange(HOT_LINES, dtype=np.uint64)
    rounds = [
        np.concatenate([hot, hot, np.arange(SCAN_LINES, dtype=np.uint64) + np.uint64(1_000_000 + i * SCAN_LINES)])
        for i in range(ROUNDS)
    ]
    return np.concatenate(rounds) * np.uint64(64)


def main() -> None:
    """Replays once a policy and prints a line each."""
    trace = sys.argv[1] if len(sys.argv) > 1 else hot_set_and_scans()
    machine = runq.Machine(
        caches=[runq.Cache("L1D", size="32KiB", ways=8), runq.Cache("L2", size="512KiB", ways=8)],
    )
    print(f"{'L2 replaces by':15} {'misses':>10} {'miss ratio':>11} {'cycles':>13}")
    for policy in get_args(Policy):
        result = runq.replay(trace, machine.with_set(f"caches.L2.replacement={policy}"), seed=1)
        level = result["L2"]
        print(f"{policy:15} {level.misses:10,} {level.miss_ratio:11.1%} {result.cycles:13,}")


if __name__ == "__main__":
    main()
