"""Calls by callers that end, at limits, and with bad input: no panic, no hang, and nobody else is woken."""

import json
from typing import Any

import pytest
import runq
from hypothesis import given, settings
from hypothesis import strategies as st
from runq.errors import ConfigError, SimulationError
from task_programs import GIVE_WAY, JOIN, MODELS, PLAIN, WAIT_CHILDREN, Op, Program, compute, repeat, serve, sleep, task

Table = dict[str, Any]

FEW = PLAIN.with_set("kernel.processes_max=60", "kernel.threads_max=60")
EXIT: Op = {"op": "exit"}
EXEC: Op = {"op": "exec", "name": "new", "program": [sleep(30_000_000)]}


def call(to: str = "db", **policy: Any) -> Op:
    return {"op": "call", "to": to} | ({"policy": policy} if policy else {})


def run(
    *programs: Program,
    model: str = "go",
    cpus: int = 2,
    channels: Table | None = None,
    machine: runq.Machine = PLAIN,
    **dependencies: Any,
) -> runq.SimulateResult:
    processes = [{"name": f"p{place}", "program": program} for place, program in enumerate(programs)]
    tree = {"name": "hostile", "processes": processes, "dependencies": dependencies, "channels": channels or {}}
    r = runq.simulate(runq.Scenario.from_dict(tree), machine.with_set(f"cpus={cpus}"), model, seed=1)
    assert sum(r.ledger.values()) == pytest.approx(cpus * r.makespan_ns, abs=1e-2)
    return r


# ---- callers that end


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("last", [EXIT, EXEC])
@pytest.mark.parametrize("cpus", [1, 3])
@pytest.mark.parametrize("policy", [{}, {"timeout_ns": 3_000_000, "retries": 9}])
def test_an_answer_for_who_has_ended_wakes_nobody(model: str, last: Op, cpus: int, policy: Table) -> None:
    # The answers come at 10 ms: the callers are gone by then, and another process has calls of its own under way.
    callers = [repeat(5, task(call(**policy))), sleep(2_000_000), last]
    other = [repeat(3, {"op": "measure", "name": "call", "body": [call("other")]})]
    r = run(callers, other, model=model, cpus=cpus, db={"service_ns": 1e7, "servers": 9}, other={"service_ns": 9e6})
    db, other_db = r.dependencies["db"], r.dependencies["other"]
    if model == "process-per-task":
        assert db.calls == 5, "they outlive who made them"
    else:
        assert (db.calls, db.answered, db.failed) == (5, 0, 0)
        assert db.late == 5 or policy or last is EXIT
    assert (other_db.calls, other_db.answered) == (3, 3)
    assert r.measures["call"].min_ns >= 9e6
    if last is EXEC:
        assert r.makespan_ns >= 32_000_000, "the new program sleeps as long as it says"
    assert not r.deadlock


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cpus", [1, 2])
def test_a_child_that_is_killed_within_a_call_leaves_it(model: str, cpus: int) -> None:
    child = [call(), compute(50), {"op": "send", "channel": "c"}]
    program = [{"op": "fork", "child": child}, sleep(1_000_000), {"op": "kill"}, WAIT_CHILDREN, call(), sleep(1e7)]
    r = run(program, model=model, cpus=cpus, db={"service_ns": 5_000_000, "servers": 2})
    row = r.dependencies["db"]
    assert (row.calls, row.answered, row.late) == (2, 1, 1)
    assert not r.deadlock


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", [{"kind": "queue"}, {"kind": "queue", "capacity": 1}, {"kind": "pipe"}])
def test_a_child_that_is_killed_while_it_waits_for_a_message_takes_none(model: str, kind: Table) -> None:
    waits: Op = {"op": "fork", "child": [{"op": "recv", "channel": "c"}]}
    end = [{"op": "kill"}, WAIT_CHILDREN]
    # Two children wait; the younger is ended. Of two messages one is for the other child, one for who comes last.
    program = [waits, sleep(100_000), waits, sleep(1_000_000), {"op": "kill"}, sleep(1000)]
    program += [repeat(2, {"op": "fork", "child": [{"op": "send", "channel": "c"}]}), sleep(1_000_000)]
    r = run([*program, {"op": "recv", "channel": "c"}, *end], model=model, channels={"c": kind}, db={"service_ns": 1})
    assert r.channels["c"].received == 2
    assert not r.deadlock


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cpus", [1, 3])
@pytest.mark.parametrize("capacity", [0, 1])
def test_a_fork_takes_nobody_along_who_waits_at_a_queue(model: str, cpus: int, capacity: int) -> None:
    waits: Op = {"op": "thread", "child": [{"op": "recv", "channel": "q"}, compute(500)]}
    sends: Op = {"op": "fork", "child": [{"op": "send", "channel": "q"}]}
    program = [waits, sleep(1_000_000), sends, WAIT_CHILDREN, JOIN]
    channels = {"q": {"kind": "queue", "capacity": capacity}}
    r = run(program, model=model, cpus=cpus, channels=channels, db={"service_ns": 1})
    assert (r.channels["q"].sent, r.channels["q"].received) == (1, 1)
    assert not r.deadlock


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cpus", [1, 3])
@pytest.mark.parametrize("after_ns", [0, 700, 20_000])
def test_a_fork_while_another_holds_the_lock_of_an_increment_copies_neither(
    model: str, cpus: int, after_ns: int
) -> None:
    def locked(times: int) -> Op:
        return {"op": "increment", "variable": "v", "how": "locked", "times": times, "work_ns": 50}

    program = [
        {"op": "thread", "child": [locked(2000)]},
        compute(after_ns),
        {"op": "fork", "child": [locked(10)]},
        locked(5),
        WAIT_CHILDREN,
        JOIN,
    ]
    r = run(program, model=model, cpus=cpus, db={"service_ns": 1})
    assert r.variables["v"] == 2015
    assert not r.deadlock


