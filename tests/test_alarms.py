"""A wait lasts as long as it says: the alarm of an earlier wait, which ended otherwise, does not end it."""

import pytest
import runq
from hypothesis import example, given, settings
from hypothesis import strategies as st
from task_programs import JOIN, MODELS, Op, Program, block, compute, io, repeat, run, serve, sleep, task

LONG_NS = 20_000_000


def measured(op: Op) -> Op:
    """An op, timed under the name of what it is and how long it says."""
    return {"op": "measure", "name": f"{op['op']}_{op['ns']}", "body": [op]}


def assert_waits_last(r: runq.SimulateResult) -> None:
    for name, measure in r.measures.items():
        said = float(name.partition("_")[2])
        assert measure.count == 0 or measure.min_ns >= said, name


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("wait", [sleep(LONG_NS), io(LONG_NS), block(LONG_NS)])
def test_a_worker_that_waited_for_a_time_and_was_woken_before_it_may_block_beyond_it(model: str, wait: Op) -> None:
    # The second worker waits in the kernel for the sleeper when it is woken for the task that is made meanwhile.
    program = [task(sleep(1_000_000)), task(compute(300_000), task(measured(wait)), compute(5_000_000), JOIN), JOIN]
    r = run(program, model=model)
    assert r.measures[f"{wait['op']}_{LONG_NS}"].count == 1
    assert_waits_last(r)


@pytest.mark.parametrize("model", MODELS)
def test_who_waited_for_a_request_that_never_came_sleeps_as_long_as_it_says(model: str) -> None:
    # An answer brings the next request nearer, and with it the load is over: the alarm for the later one is still set.
    arrivals = {"closed": {"clients": 2, "think_ns": {"exponential": {"mean_ns": 1_000_000}}}}
    for seed in range(8):
        for requests in (1, 2, 3):
            program = [serve(compute(1000), arrivals=arrivals, requests=requests), measured(sleep(LONG_NS))]
            assert_waits_last(run(program, model=model, seed=seed))


def programs(depth: int) -> st.SearchStrategy[Program]:
    times = st.integers(0, 30_000)
    waits = st.one_of(times.map(sleep), times.map(io), times.map(block)).map(measured)
    ops = st.one_of(times.map(compute), waits, waits, st.just(JOIN))
    if depth:
        inner = programs(depth - 1)
        ops = st.one_of(ops, inner.map(lambda child: task(*child)), inner.map(lambda child: repeat(3, task(*child))))
    return st.lists(ops, max_size=7)


@settings(max_examples=150, deadline=None)
@example(
    program=[task(sleep(1_000_000)), task(compute(300_000), task(measured(block(LONG_NS))), compute(5_000_000), JOIN)],
    model="work-stealing",
    cpus=2,
)
@given(program=programs(2), model=st.sampled_from(MODELS), cpus=st.integers(1, 4))
def test_every_wait_lasts_as_long_as_it_says(program: Program, model: str, cpus: int) -> None:
    assert_waits_last(run([*program, JOIN], model=model, cpus=cpus))
