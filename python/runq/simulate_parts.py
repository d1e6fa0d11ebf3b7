"""The parts of what a simulation tells: durations, forks, latencies, loads, runtimes, misses, locks, races."""

import msgspec

__all__ = [
    "Channel",
    "DependencyCalls",
    "Fork",
    "KernelMisses",
    "Latency",
    "Load",
    "Lock",
    "LogLine",
    "Measure",
    "Memory",
    "Misses",
    "Pollution",
    "Race",
    "RaceSide",
    "Races",
    "Reload",
    "Runtime",
    "Scheduling",
    "Stuck",
    "TaskPlace",
    "Waits",
]


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of a `measure` op, in ns; quantiles are those of the nearest rank."""

    count: int
    total_ns: float = 0.0
    mean_ns: float = 0.0
    min_ns: float | None = None
    median_ns: float | None = None
    p90_ns: float | None = None
    p99_ns: float | None = None
    max_ns: float | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Frames of 4 KiB: how many there are, how many were in use at most, how many went to swap.

    Attributes:
        peak_bytes: the most memory that was in use: frames, what the kernel keeps of threads, stacks, tasks, and the
            runtime itself.
    """

    frames_total: int
    frames_peak: int
    swap_outs: int
    peak_bytes: int = 0


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was waited for, and how long in all."""

    count: int
    total_ns: float


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """A fork: when, by whom, how long it took, and the page-table entries of the parent by their state.

    Attributes:
        at_ns: when it was called.
        pid: the parent.
        child: the child.
        time_ns: how long the parent was in it.
        clean: entries not written since the last fork.
        dirtied: entries written since, their frames beside one another.
        scattered: entries written since, their frames apart.
        huge_clean: huge entries not written since the last fork.
        huge_dirtied: huge entries written since.
        zero_pages: of the clean ones, those that show the zero page.
        huge_pages: pages of 4 KiB under huge entries.
        swapped: entries of pages in swap.
        tables: tables made for the child.
        shared_tables: tables that the child shares with the parent.
    """

    at_ns: float
    pid: int
    child: int
    time_ns: float
    clean: int = 0
    dirtied: int = 0
    scattered: int = 0
    huge_clean: int = 0
    huge_dirtied: int = 0
    zero_pages: int = 0
    huge_pages: int = 0
    swapped: int = 0
    tables: int = 0
    shared_tables: int = 0


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Times of one sort, such as from being ready to running; quantiles with two digits.

    Attributes:
        count: how many there were.
        mean_ns: exactly.
        p50_ns: the median.
        p90_ns: what 90 % are not above.
        p99_ns: the same for 99 %.
        p999_ns: the same for 99.9 %.
        max_ns: the longest.
        histogram: rows of from, up to (not included) and how many, in ns: bins between powers of two, if not empty.
    """

    count: int
    mean_ns: float
    p50_ns: float
    p90_ns: float
    p99_ns: float
    p999_ns: float
    max_ns: float
    histogram: list[tuple[int, int, int]] = []


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of a `serve` op.

    Attributes:
        name: what the op calls them.
        arrived: how many there were.
        completed: how many were answered.
        refused: how many were turned away.
        in_flight_peak: how many there were at a time.
        throughput_per_s: answers a second, from the first arrival to the last answer.
        latency: from arrival to answer.
        expired: of those turned away: how many were not begun since their deadline had passed.
    """

    name: str
    arrived: int
    completed: int
    refused: int
    in_flight_peak: int
    throughput_per_s: float
    latency: Latency
    expired: int = 0


class DependencyCalls(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of a dependency. `calls == answered + failed`, but for those that were under way at the end.

    Attributes:
        calls: how many the programs made.
        answered: how many got an answer.
        failed: how many gave up, for one of the next four reasons.
        failed_retries: all attempts had failed.
        failed_budget: the budget had no retry left.
        failed_deadline: the deadline had passed.
        failed_breaker: the breaker was open.
        not_begun: of `failed_deadline`: those whose deadline had passed before their first attempt.
        attempts: requests that were sent.
        retries: of these, those after a failure.
        timeouts: attempts that took too long.
        refused: attempts that the dependency had no room for.
        late: answers that nobody waited for any longer.
        expired: requests that the dependency dropped since nobody waited for them.
        breaker_openings: how often a breaker opened.
        latency: of calls, from the beginning to the answer or to giving up.
        mean_wait_ns: how long requests waited there for a server.
        mean_service_ns: how long they were served.
        utilization: the part of the time of its servers that they served.
        queue_peak: how many waited there at a time.
    """

    calls: int
    answered: int
    failed: int
    failed_retries: int
    failed_budget: int
    failed_deadline: int
    failed_breaker: int
    not_begun: int
    attempts: int
    retries: int
    timeouts: int
    refused: int
    late: int
    expired: int
    breaker_openings: int
    latency: Latency
    mean_wait_ns: float
    mean_service_ns: float
    utilization: float
    queue_peak: int


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime did.

    Attributes:
        model: its name.
        workers: how many tasks it runs at a time.
        threads: how many threads it made.
        tasks: how many tasks there were.
        tasks_ended: how many came to their end.
        tasks_peak: how many there were at a time.
        tasks_refused: how many found no room.
        steals: how often a worker took tasks from another.
        stolen: how many it took.
        wakes: how often a thread was woken for work.
        hand_offs: how often a blocked thread lost its place to another.
        preemptions: how often a task was made to give way.
        blocking_calls: calls of tasks that took their thread along.
        collections: how often garbage was collected.
        late_max_ns: the longest that a task waited, behind the time or input that it waited for, until somebody looked.
        latency: how long tasks that could run waited for that.
    """

    model: str
    workers: int
    threads: int
    tasks: int
    tasks_ended: int
    tasks_peak: int
    tasks_refused: int
    steals: int
    stolen: int
    wakes: int
    hand_offs: int
    preemptions: int
    blocking_calls: int
    collections: int = 0
    late_max_ns: float = 0.0
    latency: Latency


class TaskPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A task at a time.

    Attributes:
        task: its number, from 0 in the order in which tasks were made.
        name: what its program calls it.
        state: `new`, `ready`, `running`, `waiting` or `terminated`.
        worker: the worker of the runtime that runs it; None without one.
        thread: the thread that runs it or waits with it, by its number in `result.threads`; None while it has none.
        cpu: the cpu that it runs on; None while it does not.
        created_ns: when it was made, or its request arrived.
        waits_for: what it waits for.
    """

    task: int
    name: str | None
    state: str
    worker: int | None
    thread: int | None
    cpu: int | None
    created_ns: float
    waits_for: str | None


