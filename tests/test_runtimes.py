"""Laws of tasks under every execution model, and what tells the models apart."""

from typing import Any

import numpy as np
import pytest
import runq
from hypothesis import given, settings
from hypothesis import strategies as st
from peak_memory import growth_bytes
from task_programs import (
    JOIN,
    MODELS,
    PLAIN,
    RUNTIMES,
    Program,
    block,
    compute,
    io,
    programs,
    repeat,
    run,
    runtime_of,
    scenario_of,
    serve,
    sleep,
    task,
)

Go = runq.WorkStealing.go

# ---- laws of every run


@given(programs(2), st.sampled_from(MODELS), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=150)
def test_the_ledger_adds_up_and_no_task_is_lost(program: Program, model: str, cpus: int, seed: int) -> None:
    r = run([*program, JOIN], model=model, cpus=cpus, seed=seed)
    if r.runtime is not None:
        assert r.runtime.tasks_refused == 0
        # The first thread of some runtimes is a task too, and ends with its process.
        assert r.runtime.tasks - r.runtime.tasks_ended <= 1 or r.deadlock
    threads = r.threads
    assert bool(r.deadlock) == bool(np.isnan(threads.ended_ns).any())
    has_run = ~np.isnan(threads.first_run_ns)
    assert (threads.created_ns[has_run] <= threads.first_run_ns[has_run] + 1e-3).all()


@given(programs(2), st.sampled_from(MODELS), st.integers(1, 4))
@settings(max_examples=60)
def test_the_same_seed_gives_the_same_digest(program: Program, model: str, cpus: int) -> None:
    digests = {run([*program, JOIN], model=model, cpus=cpus).digest for _ in range(2)}
    assert len(digests) == 1


@pytest.mark.parametrize("model", MODELS)
def test_every_task_runs_once(model: str) -> None:
    body = {"op": "measure", "name": "task", "body": [compute(1000), sleep(5000), compute(1000)]}
    r = run([repeat(50, task(task(body), body, JOIN)), JOIN], model=model, cpus=3)
    assert r["task"].count == 100
    assert r["task"].total_ns >= 100 * 7000
    assert not r.deadlock


def test_requests_are_the_same_under_every_model() -> None:
    times = {"exponential": {"mean_ns": 2000}}
    program = [serve(compute(times), io(times), block(times), requests=200)]
    results = [run(program, model=model, cpus=4) for model in MODELS]
    waits = {(r.waits["io"].count, round(r.waits["io"].total_ns, 3)) for r in results}
    waits |= {(r.waits["block"].count, round(r.waits["io"].total_ns, 3)) for r in results}
    computed = {round(r.ledger["user"] / 1e3) for r in results}
    assert {(r.loads[0].arrived, r.loads[0].completed, r.loads[0].refused) for r in results} == {(200, 200, 0)}
    assert (len(waits), len(computed)) == (1, 1)


# ---- fork and join

STEPS = [
    "create",
    "end",
    "switch",
    "park",
    "ready",
    "timer",
    "expire",
    "poll",
    "global",
    "visit",
    "steal",
    "nap",
    "spin",
]
FREE = {f"{step}_ns": 0 for step in [*STEPS, "grow", "preempt"]}


def tree(depth: int, leaf_ns: int) -> Program:
    """Two tasks a node. The span is the way from the root to a leaf."""
    if depth == 0:
        return [compute(leaf_ns)]
    child = tree(depth - 1, leaf_ns)
    return [compute(leaf_ns), task(*child), task(*child), JOIN]


@pytest.mark.parametrize("model", ["go", "tokio", "java", "work-stealing"])
@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_fork_join_takes_no_longer_than_a_greedy_schedule(model: str, cpus: int) -> None:
    leaf, depth = 200_000, 5
    work, span = leaf * (2 ** (depth + 1) - 1), leaf * (depth + 1)
    r = run(tree(depth, leaf), model={model: {"costs": FREE}}, cpus=cpus)
    assert max(work / cpus, span) <= r.makespan_ns <= 1.02 * (work / cpus + 1.5 * span)
    assert runtime_of(r).steals <= 8 * cpus * (depth + 1)


def test_loops_do_not_steal() -> None:
    r = run([repeat(40, task(compute(10_000))), JOIN], model="event-loop-per-cpu", cpus=4)
    assert runtime_of(r).steals == 0


# ---- blocking calls, input and time


def test_a_blocking_call_stops_a_loop_but_not_go() -> None:
    program = [repeat(10, task(block(1e6))), JOIN]
    loop, go = (run(program, model=model) for model in ("event-loop", "go"))
    assert loop.makespan_ns >= 10e6
    assert go.makespan_ns < 2.5e6
    assert runtime_of(loop).blocking_calls == 10