def ops(depth: int, has_tasks: bool) -> st.SearchStrategy[Op]:
    times = st.one_of(st.integers(0, 40), st.integers(0, 20_000))
    names = st.sampled_from(["a", "b"])
    queues = st.sampled_from(["q0", "q2", "p"])
    backoff = st.builds(
        lambda strategy, base: {"strategy": strategy, "base_ns": base},
        st.sampled_from(["none", "exponential", "full-jitter", "equal-jitter", "decorrelated"]),
        st.sampled_from([1, 2000]),
    )
    policy = st.fixed_dictionaries(
        {"retries": st.sampled_from([0, 1, 3, 200]), "backoff": backoff},
        optional={
            "timeout_ns": st.sampled_from([1, 900, 5000, 30_000]),
            "deadline_ns": st.sampled_from([1, 4000, 40_000]),
            "budget": st.just({"per_call": 0.5, "burst": 2}),
            "breaker": st.just({"window": 2, "open_ns": 9000, "probes": 1}),
        },
    )
    calls = st.one_of(st.just(call()), policy.map(lambda fields: call(**fields)))
    locked = st.tuples(names, st.one_of(calls, times.map(compute))).map(
        lambda pair: repeat(1, {"op": "lock", "lock": pair[0]}, pair[1], {"op": "unlock", "lock": pair[0]})
    )
    increments = st.sampled_from(["plain", "split", "atomic", "compare-exchange", "locked"])
    simple = st.one_of(
        calls,
        calls,
        locked,
        times.map(compute),
        times.map(lambda ns: {"op": "measure", "name": f"sleep_{ns}", "body": [sleep(ns)]}),
        times.map(lambda ns: {"op": "measure", "name": f"block_{ns}", "body": [{"op": "block", "ns": ns}]}),
        st.sampled_from([GIVE_WAY, JOIN]),
        names.map(lambda name: {"op": "acquire", "semaphore": name}),
        names.map(lambda name: {"op": "release", "semaphore": name}),
        queues.map(lambda name: {"op": "send", "channel": name}),
        queues.map(lambda name: {"op": "recv", "channel": name}),
        increments.map(lambda how: {"op": "increment", "variable": "v", "how": how}),
    )
    if not depth:
        return simple
    plain, inner = st.lists(ops(depth - 1, False), max_size=6), st.lists(ops(depth - 1, has_tasks), max_size=6)
    structure = st.one_of(
        inner.map(lambda body: {"op": "deadline", "ns": 9000, "body": body}),
        inner.map(lambda child: {"op": "thread", "child": child}),
        plain.map(lambda child: {"op": "fork", "child": child}),
        plain.map(lambda program: {"op": "exec", "name": "new", "program": program}),
        st.sampled_from([EXIT, {"op": "kill"}, WAIT_CHILDREN]),
    )
    if has_tasks:
        arrivals = st.sampled_from([{"closed": {"clients": 2, "think_ns": 3000}}, {"poisson": {"rate_per_s": 200_000}}])
        load = st.fixed_dictionaries({"arrivals": arrivals}, optional={"in_flight_max": st.just(2)})
        requests = st.tuples(inner, load, st.sampled_from([{}, {"deadline_ns": 5000}])).map(
            lambda parts: serve(*parts[0], requests=6, **parts[1]) | parts[2]
        )
        structure = st.one_of(structure, requests, inner.map(lambda child: task(*child)))
    return st.one_of(simple, structure, structure)


