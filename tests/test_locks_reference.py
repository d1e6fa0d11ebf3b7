"""Locks on one cpu: the simulator against the step-by-step reference, exactly, deadlocks included."""

from typing import Any

import runq
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lock_programs import kinds, lock_programs
from reference.locks import LocksOnOneCpu
from reference.threads import NEVER
from test_threads_reference import MACHINE, PATHS, picos
from thread_programs import Program

PRICES = PATHS | {"mutex": "sync.mutex_ns", "mutex_alone": "sync.mutex_alone_ns", "spin": "sync.spin_ns"}
COSTS = st.fixed_dictionaries({name: st.sampled_from([0, 1, 7, 100, 1234]) for name in PRICES})
CASES = kinds().flatmap(lambda chosen: st.tuples(st.just(chosen), lock_programs(chosen)))


def simulated(
    costs: dict[str, int], program: Program, chosen: dict[str, tuple[str, str]], slice_ns: int | None
) -> runq.SimulateResult:
    changes = [f"kernel.{path}={costs[name]}" for name, path in PRICES.items()]
    machine = MACHINE.with_set(*changes, "kernel.switch.wake_ns=50", "kernel.switch.dequeue_ns=3")
    scheduler: Any = "fifo" if slice_ns is None else {"round-robin": {"time_slice_us": slice_ns / 1000}}
    used = {
        op["lock"] for thread in [program, *(op.get("child", []) for op in program)] for op in thread if "lock" in op
    }
    locks = {
        name: {"kind": kind} | ({"prefer": prefer} if kind == "rwlock" else {})
        for name, (kind, prefer) in chosen.items()
        if name in used
    }
    tree = {
        "name": "random",
        "processes": [{"name": "p", "program": program}],
        "locks": locks,
        "kernel": {"scheduler": scheduler},
    }
    return runq.simulate(runq.Scenario.from_dict(tree), machine)


@given(CASES, COSTS, st.sampled_from([None, 50, 333, 2000]))
@settings(max_examples=500)
def test_locks_do_on_one_cpu_what_the_reference_does(
    case: tuple[dict[str, tuple[str, str]], Program], costs: dict[str, int], slice_ns: int | None
) -> None:
    chosen, program = case
    prices = {name: 1000 * cost for name, cost in costs.items()} | {"asids": 6, "wake": 53_000}
    reference = LocksOnOneCpu(prices, [(0, program)], chosen, NEVER if slice_ns is None else 1000 * slice_ns)
    reference.play()
    assume(not reference.is_tied)
    r = simulated(costs, program, chosen, slice_ns)
    threads = reference.threads
    for name in ("created", "first_run", "ended"):
        assert picos(getattr(r.threads, f"{name}_ns")) == [getattr(thread, name) for thread in threads], name
    assert {name: round(1000 * time) for name, time in r.ledger.items() if time} == +reference.ledger
    assert round(1000 * r.makespan_ns) == reference.now
    for name, lock in r.locks.items():
        expected = reference.counts()[name]
        assert (lock.acquisitions, lock.contended, lock.hand_offs) == (
            expected["acquisitions"],
            expected["contended"],
            expected["hand_offs"],
        )
        for times, sum_ in ((lock.hold, "held"), (lock.wait, "waited")):
            assert abs(times.mean_ns * times.count * 1000 - expected[sum_]) < 0.5 + 1e-9 * expected[sum_]
        assert round(1000 * lock.spin_ns) == expected["spun"]
    waiting = [thread for thread in threads if thread.waits_for or (thread in reference.phase and not thread.ended)]
    stuck = {thread.number for thread in waiting}
    told = {thread.number for thread in reference.told}
    rows = {row.thread for row in r.deadlock}
    if all(kind != "rwlock" for kind, _ in chosen.values()):
        assert rows == stuck | told
    else:
        assert rows >= stuck
