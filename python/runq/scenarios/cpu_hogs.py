"""Hogs that compute without ever giving way, beside tasks that want little and often.

Who waits for whom is a matter of preemption. A kernel takes the cpu from a thread at the end of its slice, a runtime
from a task if it has a monitor for that; where nothing does, the small tasks starve until a hog has ended.
"""

from typing import Any

import msgspec

from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]

_TASKS_MAX = 1 << 16


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        hogs: how many compute all the time; fewer than cpus disturb nobody.
        hog_ms: how long each of them computes.
        small: how many want little.
        turns: how often each of these does.
        think_us: how long it sleeps before each turn.
        burst_us: how long it computes then.
    """

    hogs: int = 16
    hog_ms: float = 200
    small: int = 8
    turns: int = 20
    think_us: float = 1_000
    burst_us: float = 50


def build(parameters: Parameters) -> Scenario:
    """A program that makes the small tasks, then the hogs, and waits for all."""
    for field in ("hogs", "small", "turns"):
        value = getattr(parameters, field)
        if not 1 <= value <= _TASKS_MAX:
            raise ConfigError(f"scenario.{field}", f"must be 1 to {_TASKS_MAX}", str(value))
    for field in ("hog_ms", "think_us", "burst_us"):
        if not getattr(parameters, field) > 0:
            raise ConfigError(f"scenario.{field}", "must be above 0", str(getattr(parameters, field)))
    turn = [
        {"op": "sleep", "ns": 1e3 * parameters.think_us},
        {"op": "compute", "ns": 1e3 * parameters.burst_us},
    ]
    small = [{"op": "repeat", "times": parameters.turns, "body": [{"op": "measure", "name": "turn", "body": turn}]}]
    hog = [{"op": "compute", "ns": 1e6 * parameters.hog_ms}]
    program: list[dict[str, Any]] = [
        {"op": "repeat", "times": parameters.small, "body": [{"op": "task", "name": "small", "child": small}]},
        {"op": "repeat", "times": parameters.hogs, "body": [{"op": "task", "name": "hog", "child": hog}]},
        {"op": "join"},
    ]
    return Scenario(name="cpu-hogs", processes=[ProcessSpec("cpu-hogs", program)])


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """What turns of small tasks waited beyond sleep and burst, and how long hogs ran at a time."""
    alone_ms = (parameters.think_us + parameters.burst_us) / 1e3
    turn = result.measures.get("turn")
    # Small tasks hardly ever run long enough to lose a cpu: who did was a hog.
    preemptions = result.scheduling.switches_involuntary
    if result.runtime is not None and result.runtime.preemptions > 0:
        preemptions = result.runtime.preemptions
    return {
        "wait_ms_median": _beyond(turn.median_ns if turn else None, alone_ms),
        "wait_ms_p99": _beyond(turn.p99_ns if turn else None, alone_ms),
        "wait_ms_max": _beyond(turn.max_ns if turn else None, alone_ms),
        "slice_ms": parameters.hogs * parameters.hog_ms / (parameters.hogs + preemptions),
        "preemptions": preemptions,
        "wall_ms": result.makespan_ns / 1e6,
    }


def _beyond(time_ns: float | None, alone_ms: float) -> float | None:
    return None if time_ns is None else max(0.0, time_ns / 1e6 - alone_ms)
