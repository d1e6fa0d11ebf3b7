"""Threads that count in one variable: how many increments survive, and what an atomic one or a lock costs.

The textbook's `shared_counter++` (OSTEP, chapter 26) by several threads. Each counts in its own copy as long as the
store buffer of its cpu holds it, so that on several cpus most increments are lost; on one cpu an increment that is
preempted between its load and its store throws away all that others counted meanwhile.
"""

from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        threads: how many count.
        times: how often each.
        how: by load, addition and store (`split`), by one instruction (`plain`), by an atomic one, by a load and a
            `compare-exchange`, or `locked`: by one instruction under a mutex.
        work_ns: what each computes between two increments.
        cpus: how many cpus the threads are pinned to, one after the other; 0 if the kernel places them.
        start_ns: when they are made: where in the period of the timer.
    """

    threads: int = 2
    times: int = 1_000_000
    how: Literal["plain", "split", "atomic", "compare-exchange", "locked"] = "split"
    work_ns: float = 0
    cpus: int = 0
    start_ns: float = 0


def build(parameters: Parameters) -> Scenario:
    """A program that makes the threads and waits for them. They begin together, unless several share a cpu."""
    for name, least in (("threads", 1), ("times", 0), ("cpus", 0)):
        if getattr(parameters, name) < least:
            raise ConfigError(f"scenario.{name}", f"must be at least {least}", str(getattr(parameters, name)))
    cpus = parameters.cpus
    if cpus > 64:
        raise ConfigError("scenario.cpus", "must be at most 64", str(cpus))
    body: list[dict[str, Any]] = [{"op": "measure", "name": "count", "body": _count(parameters)}]
    if not 0 < cpus < parameters.threads:
        body = [*_meet(parameters.threads), *body]
    threads: list[dict[str, Any]] = [
        {"op": "thread", "name": f"counter {index}", "child": body, **_pinned(index, cpus)}
        for index in range(parameters.threads)
    ]
    program = [*threads, {"op": "join"}]
    affinity = [0] if cpus else None
    return Scenario(
        name="shared-counter",
        processes=[ProcessSpec("program", program, start_ns=parameters.start_ns, affinity=affinity)],
    )


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """The final count, what was lost of it, and how long an increment took."""
    wanted = parameters.threads * parameters.times
    count = result.variables["count"]
    took = result.measures["count"].max_ns
    return {
        "count": count,
        "lost_share": 1 - count / wanted if wanted else 0.0,
        "ns_per_increment": took / parameters.times if took is not None and parameters.times else None,
        "line_transfers": result.line_transfers["count"],
    }


def _pinned(index: int, cpus: int) -> dict[str, Any]:
    return {"affinity": [index % cpus]} if cpus else {}


def _count(parameters: Parameters) -> list[dict[str, Any]]:
    increment = {"op": "increment", "variable": "count", "work_ns": parameters.work_ns}
    under = {"lock": "mutex"} if parameters.how == "locked" else {}
    return [{**increment, "how": parameters.how, "times": parameters.times, **under}]


def _meet(threads: int) -> list[dict[str, Any]]:
    """A barrier of threads that spin."""
    arrive = {"op": "increment", "variable": "ready", "how": "atomic"}
    return [arrive, {"op": "spin_until", "variable": "ready", "value": threads}]
