"""Tasks in system calls that block: no runtime can take the thread away from its call.

What tells models apart: one loop stands still for each call in turn, a pool for as many as it has threads; where calls
hand their place to another thread, there are soon as many threads as calls.
"""

from typing import Any

import msgspec

from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]

_TASKS_MAX = 1 << 20


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        tasks: how many.
        block_ms: how long the call of each takes.
    """

    tasks: int = 1_000
    block_ms: float = 100


def build(parameters: Parameters) -> Scenario:
    """A program that makes all tasks one after the other, and waits for all of them."""
    if not 1 <= parameters.tasks <= _TASKS_MAX:
        raise ConfigError("scenario.tasks", f"must be 1 to {_TASKS_MAX}", str(parameters.tasks))
    if not parameters.block_ms > 0:
        raise ConfigError("scenario.block_ms", "must be above 0", str(parameters.block_ms))
    task = {"op": "task", "child": [{"op": "block", "ns": 1e6 * parameters.block_ms}]}
    program: list[dict[str, Any]] = [{"op": "repeat", "times": parameters.tasks, "body": [task]}, {"op": "join"}]
    return Scenario(name="blocking-syscalls", processes=[ProcessSpec("blocking-syscalls", program)])


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Time in all, threads at a time, memory at most, and how many calls were under way at a time on average."""
    calls_ns = 1e6 * parameters.block_ms * parameters.tasks
    return {
        "wall_ms": result.makespan_ns / 1e6,
        "threads": result.scheduling.threads_peak,
        "calls_at_a_time": calls_ns / result.makespan_ns if result.makespan_ns else 0.0,
        "hand_offs": result.runtime.hand_offs if result.runtime else 0,
        "peak_memory_mb": result.memory.peak_bytes / 1e6,
        "tasks_ended": result.tasks.count if result.tasks else 0,
    }
