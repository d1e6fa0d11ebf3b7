"""The built-in demonstration trace: the same words on every machine, made in a few milliseconds."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ACCESSES", "DESCRIPTION", "demo_trace"]

ACCESSES = 2_000_000
DESCRIPTION = "built-in demonstration (no trace was given)"

_HOT_BYTES = 256 << 10
_SCAN_BYTES = 32 << 20
_CHASE_LINES = (8 << 20) // 64
_HOT, _SCAN, _CHASE = 0x1000_0000, 0x2000_0000, 0x4000_0000


def demo_trace(accesses: int = ACCESSES) -> "NDArray[np.uint64]":
    """Words of the raw format: half touch a hot set of 256 KiB at random, 3 in 10 scan 32 MiB, 2 in 10 chase pointers.

    The chase goes through the lines of 8 MiB in one fixed random cycle. A quarter of the first two are writes.
    """
    import numpy as np

    index = np.arange(accesses, dtype=np.uint64)
    draw = _mix(index)
    part = draw % np.uint64(10)
    is_hot, is_scan = part < 5, (part >= 5) & (part < 8)
    is_chase = part >= 8
    words = np.empty(accesses, dtype=np.uint64)
    words[is_hot] = _HOT + (draw[is_hot] >> np.uint64(16)) % np.uint64(_HOT_BYTES // 8) * np.uint64(8)
    words[is_scan] = _SCAN + index[: np.count_nonzero(is_scan)] * np.uint64(8) % np.uint64(_SCAN_BYTES)
    cycle = np.argsort(_mix(np.arange(_CHASE_LINES, dtype=np.uint64)), kind="stable").astype(np.uint64)
    steps = np.arange(np.count_nonzero(is_chase)) % _CHASE_LINES
    words[is_chase] = _CHASE + cycle[steps] * np.uint64(64)
    is_write = ~is_chase & ((draw >> np.uint64(60)) < 4)
    words[is_write] |= np.uint64(1 << 63)
    return words


def _mix(value: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """The output function of SplitMix64, so that no version of a library changes the trace."""
    import numpy as np

    value = value * np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
