"""Threads on one cpu under FIFO and round robin: the simulator against the step-by-step reference, exactly."""

from typing import Any

import runq
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from reference.threads import NEVER, OneCpu, Thread
from thread_programs import TIMES, Program, programs

# Where the machine has what the reference calls so.
PATHS = {
    "syscall": "syscall_ns",
    "thread": "fork.thread_ns",
    "exit": "teardown.exit_ns",
    **{name: f"switch.{name}_ns" for name in ("save", "pick", "restore", "return", "space", "flush", "block")},
    "futex_wait": "sync.futex_wait_ns",
    "futex_wake": "sync.futex_wake_ns",
    "pipe_write": "sync.pipe_write_ns",
    "pipe_read": "sync.pipe_read_ns",
}
MACHINE = runq.machines.load("granite-rapids-vm").with_set("kernel.timer.tick_ns=0")

PROCESSES = st.lists(st.tuples(TIMES, programs(2)), min_size=1, max_size=3)
COSTS = st.fixed_dictionaries({name: st.sampled_from([0, 1, 7, 100, 1234]) for name in PATHS})
EXACT: dict[str, int] = dict.fromkeys(PATHS, 100)


def simulated(
    costs: dict[str, int], asids: int, processes: list[tuple[int, Program]], slice_ns: int | None
) -> runq.SimulateResult:
    changes = [f"kernel.{path}={costs[name]}" for name, path in PATHS.items()]
    machine = MACHINE.with_set(*changes, "kernel.switch.wake_ns=50", "kernel.switch.dequeue_ns=3")
    scheduler: Any = "fifo" if slice_ns is None else {"round-robin": {"time_slice_us": slice_ns / 1000}}
    specs = [runq.ProcessSpec(f"p{place}", program, start_ns=start) for place, (start, program) in enumerate(processes)]
    scenario = runq.Scenario(name="random", processes=specs, kernel=runq.KernelChoices(scheduler=scheduler))
    return runq.simulate(scenario, machine.with_set(f"kernel.switch.asids={asids}"))


def picos(column: Any) -> list[int | None]:
    return [None if value != value else round(1000 * value) for value in column.tolist()]


def waits_for(thread: Thread) -> str | None:
    if thread.waits_for is None:
        return None
    kind, what = thread.waits_for
    if kind == "join":
        return "the threads that it made" if what is None else f"thread {what}"
    return {
        "semaphore": f"semaphore {what}",
        "send": f"room in channel {what}",
        "recv": f"a message of channel {what}",
    }[kind]


JOIN: Program = [{"op": "thread", "name": "ann", "child": []}, {"op": "join"}, {"op": "recv", "channel": "a"}]


# The second process starts within a computation, the third at its very end: it must not begin again.
@example([(0, [{"op": "compute", "ns": 10_000}]), (5000, []), (10_000, [])], EXACT, 6, None)
@example([(0, JOIN)], EXACT, 6, 50)
@given(PROCESSES, COSTS, st.sampled_from([0, 1, 2, 6]), st.sampled_from([None, 50, 333, 2000]))
@settings(max_examples=300)
def test_every_thread_does_on_one_cpu_what_the_reference_does(
    processes: list[tuple[int, Program]], costs: dict[str, int], asids: int, slice_ns: int | None
) -> None:
    prices = {name: 1000 * cost for name, cost in costs.items()} | {"asids": asids, "wake": 53_000}
    reference = OneCpu(prices, processes, NEVER if slice_ns is None else 1000 * slice_ns)
    reference.play()
    assume(not reference.is_tied)
    r = simulated(costs, asids, processes, slice_ns)
    threads = reference.threads
    assert r.threads.pid.tolist() == [thread.pid for thread in threads]
    for name in ("created", "first_run", "ended", "run", "wait"):
        assert picos(getattr(r.threads, f"{name}_ns")) == [getattr(thread, name) for thread in threads], name
    assert r.threads.switches_voluntary.tolist() == [thread.voluntary for thread in threads]
    assert r.threads.switches_involuntary.tolist() == [thread.involuntary for thread in threads]
    assert {name: round(1000 * time) for name, time in r.ledger.items() if time} == +reference.ledger
    assert round(1000 * r.makespan_ns) == reference.now
    row = r.scheduling
    assert (row.switches, row.space_switches, row.tlb_flushes) == (
        reference.switches,
        reference.space_switches,
        reference.flushes,
    )
    stuck = [(thread.number, waits_for(thread)) for thread in threads if thread.ended is None]
    assert [(thread.thread, thread.waits_for) for thread in r.deadlock] == stuck[:20]
