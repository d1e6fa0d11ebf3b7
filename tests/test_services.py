"""Services: against a reference that shares no code, known answers, retry storms and stampedes, bad input."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st
from reference.services import Service

PROGRAM = [sys.executable, "-m", "runq.cli"]


def clients() -> st.SearchStrategy[dict[str, Any]]:
    strategies = ["none", "exponential", "full-jitter", "equal-jitter", "decorrelated"]
    budgets = st.fixed_dictionaries(
        {"per_call": st.floats(0, 1), "per_s": st.sampled_from([0, 50_000]), "burst": st.integers(1, 3)}
    )
    breakers = st.fixed_dictionaries(
        {
            "window": st.integers(1, 8),
            "failure_share": st.sampled_from([0.2, 0.5, 1.0]),
            "open_ns": st.integers(0, 9000),
            "probes": st.integers(1, 3),
        }
    )
    return st.fixed_dictionaries(
        {
            "retries": st.integers(0, 4),
            "backoff": st.fixed_dictionaries(
                {"strategy": st.sampled_from(strategies), "base_ns": st.just(100), "cap_ns": st.just(5000)}
            ),
        },
        optional={
            "timeout_ns": st.integers(300, 8000),
            "deadline_ns": st.integers(300, 9000),
            "budget": budgets,
            "breaker": breakers,
        },
    )


def caches() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "ttl_ns": st.integers(0, 9000),
            "jitter": st.sampled_from([0, 0.4]),
            "single_flight": st.booleans(),
            "stale_ns": st.integers(0, 4000),
            "writes": st.sampled_from(["expire", "invalidate", "write-through"]),
        }
    )


def services() -> st.SearchStrategy[dict[str, Any]]:
    dependency = st.fixed_dictionaries(
        {
            "servers": st.integers(1, 3),
            "queue_max": st.integers(0, 8),
            "service_ns": st.sampled_from([1000, {"uniform": {"min_ns": 10, "max_ns": 3000}}]),
            "network_ns": st.sampled_from([0, 200, {"uniform": {"min_ns": 1, "max_ns": 900}}]),
            "drops_expired": st.booleans(),
        }
    )
    times = st.lists(st.integers(0, 60_000), max_size=60).map(sorted)
    return st.fixed_dictionaries(
        {
            "name": st.just("any"),
            "load": st.fixed_dictionaries(
                {
                    "arrivals": times.map(lambda times: {"recorded": {"times_ns": times}}),
                    "in_flight_max": st.sampled_from([3, 1000]),
                }
            ),
            "client": clients(),
            "dependency": dependency,
            "cache": st.one_of(st.none(), caches()),
            "keys": st.fixed_dictionaries(
                {"count": st.integers(1, 3), "skew": st.just(0), "write_share": st.sampled_from([0, 0.3])}
            ),
            "troubles": st.sampled_from(
                [
                    [],
                    [{"from_ns": 10_000, "until_ns": 30_000, "slowdown": 4, "flushes": True}],
                    [
                        {"from_ns": 5000, "until_ns": 25_000, "slowdown": 0.5},
                        {"from_ns": 20_000, "until_ns": 26_000, "is_down": True},
                    ],
                ]
            ),
            "duration_ns": st.sampled_from([50_000, 500_000]),
            "window_ns": st.just(5000),
        }
    )


def assert_run_equals_reference(config: dict[str, Any], seed: int) -> None:
    result = runq.simulate(runq.ServiceScenario.from_dict(config), seed=seed)
    arrivals = [1000 * time for time in config["load"]["arrivals"]["recorded"]["times_ns"]]
    reference = Service(config, arrivals, seed)
    expected = reference.run()
    totals = result.to_dict()["totals"]
    assert {name: count for name, count in totals.items() if count} == {n: c for n, c in expected.items() if c}
    if config["cache"]:
        assert result.stampede == reference.stampede
    assert result.dependency.area_ns == result.dependency.stay_ns


@given(services(), st.integers(0, 2**32))
def test_every_count_is_that_of_the_reference(config: dict[str, Any], seed: int) -> None:
    assert_run_equals_reference(config, seed)


QUEUE = {
    "name": "queue",
    "load": {"arrivals": {"poisson": {"rate_per_s": 800}}},
    "dependency": {"service_ns": {"exponential": {"mean_ns": 1e6}}},
    "duration_ns": 200e9,
}


def changed(*assignments: str) -> runq.ServiceScenario:
    return runq.ServiceScenario.from_dict(QUEUE).with_set(*assignments)


@pytest.mark.parametrize(
    ("assignments", "wait_ms"),
    [
        (["load.arrivals.poisson.rate_per_s=500"], 1.0),
        (["load.arrivals.poisson.rate_per_s=500", "dependency.service_ns=1e6"], 0.5),
        (["load.arrivals.poisson.rate_per_s=3200", "dependency.servers=4"], 0.74554),
    ],
)
def test_waits_are_those_of_queueing_theory(assignments: list[str], wait_ms: float) -> None:
    r = runq.simulate(changed(*assignments), seed=2)
    assert r.dependency.mean_wait_ns == pytest.approx(1e6 * wait_ms, rel=0.06)


def test_clients_who_wait_for_their_answers_are_a_closed_queue() -> None:
    # The machine repairman: 10 clients that think for 10 ms, one server of 1 ms.
    closed = {"closed": {"clients": 10, "think_ns": {"exponential": {"mean_ns": 10e6}}}}
    r = runq.simulate(changed(f"load.arrivals={json.dumps(closed)}"), seed=1)
    weight, weights = 1.0, [1.0]
    for there in range(10):
        weight *= (10 - there) * 0.1
        weights.append(weight)
    busy = 1 - weights[0] / sum(weights)
    assert r.totals.answered / 200 == pytest.approx(1000 * busy, rel=0.01)


def test_who_comes_faster_than_served_is_refused_or_turned_away() -> None:
    r = runq.simulate(changed("load.arrivals.poisson.rate_per_s=5000", "dependency.queue_max=5", "client.retries=0"))
    assert r.totals.answered / 200 == pytest.approx(1000, rel=0.03)
    assert r.totals.failed_retries == r.totals.refused > 700_000
    r = runq.simulate(changed("load.arrivals.poisson.rate_per_s=5000", "load.in_flight_max=50"))
    assert r.totals.turned_away > 700_000
    assert r.dependency.queue_peak == 49


# What comes with runq


@pytest.mark.parametrize(
    "cure",
    [{"budget": 0.1}, {"breaker": True}, {"drops_expired": True, "budget": 0.1}, {"retries": 0, "drops_expired": True}],
)
def test_a_retry_storm_has_cures(cure: dict[str, Any]) -> None:
    ill = runq.simulate("retry-storm", seed=1).outcome
    assert not ill["has_recovered"]
    assert ill["answered_per_s_before"] == pytest.approx(700, rel=0.03)
    assert ill["answered_per_s_after"] < 100
    assert ill["wasted_share"] > 0.5
    well = runq.simulate("retry-storm", seed=1, **cure).outcome
    assert well["has_recovered"]
    assert well["recovery_s"] < 40
    assert well["answered_per_s_after"] == pytest.approx(700, rel=0.05)


def test_backoff_alone_does_not_end_a_storm() -> None:
    for strategy in ("none", "exponential", "full-jitter", "equal-jitter", "decorrelated"):
        assert not runq.simulate("retry-storm", strategy=strategy, seed=1).outcome["has_recovered"]


def test_a_stampede_has_cures() -> None:
    plain, single, stale = (
        runq.simulate("cache-stampede", seed=1, **values).outcome
        for values in ({}, {"single_flight": True}, {"single_flight": True, "stale_s": 1})
    )
    assert plain["stampede"] > 10
    assert (single["stampede"], stale["stampede"]) == (1, 1)
    assert stale["p99_ns"] < single["p99_ns"] <= plain["p99_ns"]
    assert single["loads"] < plain["loads"]


def test_writers_keep_reads_fresh() -> None:
    share = {
        writes: runq.simulate("cache-stampede", seed=1, writes=writes).outcome["stale_share"]
        for writes in ("expire", "invalidate", "write-through")
    }
    assert share["write-through"] < share["invalidate"] < share["expire"] / 3


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["retry-storm", "cache-stampede"])
def test_all_time_of_all_servers_belongs_to_an_account(name: str) -> None:
    r = runq.simulate(name, seed=1)
    tree = r.to_dict()
    assert {"makespan_ns", "simulate_seconds", "ledger", "digest"} <= tree.keys()
    assert tree["makespan_ns"] == r.makespan_ns == 60e9
    assert sum(r.ledger.values()) == pytest.approx(r.scenario.dependency["servers"] * r.makespan_ns, rel=1e-12)
    assert r.ledger["wasted"] == r.dependency.wasted_ns
    assert r.ledger["idle"] > 0
    # Who is served at the end is served for longer than the run.
    assert r.ledger["useful"] + r.ledger["wasted"] <= r.dependency.service_ns
    assert "time went to" in str(r)


def test_the_program_runs_services_and_their_files(tmp_path: Path) -> None:
    done = run("simulate", "retry-storm", "--set", "scenario.budget=0.1", "--seed", "1", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    tree = json.loads(done.stdout)
    assert tree["outcome"]["has_recovered"]
    assert tree["digest"] == runq.simulate("retry-storm", budget=0.1, seed=1).digest
    path = tmp_path / "mine.toml"
    path.write_text(run("scenarios", "show", "retry-storm", "--set", "scenario.budget=0.1").stdout)
    again = run("simulate", path, "--seed", "1", "--json")
    assert json.loads(again.stdout)["digest"] == tree["digest"]
    other = run("simulate", path, "--set", "scenario.client.retries=0", "--json")
    assert json.loads(other.stdout)["totals"]["retries"] == 0
    text = run("simulate", "cache-stampede").stdout
    assert "stampede" in text
    assert "stale_reads" in text


# What is wrong


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("load.arrivals.poisson.rate_per_s=0", "load.arrivals.poisson.rate_per_s: must be 1e-5 to 1e12, got 0"),
        ("load.arrivals.poisson.rate_per_s=1e18", "load.arrivals.poisson.rate_per_s: must be 1e-5 to 1e12, got"),
        ("load.arrivals.poisson.rate_per_s=NaN", "load.arrivals.poisson.rate_per_s: must be a number, got null"),
        ("load.in_flight_max=0", "load.in_flight_max: must be at least 1, got 0"),
        ("dependency.service_ns=-1", "dependency.service_ns: must be a time in nanoseconds"),
        ("dependency.servers=0", "dependency.servers: must be 1 to 65536, got 0"),
        ("dependency.server=1", "dependency.server: unknown field"),
        ('client={"retries": 5000, "backoff": {"strategy": "none"}}', "client.retries: must be at most 1000"),
        ('client={"retries": -1}', "client.retries: must be an integer from 0"),
        ('client={"budget": {"burst": 0}}', "client.budget.burst: must be 1 to 1000000, got 0"),
        ('cache={"ttl_ns": 1, "hit_ns": 0}', "cache.hit_ns: must be 1 to 1e14, got 0"),
        ("keys.write_share=2", "keys.write_share: must be 0 to 1, got 2"),
        ("keys.count=0", "keys.count: must be 1 to 4194304, got 0"),
        ('troubles=[{"from_ns": 1, "until_ns": 2, "slowdown": -1}]', "troubles[0].slowdown: must be 0 to 1e6, got -1"),
        ("duration_ns=0", "duration_ns: must be above 0"),
        ("window_ns=1", "window_ns: must cut the duration into at most 100000 parts"),
    ],
)
def test_wrong_services_are_told(assignment: str, message: str) -> None:
    with pytest.raises(runq.ConfigError) as error:
        runq.simulate(changed(assignment))
    assert message in str(error.value)


def test_retries_without_limit_end_with_the_run() -> None:
    assignments = ['client={"retries": 4294967295, "backoff": {"base_ns": 1, "cap_ns": 1}}', "events_max=1000000"]
    with pytest.raises(runq.SimulationError, match="queue takes more than 1000000 events, and is at"):
        runq.simulate(changed(*assignments, 'troubles=[{"from_ns": 0, "until_ns": 1e14, "is_down": true}]'))
    r = runq.simulate(changed('client={"retries": 4294967295}', "dependency.queue_max=3", "duration_ns=5e9"))
    assert r.totals.failed == 0


def test_services_are_neither_run_on_machines_nor_listed_as_processes() -> None:
    with pytest.raises(runq.ConfigError, match="machine: must not be given for a service"):
        runq.simulate("retry-storm", "golden")  # type: ignore[call-overload]
    done = run("ps", "retry-storm", "--at-ns", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "must be one of programs, not a service" in done.stderr
    with pytest.raises(runq.ConfigError, match="must be one of programs, not a service"):
        runq.Sweep(runq.compare, scenario="retry-storm", over={"seed": [1, 2]}).run()
