"""Seeds of replicates.

The first replicate of every point has the sweep's own seed, so that it is what `runq.simulate(..., seed=s)` gives. The
others have seeds drawn from it by number. With common seeds, replicate 3 of every point has the same seed: what differs
between points is then what the axes do and not what was drawn (common random numbers). With independent ones the seed
depends on the values of the point too.
"""

import json
from typing import Any, Literal

__all__ = ["SEED_MAX", "Seeds", "seed_of"]

# Stores keep 63 bits.
SEED_MAX = (1 << 63) - 1

Seeds = Literal["common", "independent"]

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_FNV_START = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3


def seed_of(seed: int, replicate: int, seeds: Seeds = "common", values: tuple[Any, ...] = ()) -> int:
    """The seed of a replicate of a point.

    >>> seed_of(7, 0)
    7
    >>> seed_of(7, 1) == seed_of(7, 1, "common", ("any",)) != seed_of(7, 2)
    True
    """
    if seeds == "common":
        return seed if replicate == 0 else _draw(seed, "sweep.replicate", replicate)
    return _draw(seed, f"sweep.point {json.dumps(values, sort_keys=True)}", replicate)


def _draw(seed: int, name: str, index: int) -> int:
    """The first 63 bits of the named stream, as the core draws them."""
    state = _FNV_START
    for byte in name.encode():
        state = ((state ^ byte) * _FNV_PRIME) & _MASK
    return _mix((_mix((_mix(seed ^ state) + index) & _MASK) + _GAMMA) & _MASK) >> 1


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