@pytest.mark.parametrize("model", RUNTIMES)
def test_input_stops_nobody(model: str) -> None:
    assert run([repeat(10, task(io(1e6))), JOIN], model=model).makespan_ns < 1.3e6


@pytest.mark.parametrize("tasks", [10, 100])
def test_go_hands_slots_of_blocked_threads_over(tasks: int) -> None:
    r = run([repeat(tasks, task(block(100e6))), JOIN], model=Go(workers=2))
    assert 100e6 <= r.makespan_ns <= 115e6
    assert tasks <= runtime_of(r).threads <= tasks + 4
    assert tasks - 2 <= runtime_of(r).hand_offs <= tasks


@pytest.mark.parametrize("threads_max", [1, 2, 3, 8])
def test_go_without_more_threads_waits_for_those_that_block(threads_max: int) -> None:
    r = run([repeat(20, task(block(1e6))), JOIN], model=Go(workers=2, threads_max=threads_max))
    assert runtime_of(r).tasks_ended == 20
    assert runtime_of(r).threads <= threads_max + 1, "the monitor is none of them"
    assert r.makespan_ns < 25e6
    assert not r.deadlock
    assert len([line for line in r.log if "may not make another thread" in line.text]) == 1


def test_the_monitor_is_awake_when_time_brings_work() -> None:
    hogs = [task(sleep(50e6), compute(1e9)), task(sleep(51e6), compute(1e6))]
    r = run([*hogs, JOIN], model=Go(workers=1), cpus=1)
    assert runtime_of(r).preemptions > 0


# ---- tasks that do not stop


@pytest.mark.parametrize(("model", "ended"), [("go", 3), ("tokio", 0), ("java", 0), ("event-loop", 0)])
def test_a_task_that_never_stops_starves_others_where_nobody_preempts(model: str, ended: int) -> None:
    hog = task(repeat(1000, compute(1e6)))
    quick = task({"op": "measure", "name": "quick", "body": [sleep(1e6), compute(10)]})
    r = run([hog, repeat(3, quick), JOIN], model={model: {"workers": 1}}, cpus=1, until_ns=300e6)
    assert r.measures["quick"].count == ended


def test_slices_of_go_are_about_20_ms_and_java_has_none() -> None:
    program = [repeat(2, task(compute(1e9))), JOIN]
    go, java = (runtime_of(run(program, model={model: {"workers": 1}}, cpus=1)) for model in ("go", "java"))
    assert 2e9 / go.preemptions == pytest.approx(20.2e6, rel=0.05)
    assert java.preemptions == 0


# ---- pools


def test_a_pool_runs_no_more_than_its_threads() -> None:
    r = run([repeat(40, task(sleep(1e6))), JOIN], model=runq.ThreadPool(8))
    assert 5e6 <= r.makespan_ns < 6e6
    assert runtime_of(r).threads == 8


def test_a_full_queue_turns_requests_away_and_counts_them() -> None:
    program = [serve(compute(100_000), requests=200)]
    r = run(program, model=runq.ThreadPool(2, queues={"capacity": 3}))
    load, runtime = r.loads[0], runtime_of(r)
    assert load.refused > 0
    assert load.completed + load.refused == load.arrived == 200
    assert runtime.tasks_refused == load.refused
    assert load.in_flight_peak <= 2 + 3 + 1


# ---- loads


@pytest.mark.parametrize("model", MODELS)
def test_requests_in_flight_are_those_of_littles_law(model: str) -> None:
    rate = 20_000
    arrivals = {"poisson": {"rate_per_s": rate}}
    r = run([serve(io({"exponential": {"mean_ns": 1e6}}), arrivals=arrivals, requests=2000)], model=model, cpus=4)
    load = r.loads[0]
    # Who answers exists from arrival to end; threads of the runtime live for longer.
    lifetimes = np.sort(r.threads.ended_ns - r.threads.created_ns)[:2000]
    assert load.completed == 2000
    assert load.latency.mean_ns == pytest.approx(lifetimes.mean(), rel=0.05)
    assert load.in_flight_peak >= rate * load.latency.mean_ns / 1e9


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("clients", [1, 3, 20])
def test_a_closed_load_goes_by_the_law_of_response_time(model: str, clients: int) -> None:
    think, service = 100_000, 20_000
    arrivals = {"closed": {"clients": clients, "think_ns": think}}
    load = run([serve(compute(service), arrivals=arrivals, requests=200)], model=model).loads[0]
    assert load.completed == 200
    assert load.in_flight_peak <= clients
    most = clients * 1e9 / (think + load.latency.mean_ns)
    # The first requests come without having thought on end.
    assert load.throughput_per_s <= 1.1 * most + 1
    assert load.throughput_per_s <= 2e9 / service * 1.01