@settings(max_examples=200, deadline=None)
@given(
    program=st.lists(ops(2, True), max_size=8),
    other=st.lists(ops(1, False), max_size=6),
    model=st.sampled_from(MODELS),
    cpus=st.integers(1, 3),
    station=st.fixed_dictionaries(
        {"service_ns": st.sampled_from([0, 500, 8000]), "servers": st.integers(1, 2), "queue_max": st.integers(0, 2)},
        optional={"network_ns": st.sampled_from([0, 700]), "drops_expired": st.booleans()},
    ),
)
def test_whatever_ends_when_nothing_panics_and_all_is_accounted_for(
    program: Program, other: Program, model: str, cpus: int, station: Table
) -> None:
    text = json.dumps([program, other])
    named = {"q0": {"kind": "queue"}, "q2": {"kind": "queue", "capacity": 2}}
    channels = {name: kind for name, kind in named.items() if f'"{name}"' in text}
    try:
        r = run(program, other, model=model, cpus=cpus, channels=channels, machine=FEW, db=station)
    except SimulationError as error:
        problem = str(error)
    else:
        problem = ""
        assert_accounted(r)
    assert not problem or "lock" in problem


def assert_accounted(r: runq.SimulateResult) -> None:
    row = r.dependencies["db"]
    assert row.answered + row.failed <= row.calls
    assert row.failed == row.failed_retries + row.failed_budget + row.failed_deadline + row.failed_breaker
    assert row.not_begun <= row.failed_deadline
    assert row.attempts <= row.calls + row.retries
    for load in r.loads:
        assert load.expired <= load.refused
        assert load.completed + load.refused <= load.arrived
    for name, measure in r.measures.items():
        assert measure.count == 0 or measure.min_ns >= float(name.partition("_")[2]), name


# ---- dependencies and policies at their limits


@pytest.mark.parametrize("model", MODELS)
def test_a_dependency_with_one_server_and_no_queue_refuses_all_others(model: str) -> None:
    r = run([repeat(5, task(call())), JOIN], model=model, db={"service_ns": 1e7, "queue_max": 0})
    row = r.dependencies["db"]
    assert (row.answered, row.refused, row.failed_retries, row.queue_peak) == (1, 4, 4, 0)


@pytest.mark.parametrize("model", MODELS)
def test_a_dependency_that_takes_no_time_answers_at_once(model: str) -> None:
    row = run([repeat(50, task(call())), JOIN], model=model, db={"service_ns": 0}).dependencies["db"]
    assert (row.answered, row.utilization) == (50, 0)


