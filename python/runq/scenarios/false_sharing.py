"""Threads that each count in a variable of their own: what it costs when these lie on one line.

Nothing is shared but the line, which moves from cpu to cpu all the same. Atomic increments wait for it each time. A
tight loop of plain ones does not: the store buffer holds what the loop needs; with work between, it runs empty.
"""

from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario, Variable
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        threads: how many count, each on a cpu of its own if the machine has as many.
        times: how often each.
        how: by which instructions.
        work_ns: what each computes between two increments.
        apart: whether each variable has a line of its own.
    """

    threads: int = 2
    times: int = 100_000
    how: Literal["plain", "split", "atomic", "compare-exchange"] = "atomic"
    work_ns: float = 0
    apart: bool = False


def build(parameters: Parameters) -> Scenario:
    """A program that makes the threads and waits for them. They begin together."""
    if not 1 <= parameters.threads <= 64:
        raise ConfigError("scenario.threads", "must be 1 to 64", str(parameters.threads))
    if parameters.times < 0:
        raise ConfigError("scenario.times", "must be at least 0", str(parameters.times))
    names = [f"count {index}" for index in range(parameters.threads)]
    arrive = {"op": "increment", "variable": "ready", "how": "atomic"}
    meet = [arrive, {"op": "spin_until", "variable": "ready", "value": parameters.threads}]
    threads = []
    for name in names:
        count = {"op": "increment", "variable": name, "how": parameters.how, "times": parameters.times}
        body = {"op": "measure", "name": "count", "body": [{**count, "work_ns": parameters.work_ns}]}
        threads.append({"op": "thread", "child": [*meet, body]})
    return Scenario(
        name="false-sharing",
        processes=[ProcessSpec("program", [*threads, {"op": "join"}])],
        variables={name: Variable(line=name if parameters.apart else "shared") for name in names},
    )


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """How long an increment took, and how often lines moved for it."""
    took = result.measures["count"].max_ns
    rounds = parameters.times * parameters.threads
    moved = sum(count for name, count in result.line_transfers.items() if name != "ready")
    return {
        "ns_per_increment": took / parameters.times if took is not None and parameters.times else None,
        "transfers_per_increment": moved / rounds if rounds else 0.0,
    }
