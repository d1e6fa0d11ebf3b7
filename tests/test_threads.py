"""Laws of threads under every policy and fidelity, what they wait for, and what bad input says."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runq
from hypothesis import example, given, settings
from hypothesis import strategies as st
from runq import sched
from thread_programs import Program, programs

THEORY = json.loads((Path(__file__).parent / "golden" / "queueing.json").read_text())

POLICIES: dict[str, dict[str, Any]] = {
    "fifo": {},
    "sjf": {},
    "stcf": {},
    "round-robin": {"time_slice_us": 2},
    "mlfq": {"time_slices_us": [1, 2], "allotments": [1, 2], "boost_us": 20},
    "lottery": {"time_slice_us": 2},
    "stride": {"time_slice_us": 2},
    "priority": {"time_slice_us": 2, "aging_us": 3},
    "cfs": {"latency_us": 6, "min_granularity_us": 1, "wakeup_granularity_us": 1, "tick_us": 1},
    "eevdf": {"base_slice_us": 3, "tick_us": 1},
}
FIDELITIES = st.sampled_from(["none", "addresses", "footprint"])

# A small machine, so that working sets of a few pages evict one another.
SMALL = runq.Machine(
    caches=[runq.Cache("L1D", size="4KiB", ways=4), runq.Cache("L2", size="32KiB", ways=8)],
    tlbs=[runq.Tlb("L1 dTLB", entries=8, ways=4)],
    memory_size="64MiB",
    memory_latency_cycles=200,
).with_set("kernel.timer.tick_ns=5000", "kernel.timer.interrupt_ns=300", "kernel.switch.wake_remote_ns=700")

# A machine whose time is that of programs and switches alone.
PLAIN = runq.machines.load("granite-rapids-vm").with_set("kernel.timer.tick_ns=0", "kernel.switch.wake_remote_ns=0")
SWITCH = PLAIN.kernel.switch
SWITCH_MAX = sum(
    (SWITCH.save_ns, SWITCH.pick_ns, SWITCH.restore_ns, SWITCH.return_ns, SWITCH.space_ns, SWITCH.flush_ns)
)

# By how much a cpu may be ahead of the others.
WINDOW_NS = 1000


def compute(nanoseconds: float) -> dict[str, Any]:
    return {"op": "compute", "ns": nanoseconds}


def repeat(times: int, *body: dict[str, Any]) -> dict[str, Any]:
    return {"op": "repeat", "times": times, "body": list(body)}


def thread(*child: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"op": "thread", "child": list(child), **fields}


def acquire(name: str) -> dict[str, Any]:
    return {"op": "acquire", "semaphore": name}


def release(name: str) -> dict[str, Any]:
    return {"op": "release", "semaphore": name}


def measured(name: str, *body: dict[str, Any]) -> dict[str, Any]:
    return {"op": "measure", "name": name, "body": list(body)}


FOREVER = repeat(1 << 40, compute(1e6))


def run(
    *processes: Program | runq.ProcessSpec,
    scheduler: Any = "fifo",
    cpus: int = 1,
    machine: runq.Machine = PLAIN,
    policy: sched.Policy | None = None,
    kernel: dict[str, Any] | None = None,
    **fields: Any,
) -> runq.SimulateResult:
    specs = [
        process if isinstance(process, runq.ProcessSpec) else runq.ProcessSpec(f"p{place}", process)
        for place, process in enumerate(processes)
    ]
    choices = runq.KernelChoices(scheduler=scheduler, **kernel or {})
    scenario = runq.Scenario(name="test", processes=specs, kernel=choices, **fields)
    return runq.simulate(scenario, machine.with_set(f"cpus={cpus}"), policy=policy)


# ---- laws of every run


def assert_laws(r: runq.SimulateResult, cpus: int) -> None:
    whole = cpus * r.makespan_ns
    assert sum(r.ledger.values()) == pytest.approx(whole, abs=1e-3)
    for ledger in r.ledger_by_cpu:
        assert sum(ledger.values()) == pytest.approx(r.makespan_ns, abs=1e-3)
    threads = r.threads
    ended = np.where(np.isnan(threads.ended_ns), r.makespan_ns, threads.ended_ns)
    has_run = ~np.isnan(threads.first_run_ns)
    assert (threads.created_ns[has_run] <= threads.first_run_ns[has_run]).all()
    assert (threads.first_run_ns <= ended)[has_run].all()
    assert (threads.created_ns <= ended).all()
    # Who ends wakes those that join it, behind its end.
    switch = r.config.kernel.switch
    beyond = len(threads) * (switch.wake_ns + switch.dequeue_ns)
    assert (threads.run_ns + threads.wait_ns <= ended - threads.created_ns + beyond + 1e-3).all()
    assert threads.run_ns.sum() <= whole - r.ledger["idle"] - r.ledger["switch"] + 1e-3
    assert (threads.switches_voluntary.sum(), threads.switches_involuntary.sum()) == (
        r.scheduling.switches_voluntary,
        r.scheduling.switches_involuntary,
    )
    assert r.scheduling.space_switches <= r.scheduling.switches
    assert r.scheduling.tlb_flushes <= r.scheduling.space_switches
    assert bool(r.deadlock) == bool(np.isnan(threads.ended_ns).any())
    if r.misses is not None:
        assert sum(r.misses.stall_ns_by_cause.values()) == pytest.approx(r.ledger["stall"], abs=1e-2)
        for cause, stall in r.misses.stall_ns_by_cause.items():
            own = threads.stall_ns[cause].sum() + r.misses.kernel.stall_ns_by_cause[cause]
            assert own == pytest.approx(stall, abs=1e-2)
            assert sum(level[cause] for level in r.misses.by_level.values()) == pytest.approx(
                r.misses.by_cause[cause], abs=2
            )


TOUCHES: list[dict[str, Any]] = [
    {"op": "touch", "region": "set", "unit": "line", "count": 100, "access": "read", "pattern": "uniform"},
    {"op": "touch", "region": "set", "unit": "line"},
    {"op": "touch", "region": "stack", "count": 2},
    {"op": "fork"},
    {"op": "fork", "child": [compute(500)]},
]
SET = {"op": "mmap", "region": "set", "size": "8KiB"}
RANDOM = st.lists(programs(2, None, st.sampled_from(TOUCHES)).map(lambda ops: [SET, *ops]), min_size=1, max_size=4)


@pytest.mark.parametrize("name", POLICIES)
@given(processes=RANDOM, cpus=st.integers(1, 4), memory=FIDELITIES, per_cpu=st.booleans(), steal=st.booleans())
@settings(max_examples=40)
def test_time_adds_up_whatever_programs_do(
    name: str, processes: list[Program], cpus: int, memory: Any, per_cpu: bool, steal: bool
) -> None:
    kernel = {"queues": "per-cpu" if per_cpu else "auto", "steal": steal}
    options: dict[str, Any] = {"scheduler": {name: POLICIES[name]}, "cpus": cpus, "memory": memory, "kernel": kernel}
    r = run(*processes, machine=SMALL, **options)
    assert_laws(r, cpus)
    assert run(*processes, machine=SMALL, **options).digest == r.digest


@pytest.mark.parametrize("name", POLICIES)
@given(
    services=st.lists(st.integers(1, 9_000), min_size=1, max_size=8),
    cpus=st.integers(1, 4),
    per_cpu=st.booleans(),
)
@example(services=[499, 1, 1, 8000], cpus=3, per_cpu=False)
@settings(max_examples=40)
def test_no_cpu_idles_while_a_thread_waits_and_grahams_bound_holds(
    name: str, services: list[int], cpus: int, per_cpu: bool
) -> None:
    kernel = {"queues": "per-cpu" if per_cpu else "auto"}
    r = run(*([compute(service)] for service in services), scheduler={name: POLICIES[name]}, cpus=cpus, kernel=kernel)
    threads = r.threads
    for cpu, ledger in enumerate(r.ledger_by_cpu):
        # A cpu that idles has nobody to take: it does so behind its last thread, or for the moment by which another
        # cpu is ahead that puts one back.
        last = threads.ended_ns[threads.cpu == cpu].max(initial=0)
        assert ledger["idle"] <= r.makespan_ns - last + WINDOW_NS * r.scheduling.switches + 1e-3
    busy = sum(r.ledger.values()) - r.ledger["idle"]
    last = threads.ended_ns.argmax()
    leaves = 1 + threads.switches_voluntary[last] + threads.switches_involuntary[last]
    # Whenever it waits, all cpus are busy with others, but for the moment by which the one that takes it is ahead.
    own = threads.run_ns[last]
    assert r.ledger["user"] == sum(services)
    ahead = WINDOW_NS if cpus > 1 else 0
    assert r.makespan_ns <= (busy - own) / cpus + own + leaves * (SWITCH_MAX + ahead) + 1e-3


@given(services=st.lists(st.integers(5_000, 9_000), min_size=1, max_size=8), time_slice=st.integers(1, 5))
def test_round_robin_answers_within_a_slice_of_each_other_thread(services: list[int], time_slice: int) -> None:
    r = run(*([compute(service)] for service in services), scheduler={"round-robin": {"time_slice_us": time_slice}})
    assert r.threads.response_ns.max() <= (len(services) - 1) * (1000 * time_slice + SWITCH_MAX)


# ---- shares


@pytest.mark.parametrize(
    ("name", "least"),
    [("round-robin", 0.999), ("mlfq", 0.99), ("stride", 0.999), ("cfs", 0.999), ("eevdf", 0.999), ("lottery", 0.9)],
)
@pytest.mark.parametrize("memory", ["none", "footprint"])
def test_equal_hogs_have_equal_shares(name: str, least: float, memory: Any) -> None:
    r = run(*[[FOREVER]] * 5, scheduler=name, until_ns=5e9, memory=memory)
    assert r.scheduling.fairness > least
    assert r.scheduling.switches_involuntary > 50


@pytest.mark.parametrize("nice", [0, 1, 5, 10])
@pytest.mark.parametrize("name", ["cfs", "eevdf"])
def test_nice_values_are_shares(name: str, nice: int) -> None:
    hogs = [runq.ProcessSpec("hog", [FOREVER], nice=value) for value in (0, nice)]
    share = run(*hogs, scheduler=name, until_ns=30e9).threads.run_ns
    assert abs(share[0] / share.sum() - THEORY["linux"]["share_nice0_vs"][str(nice)]) < 0.005


@pytest.mark.parametrize(("name", "off"), [("stride", 0.005), ("lottery", 0.06)])
def test_tickets_are_shares_and_threads_have_those_of_their_maker(name: str, off: float) -> None:
    hog = [FOREVER]
    makes = [thread(*hog, tickets=100), thread(*hog), FOREVER]
    r = run(runq.ProcessSpec("hogs", makes, tickets=300), scheduler=name, until_ns=20e9)
    share = r.threads.run_ns / r.threads.run_ns.sum()
    assert abs(share - np.array([3 / 7, 1 / 7, 3 / 7])).max() < off


def test_smaller_numbers_go_first_under_priority() -> None:
    specs = [runq.ProcessSpec(f"p{number}", [compute(1000)], priority=number) for number in (3, 1, 2)]
    blocker = runq.ProcessSpec("first", [compute(10)])
    r = run(blocker, *specs, scheduler="priority")
    assert r.threads.ended_ns[1:].argsort().tolist() == [1, 2, 0]


# ---- threads come and go


def test_join_waits_for_the_threads_that_it_names() -> None:
    short, long = thread(compute(1000), name="short"), thread(compute(50_000), name="long")
    waits = [measured("join", {"op": "join", "name": "short"}), measured("rest", {"op": "join"})]
    r = run([short, long, *waits], cpus=3)
    created, ended = r.threads.created_ns, r.threads.ended_ns
    assert r.threads.pid.tolist() == [2, 2, 2]
    assert ended[1] < ended[2] < ended[0]
    assert r["rest"].max_ns > 40_000 > r["join"].max_ns
    assert created.tolist() == [0, 3000, 6000]


def test_join_of_who_has_ended_or_never_was_costs_nothing() -> None:
    made = [thread(name="a"), {"op": "sleep", "ns": 1e6}]
    joins = [measured("join", {"op": "join", "name": name}) for name in ("a", "nobody")]
    r = run([*made, *joins, measured("join", {"op": "join"})])
    assert (r["join"].count, r["join"].total_ns) == (3, 0)


def test_threads_without_a_program_go_on_with_that_of_their_maker() -> None:
    r = run([repeat(2, {"op": "thread"}), measured("work", compute(100)), {"op": "join"}])
    assert (len(r.threads), r["work"].count, r.deadlock) == (4, 4, ())


def test_the_end_of_the_first_thread_ends_all_that_run_wait_or_are_ready() -> None:
    r = run([thread(FOREVER), thread(acquire("never")), thread(FOREVER), thread(FOREVER), compute(50_000)], cpus=3)
    assert len(set(r.threads.ended_ns)) == 1
    assert r.threads.run_ns[1] > 50_000
    assert np.isnan(r.threads.first_run_ns).sum() == 1
    assert r.makespan_ns < 200_000


def test_exit_in_any_thread_ends_the_process() -> None:
    r = run([thread(compute(10), {"op": "exit", "code": 3}), FOREVER], cpus=2, until_ns=1e7)
    assert [process.end for process in r.processes[1:]] == ["exit 3"]
    assert not np.isnan(r.threads.ended_ns).any()


def test_threads_beyond_the_limit_are_refused_and_the_program_goes_on() -> None:
    limited = PLAIN.with_set("kernel.threads_max=10")
    r = run([repeat(20, thread(acquire("go"))), repeat(9, release("go")), {"op": "join"}, compute(77)], machine=limited)
    row = r.scheduling
    assert (row.threads, row.threads_peak, row.threads_refused) == (10, 10, 11)
    assert r.ledger["user"] == 77
    assert "may not make a thread: the limit of 10 is reached" in r.log[0].text


# ---- waiting for one another


@pytest.mark.parametrize("name", POLICIES)
def test_semaphores_serve_in_the_order_of_waiting(name: str) -> None:
    def waiter(number: int) -> dict[str, Any]:
        return thread({"op": "sleep", "ns": 10_000 * number}, acquire("go"), measured(f"{number}", compute(10)))

    order = [3, 1, 4, 2]
    frees = [repeat(1, {"op": "sleep", "ns": 100_000}, release("go"))] * 4
    r = run([*map(waiter, order), *frees, {"op": "join"}], scheduler=name)
    # Threads 1 to 4 slept 30, 10, 40 and 20 us.
    assert r.threads.ended_ns[1:].argsort().tolist() == [1, 3, 0, 2]


def test_a_full_pipe_makes_its_writer_wait() -> None:
    send = {"op": "send", "channel": "pipe", "bytes": 16384}
    writer = [*([measured("fits", send)] * 4), measured("waits", send)]
    reader = [{"op": "sleep", "ns": 1e6}, repeat(5, {"op": "recv", "channel": "pipe"})]
    r = run(writer, reader, scheduler="round-robin")
    assert r["fits"].max_ns == PLAIN.kernel.sync.pipe_write_ns
    assert r["waits"].min_ns is not None
    assert r["waits"].min_ns > 900_000
    assert r.deadlock == ()


def test_messages_pass_between_processes_and_a_reader_waits_for_one() -> None:
    r = run([measured("read", {"op": "recv", "channel": "c"})], [compute(5000), {"op": "send", "channel": "c"}])
    assert r["read"].max_ns > 5000
    assert r.threads.switches_voluntary.tolist() == [1, 0]


def test_a_cycle_of_joins_is_a_deadlock_that_is_told() -> None:
    one = thread({"op": "yield_now"}, {"op": "join", "name": "two"}, name="one")
    two = thread({"op": "join", "name": "one"}, name="two")
    r = run([one, two, {"op": "join"}])
    assert [(stuck.name, stuck.waits_for) for stuck in r.deadlock] == [
        (None, "the threads that it made"),
        ("one", "thread two"),
        ("two", "thread one"),
    ]
    assert re.search("deadlock: thread 0 of process p0 waits for the threads that it made", r.log[-1].text)


def test_a_deadlock_ends_the_run_and_leaves_others_alone() -> None:
    r = run([acquire("never")], [compute(1e6)], [{"op": "recv", "channel": "never"}])
    assert [stuck.waits_for for stuck in r.deadlock] == ["semaphore never", "a message of channel never"]
    assert r.makespan_ns < 2e6


def test_who_joins_itself_is_an_error() -> None:
    with pytest.raises(runq.SimulationError, match="thread me waits for its own end"):
        run([thread({"op": "join", "name": "me"}, name="me"), {"op": "join"}])


# ---- cpus


@pytest.mark.parametrize("name", POLICIES)
def test_threads_run_where_their_affinity_says(name: str) -> None:
    specs = [runq.ProcessSpec("here", [repeat(5, compute(3000), {"op": "yield_now"})], affinity=[2], copies=3)]
    makes = [thread(compute(5000), affinity=[0, 3]), thread(compute(5000)), compute(5000), {"op": "join"}]
    specs.append(runq.ProcessSpec("there", makes, affinity=[1]))
    r = run(*specs, scheduler={name: POLICIES[name]}, cpus=4)
    assert r.threads.cpu[:4].tolist() == [2, 2, 2, 1]
    assert r.threads.cpu[4] in (0, 3)
    assert r.threads.cpu[5] == 1
    assert r.threads.migrations.tolist() == [0] * 6


def test_idle_cpus_steal_unless_told_not_to() -> None:
    # The second cpu's thread ends early; the first cpu has one more than it can run.
    services = [[compute(100_000)], [compute(1000)], [compute(100_000)]]
    kernel = {"queues": "per-cpu", "steal": True}
    both = run(*services, cpus=2, kernel=kernel)
    assert both.threads.cpu.tolist() == [0, 1, 1]
    alone = run(*services, cpus=2, kernel=kernel | {"steal": False})
    assert alone.threads.cpu.tolist() == [0, 1, 0]
    assert alone.makespan_ns > both.makespan_ns + 50_000


def test_ticks_take_the_time_of_who_runs_and_none_of_idle_cpus() -> None:
    machine = PLAIN.with_set("kernel.timer.tick_ns=10000", "kernel.timer.interrupt_ns=1000")
    r = run([compute(95_000)], [{"op": "sleep", "ns": 1e6}], machine=machine, cpus=2)
    # 95 us and ten ticks on the way, and those of the two exits.
    assert r.ledger["user"] == 95_000
    assert r.ledger["interrupt"] == 1000 * r.scheduling.ticks
    assert 10 <= r.scheduling.ticks <= 20


def test_a_waking_thread_on_an_idle_cpu_is_late_by_the_interrupt() -> None:
    machine = PLAIN.with_set("kernel.switch.wake_remote_ns=5000")
    specs = [
        runq.ProcessSpec("waits", [acquire("go"), measured("late", compute(0))], affinity=[1]),
        runq.ProcessSpec("wakes", [compute(20_000), release("go")], affinity=[0]),
    ]
    r = run(*specs, machine=machine, cpus=2)
    sync = machine.kernel.sync
    woken = 20_000 + sync.futex_wake_ns + SWITCH.wake_ns + SWITCH.dequeue_ns
    assert r.threads.ended_ns[0] == woken + 5000 + SWITCH.pick_ns + machine.kernel.teardown.exit_ns


def test_processes_beyond_the_identifiers_flush_and_threads_never_do() -> None:
    turns = [repeat(50, {"op": "yield_now"})]
    counts = []
    for tasks in (6, 7):
        row = run(*[turns] * tasks, scheduler="round-robin").scheduling
        counts.append((row.tlb_flushes > 250, row.tlb_flushes == tasks - 1))
    assert counts == [(False, True), (True, False)]
    row = run([*[thread(*turns)] * 7, {"op": "join"}], scheduler="round-robin").scheduling
    assert (row.space_switches, row.tlb_flushes) == (0, 0)


# ---- caches


@pytest.mark.parametrize("memory", ["addresses", "footprint"])
def test_who_shares_a_cpu_pollutes_and_who_is_alone_does_not(memory: Any) -> None:
    work = [SET, repeat(20, {"op": "touch", "region": "set", "unit": "line"}, {"op": "yield_now"})]
    quiet = SMALL.with_set("kernel.timer.tick_ns=0", "caches.L1D.size=16KiB")
    kernel: dict[str, Any] = {"machine": quiet, "memory": memory, "scheduler": "round-robin"}
    alone, together = run(work, **kernel).misses, run(work, work, work, **kernel).misses
    assert alone is not None
    assert together is not None
    assert together.pollution > 500
    assert alone.pollution < together.pollution / 20
    assert sum(row.pollution for row in together.reload) == pytest.approx(
        together.pollution - together.kernel.by_cause["replaced"] - together.kernel.by_cause["reordered"], abs=20
    )


# ---- policies in Python


class Fifo(sched.Policy):
    """First in, first out."""

    def __init__(self) -> None:
        self.queue: list[int] = []

    def enqueue(self, task: sched.Task, reason: str, now_us: float) -> None:
        self.queue.append(task.id)

    def pick(self, now_us: float) -> int | None:
        return self.queue.pop(0) if self.queue else None

    def remove(self, task_id: int, now_us: float) -> None:
        self.queue.remove(task_id)


class Turns(Fifo):
    """Round robin."""

    def time_slice(self, task_id: int, now_us: float) -> float:
        return 3


@pytest.mark.parametrize(("mine", "theirs"), [(Fifo, "fifo"), (Turns, {"round-robin": {"time_slice_us": 3}})])
@given(processes=RANDOM, cpus=st.integers(1, 3))
@settings(max_examples=40)
def test_a_policy_in_python_does_what_the_same_in_rust_does(
    mine: type[sched.Policy], theirs: Any, processes: list[Program], cpus: int
) -> None:
    built_in = run(*processes, scheduler=theirs, cpus=cpus)
    assert run(*processes, scheduler="fifo", cpus=cpus, policy=mine()).digest == built_in.digest


class Nobody(Fifo):
    def pick(self, now_us: float) -> int | None:
        return None


class Wrong(Fifo):
    def pick(self, now_us: float) -> int | None:
        return 7


class Raises(Fifo):
    def enqueue(self, task: sched.Task, reason: str, now_us: float) -> None:
        raise ZeroDivisionError("mine")


@pytest.mark.parametrize(
    ("policy", "error", "text"),
    [
        (Wrong(), runq.SimulationError, "picks 7, which is not queued"),
        (Nobody(), runq.SimulationError, "picks nobody"),
        (Raises(), ZeroDivisionError, "mine"),
    ],
)
def test_a_policy_in_python_that_is_wrong_is_told_so(policy: sched.Policy, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        run([compute(10)], [compute(10)], policy=policy)


# ---- bad input


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (thread(nice=20), r"processes\[0\].program\[0\].nice: must be -20 to 19, got 20"),
        (thread(tickets=0), r"processes\[0\].program\[0\].tickets: must be 1 to 2\^24, got 0"),
        (thread(affinity=[]), r"processes\[0\].program\[0\].affinity: must name at least one cpu"),
        (thread(affinity=[64]), r"processes\[0\].program\[0\].affinity: must name cpus below 64, got 64"),
        (thread(affinity=[1]), r"affinity.*must name cpus of the machine, which has 1, got 1"),
        (thread(name=""), r"processes\[0\].program\[0\].name: must have a name of 1 to 64"),
        (thread(compute(-1)), r"must be|expected"),
        ({"op": "thread", "chilt": []}, "unknown field"),
        (
            {"op": "send", "channel": "c", "bytes": 0},
            r"bytes: must be 1 to 65536, what a pipe holds, got 0",
        ),
        ({"op": "send", "channel": "c", "bytes": 65537}, r"program\[0\].bytes: must be 1 to 65536"),
        ({"op": "acquire"}, "semaphore"),
        ({"op": "recv", "channel": "\n"}, "must have a name"),
        ({"op": "join", "name": 3}, "name"),
    ],
)
def test_a_wrong_op_is_told_with_path_rule_and_value(op: dict[str, Any], text: str) -> None:
    with pytest.raises(runq.ConfigError, match=text):
        run([op])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"scheduler": "rr"}, "scheduler"),
        ({"scheduler": {"round-robin": {"time_slice_us": 0}}}, "time_slice_us: must be at least 1e-6 us, got 0"),
        ({"scheduler": {"round-robin": {"slice": 1}}}, "slice"),
        ({"scheduler": "eevdf", "kernel": {"queues": "shared"}}, "kernel.queues: must be per-cpu under this scheduler"),
        ({"cpus": 0}, "cpus: must be between 1 and 64, got 0"),
        ({"cpus": 65}, "cpus"),
    ],
)
def test_wrong_choices_are_told_with_path_rule_and_value(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(runq.ConfigError, match=text):
        run([compute(1)], **arguments)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"nice": -21}, r"processes\[0\].nice: must be -20 to 19, got -21"),
        ({"affinity": [3]}, r"processes\[0\].affinity: must name cpus of the machine, which has 2, got 3"),
        ({"tickets": -1}, "tickets"),
        ({"copies": 1 << 21}, r"processes\[0\].copies: must be at most 2\^20"),
    ],
)
def test_a_wrong_process_is_told_with_path_rule_and_value(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(runq.ConfigError, match=text):
        run(runq.ProcessSpec("p", [compute(1)], **fields), cpus=2)


def test_one_queue_for_all_cpus_cannot_serve_threads_with_an_affinity() -> None:
    with pytest.raises(runq.ConfigError, match=r"kernel.queues: must be per-cpu where threads have an affinity"):
        run([thread(affinity=[0])], cpus=2, kernel={"queues": "shared"})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("kernel.threads_max=0", "kernel.threads_max: must be between 2 and"),
        ("kernel.timer.tick_ns=5", "kernel.timer.tick_ns: must be 0 or at least 1000, got 5"),
        ("kernel.footprint.thread=1MiB", "kernel.footprint.thread: must be at most 32KiB, got 1MiB"),
        ("kernel.footprint.mlp=0", "kernel.footprint.mlp"),
        ("kernel.switch.asids=-1", "kernel.switch.asids"),
        ("kernel.switch.saves_ns=1", "saves_ns"),
    ],
)
def test_wrong_prices_are_told_with_path_rule_and_value(change: str, text: str) -> None:
    with pytest.raises(runq.ConfigError, match=text):
        run([compute(1)], machine=PLAIN.with_set(change))
