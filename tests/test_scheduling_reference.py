"""Every policy against the slow model of `tests/reference/scheduling.py`: every column, to the picosecond."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st
from reference import scheduling as slow
from runq import sched

US = slow.US

# By name: the policy, and what makes a queue of its slow twin of the number of cpus, the seed and the queue's number.
POLICIES: dict[str, tuple[sched.BuiltinPolicy, Callable[[int, int, int], slow.Policy]]] = {
    "fifo": (sched.FIFO(), lambda cpus, seed, index: slow.Policy()),
    "sjf": (sched.SJF(), lambda cpus, seed, index: slow.Sjf()),
    "stcf": (sched.STCF(), lambda cpus, seed, index: slow.Stcf()),
    "round-robin": (sched.RoundRobin(time_slice_us=3), lambda cpus, seed, index: slow.Sliced(3 * US)),
    "mlfq": (
        sched.MLFQ(time_slices_us=(2, 3, 7), allotments=(1, 2, 1), boost_us=50),
        lambda cpus, seed, index: slow.Mlfq([2 * US, 3 * US, 7 * US], [1, 2, 1], 50 * US, False),
    ),
    "mlfq that renews": (
        sched.MLFQ(time_slices_us=(2, 4), allotments=(2, 1), boost_us=None, io_renews=True),
        lambda cpus, seed, index: slow.Mlfq([2 * US, 4 * US], [2, 1], None, True),
    ),
    "lottery": (sched.Lottery(time_slice_us=2), lambda cpus, seed, index: slow.Lottery(2 * US, seed, index)),
    "stride": (sched.Stride(time_slice_us=2), lambda cpus, seed, index: slow.Stride(2 * US)),
    "priority": (
        sched.Priority(time_slice_us=4, aging_us=9),
        lambda cpus, seed, index: slow.Priority(4 * US, 9 * US),
    ),
    "priority without age": (
        sched.Priority(time_slice_us=None, aging_us=None),
        lambda cpus, seed, index: slow.Priority(None, None),
    ),
    "cfs": (
        sched.CFS(latency_us=12, min_granularity_us=2, wakeup_granularity_us=2, tick_us=4),
        lambda cpus, seed, index: slow.Cfs(12 * US, 2 * US, 2 * US, 4 * US, cpus),
    ),
    "eevdf": (
        sched.EEVDF(base_slice_us=3, tick_us=2),
        lambda cpus, seed, index: slow.Eevdf(3 * US, 2 * US, cpus),
    ),
    "eevdf by long ticks": (
        sched.EEVDF(base_slice_us=1, tick_us=5),
        lambda cpus, seed, index: slow.Eevdf(US, 5 * US, cpus),
    ),
}

JOBS = st.lists(
    st.fixed_dictionaries(
        {
            "arrival_us": st.integers(0, 30),
            "service_us": st.integers(1, 40),
            "weight": st.sampled_from([1024, 1024, 335, 110, 3121]),
            "tickets": st.integers(1, 5),
            "priority": st.integers(0, 4),
            "io_every_us": st.one_of(st.none(), st.integers(1, 9)),
            "io_us": st.integers(1, 12),
        }
    ),
    min_size=1,
    max_size=9,
)


@pytest.mark.parametrize("name", POLICIES)
@given(
    jobs=JOBS,
    cpus=st.sampled_from([1, 1, 2, 3]),
    per_cpu=st.booleans(),
    steal=st.booleans(),
    switch=st.sampled_from([0, 0, 1, 3]),
    until=st.sampled_from([None, None, 40]),
    seed=st.integers(0, 3),
)
def test_every_column_is_that_of_the_slow_model(
    name: str, jobs: list[dict[str, Any]], cpus: int, per_cpu: bool, steal: bool, switch: int, until: Any, seed: int
) -> None:
    policy, twin = POLICIES[name]
    per_cpu = per_cpu or name.startswith(("cfs", "eevdf"))
    columns = {key: [np.nan if job[key] is None else job[key] for job in jobs] for key in jobs[0]}
    fast = runq.schedule(
        columns,
        policy,
        cpus=cpus,
        queues="per-cpu" if per_cpu else "shared",
        steal=steal,
        context_switch_us=switch,
        until_us=until,
        seed=seed,
        timeline=True,
    )
    model = [
        slow.Job(
            number,
            job["arrival_us"] * US,
            job["service_us"] * US,
            job["weight"],
            job["tickets"],
            job["priority"],
            job["io_every_us"] and job["io_every_us"] * US,
            job["io_us"] * US,
        )
        for number, job in enumerate(jobs)
    ]
    queues = [twin(cpus, seed, index) for index in range(cpus if per_cpu else 1)]
    simulation = slow.Simulation(model, queues, cpus, switch * US, steal)
    elapsed = simulation.run(slow.NEVER if until is None else until * US)
    assert fast.elapsed_us == elapsed / US
    assert [None if np.isnan(end) else end * US for end in fast.end_us] == [job.end for job in model]
    started = [job.first_run if job.first_run is not None and job.first_run <= elapsed else None for job in model]
    assert [None if np.isnan(first) else first * US for first in fast.first_run_us] == started
    assert (fast.run_us * US).tolist() == [job.service - job.left for job in model]
    assert (fast.blocked_us * US).tolist() == [job.blocked for job in model]
    assert fast.switches_voluntary.tolist() == [job.voluntary for job in model]
    assert fast.switches_involuntary.tolist() == [job.involuntary for job in model]
    assert fast.migrations.tolist() == [job.migrations for job in model]
    assert (fast.busy_us * US).tolist() == [cpu.busy for cpu in simulation.cpus]
    assert (fast.switching_us * US).tolist() == [cpu.switching for cpu in simulation.cpus]
    assert fast.switches.tolist() == [cpu.switches for cpu in simulation.cpus]
    assert_timeline_is_possible(fast)


def assert_timeline_is_possible(result: runq.ScheduleResult) -> None:
    """No cpu runs two jobs, no job runs on two cpus, and together they have run what the columns say."""
    line = result.timeline
    for field in ("cpu", "job"):
        for value in set(line[field].tolist()):
            part = line[line[field] == value]
            assert (part["start_us"][1:] >= part["end_us"][:-1]).all()
    run = np.zeros(len(result.run_us))
    np.add.at(run, line["job"], line["end_us"] - line["start_us"])
    assert np.allclose(run, result.run_us)
