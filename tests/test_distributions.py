"""Times that are drawn, against a reference; ops that wait; what is refused."""

from typing import Any

import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st
from reference.distributions import time_ns, uniform
from reference.rng import Stream

# Nothing interrupts a computation.
MACHINE = runq.machines.load("granite-rapids-vm").with_set("kernel.timer.tick_ns=0")

NANOS = st.one_of(st.integers(0, 10**6), st.floats(0, 1e6))
SOME_NANOS = st.floats(1, 1e6)


def times_of(op: str, ns: Any, *, seed: int = 0, repeats: int = 3) -> runq.SimulateResult:
    body = [{"op": "measure", "name": "time", "body": [{"op": op, "ns": ns}]}]
    program = [{"op": "repeat", "times": repeats, "body": body}]
    scenario = runq.Scenario(name="times", processes=[runq.ProcessSpec("p", program)])
    return runq.simulate(scenario, MACHINE, seed=seed)


def distributions() -> st.SearchStrategy[dict[str, Any]]:
    bounds = st.tuples(NANOS, NANOS).map(sorted)
    weighted = st.lists(st.tuples(NANOS, st.integers(0, 5)), min_size=1, max_size=6)
    return st.one_of(
        NANOS.map(lambda mean: {"exponential": {"mean_ns": mean}}),
        bounds.map(lambda pair: {"uniform": {"min_ns": pair[0], "max_ns": pair[1]}}),
        st.builds(lambda mean, sd: {"normal": {"mean_ns": mean, "sd_ns": sd}}, NANOS, NANOS),
        st.builds(lambda ns, sigma: {"lognormal": {"median_ns": ns, "sigma": sigma}}, SOME_NANOS, st.floats(0, 3)),
        st.builds(lambda ns, sigma: {"lognormal": {"mean_ns": ns, "sigma": sigma}}, SOME_NANOS, st.floats(0, 3)),
        st.builds(lambda ns, shape: {"pareto": {"scale_ns": ns, "shape": shape}}, SOME_NANOS, st.floats(0.3, 20)),
        st.lists(NANOS, min_size=1, max_size=6).map(lambda values: {"empirical": {"values_ns": values}}),
        weighted.filter(lambda rows: any(weight for _, weight in rows)).map(
            lambda rows: {"empirical": {"values_ns": [row[0] for row in rows], "weights": [row[1] for row in rows]}}
        ),
    )


@given(distributions(), st.integers(0, 2**64 - 1))
def test_computations_take_the_times_of_the_reference(distribution: dict[str, Any], seed: int) -> None:
    measured = times_of("compute", distribution, seed=seed)["time"]
    # Thread 0 is that of process 1, whose child runs the program.
    stream = Stream(seed, "durations", 0)
    expected = sorted(time_ns(distribution, uniform(stream)) for _ in range(3))
    got = [measured.min_ns, measured.median_ns, measured.max_ns]
    assert got == pytest.approx(expected, rel=1e-11, abs=0.001)


@pytest.mark.parametrize("op", ["sleep", "io", "block"])
def test_waits_take_a_call_and_their_time(op: str) -> None:
    fixed = times_of(op, 700)
    drawn = times_of(op, {"uniform": {"min_ns": 700, "max_ns": 700}})
    sleep = times_of("sleep", 700)
    assert fixed["time"] == drawn["time"] == sleep["time"]
    assert fixed["time"].total_ns >= 2100
    if op == "sleep":
        assert fixed.waits == {}
    else:
        assert list(fixed.waits) == [op]
        assert (fixed.waits[op].count, fixed.waits[op].total_ns) == (3, 2100)


def test_threads_draw_from_streams_of_their_own() -> None:
    child = [{"op": "io", "ns": {"exponential": {"mean_ns": 1000}}}]
    program = [{"op": "thread", "child": child}, {"op": "thread", "child": child}, {"op": "join"}]
    scenario = runq.Scenario(name="threads", processes=[runq.ProcessSpec("p", program)])
    first, second = runq.simulate(scenario).threads.turnaround_ns[1:]
    assert abs(first - second) > 1
    assert runq.simulate(scenario, seed=1).digest != runq.simulate(scenario, seed=2).digest


def test_policies_that_look_ahead_expect_the_mean() -> None:
    short = {"exponential": {"mean_ns": 1000}}
    program = [
        {"op": "thread", "name": "long", "child": [{"op": "compute", "ns": 2_000_000}]},
        {"op": "thread", "name": "short", "child": [{"op": "compute", "ns": short}]},
        {"op": "join"},
    ]
    kernel = runq.KernelChoices(scheduler="sjf")
    scenario = runq.Scenario(name="sjf", processes=[runq.ProcessSpec("p", program)], kernel=kernel)
    threads = runq.simulate(scenario).threads
    assert threads.first_run_ns[2] < threads.first_run_ns[1]


@pytest.mark.parametrize(
    ("ns", "rule"),
    [
        ({"exponential": {"mean_ns": -1}}, "program[0].ns.exponential.mean_ns: must be 0 to 1e14, got -1"),
        ({"exponential": {"mean_ns": float("nan")}}, "processes[0].program[0]: must be a number"),
        ({"exponential": {"mean_ns": 1e300}}, "program[0].ns.exponential.mean_ns: must be 0 to 1e14, got"),
        ({"pareto": {"scale_ns": 1, "shape": -2}}, "program[0].ns.pareto.shape: must be 0.01 to 1e3, got -2"),
        ({"empirical": {"values_ns": []}}, "program[0].ns.empirical.values_ns: must hold 1 to 1048576 values, got 0"),
        ({"gaussian": {"mean_ns": 1}}, "must be one of exponential, uniform, normal, lognormal, pareto, empirical"),
        ({}, "processes[0].program[0]"),
        (-1, "a time in nanoseconds, from 0 to 1e14, or a table with the name of a distribution"),
        ("fast", "a time in nanoseconds, from 0 to 1e14, or a table with the name of a distribution"),
        (float("inf"), "a time in nanoseconds"),
    ],
)
def test_wrong_durations_are_told(ns: Any, rule: str) -> None:
    scenario = runq.Scenario(name="wrong", processes=[runq.ProcessSpec("p", [{"op": "io", "ns": ns}])])
    with pytest.raises(runq.ConfigError) as error:
        runq.simulate(scenario)
    assert rule in str(error.value)