class Scheduling(msgspec.Struct, frozen=True, kw_only=True):
    """What schedulers and switches did, over all cpus.

    Attributes:
        switches: how often a cpu went on with another thread than it ran last.
        switches_voluntary: how often threads left a cpu to wait, or gave way.
        switches_involuntary: how often they had to leave.
        space_switches: how often another address space was loaded.
        tlb_flushes: of these, how often it had no identifier that the TLBs knew.
        migrations: how often threads began on another cpu than they had run on.
        ticks: interrupts of the timer.
        threads: how many there were.
        threads_peak: how many there were at a time.
        threads_refused: how many could not be made, since `kernel.threads_max` was reached.
        fairness: Jain's index over the rates at which threads ran while they could.
        latency: how long threads waited for a cpu.
    """

    switches: int
    switches_voluntary: int
    switches_involuntary: int
    space_switches: int
    tlb_flushes: int
    migrations: int
    ticks: int
    threads: int
    threads_peak: int
    threads_refused: int
    fairness: float
    latency: Latency


class Reload(msgspec.Struct, frozen=True, kw_only=True):
    """Accesses so long after their thread was switched to: from `since_ns` on, up to the next row's.

    Attributes:
        since_ns: how long after the switch.
        accesses: how many there were.
        misses: of all caches.
        pollution: of these, replaced and reordered.
        pollution_stall_ns: what these were waited for.
    """

    since_ns: float
    accesses: int
    misses: int
    pollution: int
    pollution_stall_ns: float


