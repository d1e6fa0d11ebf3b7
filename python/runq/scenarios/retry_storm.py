"""Retries that keep a service down after what broke it is over (metastable overload), and what gets it up again.

Clients call a dependency that has room to spare. For a while it is slow; calls time out and are tried again, which is
more load than it can bear. When it is fast again, the retries of those that time out keep it busy with answers that
nobody waits for (Bronson et al., HotOS 2021). Backoff alone only delays that; a retry budget, a circuit breaker or
dropping expired requests ends it.
"""

from typing import Any

import msgspec

from runq.errors import ConfigError
from runq.service_result import ServiceResult
from runq.service_scenario import ServiceScenario
from runq.services import Strategy

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        rate_per_s: requests, at random.
        servers: requests that the dependency serves at a time.
        service_ms: mean of its service times, which are exponential.
        queue_max: requests that may wait there.
        timeout_ms: how long an attempt may take.
        retries: attempts after the first one.
        strategy: what lies between attempts.
        base_ms: what backoff grows from.
        cap_ms: the longest wait between attempts.
        budget: retries for each call; without a limit if absent.
        breaker: whether clients have a circuit breaker.
        drops_expired: whether the dependency drops requests that nobody waits for.
        slowdown: what service times are multiplied by while it is in trouble.
        trouble_from_s: when that begins.
        trouble_s: how long it lasts.
        duration_s: how long the run is.
    """

    rate_per_s: float = 700
    servers: int = 10
    service_ms: float = 10
    queue_max: int = 10_000
    timeout_ms: float = 100
    retries: int = 3
    strategy: Strategy = "full-jitter"
    base_ms: float = 10
    cap_ms: float = 1000
    budget: float | None = None
    breaker: bool = False
    drops_expired: bool = False
    slowdown: float = 5
    trouble_from_s: float = 10
    trouble_s: float = 5
    duration_s: float = 60


def build(parameters: Parameters) -> ServiceScenario:
    """The service; the trouble begins and ends within the run."""
    end = parameters.trouble_from_s + parameters.trouble_s
    if not 1 <= parameters.trouble_from_s <= end < parameters.duration_s:
        rule = "must begin after 1 s and end, with trouble_s, before duration_s"
        raise ConfigError("scenario.trouble_from_s", rule, str(parameters.trouble_from_s))
    client: dict[str, Any] = {
        "timeout_ns": 1e6 * parameters.timeout_ms,
        "retries": parameters.retries,
        "backoff": {
            "strategy": parameters.strategy,
            "base_ns": 1e6 * parameters.base_ms,
            "cap_ns": 1e6 * parameters.cap_ms,
        },
    }
    if parameters.budget is not None:
        client["budget"] = {"per_call": parameters.budget}
    if parameters.breaker:
        client["breaker"] = {}
    return ServiceScenario(
        name="retry-storm",
        load={"arrivals": {"poisson": {"rate_per_s": parameters.rate_per_s}}},
        client=client,
        dependency={
            "servers": parameters.servers,
            "queue_max": parameters.queue_max,
            "service_ns": {"exponential": {"mean_ns": 1e6 * parameters.service_ms}},
            "drops_expired": parameters.drops_expired,
        },
        troubles=[{"from_ns": 1e9 * parameters.trouble_from_s, "until_ns": 1e9 * end, "slowdown": parameters.slowdown}],
        duration_ns=1e9 * parameters.duration_s,
    )


def outcome(parameters: Parameters, result: ServiceResult) -> dict[str, Any]:
    """Answers a second before, during and after the trouble, and whether the service came back."""
    answered, window_s = result.series["answered"], result.scenario.window_ns / 1e9
    begin = int(parameters.trouble_from_s / window_s)
    end = int((parameters.trouble_from_s + parameters.trouble_s) / window_s)
    if len(answered) <= begin:
        raise LookupError("it ends before the trouble begins")
    before = float(answered[:begin].mean()) / window_s
    # The last fifth of what comes after: what the service settles at.
    settled = answered[-max(1, (len(answered) - end) // 5) :]
    after = float(settled.mean()) / window_s
    back = (answered[end:] >= 0.9 * before * window_s).nonzero()[0]
    is_back = after >= 0.9 * before
    totals = result.totals
    return {
        "answered_per_s_before": before,
        "answered_per_s_during": float(answered[begin : max(end, begin + 1)].mean()) / window_s,
        "answered_per_s_after": after,
        "has_recovered": is_back,
        "recovery_s": float(back[0]) * window_s if is_back and len(back) else None,
        "attempts_per_request": totals.attempts / max(1, totals.requests),
        "wasted_share": result.dependency.wasted_ns / max(1.0, result.dependency.service_ns),
    }