@pytest.mark.parametrize("model", MODELS)
def test_a_timeout_of_a_nanosecond_gives_up_before_any_answer(model: str) -> None:
    policy = {"timeout_ns": 1, "retries": 20, "backoff": {"strategy": "none"}}
    program = [repeat(4, task(call(**policy))), JOIN, sleep(1e8)]
    row = run(program, model=model, db={"service_ns": 1000, "network_ns": 1000}).dependencies["db"]
    assert (row.answered, row.failed_retries, row.attempts, row.timeouts, row.late) == (0, 4, 84, 84, 84)


def test_retries_without_a_limit_end_with_the_run_or_its_budget_of_steps() -> None:
    endless = call(timeout_ns=1, retries=(1 << 32) - 1, backoff={"strategy": "exponential", "base_ns": 1, "cap_ns": 1})
    scenario = {
        "name": "endless",
        "processes": [{"name": "p", "program": [task(endless), JOIN]}],
        "dependencies": {"db": {"service_ns": 1000}},
        "until_ns": 1_000_000,
    }
    for model in MODELS:
        r = runq.simulate(runq.Scenario.from_dict(scenario), PLAIN, model)
        row = r.dependencies["db"]
        assert row.attempts >= 5
        assert (row.answered, row.failed) == (0, 0)
        assert r.makespan_ns == pytest.approx(1_000_000, rel=0.05)
    slow = call(timeout_ns=1e13, retries=(1 << 32) - 1, backoff={"base_ns": 1e13, "cap_ns": 1e13})
    with pytest.raises(SimulationError, match="hostile runs for more than 100000 s of simulated time"):
        run([slow], db={"service_ns": 1e14})


BAD: list[tuple[Any, str]] = [
    ([], "program[0].policy: must be a table, got []"),
    (5, "program[0].policy: must be a table, got 5"),
    ({"timeout_ns": -1}, "policy.timeout_ns: must be a time in nanoseconds, from 0 to 1e14, got -1"),
    ({"timeout_ns": 1e15}, "policy.timeout_ns: must be a time in nanoseconds, from 0 to 1e14, got 1"),
    ({"timeout_ns": "soon"}, 'policy.timeout_ns: must be a time in nanoseconds, from 0 to 1e14, got "soon"'),
    ({"deadline_ns": 0}, "policy.deadline_ns: must be above 0, got 0"),
    ({"retries": -1}, "policy.retries: must be an integer from 0 to 4294967295, got -1"),
    ({"retries": 1 << 32}, "policy.retries: must be an integer from 0 to 4294967295, got 4294967296"),
    ({"retries": 1001, "backoff": {"strategy": "none"}}, "policy.retries: must be at most 1000 without a backoff"),
    ({"backoff": {"strategy": "random"}}, "policy.backoff.strategy: must be one of none, exponential, "),
    ({"budget": {"burst": 0}}, "policy.budget.burst: must be 1 to 1000000, got 0"),
    ({"breaker": {"probes": 0}}, "policy.breaker.probes: must be 1 to 128, got 0"),
]


@pytest.mark.parametrize(("policy", "message"), BAD)
def test_a_bad_policy_names_path_rule_and_value(policy: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        run([{"op": "call", "to": "db", "policy": policy}], db={"service_ns": 1})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("station", "message"),
    [
        ({"service_ns": 1, "servers": 0}, "dependencies.db.servers: must be 1 to 65536, got 0"),
        ({"service_ns": 1, "servers": -1}, "dependencies.db.servers: must be an integer from 0 to 4294967295, got -1"),
        ({"service_ns": -1}, "dependencies.db.service_ns: must be a time in nanoseconds, from 0 to 1e14, or a table"),
        ({"service_ns": 1, "queue_max": 1 << 23}, "dependencies.db.queue_max: must be at most 4194304, got 8388608"),
        ({}, "dependencies.db.service_ns: must be given, got nothing"),
    ],
)
def test_a_dependency_without_capacity_names_path_rule_and_value(station: Table, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        run([call()], db=station)
    assert str(error.value).startswith(message)
