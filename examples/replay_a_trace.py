"""Replays a trace that lies in a NumPy array: two ways to sum a matrix, and what the order of the loops costs.

python examples/replay_a_trace.py
"""

from pathlib import Path

import numpy as np
import runq

ROWS = COLUMNS = 1024
MATRIX = 0x1000_0000
MACHINE = Path(__file__).with_name("machine.toml")


def main() -> None:
    """Replays both orders and prints what they cost."""
    # A word an access: the address of an 8-byte element; bit 63 would say that it is written.
    by_row = MATRIX + np.arange(ROWS * COLUMNS, dtype=np.uint64) * np.uint64(8)
    by_column = by_row.reshape(ROWS, COLUMNS).T.ravel()
    row, column = (runq.replay(trace, MACHINE, seed=1) for trace in (by_row, by_column))
    print("by row, in full:")
    print(row)
    print()
    print(f"{'':10} {'L1D misses':>12} {'page walks':>12} {'cycles':>12}")
    for name, result in (("by row", row), ("by column", column)):
        print(f"{name:10} {result['L1D'].misses:12,} {result.page_walks:12,} {result.cycles:12,}")
    print(f"The order of the loops costs a factor of {column.cycles / row.cycles:.1f}.")


if __name__ == "__main__":
    main()
