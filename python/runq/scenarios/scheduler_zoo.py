"""One workload under a scheduling policy: threads that compute, threads that answer, and one of low priority.

Hogs compute all the time. Interactive threads sleep, and then need the cpu for a moment: how long they wait for it is
what tells policies apart. A nice thread should get little, and not nothing. `runq.scenarios.scheduler_zoo.compare` runs
all policies side by side.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from runq.errors import ConfigError
from runq.scenario import KernelChoices, ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["POLICIES", "Parameters", "build", "compare", "outcome"]

POLICIES = ("fifo", "sjf", "stcf", "round-robin", "mlfq", "lottery", "stride", "priority", "cfs", "eevdf")


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        policy: who runs next: a name of `runq.sched`.
        hogs: threads that compute all the time.
        interactive: threads that sleep and compute by turns.
        think_us: how long these sleep.
        burst_us: how long they compute.
        nice: of one more thread that computes all the time.
        duration_ms: for how long.
    """

    policy: str = "eevdf"
    hogs: int = 4
    interactive: int = 4
    think_us: float = 5_000
    burst_us: float = 100
    nice: int = 10
    duration_ms: float = 1_000


def build(parameters: Parameters) -> Scenario:
    """The workload under one policy."""
    if parameters.policy not in POLICIES:
        raise ConfigError("scenario.policy", f"must be one of {', '.join(POLICIES)}", parameters.policy)
    for field in ("hogs", "interactive"):
        if getattr(parameters, field) < 0:
            raise ConfigError(f"scenario.{field}", "must be at least 0", str(getattr(parameters, field)))
    for field in ("think_us", "burst_us", "duration_ms"):
        if getattr(parameters, field) <= 0:
            raise ConfigError(f"scenario.{field}", "must be above 0", str(getattr(parameters, field)))
    forever: dict[str, Any] = {"op": "repeat", "times": 1 << 60}
    hog = [{**forever, "body": [{"op": "compute", "ns": 1_000_000}]}]
    answer = {"op": "measure", "name": "answer", "body": [{"op": "compute", "ns": 1e3 * parameters.burst_us}]}
    interactive = [{**forever, "body": [{"op": "sleep", "ns": 1e3 * parameters.think_us}, answer]}]
    processes = [
        *([ProcessSpec("hog", hog, copies=parameters.hogs, priority=2)] if parameters.hogs else []),
        *(
            [ProcessSpec("interactive", interactive, copies=parameters.interactive, priority=1)]
            if parameters.interactive
            else []
        ),
        ProcessSpec("nice", hog, nice=parameters.nice, tickets=10, priority=3),
    ]
    kernel = KernelChoices(scheduler=parameters.policy)
    return Scenario(name="scheduler-zoo", processes=processes, kernel=kernel, until_ns=1e6 * parameters.duration_ms)


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Answers, how long they waited for the cpu, and what part of the time the nice thread had."""
    latency = result.scheduling.latency
    times = [(process.name, process.cpu_ns) for process in result.processes]
    busy = sum(time for _, time in times)
    own = sum(time for name, time in times if name == "nice")
    answers = result.measures.get("answer")
    return {
        "answers": answers.count if answers else 0,
        "wait_ns_p50": latency.p50_ns,
        "wait_ns_p99": latency.p99_ns,
        "switches": result.scheduling.switches,
        "nice_share": own / busy if busy else 0.0,
        "fairness": result.scheduling.fairness,
    }


def compare(
    machine: Any = None, policies: Sequence[str] = POLICIES, seed: int = 0, **parameters: Any
) -> dict[str, dict[str, Any]]:
    """The outcome under each of several policies, by name.

    >>> import runq
    >>> from runq.scenarios import scheduler_zoo
    >>> zoo = scheduler_zoo.compare(policies=("fifo", "eevdf"), duration_ms=200)
    >>> zoo["fifo"]["answers"] < zoo["eevdf"]["answers"]
    True
    """
    from runq.simulate import simulate

    outcomes = {}
    for policy in policies:
        chosen = Parameters(policy=policy, **parameters)
        outcomes[policy] = outcome(chosen, simulate(build(chosen), machine, seed=seed))
    return outcomes
