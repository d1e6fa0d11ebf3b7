"""Laws of locks on several cpus: nobody is lost, nobody waits for ever, queues balance; and the law of scalability."""

from typing import Any

import numpy as np
import pytest
import runq
from hypothesis import given, settings
from hypothesis import strategies as st

MACHINE = runq.machines.load("granite-rapids-vm")
KINDS = ("barging", "fair", "adaptive", "go", "tas", "ttas", "ticket", "mcs")

Op = dict[str, Any]


def lock(name: str = "A") -> Op:
    return {"op": "lock", "lock": name}


def unlock(name: str = "A") -> Op:
    return {"op": "unlock", "lock": name}


def compute(ns: float) -> Op:
    return {"op": "compute", "ns": ns}


def simulate(cpus: int, programs: list[list[Op]], **locks: runq.LockSpec) -> runq.SimulateResult:
    made = [{"op": "thread", "child": program} for program in programs]
    process = runq.ProcessSpec("p", [*made, {"op": "join"}])
    scenario = runq.Scenario(name="laws", processes=[process], locks=locks)
    return runq.simulate(scenario, MACHINE.with_set(f"cpus={cpus}"))


def loop(times: int, *body: Op) -> list[Op]:
    return [{"op": "repeat", "times": times, "body": list(body)}]


PROGRAMS = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 3000), st.integers(0, 3000), st.booleans()), min_size=1, max_size=6
)


@given(PROGRAMS, st.sampled_from(KINDS), st.sampled_from(KINDS), st.integers(1, 4))
@settings(max_examples=150)
def test_nobody_is_lost_and_queues_balance(
    rows: list[tuple[int, int, int, bool]], kind: str, inner: str, cpus: int
) -> None:
    """The core asserts that a lock has one holder. Locks are taken in one order: a lost wake-up would stop it."""
    programs = []
    for times, inside, outside, nests in rows:
        within = [lock("B"), compute(inside), unlock("B")] if nests else [compute(inside)]
        programs.append(loop(times, lock(), *within, unlock(), compute(outside)))
    locks = {"A": runq.LockSpec(kind=kind)}  # type: ignore[arg-type]
    if any(nests for *_, nests in rows):
        locks["B"] = runq.LockSpec(kind=inner)  # type: ignore[arg-type]
    r = simulate(cpus, programs, **locks)
    assert not r.deadlock
    assert not np.isnan(r.threads.ended_ns).any()
    assert r.locks["A"].acquisitions == sum(times for times, *_ in rows)
    for row in r.locks.values():
        # Little's law: those who wait on average are those who come a time, for as long as they wait.
        waited = row.wait.count * row.wait.mean_ns
        assert row.queue_mean * r.makespan_ns == pytest.approx(waited, rel=1e-6, abs=200 * max(1, row.wait.count))
        assert row.wait.count == row.contended
        assert row.hold.count == row.acquisitions
        # One at a time: all holds lie one behind the other, but for the line on its way.
        assert row.hold.mean_ns * row.hold.count <= r.makespan_ns + 400 * row.acquisitions
        assert row.queue_max < max(2, len(rows))
        assert row.critical_ns <= r.makespan_ns + 400 * row.acquisitions


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("inside", "outside"), [(1000, 1000), (1000, 9000), (5000, 0)])
def test_no_lock_is_faster_than_it_can_be(kind: str, inside: int, outside: int) -> None:
    threads = 4
    body = (lock(), compute(inside), unlock(), compute(outside))
    r = simulate(threads, [loop(500, *body)] * threads, A=runq.LockSpec(kind=kind))  # type: ignore[arg-type]
    per_ns = r.locks["A"].acquisitions / r.makespan_ns
    # Hand-overs are seen up to a transfer of 60 ns early.
    assert per_ns <= min(threads / (inside + outside), 1 / (inside - 60))


@pytest.mark.parametrize("kind", ["fair", "ticket", "mcs"])
def test_locks_in_order_have_bounded_waits(kind: str) -> None:
    body = (lock(), compute(1000), unlock())
    r = simulate(4, [loop(300, *body)] * 4, A=runq.LockSpec(kind=kind))  # type: ignore[arg-type]
    wake = MACHINE.kernel.switch.wake_remote_ns + 5000 if kind == "fair" else 1000
    ticks = 2 * MACHINE.kernel.timer.interrupt_ns
    assert r.locks["A"].wait.max_ns <= 1.02 * 3 * (1000 + wake + ticks)


def test_who_waits_first_is_first_served_by_locks_in_order() -> None:
    for kind in ("fair", "ticket", "mcs"):
        programs = [[{"op": "sleep", "ns": 1e5 * number}, lock(), compute(1_000_000), unlock()] for number in range(5)]
        ends = simulate(5, programs, A=runq.LockSpec(kind=kind)).threads.ended_ns[1:]  # type: ignore[arg-type]
        assert ends.argsort().tolist() == [0, 1, 2, 3, 4], kind


