"""Priority inversion: an urgent thread waits for a lock whose holder never runs, since others are more urgent.

On one cpu an idle sort of thread takes a lock, an urgent one waits for it, and then one in between computes: it keeps
the holder from the cpu, and so the urgent one (Lampson & Redell, 1980; the Mars Pathfinder, 1997). If the holder
inherits the priority of who waits for it, the urgent one waits for the critical section alone.
"""

from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import KernelChoices, LockSpec, ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        protocol: `none`, or `inherit`, which cures it.
        inside_ms: what the least urgent thread does with the lock.
        middle_ms: what the one in between computes.
        scheduler: `priority` by fixed priorities; `cfs` and `eevdf` by nice values of 19, 0 and -20.
    """

    protocol: Literal["none", "inherit"] = "none"
    inside_ms: float = 5
    middle_ms: float = 100
    scheduler: Literal["priority", "cfs", "eevdf"] = "priority"


def build(parameters: Parameters) -> Scenario:
    """One process with three threads on one cpu."""
    for name in ("inside_ms", "middle_ms"):
        if not getattr(parameters, name) > 0:
            raise ConfigError(f"scenario.{name}", "must be above 0", str(getattr(parameters, name)))
    lock, unlock = {"op": "lock", "lock": "bus"}, {"op": "unlock", "lock": "bus"}
    sleep: dict[str, Any] = {"op": "sleep", "ns": 1e6}
    low = [lock, {"op": "compute", "ns": 1e6 * parameters.inside_ms}, unlock]
    high = [sleep, {"op": "measure", "name": "urgent", "body": [lock, unlock]}]
    middle = [{"op": "sleep", "ns": 1.5e6}, {"op": "compute", "ns": 1e6 * parameters.middle_ms}]
    made = [
        {"op": "thread", "name": name, "child": child, "priority": priority, "nice": nice, "affinity": [0]}
        for name, child, priority, nice in (
            ("low", low, 3, 19),
            ("high", high, 1, -20),
            ("middle", middle, 2, 0),
        )
    ]
    scheduler: Any = parameters.scheduler
    if scheduler == "priority":
        scheduler = {"priority": {"aging_us": 1e9}}
    return Scenario(
        name="priority-inversion",
        processes=[ProcessSpec("program", [*made, {"op": "join"}], affinity=(0,))],
        locks={"bus": LockSpec(kind="barging", protocol=parameters.protocol)},
        kernel=KernelChoices(scheduler=scheduler, queues="per-cpu"),
    )


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """How long the urgent thread waited, and how long the lock was held by whom it waited for."""
    wait, hold = result.measures["urgent"].max_ns or 0.0, result.locks["bus"].hold.max_ns
    return {"urgent_wait_ns": wait, "hold_ns_max": hold, "is_inverted": wait > 2e6 * parameters.inside_ms}
