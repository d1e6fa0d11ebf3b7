"""Work cut into tasks: a loop that makes them all, or a binary tree whose tasks make two more each.

What is gained by more cpus is the work's; what is lost is making, finding and joining tasks. Below some length a task
costs more than it does, and more cpus make it slower. In a tree tasks are made where others run, so that whoever
idles must find them there; in a loop one makes them all.
"""

from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]

_TASKS_MAX = 1 << 24
# Programs within programs, as deep as files may be.
_DEPTH_MAX = 20


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        shape: `flat`, a loop that makes all tasks, or `tree`, in which a task makes two and waits for them.
        tasks: how many, if flat.
        depth: of a tree: 2^depth tasks at its ends do the work.
        work_us: what each of them computes.
    """

    shape: Literal["flat", "tree"] = "flat"
    tasks: int = 10_000
    depth: int = 13
    work_us: float = 10


def build(parameters: Parameters) -> Scenario:
    """A program that makes the tasks and waits for them."""
    if not 1 <= parameters.tasks <= _TASKS_MAX:
        raise ConfigError("scenario.tasks", f"must be 1 to {_TASKS_MAX}", str(parameters.tasks))
    if not 1 <= parameters.depth <= _DEPTH_MAX:
        raise ConfigError("scenario.depth", f"must be 1 to {_DEPTH_MAX}", str(parameters.depth))
    if not parameters.work_us >= 0:
        raise ConfigError("scenario.work_us", "must be at least 0", str(parameters.work_us))
    work: list[dict[str, Any]] = [{"op": "compute", "ns": 1e3 * parameters.work_us}]
    if parameters.shape == "flat":
        program = _forked(work, parameters.tasks)
    else:
        program = work
        for _ in range(parameters.depth):
            program = _forked(program, 2)
    return Scenario(name="fork-join", processes=[ProcessSpec("fork-join", program)])


def _forked(child: list[dict[str, Any]], times: int) -> list[dict[str, Any]]:
    return [{"op": "repeat", "times": times, "body": [{"op": "task", "child": child}]}, {"op": "join"}]


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Time in all, the work as so many times that (the speed-up), and what a task cost beyond its work.

    The last two are None where tasks did not come to their end: a pool whose threads all wait for tasks that they have
    made stands still.
    """
    is_flat = parameters.shape == "flat"
    ends = parameters.tasks if is_flat else 2**parameters.depth
    tasks = ends if is_flat else 2 * ends - 2
    work_ns = 1e3 * parameters.work_us * ends
    busy_ns = sum(time for account, time in result.ledger.items() if account != "idle")
    ended = result.tasks.count if result.tasks else 0
    return {
        "wall_ms": result.makespan_ns / 1e6,
        "speed_up": work_ns / result.makespan_ns if ended == tasks and result.makespan_ns else None,
        "overhead_ns_per_task": (busy_ns - work_ns) / tasks if ended == tasks else None,
        "tasks_ended": ended,
        "steals": result.runtime.steals if result.runtime else 0,
        "threads": result.scheduling.threads_peak,
    }
