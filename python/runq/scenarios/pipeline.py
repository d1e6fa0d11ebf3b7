"""Stages in a row, each a task of its own: items go from one to the next through channels that hold only so many.

A channel is a bounded buffer: it has a semaphore that counts what is in it and one that counts the room left. A stage
whose work varies runs ahead until the channel behind it is full and behind until the one before it is empty: small
channels make all wait for the slowest of the moment, large ones let each work for longer at a time.
"""

from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]

_STAGES_MAX = 1000
_ITEMS_MAX = 1 << 24


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        stages: how many.
        items: how many go through all of them.
        work_us: what a stage computes for an item on average.
        work: whether that is `exponential`, drawn for each, or `constant`.
        capacity: items that a channel holds.
    """

    stages: int = 4
    items: int = 5_000
    work_us: float = 10
    work: Literal["exponential", "constant"] = "exponential"
    capacity: int = 16


def build(parameters: Parameters) -> Scenario:
    """A program that makes a task for each stage, and waits for the last item."""
    if not 1 <= parameters.stages <= _STAGES_MAX:
        raise ConfigError("scenario.stages", f"must be 1 to {_STAGES_MAX}", str(parameters.stages))
    for field in ("items", "capacity"):
        if not 1 <= getattr(parameters, field) <= _ITEMS_MAX:
            raise ConfigError(f"scenario.{field}", f"must be 1 to {_ITEMS_MAX}", str(getattr(parameters, field)))
    if not parameters.work_us > 0:
        raise ConfigError("scenario.work_us", "must be above 0", str(parameters.work_us))
    mean_ns = 1e3 * parameters.work_us
    work = {
        "op": "compute",
        "ns": {"exponential": {"mean_ns": mean_ns}} if parameters.work == "exponential" else mean_ns,
    }
    last = parameters.stages - 1
    program: list[dict[str, Any]] = []
    for channel in range(last):
        room = {"op": "release", "semaphore": f"room {channel}"}
        program.append({"op": "repeat", "times": parameters.capacity, "body": [room]})
    for stage in range(parameters.stages):
        body = [work]
        if stage > 0:
            body = [
                {"op": "acquire", "semaphore": f"items {stage - 1}"},
                {"op": "release", "semaphore": f"room {stage - 1}"},
                work,
            ]
        if stage < last:
            body += [
                {"op": "acquire", "semaphore": f"room {stage}"},
                {"op": "release", "semaphore": f"items {stage}"},
            ]
        child = [{"op": "repeat", "times": parameters.items, "body": body}]
        program.append({"op": "task", "name": f"stage {stage}", "child": child})
    program.append({"op": "join"})
    return Scenario(name="pipeline", processes=[ProcessSpec("pipeline", program)])


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Items a second, how many stages worked at a time on average, and what an item cost a stage beyond its work.

    All of these are None where a stage did not come to its end: a pool with fewer threads than stages stands still.
    """
    work_ns = result.ledger.get("user", 0.0)
    busy_ns = sum(time for account, time in result.ledger.items() if account != "idle")
    is_done = result.tasks is not None and result.tasks.count == parameters.stages and result.makespan_ns > 0
    return {
        "items_per_s": 1e9 * parameters.items / result.makespan_ns if is_done else None,
        "stages_at_a_time": work_ns / result.makespan_ns if is_done else None,
        "overhead_ns_per_item": (busy_ns - work_ns) / (parameters.items * parameters.stages) if is_done else None,
        "switches": result.scheduling.switches,
        "wall_ms": result.makespan_ns / 1e6,
    }
