"""Threads that share one lock: how much of their work is left in parallel, and what waiting for one another costs.

Each works outside of the lock and inside of it, in turns. Nothing can be faster than min(N / (s + z), 1 / s)
operations a time with N threads on as many cpus, s inside and z outside; hand-overs, sleeping and spinning take their
part of that.
"""

from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import KernelChoices, LockSpec, ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]

Kind = Literal["barging", "fair", "adaptive", "go", "tas", "ttas", "ticket", "mcs"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        threads: how many.
        inside_us: what each does with the lock.
        outside_us: what it does without.
        kind: of the lock.
        deviation: of what each does, as a part of it: threads alike to the nanosecond would fall into step.
        operations: how often the lock is taken, by all of them together.
    """

    threads: int = 4
    inside_us: float = 1
    outside_us: float = 4
    kind: Kind = "barging"
    deviation: float = 0.05
    operations: int = 20_000


def build(parameters: Parameters) -> Scenario:
    """One process with the threads; the remainder of the operations goes to the first ones."""
    for name in ("threads", "operations"):
        if getattr(parameters, name) < 1:
            raise ConfigError(f"scenario.{name}", "must be at least 1", str(getattr(parameters, name)))
    for name in ("inside_us", "outside_us", "deviation"):
        if not getattr(parameters, name) >= 0:
            raise ConfigError(f"scenario.{name}", "must be at least 0", str(getattr(parameters, name)))
    body = [
        {"op": "lock", "lock": "shared"},
        _work(parameters, parameters.inside_us),
        {"op": "unlock", "lock": "shared"},
        _work(parameters, parameters.outside_us),
    ]
    share, rest = divmod(parameters.operations, parameters.threads)
    counts = [share + (index < rest) for index in range(parameters.threads)]
    made = [{"op": "thread", "child": [{"op": "repeat", "times": count, "body": body}]} for count in counts]
    return Scenario(
        name="lock-contention",
        processes=[ProcessSpec("program", [*made, {"op": "join"}])],
        locks={"shared": LockSpec(kind=parameters.kind)},
        kernel=KernelChoices(),
    )


def _work(parameters: Parameters, us: float) -> dict[str, Any]:
    spread = {"normal": {"mean_ns": 1000 * us, "sd_ns": 1000 * us * parameters.deviation}}
    return {"op": "compute", "ns": spread if us and parameters.deviation else 1000 * us}


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Operations a second, the bound on them, and what the lock took."""
    lock = result.locks["shared"]
    inside, outside = 1e-6 * parameters.inside_us, 1e-6 * parameters.outside_us
    cpus = min(parameters.threads, result.config.cpus)
    bounds = [1 / inside] if inside else []
    bounds += [cpus / (inside + outside)] if inside + outside else []
    return {
        "operations_per_s": 1e9 * lock.acquisitions / result.makespan_ns,
        "bound_per_s": min(bounds, default=None),
        "contended_share": lock.contended / lock.acquisitions,
        "wait_ns_p99": lock.wait.p99_ns,
        "queue_max": lock.queue_max,
        "spin_share": result.ledger["spin"] / sum(result.ledger.values()),
    }
