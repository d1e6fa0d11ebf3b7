"""Shared variables access by access, written from docs/shared-variables.md: one thread a cpu, no kernel.

Times are whole picoseconds. Each program is a generator that is resumed at an instant, does one access, and yields when
it is to be resumed; the earliest goes first, ties by cpu.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NEVER = 1 << 64
LEGS_OF_TRANSFER = 3

# When to go on: a time, or what tells it anew whenever it is asked.
Resume = Generator[int | Callable[[], int], None, Any]


@dataclass
class Prices:
    """Those of `[atomics]`, the transfer of a line and a cycle, in ps."""

    add: int
    compare_exchange: int
    increment: int
    forward: int
    load: int
    store: int
    commit: int
    hold: int
    store_buffer: int
    load_buffer: int
    transfer: int
    cycle: int


@dataclass
class Span:
    """From when and until when a cpu has something; before that it keeps what it had until `lost`."""

    lost: int = 0
    start: int = NEVER
    until: int = 0

    def holds(self, at: int) -> bool:
        return at < self.lost or self.start <= at < self.until

    def is_coming(self, at: int) -> bool:
        return at < self.start < NEVER

    def renew(self, at: int, start: int) -> None:
        self.lost = self.until if self.start <= at else self.lost
        self.start, self.until = start, NEVER


class Line:
    """Who may read and write when."""

    def __init__(self, cpus: int, prices: Prices) -> None:
        self.reads = [Span() for _ in range(cpus)]
        self.writes = [Span() for _ in range(cpus)]
        self.leg, self.hold = prices.transfer // LEGS_OF_TRANSFER, prices.hold
        self.free_at = 0
        self.is_new = True
        self.transfers = 0

    def first(self, cpu: int, at: int) -> bool:
        if self.is_new:
            self.is_new = False
            self.reads[cpu].renew(at, at)
            self.writes[cpu].renew(at, at)
            return True
        return False

    def read(self, cpu: int, at: int) -> int:
        mine = self.reads[cpu]
        if mine.holds(at) or not mine.is_coming(at):
            if mine.holds(at) or self.first(cpu, at):
                return at
            self.transfers += 1
            arrival = at + 2 * self.leg
            if any(span.until == NEVER for span in self.writes):
                leave = max(at + self.leg, self.free_at)
                for span in self.writes:
                    span.until = min(span.until, leave)
                arrival = leave + self.leg
            mine.renew(at, arrival)
            self.free_at = max(self.free_at, arrival + self.hold)
        return mine.start

    def own(self, cpu: int, at: int) -> int:
        mine = self.writes[cpu]
        if mine.holds(at):
            return at
        if mine.is_coming(at):
            return mine.start
        return at if self.first(cpu, at) else self.take(cpu, at)

    def take(self, cpu: int, at: int) -> int:
        self.transfers += 1
        leave = max(at + self.leg, self.free_at)
        for spans in (self.reads, self.writes):
            for other, span in enumerate(spans):
                if other != cpu:
                    span.until = min(span.until, leave)
        arrival = leave + self.leg
        if self.reads[cpu].until != NEVER:
            self.reads[cpu].renew(at, arrival)
        self.writes[cpu].renew(at, arrival)
        self.free_at = arrival + self.hold
        return arrival

    def commit(self, cpu: int, at: int, earliest: int) -> int:
        mine = self.writes[cpu]
        if mine.start <= earliest <= mine.until or self.first(cpu, at):
            done = earliest
        elif earliest < mine.start < NEVER:
            done = mine.start
        else:
            done = max(self.take(cpu, at), earliest)
        self.free_at = max(self.free_at, done)
        return done

    def readable_until(self, cpu: int, at: int) -> int:
        span = self.reads[cpu]
        return span.lost if at < span.lost else span.until


@dataclass
class Store:
    """A store that waits."""

    variable: str
    value: int
    commit: int
    entry: int


@dataclass
class Machine:
    """Cpus with store buffers, lines and values."""

    prices: Prices
    cpus: int
    line_of: Mapping[str, str]
    values: dict[str, int]
    now: int = 0
    entries: int = 0
    lines: dict[str, Line] = field(default_factory=dict)
    buffers: list[list[Store]] = field(default_factory=list)
    took: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = {name: Line(self.cpus, self.prices) for name in set(self.line_of.values())}
        self.buffers = [[] for _ in range(self.cpus)]
        self.took = [0] * self.cpus

    def settle(self) -> None:
        while due := [(buffer[0].commit, cpu) for cpu, buffer in enumerate(self.buffers) if buffer]:
            commit, cpu = min(due)
            if commit > self.now:
                return
            store = self.buffers[cpu].pop(0)
            self.values[store.variable] = store.value

    def line(self, variable: str) -> Line:
        return self.lines[self.line_of[variable]]

    def buffered(self, cpu: int, variable: str) -> Store | None:
        self.settle()
        return next((store for store in reversed(self.buffers[cpu]) if store.variable == variable), None)

    def drained(self, cpu: int) -> int:
        return self.buffers[cpu][-1].commit if self.buffers[cpu] else 0

    def find(self, cpu: int, variable: str, waited: list[int] | None = None) -> Resume:
        while True:
            own = self.buffered(cpu, variable)
            if own is not None:
                return own.value
            there = self.line(variable).read(cpu, self.now)
            if there <= self.now:
                return self.values[variable]
            if waited is not None:
                waited[:] = [there - self.now]
            yield there

    def put(self, cpu: int, variable: str, value: int) -> Resume:
        while True:
            self.settle()
            buffer = self.buffers[cpu]
            if buffer and self.line_of[buffer[-1].variable] == self.line_of[variable]:
                commit = buffer[-1].commit
                entry = buffer[-1].entry
                same = [store for store in buffer if store.entry == entry and store.variable == variable]
                if same:
                    same[0].value = value
                else:
                    buffer.append(Store(variable, value, commit, entry))
                return
            if len({store.entry for store in buffer}) >= self.prices.store_buffer:
                yield buffer[0].commit
                continue
            earliest = max(self.drained(cpu), self.now + self.prices.commit)
            commit = self.line(variable).commit(cpu, self.now, earliest)
            self.entries += 1
            buffer.append(Store(variable, value, commit, self.entries))
            return

    def own(self, cpu: int, variable: str) -> Resume:
        while True:
            self.settle()
            if self.buffers[cpu]:
                yield self.drained(cpu)
                continue
            there = self.line(variable).own(cpu, self.now)
            if there <= self.now:
                return
            yield there

    def thread(self, cpu: int, ops: Sequence[dict[str, Any]]) -> Resume:
        register = 0
        for op in ops:
            work, times, prices = op.get("work_ns", 0) * 1000, op.get("times", 1), self.prices
            if op["op"] == "compute":
                yield self.now + op["ns"] * 1000
            elif op["op"] == "increment":
                for _ in range(times):
                    yield from getattr(self, "round_" + op.get("how", "plain").replace("-", "_"))(
                        cpu, op["variable"], work
                    )
            elif op["op"] == "load":
                while times > 0:
                    waited: list[int] = [0]
                    register = yield from self.find(cpu, op["variable"], waited)
                    together = min(waited[0] // (prices.load + work), prices.load_buffer, times - 1)
                    times -= 1 + together
                    yield self.now + prices.load + work
            elif op["op"] == "store":
                for _ in range(times):
                    yield from self.put(cpu, op["variable"], op.get("value", register))
                    yield self.now + prices.store + work
            elif op["op"] == "add":
                register += op["value"]
                yield self.now + prices.cycle
            elif op["op"] == "fence":
                while self.drained(cpu) > self.now:
                    yield self.drained(cpu)
                yield self.now + prices.cycle
            elif op["op"] == "spin_until":
                yield from self.spin(cpu, op["variable"], op["value"])
                register = op["value"]
                yield self.now + prices.load

    def spin(self, cpu: int, variable: str, value: int) -> Resume:
        while (yield from self.find(cpu, variable)) != value:
            if self.buffered(cpu, variable) is not None:
                yield self.drained(cpu)
            else:
                looked, line = self.now, self.line(variable)
                yield lambda line=line, looked=looked: line.readable_until(cpu, looked)

    def round_plain(self, cpu: int, variable: str, work: int) -> Resume:
        while True:
            value = yield from self.find(cpu, variable)
            put = self.put(cpu, variable, value + 1)
            try:
                yield next(put)
            except StopIteration:
                break
        yield self.now + self.prices.increment + work

    def round_split(self, cpu: int, variable: str, work: int) -> Resume:
        value = yield from self.find(cpu, variable)
        yield self.now + self.prices.forward
        yield from self.put(cpu, variable, value + 1)
        yield self.now + work

    def round_atomic(self, cpu: int, variable: str, work: int) -> Resume:
        yield from self.own(cpu, variable)
        self.values[variable] += 1
        yield self.now + self.prices.add + work

    def round_compare_exchange(self, cpu: int, variable: str, work: int) -> Resume:
        exchange = max(self.prices.compare_exchange - self.prices.forward, 0)
        while True:
            value = yield from self.find(cpu, variable)
            yield self.now + self.prices.forward
            yield from self.own(cpu, variable)
            if self.values[variable] == value:
                break
            yield self.now + exchange
        self.values[variable] = value + 1
        yield self.now + exchange + work


def simulate(
    prices: Prices,
    variables: Mapping[str, tuple[str, int]],
    programs: Sequence[Sequence[dict[str, Any]]],
    starts: Sequence[int],
) -> Machine:
    """Runs program i on cpu i from `starts[i]` (ps) on; `took` has how long each ran."""
    line_of = {name: line for name, (line, _) in variables.items()}
    machine = Machine(prices, len(programs), line_of, {name: initial for name, (_, initial) in variables.items()})
    threads = dict(enumerate(machine.thread(cpu, program) for cpu, program in enumerate(programs)))
    resume: dict[int, int | Callable[[], int]] = dict(enumerate(starts))
    while threads:
        times = {cpu: when() if callable(when) else when for cpu, when in resume.items()}
        cpu = min(threads, key=lambda cpu: (times[cpu], cpu))
        if times[cpu] >= NEVER:
            raise RuntimeError("all spin for ever")
        machine.now = times[cpu]
        try:
            resume[cpu] = next(threads[cpu])
        except StopIteration:
            machine.took[cpu] = machine.now - starts[cpu]
            del threads[cpu], resume[cpu]
    machine.now = NEVER
    machine.settle()
    return machine