@pytest.mark.parametrize("model", MODELS)
def test_two_servers_of_one_process_keep_their_requests_apart(model: str) -> None:
    arrivals = {"poisson": {"rate_per_s": 500_000}}
    servers: list[dict[str, Any]] = [
        task(serve(compute(1000), arrivals=arrivals, requests=100) | {"name": name}) for name in ("a", "b")
    ]
    r = run([*servers, JOIN], model=model, cpus=2)
    assert [(load.arrived, load.completed, load.refused) for load in r.loads] == [(100, 100, 0)] * 2


def test_a_monitor_keeps_its_carrier_before_java_24() -> None:
    """Twenty tasks sleep 10 ms, each within a lock of its own: two at a time on two carriers, or all at once."""
    inside = lambda lock: [{"op": "lock", "lock": lock}, sleep(10e6), {"op": "unlock", "lock": lock}]  # noqa: E731
    program = [*(task(*inside(f"lock {number}")) for number in range(20)), JOIN]
    old, new = (run(program, model=model, cpus=2).makespan_ns for model in ("java-21:2", "java:2"))
    assert 100e6 <= old < 102e6
    assert 10e6 <= new < 11e6
    before = [{"op": "lock", "lock": "one"}, {"op": "unlock", "lock": "one"}, sleep(10e6)]
    outside = [*(task(*before) for _ in range(20)), JOIN]
    assert run(outside, model="java-21:2", cpus=2).makespan_ns < 11e6


def test_who_waits_for_a_monitor_keeps_its_carrier_too() -> None:
    holder = task({"op": "lock", "lock": "one"}, sleep(10e6), {"op": "unlock", "lock": "one"})
    waiter = task({"op": "lock", "lock": "one"}, {"op": "unlock", "lock": "one"})
    program = [holder, waiter, task({"op": "measure", "name": "third", "body": [compute(1000)]}), JOIN]
    old, new = (run(program, model=model, cpus=2) for model in ("java-21:2", "java:2"))
    assert not old.deadlock
    assert max(old.threads.response_ns) > 9e6, "both carriers are kept, and the third task waits"
    assert max(new.threads.response_ns) < 1e6


@pytest.mark.parametrize("model", ["go", "java"])
def test_a_task_takes_less_than_300_bytes_of_the_host(model: str) -> None:
    before = f"""
import runq
machine = runq.machines.load("granite-rapids-vm").with_set("cpus=2")
sleepers = lambda tasks: runq.simulate("sleepers", machine, "{model}", tasks=tasks)
sleepers(1000)
"""
    assert growth_bytes(before, "assert sleepers(400_000).runtime.tasks_ended >= 400_000") < 300 * 400_000


@pytest.mark.parametrize("model", MODELS)
def test_a_join_by_name_waits_for_the_tasks_of_that_name_and_for_no_others(model: str) -> None:
    named = [task(compute(2_000_000), name="some"), task(compute(1_000_000), name="some"), task(sleep(90_000_000))]
    program = [*named, {"op": "measure", "name": "wait", "body": [{"op": "join", "name": "some"}]}, JOIN]
    r = run(program, model=model, cpus=4)
    assert r["wait"].count == 1
    assert 1_500_000 < (r["wait"].max_ns or 0) < 50_000_000
    assert r.makespan_ns > 90_000_000
    again = [task(name="none"), JOIN, {"op": "join", "name": "none"}]
    assert not run(again, model=model).deadlock


@pytest.mark.parametrize(("choice", "woken"), [("spread", 3), ("as-woken", 1)])
def test_input_that_comes_at_once_wakes_a_worker_for_each_task_that_finds_one_idle(choice: str, woken: int) -> None:
    program = [repeat(8, task(io(1_000_000), compute(500_000))), JOIN]
    model = {"go": {"workers": 4, "queues": {"input": choice}}}
    r = runq.simulate(scenario_of(program), PLAIN.with_set("cpus=4"), model, seed=1, events=True)
    assert r.events is not None
    rows = [(at, kind) for at, kind in zip(r.events.at_ns, r.events.kind, strict=True) if at > 1_000_000]
    first = next(at for at, kind in rows if kind == "run")
    kinds = [kind for at, kind in rows if at < first]
    assert kinds.count("unpark") == 8, "one look finds all of them"
    assert kinds.count("wake") == woken
    if choice == "spread":
        tasks = r.events.task[r.events.kind == "run"]
        assert set(tasks[:3]) == {3, 4, 5}, "the last that came but one, and those before it, are for the others"