class Pollution(msgspec.Struct, frozen=True, kw_only=True):
    """Misses of one thread on lines that another took: their numbers, None for the kernel."""

    victim: int | None
    evictor: int | None
    misses: int


class KernelMisses(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel's own data missed."""

    by_cause: dict[str, int]
    stall_ns_by_cause: dict[str, float]


class Misses(msgspec.Struct, frozen=True, kw_only=True):
    """Why caches missed: compulsory, capacity, replaced, reordered (these two are pollution), migration, coherence.

    Attributes:
        by_cause: over all levels.
        by_level: by the name of the cache.
        stall_ns_by_cause: what was waited for them; adds up to the ledger's `stall`.
        kernel: what of that the kernel's own data missed.
        reload: the reload curve: misses by the time since the switch.
        pollution_matrix: who evicted whom, most misses first; only where memory is simulated by addresses.
    """

    by_cause: dict[str, int]
    by_level: dict[str, dict[str, int]]
    stall_ns_by_cause: dict[str, float]
    kernel: KernelMisses
    reload: list[Reload]
    pollution_matrix: list[Pollution] = []

    @property
    def pollution(self) -> int:
        """Misses that others caused while a thread did not run."""
        return self.by_cause["replaced"] + self.by_cause["reordered"]


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a channel.

    Attributes:
        kind: how messages get from one side to the other.
        sent: messages that came in.
        received: messages that went out.
        length: how many it holds at the end.
        length_max: how many it held at a time, at most.
        send_wait: how long those waited who had to wait for room, or for a receiver.
        receive_wait: how long those waited who had to wait for a message.
    """

    kind: str
    sent: int
    received: int
    length: int
    length_max: int
    send_wait: Latency
    receive_wait: Latency


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a lock.

    Attributes:
        kind: how it goes about it.
        acquisitions: how often it was taken.
        contended: how often of these somebody had to wait for it.
        hand_offs: how often it went from one to the next without being free in between.
        wait: how long those waited that had to.
        hold: how long it was held each time.
        spin_ns: how long cpus were kept busy by waiting for it.
        sleep_ns: how long threads slept for it.
        queue_max: how many waited at a time, at most: the length of the convoy.
        queue_mean: how many waited on average over the whole run.
        critical_ns: how long it was held on the path of waits that leads to the end of the last thread.
    """

    kind: str
    acquisitions: int
    contended: int
    hand_offs: int
    wait: Latency
    hold: Latency
    spin_ns: float
    sleep_ns: float
    queue_max: int
    queue_mean: float
    critical_ns: float


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """A thread that waits for ever: its number, its process, what for, and the locks that it holds."""

    thread: int
    pid: int
    process: str
    name: str | None
    waits_for: str
    holds: list[str] = []


class RaceSide(msgspec.Struct, frozen=True, kw_only=True):
    """One of two accesses that race: which thread, by which op of the scenario, what it did, and when."""

    thread: int
    name: str | None
    process: str
    op: str
    access: str
    at_ns: float

    def __str__(self) -> str:
        thread = f"thread {self.thread}" + (f" ({self.name})" if self.name else "")
        return f"{self.access} by {thread} of {self.process} at {self.at_ns:,.0f} ns, {self.op}"


class Race(msgspec.Struct, frozen=True, kw_only=True):
    """Two ops that access a variable in no promised order: the first time, and how often."""

    variable: str
    count: int
    first: RaceSide
    second: RaceSide


class Races(msgspec.Struct, frozen=True, kw_only=True):
    """Races: how many pairs of ops, and the first 100 of them."""

    pairs: int
    told: list[Race]


class LogLine(msgspec.Struct, frozen=True):
    """What the kernel reported, and when."""

    at_ns: float
    text: str
