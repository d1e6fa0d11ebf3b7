"""Threads of processes on one cpu, step by step: written from `docs/threads.md`, slow and obvious.

Without memory, without a timer, under first in first out or round robin. All times are whole picoseconds.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NEVER = 1 << 100
PIPE_BYTES = 64 << 10

Op = Mapping[str, Any]


@dataclass(eq=False)
class Thread:
    number: int
    pid: int
    program: Sequence[Op]
    created: int
    place: int = 0
    maker: "Thread | None" = None
    name: str | None = None
    state: str = "ready"
    since: int = 0
    left: int | None = None
    waits_for: tuple[str, Any] | None = None
    first_run: int | None = None
    ended: int | None = None
    run: int = 0
    wait: int = 0
    voluntary: int = 0
    involuntary: int = 0


@dataclass
class Pipe:
    messages: list[int] = field(default_factory=list)
    readers: list[Thread] = field(default_factory=list)
    writers: list[tuple[Thread, int]] = field(default_factory=list)


class OneCpu:
    """`costs` has the prices of the machine by name; `processes` are pairs of a start in ns and a program."""

    def __init__(
        self, costs: Mapping[str, int], processes: Sequence[tuple[int, Sequence[Op]]], slice_: int = NEVER
    ) -> None:
        self.costs, self.slice = costs, slice_
        self.starts = sorted(((1000 * start, ops) for start, ops in processes), key=lambda process: process[0])
        self.now = 0
        self.ledger: Counter[str] = Counter()
        self.threads: list[Thread] = []
        self.queue: list[Thread] = []
        self.sleepers: list[tuple[int, int, Thread]] = []
        self.semaphores: Counter[str] = Counter()
        self.acquiring: defaultdict[str, list[Thread]] = defaultdict(list)
        self.pipes: defaultdict[str, Pipe] = defaultdict(Pipe)
        self.pids = 1
        self.running: Thread | None = None
        self.last: Thread | None = None
        self.put_back: tuple[Thread, bool] | None = None
        self.begun = self.slice_end = 0
        self.space: int | None = None
        self.owners: list[int | None] = [None] * costs["asids"]
        self.turn = 0
        self.switches = self.space_switches = self.flushes = self.sleeps = 0
        # An event came at the very end of a slice within a computation: the page does not say which is first.
        self.is_tied = False

    def play(self) -> None:
        while True:
            event = min([start for start, _ in self.starts] + [time for time, _, _ in self.sleepers], default=NEVER)
            if self.running is not None and self.now >= self.slice_end:
                self.give_way(self.running, is_voluntary=False)
            elif event <= self.now or (self.running is None and event < NEVER):
                self.happen(event)
            elif self.running is None:
                return
            else:
                self.step(self.running, event)

    def pay(self, account: str, time: int) -> None:
        self.ledger[account] += time
        self.now += time

    def happen(self, time: int) -> None:
        while self.starts and self.starts[0][0] <= time:
            self.pids += 1
            self.make(Thread(len(self.threads), self.pids, self.starts.pop(0)[1], time))
        for sleeper in sorted(sleeper for sleeper in self.sleepers if sleeper[0] <= time):
            self.sleepers.remove(sleeper)
            if sleeper[2].state == "waiting":
                self.make_ready(sleeper[2], time)

    def make(self, thread: Thread) -> None:
        self.threads.append(thread)
        self.make_ready(thread, thread.created)

    def make_ready(self, thread: Thread, time: int) -> None:
        thread.state, thread.since, thread.waits_for = "ready", time, None
        self.queue.append(thread)
        if self.running is None:
            self.pick(time)

    # Who runs.

    def pick(self, time: int) -> None:
        put_back, self.put_back = self.put_back, None
        if not self.queue:
            return
        thread = self.queue.pop(0)
        if put_back is not None and put_back[0] is not thread:
            put_back[0].voluntary += put_back[1]
            put_back[0].involuntary += not put_back[1]
        self.pay("idle", max(0, time - self.now))
        thread.wait += self.now - thread.since
        if self.last is not None:
            self.pay("sched", self.costs["pick"])
        if self.last not in (None, thread):
            self.switches += 1
            self.pay("switch", self.costs["save"] + self.costs["restore"] + self.costs["return"])
        self.load(thread.pid)
        if thread.first_run is None:
            thread.first_run = self.now
        thread.state, self.running, self.last = "running", thread, thread
        self.begun, self.slice_end = self.now, self.now + self.slice

    def load(self, pid: int) -> None:
        old, self.space = self.space, pid
        has_changed = old not in (None, pid)
        is_known = pid in self.owners
        if not is_known and self.owners:
            self.owners[self.turn] = pid
            self.turn = (self.turn + 1) % len(self.owners)
        if has_changed:
            self.space_switches += 1
            self.flushes += not is_known
            self.pay("switch", self.costs["space"] + (0 if is_known else self.costs["flush"]))

    def vacate(self, thread: Thread) -> None:
        thread.run += self.now - self.begun
        self.running = None

    def give_way(self, thread: Thread, *, is_voluntary: bool) -> None:
        self.vacate(thread)
        thread.state, thread.since = "ready", self.now
        self.queue.append(thread)
        self.put_back = (thread, is_voluntary)
        self.pick(self.now)

    def block(self, thread: Thread, what: tuple[str, Any]) -> None:
        self.vacate(thread)
        thread.state, thread.since, thread.waits_for = "waiting", self.now, what
        thread.voluntary += 1
        self.pick(self.now)

    def call_and_block(self, thread: Thread, call: int, what: tuple[str, Any]) -> None:
        self.pay("syscall", call)
        self.pay("sched", self.costs["block"])
        self.block(thread, what)

    def wake(self, thread: Thread) -> None:
        self.pay("sched", self.costs["wake"])
        self.make_ready(thread, self.now)

    # What it does.

    def step(self, thread: Thread, event: int) -> None:
        if thread.place == len(thread.program):
            if thread.maker is None:
                self.op_exit(thread, {})
            else:
                self.end(thread)
            return
        op = thread.program[thread.place]
        if op["op"] == "compute":
            self.compute(thread, 1000 * op["ns"], min(event, self.slice_end))
            return
        thread.place += 1
        getattr(self, f"op_{op['op']}")(thread, op)

    def compute(self, thread: Thread, whole: int, until: int) -> None:
        left = whole if thread.left is None else thread.left
        part = min(left, until - self.now)
        self.pay("user", part)
        thread.left = left - part
        self.is_tied |= self.now == self.slice_end and any(self.now == time for time in self.times())
        if thread.left == 0:
            thread.left = None
            thread.place += 1

    def times(self) -> list[int]:
        return [start for start, _ in self.starts] + [time for time, _, _ in self.sleepers]

    def op_sleep(self, thread: Thread, op: Op) -> None:
        self.pay("syscall", self.costs["syscall"])
        self.sleeps += 1
        self.sleepers.append((self.now + 1000 * op["ns"], self.sleeps, thread))
        self.block(thread, ("time", None))

    def op_yield_now(self, thread: Thread, op: Op) -> None:
        self.pay("syscall", self.costs["syscall"])
        self.give_way(thread, is_voluntary=True)

    def op_thread(self, thread: Thread, op: Op) -> None:
        self.pay("syscall", self.costs["thread"])
        program, place = (op["child"], 0) if "child" in op else (thread.program, thread.place)
        number = len(self.threads)
        self.make(Thread(number, thread.pid, program, self.now, place, maker=thread, name=op.get("name")))

    def is_joined(self, what: Any, thread: Thread) -> bool:
        """Whether nobody is left whom a thread joins."""
        others = [other for other in self.threads if other.ended is None and other.pid == thread.pid]
        return not any(other.maker is thread if what is None else other.name == what for other in others)

    def op_join(self, thread: Thread, op: Op) -> None:
        if not self.is_joined(op.get("name"), thread):
            self.call_and_block(thread, self.costs["futex_wait"], ("join", op.get("name")))

    def end(self, thread: Thread) -> None:
        self.pay("syscall", self.costs["syscall"])
        thread.state, thread.ended = "terminated", self.now
        joining = [other for other in self.threads if other.waits_for and other.waits_for[0] == "join"]
        of_all = [other for other in joining if other is thread.maker and other.waits_for == ("join", None)]
        of_name = [other for other in joining if thread.name is not None and other.waits_for == ("join", thread.name)]
        of_name.sort(key=lambda other: other.since)
        for other in of_all + of_name:
            if other.pid == thread.pid and self.is_joined((other.waits_for or ("", None))[1], other):
                self.wake(other)
        self.vacate(thread)
        self.pick(self.now)

    def op_exit(self, thread: Thread, op: Op) -> None:
        self.pay("syscall", self.costs["exit"])
        for other in self.threads:
            if other.pid == thread.pid and other.ended is None:
                other.wait += self.now - other.since if other.state == "ready" else 0
                other.state, other.ended, other.waits_for = "terminated", self.now, None
        self.queue = [other for other in self.queue if other.pid != thread.pid]
        self.owners = [None if owner == thread.pid else owner for owner in self.owners]
        self.space = None
        self.vacate(thread)
        self.pick(self.now)

    def op_acquire(self, thread: Thread, op: Op) -> None:
        name = op["semaphore"]
        if self.semaphores[name]:
            self.semaphores[name] -= 1
            return
        self.acquiring[name].append(thread)
        self.call_and_block(thread, self.costs["futex_wait"], ("semaphore", name))

    def op_release(self, thread: Thread, op: Op) -> None:
        waiting = [other for other in self.acquiring[op["semaphore"]] if other.ended is None]
        self.acquiring[op["semaphore"]] = waiting[1:]
        if not waiting:
            self.semaphores[op["semaphore"]] += 1
            return
        self.pay("syscall", self.costs["futex_wake"])
        self.wake(waiting[0])

    def op_send(self, thread: Thread, op: Op) -> None:
        pipe, size = self.alive(op["channel"]), op.get("bytes", 1)
        if pipe.readers:
            self.pay("syscall", self.costs["pipe_write"])
            self.wake(pipe.readers.pop(0))
        elif pipe.writers or sum(pipe.messages) + size > PIPE_BYTES:
            pipe.writers.append((thread, size))
            self.call_and_block(thread, self.costs["pipe_write"], ("send", op["channel"]))
        else:
            self.pay("syscall", self.costs["pipe_write"])
            pipe.messages.append(size)

    def op_recv(self, thread: Thread, op: Op) -> None:
        pipe = self.alive(op["channel"])
        if not pipe.messages:
            pipe.readers.append(thread)
            self.call_and_block(thread, self.costs["pipe_read"], ("recv", op["channel"]))
            return
        self.pay("syscall", self.costs["pipe_read"])
        pipe.messages.pop(0)
        while pipe.writers and sum(pipe.messages) + pipe.writers[0][1] <= PIPE_BYTES:
            writer, size = pipe.writers.pop(0)
            pipe.messages.append(size)
            self.wake(writer)

    def alive(self, name: str) -> Pipe:
        """A pipe without those whose process has ended while they waited for it."""
        pipe = self.pipes[name]
        pipe.readers = [reader for reader in pipe.readers if reader.ended is None]
        pipe.writers = [(writer, size) for writer, size in pipe.writers if writer.ended is None]
        return pipe