def test_a_hand_over_costs_more_with_more_spinners() -> None:
    def per_hand_over(kind: str, threads: int) -> float:
        body = (lock(), compute(2000), unlock())
        r = simulate(threads, [loop(2000, *body)] * threads, A=runq.LockSpec(kind=kind))  # type: ignore[arg-type]
        return r.makespan_ns / r.locks["A"].acquisitions

    for kind, grows in (("tas", True), ("ttas", True), ("ticket", True), ("mcs", False)):
        few, many = per_hand_over(kind, 2), per_hand_over(kind, 16)
        assert (many > few + 200) == grows, kind


def test_a_second_thread_makes_a_sleeping_mutex_slower() -> None:
    one, two = (row.predicted for row in runq.validate("mutex").rows[:2])
    assert one is not None
    assert two is not None
    assert two < 0.96 * one


def test_the_critical_path_goes_through_the_lock_that_is_waited_for() -> None:
    hot = loop(200, lock("hot"), compute(2000), unlock("hot"))
    cold = loop(10, lock("cold"), compute(100), unlock("cold"))
    r = simulate(4, [hot, hot, hot, cold], hot=runq.LockSpec(kind="mcs"), cold=runq.LockSpec())
    assert r.locks["hot"].critical_ns > 0.8 * r.makespan_ns
    assert r.locks["cold"].critical_ns == 0


@given(st.floats(0, 0.9), st.floats(0, 0.1), st.floats(1, 1e6))
def test_the_law_of_scalability_is_found_again(sigma: float, kappa: float, gamma: float) -> None:
    threads = [1, 2, 3, 5, 8, 13, 21]
    law = runq.Usl(gamma=gamma, sigma=sigma, kappa=kappa, peak_threads=1, peak_throughput=1, error=0)
    found = runq.usl(threads, [law.throughput(count) for count in threads])
    assert (found.gamma, found.sigma, found.kappa) == pytest.approx((gamma, sigma, kappa), rel=1e-5, abs=1e-7)
    assert found.error < 1e-6
    if kappa > 1e-4:
        assert found.peak_threads == pytest.approx(max(1.0, np.sqrt((1 - sigma) / kappa)), rel=1e-2)


@pytest.mark.parametrize(
    ("threads", "throughput", "text"),
    [
        ([1, 2], [1, 2], "threads: must have at least three different numbers"),
        ([1, 2, 3], [1, 2], "throughput: must be one number for each of the 3"),
        ([0, 2, 3], [1, 2, 3], "threads: must be at least 1"),
        ([1, 2, 3], [1, 0, 3], "throughput: must be above 0"),
        ([1, 2, 3], [1, float("nan"), 3], "throughput: must be above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(threads: list[float], throughput: list[float], text: str) -> None:
    with pytest.raises(runq.ConfigError, match=text):
        runq.usl(threads, throughput)


def test_scenarios_of_locks_show_what_they_are_about() -> None:
    for order in ("ordered", "odd-even"):
        assert runq.simulate("dining-philosophers", order=order).outcome["meals"] == 50
    assert runq.simulate("dining-philosophers").outcome["is_deadlocked"]
    assert runq.simulate("producer-consumer").outcome["items_consumed"] == 1000
    by_channel = runq.simulate("producer-consumer", how="channel")
    assert by_channel.outcome["items_consumed"] == by_channel.channels["buffer"].received == 1000
    assert by_channel.channels["buffer"].length_max <= 8
    stuck = runq.simulate("producer-consumer", order="lock-first").outcome
    assert stuck["is_deadlocked"]
    assert stuck["items_consumed"] < 1000
    for scheduler in ("priority", "cfs", "eevdf"):
        inverted, cured = (
            runq.simulate("priority-inversion", scheduler=scheduler, protocol=protocol, inside_ms=50).outcome[
                "urgent_wait_ns"
            ]
            for protocol in ("none", "inherit")
        )
        assert cured < 0.8 * inverted, scheduler
    assert runq.simulate("lock-contention").outcome["operations_per_s"] <= 200_000


def test_scenarios_of_locks_name_what_is_wrong() -> None:
    for name, values, text in (
        ("lock-contention", {"threads": 0}, "scenario.threads: must be at least 1"),
        ("dining-philosophers", {"philosophers": 1}, "scenario.philosophers: must be at least 2"),
        ("producer-consumer", {"slots": 0}, "scenario.slots: must be at least 1"),
        ("priority-inversion", {"inside_ms": 0}, "scenario.inside_ms: must be above 0"),
    ):
        with pytest.raises(runq.ConfigError, match=text):
            runq.simulate(name, **values)
