"""Java 21 makes up for carriers that block, up to 256; Java 25 does not where measurement shows none."""

import pytest
import runq
from task_programs import JOIN, PLAIN, block, compute, repeat, run, runtime_of, scenario_of, sleep, task

CALL_NS = 20_000_000


@pytest.mark.parametrize(("calls", "rounds"), [(20, 1), (200, 1), (300, 2), (700, 3)])
def test_calls_block_at_the_same_time_up_to_256_carriers(calls: int, rounds: int) -> None:
    r = run([repeat(calls, task(block(CALL_NS))), JOIN], model="java-21:2")
    runtime = runtime_of(r)
    # The thread that looks after time is no carrier.
    assert runtime.threads - 1 <= 256
    if rounds == 1:
        assert runtime.hand_offs == calls, "there is always another that may run tasks"
        assert runtime.threads - 1 == calls + 2
    assert rounds * CALL_NS < r.makespan_ns < (rounds + 0.9) * CALL_NS
    assert runtime.tasks_ended == calls


def test_java_25_adds_no_thread() -> None:
    r = run([repeat(20, task(block(CALL_NS))), JOIN], model="java:2")
    assert runtime_of(r).threads == 3
    assert runtime_of(r).hand_offs == 0
    assert r.makespan_ns > 10 * CALL_NS


def test_a_carrier_that_idles_is_woken_before_a_thread_is_made() -> None:
    program = [task(sleep(1_000_000), block(CALL_NS)), task(sleep(2_000_000), compute(1_000)), JOIN]
    r = run(program, model="java-21:4", cpus=4)
    assert runtime_of(r).hand_offs == 0
    assert runtime_of(r).threads == 5


def test_who_comes_back_runs_on_beside_the_others_and_then_is_a_spare() -> None:
    rounds = repeat(3, block(1_000_000), compute(100_000))
    r = run([repeat(8, task(rounds)), JOIN], model="java-21:2", cpus=4)
    assert runtime_of(r).tasks_ended == 8
    # Eight calls at a time need eight carriers, and no more of them are made in later rounds.
    assert runtime_of(r).threads <= 8 + 2 + 1
    assert r.makespan_ns < 8 * 1_000_000


def test_the_limit_of_carriers_is_the_models() -> None:
    model = {"java-21": {"workers": 2, "threads_max": 5}}
    r = run([repeat(20, task(block(CALL_NS))), JOIN], model=model)
    assert runtime_of(r).threads == 6
    assert 4 * CALL_NS < r.makespan_ns < 4.9 * CALL_NS


def test_hand_overs_are_in_the_log() -> None:
    scenario = scenario_of([repeat(4, task(block(CALL_NS))), JOIN])
    r = runq.simulate(scenario, PLAIN.with_set("cpus=2"), "java-21:2", events=True)
    assert r.events is not None
    lost = r.events.kind == "hand-off"
    assert int(lost.sum()) == runtime_of(r).hand_offs == 4
    assert set(r.events.worker[lost].tolist()) <= {0, 1}
    assert sorted(r.events.task[lost].tolist()) == [0, 1, 2, 3]
