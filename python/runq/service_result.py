"""What the run of a service tells: totals, latencies, how the dependency fared, and a time series."""

from collections.abc import Callable
from typing import Any

import msgspec

from runq import _core
from runq._table import table
from runq.service_scenario import ServiceScenario

__all__ = ["Dependency", "Latencies", "ServiceResult", "ServiceTotals", "run_service", "service_result"]


class ServiceTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What happened; `requests` are `answered + failed + turned_away + unfinished`.

    Attributes:
        requests: requests that arrived.
        answered: of these, those that were answered.
        failed: those that failed, by the reasons below.
        failed_retries: all attempts had failed.
        failed_budget: the budget had no retry left.
        failed_deadline: the deadline had passed.
        failed_breaker: the breaker was open.
        turned_away: those that found too many unanswered.
        unfinished: neither answered nor failed at the end.
        attempts: requests sent to the dependency, for loads of the cache too.
        retries: of these, those after a failure.
        timeouts: attempts that took too long.
        refused: attempts that the dependency refused.
        late: answers that nobody waited for any longer.
        breaker_openings: how often the breaker opened.
        hits: reads that found a fresh entry.
        stale_hits: reads that were given what was not fresh any longer.
        joined: reads that waited for the load of another.
        loads: reads that loaded an entry.
        refreshes: loads that nobody waited for.
        stale_reads: reads from the cache of what had been written anew since.
        writes: writes that the store took.
    """

    requests: int
    answered: int
    failed: int
    failed_retries: int
    failed_budget: int
    failed_deadline: int
    failed_breaker: int
    turned_away: int
    unfinished: int
    attempts: int
    retries: int
    timeouts: int
    refused: int
    late: int
    breaker_openings: int
    hits: int
    stale_hits: int
    joined: int
    loads: int
    refreshes: int
    stale_reads: int
    writes: int


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """How long answers took, in ns; quantiles with three digits, None without an answer."""

    count: int
    mean: float | None
    p50: int | None
    p90: int | None
    p99: int | None
    p999: int | None
    max: int | None


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """How the dependency fared.

    Attributes:
        admitted: requests that it took.
        started: requests whose service began.
        expired: requests that it dropped, since nobody waited for them.
        mean_wait_ns: how long those that began had waited; None if none did.
        mean_service_ns: how long their services are.
        service_ns: all services together.
        wasted_ns: what of that was for answers that nobody waited for.
        mean_there: how many requests were there, by time.
        area_ns: requests there, summed over time.
        stay_ns: how long requests were there, summed over them: the same, by Little's law.
        queue_peak: the longest queue.
    """

    admitted: int
    started: int
    expired: int
    mean_wait_ns: float | None
    mean_service_ns: float | None
    service_ns: float
    wasted_ns: float
    mean_there: float
    area_ns: float
    stay_ns: float
    queue_peak: int


class _Tree(msgspec.Struct, frozen=True, kw_only=True):
    """What the core hands back."""

    totals: ServiceTotals
    latency_ns: Latencies
    dependency: Dependency
    stampede: int | None
    series: dict[str, list[int]]
    digest: str
    events: int
    makespan_ns: float
    ledger: dict[str, float]


class ServiceResult(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the run of a service tells; `print(r)` is a table.

    Attributes:
        makespan_ns: how long the run was.
        ledger: all time of all servers of the dependency: `useful`, `wasted` on answers that nobody waited for, `idle`.
        totals: counts over the whole run.
        latency_ns: how long answers took.
        dependency: how the dependency fared.
        stampede: the most loads of one key at a time; None without a cache.
        series: columns with a row each `scenario.window_ns`: requests, answered, failed, attempts, timeouts, refused in
            it, and queued at its end.
        outcome: what a scenario that comes with runq is about; empty for others.
        digest: 16 hexadecimal digits over all of it; equal for equal inputs.
        events: steps of the simulation.
        seed: the seed of everything random.
        scenario: what was run.
        version: that of runq.
        simulate_seconds: time in the simulator.
    """

    makespan_ns: float
    ledger: dict[str, float]
    totals: ServiceTotals
    latency_ns: Latencies
    dependency: Dependency
    stampede: int | None
    series: dict[str, Any]
    outcome: dict[str, Any]
    digest: str
    events: int
    seed: int
    scenario: ServiceScenario
    version: str
    simulate_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists and numbers: what `--json` prints."""
        tree: dict[str, Any] = {
            "scenario": self.scenario.name,
            "makespan_ns": self.makespan_ns,
            "simulate_seconds": self.simulate_seconds,
            "ledger": self.ledger,
            "digest": self.digest,
        }
        if self.outcome:
            tree["outcome"] = self.outcome
        return tree | {
            "totals": msgspec.to_builtins(self.totals),
            "latency_ns": msgspec.to_builtins(self.latency_ns),
            "dependency": msgspec.to_builtins(self.dependency),
            "stampede": self.stampede,
            "series": {name: column.tolist() for name, column in self.series.items()},
            "events": self.events,
            "seed": self.seed,
            "version": self.version,
            "config": self.scenario.to_dict(),
        }

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return msgspec.json.encode(self.to_dict()).decode()

    def __str__(self) -> str:
        return _text(self)

    def __repr__(self) -> str:
        return f"<ServiceResult of {self.scenario.name}: {self.totals.answered} answered, digest {self.digest}>"


def run_service(
    scenario: ServiceScenario, seed: int, progress: Callable[[float, int], object] | None = None
) -> ServiceResult:
    """Runs a service."""
    text, seconds = _core.service_simulate(scenario.to_json(), seed, progress=progress)
    return service_result(text, seconds, scenario, seed)


def service_result(text: str, seconds: float, scenario: ServiceScenario, seed: int) -> ServiceResult:
    """What the core tells, as a result."""
    import numpy as np

    tree = msgspec.json.decode(text, type=_Tree)
    return ServiceResult(
        makespan_ns=tree.makespan_ns,
        ledger=tree.ledger,
        totals=tree.totals,
        latency_ns=tree.latency_ns,
        dependency=tree.dependency,
        stampede=tree.stampede,
        series={name: np.array(column, dtype=np.int64) for name, column in tree.series.items()},
        outcome={},
        digest=tree.digest,
        events=tree.events,
        seed=seed,
        scenario=scenario,
        version=_core.__version__,
        simulate_seconds=seconds,
    )


def _text(result: ServiceResult) -> str:
    from runq._simulate_table import ledger_table, outcome_parts, time_text

    totals, latency = result.totals, result.latency_ns
    lines = [
        f"{result.scenario.name}: {totals.requests:,} requests in {time_text(result.scenario.duration_ns)} (simulated)",
        table(
            ("latency", "mean", "p50", "p90", "p99", "p99.9", "max"),
            [["", *map(time_text, (latency.mean, latency.p50, latency.p90, latency.p99, latency.p999, latency.max))]],
        ),
    ]
    lines += outcome_parts(result.outcome)
    counts = {name: count for name, count in msgspec.to_builtins(totals).items() if count}
    lines.append(table(("what", "count"), [[name, f"{count:,}"] for name, count in counts.items()]))
    lines.append(ledger_table(result.ledger))
    lines.append(f"{result.events:,} events in {result.simulate_seconds:.2f} s, digest {result.digest}")
    return "\n\n".join(lines)
