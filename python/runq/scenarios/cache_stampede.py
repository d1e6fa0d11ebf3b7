"""A hot key that expires: everybody loads it at once from a slow store, and what keeps them from it.

Readers ask a cache, which asks a slow store for what it does not hold. When a hot entry expires, every reader until the
first answer loads it. Single flight lets one of them load and the others wait; stale-while-revalidate serves the old
entry meanwhile; jitter keeps keys from expiring together. Writers leave entries to expire, invalidate them or write
them through: reads of what has been written anew since are counted.
"""

from typing import Any, Literal

import msgspec

from runq.service_result import ServiceResult
from runq.service_scenario import ServiceScenario

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        rate_per_s: requests, at random.
        keys: how many keys there are.
        skew: key k is asked for with weight 1/(k+1)^skew.
        write_share: the part of requests that write.
        ttl_s: how long an entry is fresh.
        jitter: the part of that by which it may be shorter.
        single_flight: whether one load a key is under way at a time.
        stale_s: how long an entry that is not fresh is served while it is fetched anew.
        writes: what a writer does to the entry.
        servers: requests that the store serves at a time.
        load_ms: mean of its service times, which are exponential.
        flush_at_s: when the cache loses everything; never if absent.
        duration_s: how long the run is.
    """

    rate_per_s: float = 2000
    keys: int = 100
    skew: float = 1.0
    write_share: float = 0.01
    ttl_s: float = 5
    jitter: float = 0.0
    single_flight: bool = False
    stale_s: float = 0.0
    writes: Literal["expire", "invalidate", "write-through"] = "expire"
    servers: int = 20
    load_ms: float = 50
    flush_at_s: float | None = None
    duration_s: float = 60


def build(parameters: Parameters) -> ServiceScenario:
    """The service."""
    troubles = []
    if parameters.flush_at_s is not None:
        at = 1e9 * parameters.flush_at_s
        troubles.append({"from_ns": at, "until_ns": at, "flushes": True})
    return ServiceScenario(
        name="cache-stampede",
        load={"arrivals": {"poisson": {"rate_per_s": parameters.rate_per_s}}},
        client={"retries": 0},
        dependency={
            "servers": parameters.servers,
            "service_ns": {"exponential": {"mean_ns": 1e6 * parameters.load_ms}},
        },
        cache={
            "ttl_ns": 1e9 * parameters.ttl_s,
            "jitter": parameters.jitter,
            "single_flight": parameters.single_flight,
            "stale_ns": 1e9 * parameters.stale_s,
            "writes": parameters.writes,
        },
        keys={"count": parameters.keys, "skew": parameters.skew, "write_share": parameters.write_share},
        troubles=troubles,
        duration_ns=1e9 * parameters.duration_s,
    )


def outcome(parameters: Parameters, result: ServiceResult) -> dict[str, Any]:
    """How many loaded a key at once, what that cost readers, and how stale their reads were."""
    totals = result.totals
    hits = totals.hits + totals.stale_hits
    reads = hits + totals.joined + totals.loads
    return {
        "stampede": result.stampede,
        "hit_ratio": hits / max(1, reads),
        "loads": totals.loads + totals.refreshes,
        "joined": totals.joined,
        "stale_reads": totals.stale_reads,
        "stale_share": totals.stale_reads / max(1, reads),
        "queue_peak": result.dependency.queue_peak,
        "p99_ns": result.latency_ns.p99,
    }
