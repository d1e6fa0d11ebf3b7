"""Many tasks that do nothing but sleep: what it costs to have them, and to let them all go on at once.

The classic of comparisons: memory tells what a task holds, and the time beyond the sleep what it takes to make, park
and wake one. Above some number the loop that makes tasks takes longer than the sleep, and fewer than all exist at once.
"""

from typing import Any

import msgspec

from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]

_TASKS_MAX = 1 << 24


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        tasks: how many.
        sleep_ms: for how long each sleeps.
    """

    tasks: int = 100_000
    sleep_ms: float = 100


def build(parameters: Parameters) -> Scenario:
    """A program that makes all tasks one after the other, and waits for all of them."""
    if not 1 <= parameters.tasks <= _TASKS_MAX:
        raise ConfigError("scenario.tasks", f"must be 1 to {_TASKS_MAX}", str(parameters.tasks))
    if parameters.sleep_ms < 0:
        raise ConfigError("scenario.sleep_ms", "must be at least 0", str(parameters.sleep_ms))
    task = {"op": "task", "child": [{"op": "sleep", "ns": 1e6 * parameters.sleep_ms}]}
    program: list[dict[str, Any]] = [{"op": "repeat", "times": parameters.tasks, "body": [task]}, {"op": "join"}]
    return Scenario(name="sleepers", processes=[ProcessSpec("sleepers", program)])


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Time in all, memory at most, tasks that came to their end."""
    return {
        "wall_ms": result.makespan_ns / 1e6,
        "peak_memory_mb": result.memory.peak_bytes / 1e6,
        "tasks_ended": result.tasks.count if result.tasks else 0,
        "threads": result.scheduling.threads_peak,
    }
