"""What the timer takes: ticks interrupt who computes, and what they bring along evicts lines of the program.

A program goes through its working set again and again. Each tick takes the time of its interrupt, directly, and of what
the kernel's data has evicted, afterwards (Tsafrir, ExpCS 2007: 0.5 to 1.5 % at 1000 Hz, most of it indirect).
"""

from typing import Any, Literal

import msgspec

from runq._size import parse_size
from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed. The period is the machine's: `machine.kernel.timer.tick_ns`.

    Attributes:
        working_set: what the program goes through.
        duration_ms: for how long.
        memory: how exactly memory is simulated.
    """

    working_set: str | int = "32KiB"
    duration_ms: float = 100
    memory: Literal["none", "addresses", "footprint"] = "footprint"


def build(parameters: Parameters) -> Scenario:
    """One program that never stops by itself."""
    if parameters.duration_ms <= 0:
        raise ConfigError("scenario.duration_ms", "must be above 0", str(parameters.duration_ms))
    size = parse_size("scenario.working_set", parameters.working_set)
    if size < 64:
        raise ConfigError("scenario.working_set", "must be at least one line of 64 B", str(parameters.working_set))
    touch: dict[str, Any] = {"op": "touch", "region": "set", "access": "read", "unit": "line"}
    program: list[dict[str, Any]] = [
        {"op": "mmap", "region": "set", "size": size},
        {"op": "touch", "region": "set"},
        {"op": "repeat", "times": 1 << 60, "body": [{**touch, "pattern": "chase", "dependent": True}]},
    ]
    until = 1e6 * parameters.duration_ms
    return Scenario(
        name="timer-ticks", processes=[ProcessSpec("program", program)], memory=parameters.memory, until_ns=until
    )


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Ticks, and what part of the time they took: directly, and by what they evicted."""
    total = sum(result.ledger.values())
    stalls = result.misses.stall_ns_by_cause if result.misses else {}
    kernel = result.misses.kernel.stall_ns_by_cause if result.misses else {}
    indirect = stalls.get("replaced", 0.0) + stalls.get("reordered", 0.0)
    # What the kernel's own data missed is a part of the interrupt.
    of_kernel = sum(kernel.values())
    indirect -= kernel.get("replaced", 0.0) + kernel.get("reordered", 0.0)
    ticks = result.scheduling.ticks
    return {
        "ticks": ticks,
        "direct_share": (result.ledger["interrupt"] + of_kernel) / total,
        "indirect_share": indirect / total,
        "ns_per_tick": (result.ledger["interrupt"] + of_kernel + indirect) / ticks if ticks else None,
    }
