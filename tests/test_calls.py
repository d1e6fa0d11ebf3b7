"""Calls of programs to dependencies: as stations queue, as services count, and waited for as the model waits."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import runq
from hypothesis import given, settings
from hypothesis import strategies as st
from runq.simulate_parts import DependencyCalls
from task_programs import JOIN, MODELS, PLAIN, RUNTIMES, Op, Program, compute, repeat, serve, task

Table = dict[str, Any]

NONE = {"strategy": "none"}

# Its cpus wake at once, so that clients do what they do when services do it.
QUICK = PLAIN.with_set("kernel.switch.wake_remote_ns=0", "kernel.timer.interrupt_ns=0")


def call(to: str = "db", policy: Table | None = None) -> Op:
    return {"op": "call", "to": to} if policy is None else {"op": "call", "to": to, "policy": policy}


def run(
    program: Program,
    station: Table,
    model: str | None = "go",
    cpus: int = 2,
    machine: runq.Machine = PLAIN,
    **more: Table,
) -> runq.SimulateResult:
    processes = [runq.ProcessSpec("p", program)]
    scenario = runq.Scenario(name="calls", processes=processes, dependencies={"db": station, **more})
    assert runq.Scenario.from_dict(scenario.to_dict()) == scenario
    return runq.simulate(scenario, machine.with_set(f"cpus={cpus}"), model, seed=1)


def calls_of(r: runq.SimulateResult, name: str = "db") -> DependencyCalls:
    row = r.dependencies[name]
    assert row.failed == row.failed_retries + row.failed_budget + row.failed_deadline + row.failed_breaker
    return row


def test_one_call_takes_its_way_there_its_service_and_its_way_back() -> None:
    r = run([call()], {"service_ns": 100_000, "network_ns": 20_000}, model=None, cpus=1)
    row = calls_of(r)
    syscall = r.config.kernel.syscall_ns
    assert (row.calls, row.answered, row.attempts, row.late) == (1, 1, 1, 0)
    assert row.latency.max_ns == pytest.approx(140_000 + syscall, rel=0.02), "two digits are kept"
    assert row.utilization == pytest.approx(100_000 / r.makespan_ns)


@pytest.mark.parametrize("model", MODELS)
def test_who_waits_for_an_answer_waits_as_for_io(model: str) -> None:
    program = [repeat(4, task(call())), JOIN]
    waiting: Program = [repeat(4, task({"op": "io", "ns": 10_000_000})), JOIN]
    r = run(program, {"service_ns": 10_000_000, "servers": 4}, model)
    like = run(waiting, {"service_ns": 1}, model)
    assert calls_of(r).answered == 4
    assert r.makespan_ns == pytest.approx(like.makespan_ns, rel=0.02)
    assert r.makespan_ns < 20_000_000


def test_a_pool_of_one_thread_waits_with_its_job_and_a_loop_does_not() -> None:
    program = [repeat(5, task(call())), JOIN]
    station = {"service_ns": 10_000_000, "servers": 5}
    assert run(program, station, "thread-pool:1").makespan_ns > 50_000_000
    for model in ("event-loop", "go:1", "tokio:1", "java:1"):
        assert run(program, station, model).makespan_ns < 12_000_000, model


def erlang_c(servers: int, load: float) -> float:
    """The part of those who wait of M/M/c."""
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) / (1 - load / servers)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("servers", "rate"), [(1, 600), (3, 2400)])
@pytest.mark.parametrize("model", ["go:2", "thread-per-task"])
def test_calls_without_a_policy_queue_as_m_m_c_does(servers: int, rate: int, model: str) -> None:
    requests = serve(call(), arrivals={"poisson": {"rate_per_s": rate}}, requests=30_000)
    row = calls_of(run([requests], {"service_ns": {"exponential": {"mean_ns": 1e6}}, "servers": servers}, model))
    load = rate / 1000
    expected = erlang_c(servers, load) * 1e6 / (servers - load)
    assert row.answered == row.calls == row.attempts == 30_000
    assert row.mean_wait_ns == pytest.approx(expected, rel=0.12)
    assert row.mean_service_ns == pytest.approx(1e6, rel=0.03)
    assert row.latency.mean_ns == pytest.approx(row.mean_wait_ns + row.mean_service_ns, rel=0.06)
    assert row.utilization == pytest.approx(load / servers, rel=0.05)


POLICIES: list[Table] = [
    {"timeout_ns": 9_103_331, "retries": 2, "backoff": NONE},
    {"timeout_ns": 7_303_919, "retries": 3, "backoff": {"strategy": "exponential", "base_ns": 3_412_219}},
    {"timeout_ns": 8_705_273, "deadline_ns": 19_911_863, "retries": 5, "backoff": NONE},
    {"timeout_ns": 9_103_331, "retries": 4, "backoff": NONE, "budget": {"per_call": 0.2, "burst": 3}},
    {"timeout_ns": 9_103_331, "retries": 0, "backoff": NONE, "breaker": {"window": 10, "open_ns": 50_171_317}},
    {"retries": 1, "backoff": {"strategy": "exponential", "base_ns": 2_131_993}},
]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("drops_expired", [False, True])
@pytest.mark.parametrize("model", ["go:2", "thread-per-task", "tokio:2", "event-loop"])
def test_counts_are_those_of_the_service_of_the_same_numbers(policy: Table, drops_expired: bool, model: str) -> None:
    # Bursts and pauses at times that nothing else is a multiple of: what a cpu takes changes no order of events.
    times = [137.0 + 1_000_000 * (place * 5 + (place % 7) * 3) - 3_000_000 * (place % 3 == 1) for place in range(200)]
    times = sorted(time * 0.9137 for time in times if time > 0)
    station = {"service_ns": 5_231_777, "servers": 1, "queue_max": 3, "drops_expired": drops_expired}
    arrivals: Mapping[str, Any] = {"recorded": {"times_ns": times}}
    service = runq.ServiceScenario(
        name="same", load={"arrivals": arrivals}, client=policy, dependency=station, duration_ns=20e9
    )
    expected = runq.simulate(service).totals
    until_all_is_late = {"op": "sleep", "ns": 100_000_000}
    program = [serve(call(policy=policy), arrivals=arrivals), until_all_is_late]
    row = calls_of(run(program, station, model, cpus=4, machine=QUICK))
    assert row.calls == expected.requests == len(times)
    for name in ("answered", "failed", "failed_retries", "failed_budget", "failed_deadline", "failed_breaker"):
        assert getattr(row, name) == getattr(expected, name), name
    for name in ("attempts", "retries", "timeouts", "refused", "late", "breaker_openings"):
        assert getattr(row, name) == getattr(expected, name), name
    assert row.failed > 0


def policies() -> st.SearchStrategy[Table | None]:
    backoffs = st.sampled_from(["none", "exponential", "full-jitter", "equal-jitter", "decorrelated"])
    policy = st.fixed_dictionaries(
        {"retries": st.integers(0, 4), "backoff": backoffs.map(lambda name: {"strategy": name, "base_ns": 5_000})},
        optional={
            "timeout_ns": st.integers(1, 60_000),
            "deadline_ns": st.integers(1, 120_000),
            "budget": st.just({"per_call": 0.5, "burst": 2}),
            "breaker": st.just({"window": 3, "open_ns": 20_000, "probes": 1}),
        },
    )
    return st.one_of(st.none(), policy)


@settings(max_examples=120, deadline=None)
@given(
    policy=policies(),
    model=st.sampled_from(MODELS),
    cpus=st.integers(1, 3),
    station=st.fixed_dictionaries(
        {"service_ns": st.integers(0, 30_000), "servers": st.integers(1, 3), "queue_max": st.integers(0, 5)},
        optional={"network_ns": st.integers(0, 9_000), "drops_expired": st.booleans()},
    ),
)
def test_every_call_ends_and_every_attempt_is_accounted_for(
    policy: Table | None, model: str, cpus: int, station: Table
) -> None:
    program = [repeat(9, task(compute(3_000), call(policy=policy), compute(2_000), call(policy=policy))), JOIN]
    r = run(program, station, model, cpus)
    row = calls_of(r)
    assert row.calls == row.answered + row.failed == 18
    assert 0 <= row.attempts - row.answered - row.timeouts <= row.refused
    assert row.late + row.expired <= row.timeouts, "whoever gave up is answered late, or not served"
    assert row.attempts <= 18 + row.retries
    assert row.latency.count == 18
    assert not r.deadlock
    if policy is None:
        assert (row.timeouts, row.retries, row.late) == (0, 0, 0)
        assert row.refused == row.failed
    assert run(program, station, model, cpus).digest == r.digest


@pytest.mark.parametrize("model", RUNTIMES)
def test_a_breaker_is_shared_by_calls_of_the_same_policy(model: str) -> None:
    policy = {"timeout_ns": 1_000_000, "retries": 0, "breaker": {"window": 2, "open_ns": 1e9}}
    program = [
        call(policy=policy),
        call(policy=dict(policy)),
        call(policy=policy),
        call(policy=policy | {"retries": 1}),
    ]
    row = calls_of(run([task(*program), JOIN], {"service_ns": 5_000_000}, model))
    assert (row.failed_retries, row.failed_breaker, row.breaker_openings) == (3, 1, 2), "the fourth is another client"


def test_dependencies_are_told_apart_and_draw_other_numbers() -> None:
    drawn = {"service_ns": {"exponential": {"mean_ns": 1e6}}}
    r = run([repeat(50, call("db"), call("other"))], drawn, None, other=drawn)
    first, other = calls_of(r), calls_of(r, "other")
    assert first.calls == other.calls == 50
    assert first.mean_service_ns != other.mean_service_ns
    assert "calls to" in str(r)
    assert r.to_dict()["dependencies"]["other"]["calls"] == 50


def test_what_cannot_be_called_is_an_error() -> None:
    cases: list[tuple[Op, Table, str]] = [
        (call("cache"), {"service_ns": 1}, r"processes\[0\]\.program\[0\]\.to: must be one of the scenario\'s"),
        (call(policy={"timeout_ns": 0}), {"service_ns": 1}, r"program\[0\]\.policy\.timeout_ns: must be above 0"),
        (call(policy={"tries": 1}), {"service_ns": 1}, r"program\[0\]\.policy\.tries: unknown field"),
        (call(), {}, r"dependencies\.db\.service_ns: must be given"),
        (call(), {"service_ns": 1, "servers": 0}, r"dependencies\.db\.servers: must be 1 to"),
    ]
    for op, station, message in cases:
        with pytest.raises(runq.ConfigError, match=message):
            run([op], station)
    with pytest.raises(runq.ConfigError, match="to"):
        run([{"op": "call"}], {"service_ns": 1})


def test_a_process_that_ends_leaves_its_calls() -> None:
    policy = {"timeout_ns": 3_000_000, "retries": 9, "backoff": NONE}
    for model in MODELS:
        r = run([repeat(3, task(call(policy=policy))), compute(4_000_000), {"op": "exit"}], {"service_ns": 1e9}, model)
        assert calls_of(r).answered == 0
        assert calls_of(r).utilization <= 1


def test_calls_are_compared_under_each_model() -> None:
    request = [compute(20_000), call()]
    load = serve(*request, arrivals={"poisson": {"rate_per_s": 3_000}}, requests=300)
    station = {"service_ns": 800_000, "servers": 4}
    scenario = runq.Scenario(name="shop", processes=[runq.ProcessSpec("p", [load])], dependencies={"db": station})
    table = runq.compare("granite-rapids-vm", scenario, models=["thread-per-task", "thread-pool:2", "go"], repeat=1)
    p50 = {row.model: row.latency_ns["p50"] for row in table.models}
    assert p50["thread-pool:2"] > 2 * p50["go"], "two threads are fewer than four servers"


# ---- deadlines


def deadline(ns: float, *body: Op) -> Op:
    return {"op": "deadline", "ns": ns, "body": list(body)}


@pytest.mark.parametrize("model", MODELS)
def test_a_deadline_is_handed_down_to_calls_and_the_calls_of_tasks(model: str) -> None:
    # 10 ms for all: the first call takes 4 of them, the second sees 6 that are left, the third is not begun.
    body = [call(), call(policy={"timeout_ns": 8_000_000, "retries": 5, "backoff": NONE}), call()]
    station = {"service_ns": 4_000_000}
    slow = {"service_ns": 50_000_000}
    program = [deadline(10_000_000, call(), call("slow", {"timeout_ns": 80_000_000}), call())]
    for own in (program, [task(*program), JOIN], [deadline(10_000_000, task(*program[0]["body"]), JOIN)]):
        r = run(own, station, model, slow=slow)
        db, there = calls_of(r), calls_of(r, "slow")
        assert (db.calls, db.answered, db.failed_deadline, db.not_begun, db.attempts) == (2, 1, 1, 1, 1)
        assert (there.calls, there.answered, there.timeouts, there.failed_deadline) == (1, 0, 1, 1)
        assert there.not_begun == 0, "it was begun, and its time was up before it was answered"
        assert there.latency.max_ns == pytest.approx(6_000_000, rel=0.05), "what was left"
    assert calls_of(run(body, station, model)).answered == 3, "no deadline, no limit"


@pytest.mark.parametrize("model", MODELS)
def test_the_nearest_of_deadlines_counts_and_the_outer_one_goes_on_behind_it(model: str) -> None:
    inner = deadline(1e9, call(policy={"deadline_ns": 2_000_000}), call("other"))
    r = run([deadline(9_000_000, inner, deadline(1, compute(10), call("late")), call("other"), call("last"))],
            {"service_ns": 5_000_000}, model, other={"service_ns": 3_000_000}, late={"service_ns": 1},
            last={"service_ns": 3_000_000})  # fmt: skip
    rows = {name: calls_of(r, name) for name in ("db", "other", "late", "last")}
    assert rows["db"].latency.max_ns == pytest.approx(2_000_000, rel=0.05), "the call's own"
    assert (rows["other"].answered, rows["late"].not_begun, rows["late"].attempts) == (2, 1, 0)
    assert (rows["last"].timeouts, rows["last"].failed_retries) == (1, 1), "without a policy it has none"
    assert rows["last"].latency.max_ns == pytest.approx(1_000_000, rel=0.1), "2 + 3 + 3 of 9 ms are gone"


def test_a_deadline_is_told_to_who_is_called_so_that_it_drops_what_nobody_waits_for() -> None:
    program = [repeat(5, task(deadline(5_000_000, call()))), JOIN, {"op": "sleep", "ns": 1e8}]
    for drops, late in ((False, 4), (True, 0)):
        row = calls_of(run(program, {"service_ns": 4_000_000, "drops_expired": drops}))
        assert (row.answered, row.timeouts, row.expired + row.late) == (1, 4, 4)
        # The second is served: it began before its time was up.
        assert row.late == max(late, 1)


@pytest.mark.parametrize("model", MODELS)
def test_requests_past_their_deadline_are_not_begun_and_counted(model: str) -> None:
    # One cpu for twice as much work: requests wait longer and longer, and what they call would be of no use.
    arrivals = {"constant": {"rate_per_s": 2000}}
    request = serve(compute(1_000_000), call(), arrivals=arrivals, requests=100)
    station = {"service_ns": 1000}
    without = run([request], station, model, cpus=1)
    limited = run([{**request, "deadline_ns": 5_000_000}], station, model, cpus=1)
    load, free = limited.loads[0], without.loads[0]
    assert (free.completed, free.expired, free.refused) == (100, 0, 0)
    assert load.expired > 20
    assert load.refused == load.expired
    assert load.completed + load.refused == load.arrived == 100
    row = calls_of(limited)
    assert row.calls == load.completed, "what is not begun calls nobody"
    assert row.answered + row.failed_deadline == row.calls
    assert limited.makespan_ns < without.makespan_ns


def test_a_deadline_that_is_none_is_an_error() -> None:
    station = {"service_ns": 1}
    with pytest.raises(runq.ConfigError, match=r"processes\[0\]\.program\[0\]\.ns: must be above 0, got 0"):
        run([deadline(0, call())], station)
    with pytest.raises(runq.ConfigError, match=r"processes\[0\]\.program\[0\]\.ns: must be given"):
        run([{"op": "deadline", "body": [call()]}], station)
    with pytest.raises(runq.ConfigError, match=r"program\[0\]\.deadline_ns: must be above 0, got 0"):
        run([{**serve(call()), "deadline_ns": 0}], station)


def test_a_deadline_changes_nothing_for_what_keeps_it() -> None:
    body = [repeat(3, task(compute(1000), call())), JOIN]
    plain = run(body, {"service_ns": 10_000})
    kept = run([deadline(1e12, *body)], {"service_ns": 10_000})
    assert kept.makespan_ns == plain.makespan_ns
    assert calls_of(kept) == calls_of(plain)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_read(model: str) -> None:
    machine = PLAIN.with_set("kernel.sync.pipe_read_ns=100000")
    for station, policy, reads in (
        ({"service_ns": 1_000_000}, None, 1),
        ({"service_ns": 1_000_000, "queue_max": 0}, None, 1),
        ({"service_ns": 9_000_000}, {"timeout_ns": 1_000_000, "retries": 0}, 0),
    ):
        dear = run([task(call(policy=policy)), JOIN], station, model, machine=machine)
        cheap = run([task(call(policy=policy)), JOIN], station, model, machine=PLAIN)
        more = dear.ledger["syscall"] - cheap.ledger["syscall"]
        price = 100_000 - PLAIN.kernel.sync.pipe_read_ns
        assert more == pytest.approx(reads * price, abs=2_000), "an answer is a message, a timeout is none"
