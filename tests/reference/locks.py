"""Locks on one cpu, step by step: written from `docs/locks.md`, slow and obvious: ops beside those of threads."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reference.threads import NEVER, OneCpu, Op, Thread

SPIN = ("tas", "ttas", "ticket", "mcs")
IN_ORDER = ("ticket", "mcs")


@dataclass(eq=False)
class Lock:
    name: str
    kind: str
    prefer: str = "readers"
    holder: Thread | None = None
    taken: int = 0
    is_contended: bool = False
    is_starving: bool = False
    somebody_is_awake: bool = False
    waiting: list[Thread] = field(default_factory=list)
    # Since when each reads: as often as it has taken the lock, in the order in which it has.
    readers: dict[Thread, list[int]] = field(default_factory=dict)
    readers_waiting: set[Thread] = field(default_factory=set)
    users: set[int] = field(default_factory=set)
    acquisitions: int = 0
    contended: int = 0
    hand_offs: int = 0
    held: int = 0
    waited: int = 0
    spun: int = 0

    def holders(self) -> list[Thread]:
        return [*([] if self.holder is None else [self.holder]), *self.readers]


class LocksOnOneCpu(OneCpu):
    """`kinds` says of each lock its kind, and of a reader-writer lock whom it prefers."""

    def __init__(
        self,
        costs: Mapping[str, int],
        processes: Sequence[tuple[int, Sequence[Op]]],
        kinds: Mapping[str, tuple[str, str]],
        slice_: int = NEVER,
    ) -> None:
        super().__init__(costs, processes, slice_)
        self.locks = {name: Lock(name, *kind) for name, kind in kinds.items()}
        self.conditions: defaultdict[str, list[Thread]] = defaultdict(list)
        self.barriers: defaultdict[str, list[Thread]] = defaultdict(list)
        # What a thread does at the lock that it wants, which one, and since when.
        self.phase: dict[Thread, str] = {}
        self.wants: dict[Thread, tuple[Lock, int]] = {}
        self.has_slept: set[Thread] = set()
        self.awake: set[Thread] = set()
        self.is_fresh = True
        self.told: list[Thread] = []

    # Who runs.

    def pick(self, time: int) -> None:
        super().pick(time)
        self.is_fresh = True

    def step(self, thread: Thread, event: int) -> None:
        if self.phase.get(thread) == "spin" and not self.is_fresh:
            until = min(event, self.slice_end)
            self.wants[thread][0].spun += until - self.now
            self.pay("spin", until - self.now)
            return
        self.is_fresh = False
        super().step(thread, event)

    def is_over(self, event: int) -> bool:
        """Whether who runs spins and nothing else can happen any more."""
        if self.phase.get(self.running) != "spin" or self.is_fresh or event < NEVER:  # type: ignore[call-overload]
            return False
        alive = [*([] if self.running is None else [self.running]), *self.queue]
        spin = [thread for thread in alive if self.phase.get(thread) == "spin"]
        return self.slice == NEVER or (
            len(spin) == len(alive) and all(self.wants[thread][0].holder is not None for thread in spin)
        )

    def play(self) -> None:
        while True:
            event = min([start for start, _ in self.starts] + [time for time, _, _ in self.sleepers], default=NEVER)
            if self.now < self.slice_end and self.is_over(event):
                return
            if self.running is not None and self.now >= self.slice_end:
                self.give_way(self.running, is_voluntary=False)
            elif event <= self.now or (self.running is None and event < NEVER):
                self.happen(event)
            elif self.running is None:
                return
            else:
                self.step(self.running, event)

    # What is the same for all kinds.

    def pay_word(self, thread: Thread, lock: Lock, *, is_second: bool) -> None:
        lock.users.add(thread.pid)
        alive = sum(other.pid == thread.pid and other.ended is None for other in self.threads)
        alone = alive == 1 and len(lock.users) == 1 and lock.kind != "rwlock"
        name = "spin" if lock.kind in SPIN else "mutex_alone" if alone else "mutex"
        self.pay("user", self.costs[name] // 2 if is_second else self.costs[name] - self.costs[name] // 2)

    def begin(self, thread: Thread, lock: Lock) -> None:
        self.wants[thread] = (lock, self.now)
        seen: list[Thread] = []
        self.follow(thread, lock, seen)
        if thread in seen:
            self.told += [other for other in seen if other not in self.told]

    def follow(self, start: Thread, lock: Lock, seen: list[Thread]) -> None:
        """All who are on the way from a lock back to a thread. Of plain locks there is one way at most."""
        way: list[Thread] = []
        while lock.holder is not None and lock.holder not in way:
            way.append(lock.holder)
            if lock.holder is start:
                seen += way
                return
            if lock.holder not in self.wants or lock.holder.ended is not None:
                return
            lock = self.wants[lock.holder][0]

    def give(self, thread: Thread, lock: Lock, *, reads: bool = False) -> None:
        lock.acquisitions += 1
        if thread in self.wants:
            lock.contended += 1
            lock.waited += self.now - self.wants.pop(thread)[1]
        self.awake.discard(thread)
        self.has_slept.discard(thread)
        if reads:
            lock.readers.setdefault(thread, []).append(self.now)
        else:
            assert lock.holder is None, "a lock has one holder"
            lock.holder, lock.taken = thread, self.now

    def again(self, thread: Thread, phase: str) -> None:
        self.phase[thread] = phase
        thread.place -= 1

    def done(self, thread: Thread) -> None:
        self.phase.pop(thread, None)

    def sleep(self, thread: Thread, what: tuple[str, str]) -> None:
        self.pay("sched", self.costs["block"])
        self.block(thread, what)

    def alive_of(self, threads: list[Thread]) -> list[Thread]:
        return [thread for thread in threads if thread.ended is None]

    # Taking.

    def op_lock(self, thread: Thread, op: Op) -> None:
        self.take(thread, self.locks[op["lock"]])

    def take(self, thread: Thread, lock: Lock) -> None:
        phase = self.phase.get(thread, "first")
        if phase == "granted":
            self.done(thread)
        elif phase == "first":
            self.pay_word(thread, lock, is_second=False)
            if lock.holder is None and not lock.is_starving:
                self.give(thread, lock)
                return
            self.begin(thread, lock)
            if lock.kind in ("barging", "adaptive"):
                self.try_to_sleep(thread, lock)
            elif lock.kind == "go":
                self.take_go(thread, lock)
            elif lock.kind == "fair":
                self.pay("syscall", self.costs["futex_wait"])
                lock.waiting.append(thread)
                self.again(thread, "asleep")
                self.sleep(thread, ("lock", lock.name))
            else:
                lock.waiting.append(thread)
                self.again(thread, "spin")
        elif phase == "compare":
            if lock.holder is None or not lock.is_contended:
                self.again(thread, "retry")
                return
            lock.waiting.append(thread)
            self.again(thread, "retry")
            self.sleep(thread, ("lock", lock.name))
        elif phase == "retry":
            is_free = lock.holder is None
            self.pay_word(thread, lock, is_second=False)
            if not is_free:
                self.try_to_sleep(thread, lock)
                return
            lock.is_contended = True
            self.give(thread, lock)
            self.done(thread)
        elif phase == "go":
            self.take_go(thread, lock)
        elif phase == "spin" and lock.holder is None:
            lock.waiting.remove(thread)
            self.pay_word(thread, lock, is_second=False)
            self.give(thread, lock)
            self.done(thread)
        else:
            assert phase == "spin", phase
            self.again(thread, "spin")

    def try_to_sleep(self, thread: Thread, lock: Lock) -> None:
        lock.is_contended = True
        self.pay("syscall", self.costs["futex_wait"])
        self.again(thread, "compare")

    def take_go(self, thread: Thread, lock: Lock) -> None:
        if thread in self.awake:
            self.awake.discard(thread)
            lock.somebody_is_awake = False
        if lock.holder is None and not lock.is_starving:
            self.pay_word(thread, lock, is_second=False)
            self.give(thread, lock)
            self.done(thread)
            return
        if thread in self.has_slept and self.now - self.wants[thread][1] > 10**9 and lock.holder is not None:
            lock.is_starving = True
        lock.waiting.insert(0 if thread in self.has_slept else len(lock.waiting), thread)
        self.has_slept.add(thread)
        self.pay("syscall", self.costs["futex_wait"])
        self.again(thread, "go")
        self.sleep(thread, ("lock", lock.name))

    # Giving back.

    def op_unlock(self, thread: Thread, op: Op) -> None:
        lock = self.locks[op["lock"]]
        if lock.kind == "rwlock":
            self.unlock_shared(thread, lock)
        else:
            self.give_back(thread, lock)

    def give_back(self, thread: Thread, lock: Lock) -> None:
        assert lock.holder is thread
        self.pay_word(thread, lock, is_second=True)
        lock.held += self.now - lock.taken
        lock.holder = None
        lock.waiting = self.alive_of(lock.waiting)
        if lock.kind in ("barging", "adaptive"):
            if lock.is_contended:
                lock.is_contended = False
                self.pay("syscall", self.costs["futex_wake"])
                if lock.waiting:
                    self.wake(lock.waiting.pop(0))
        elif lock.kind == "go":
            self.give_back_go(lock)
        elif lock.waiting and (lock.kind == "fair" or lock.kind in IN_ORDER):
            self.hand_over(lock.waiting.pop(0), lock)

    def hand_over(self, other: Thread, lock: Lock) -> None:
        lock.hand_offs += 1
        self.give(other, lock)
        self.phase[other] = "granted"
        if lock.kind not in SPIN:
            self.pay("syscall", self.costs["futex_wake"])
            self.wake(other)

    def give_back_go(self, lock: Lock) -> None:
        lock.somebody_is_awake = lock.somebody_is_awake and any(other.ended is None for other in self.awake)
        if not lock.is_starving and lock.somebody_is_awake:
            return
        if not lock.waiting:
            lock.is_starving = False
            return
        other = lock.waiting.pop(0)
        if lock.is_starving:
            lock.is_starving = bool(lock.waiting) and self.now - self.wants[other][1] > 10**9
            self.hand_over(other, lock)
            return
        lock.somebody_is_awake = True
        self.awake.add(other)
        self.pay("syscall", self.costs["futex_wake"])
        self.wake(other)

    # Reader-writer locks.

    def op_read_lock(self, thread: Thread, op: Op) -> None:
        self.take_shared(thread, self.locks[op["lock"]], reads=True)

    def op_write_lock(self, thread: Thread, op: Op) -> None:
        self.take_shared(thread, self.locks[op["lock"]], reads=False)

    def take_shared(self, thread: Thread, lock: Lock, *, reads: bool) -> None:
        if self.phase.get(thread) == "granted":
            self.done(thread)
            return
        self.pay_word(thread, lock, is_second=False)
        lock.waiting = self.alive_of(lock.waiting)
        writers = [other for other in lock.waiting if other not in lock.readers_waiting]
        passes = {"readers": True, "writers": not writers, "fifo": not lock.waiting}[lock.prefer]
        if lock.holder is None and (passes if reads else not lock.readers):
            self.give(thread, lock, reads=reads)
            return
        self.begin(thread, lock)
        lock.waiting.append(thread)
        if reads:
            lock.readers_waiting.add(thread)
        self.pay("syscall", self.costs["futex_wait"])
        self.again(thread, "asleep")
        self.sleep(thread, ("lock", lock.name))

    def unlock_shared(self, thread: Thread, lock: Lock) -> None:
        if thread in lock.readers:
            since = lock.readers[thread].pop(0)
            if not lock.readers[thread]:
                del lock.readers[thread]
        else:
            assert lock.holder is thread
            since, lock.holder = lock.taken, None
        self.pay_word(thread, lock, is_second=True)
        lock.held += self.now - since
        lock.waiting = self.alive_of(lock.waiting)
        while lock.holder is None and lock.waiting:
            readers = [other for other in lock.waiting if other in lock.readers_waiting]
            writers = [other for other in lock.waiting if other not in lock.readers_waiting]
            order = {"readers": readers + writers, "writers": writers + readers, "fifo": lock.waiting}[lock.prefer]
            reads = order[0] in readers
            if not reads and lock.readers:
                return
            other = order[0]
            lock.waiting.remove(other)
            lock.readers_waiting.discard(other)
            lock.hand_offs += 1
            self.give(other, lock, reads=reads)
            self.phase[other] = "granted"
            self.pay("syscall", self.costs["futex_wake"])
            self.wake(other)

    # Conditions and barriers.

    def op_wait(self, thread: Thread, op: Op) -> None:
        lock = self.locks[op["lock"]]
        if thread in self.phase:
            if self.phase[thread] == "signalled":
                self.done(thread)
            self.take(thread, lock)
            return
        self.conditions[op["condition"]].append(thread)
        self.give_back(thread, lock)
        self.pay("syscall", self.costs["futex_wait"])
        self.again(thread, "signalled")
        self.sleep(thread, ("condition", op["condition"]))

    def op_signal(self, thread: Thread, op: Op) -> None:
        waiting = self.alive_of(self.conditions[op["condition"]])
        self.conditions[op["condition"]] = waiting[1:]
        self.wake_each(waiting[:1])

    def op_broadcast(self, thread: Thread, op: Op) -> None:
        self.wake_each(self.alive_of(self.conditions.pop(op["condition"], [])))

    def op_barrier(self, thread: Thread, op: Op) -> None:
        self.pay("user", self.costs["mutex"])
        waiting = self.alive_of(self.barriers[op["barrier"]])
        if len(waiting) + 1 < op["parties"]:
            self.barriers[op["barrier"]] = [*waiting, thread]
            self.call_and_block(thread, self.costs["futex_wait"], ("barrier", op["barrier"]))
            return
        self.barriers[op["barrier"]] = []
        self.wake_each(waiting)

    def wake_each(self, threads: list[Thread]) -> None:
        for other in threads:
            self.pay("syscall", self.costs["futex_wake"])
            self.wake(other)

    def counts(self) -> dict[str, Counter[str]]:
        """What is counted of each lock."""
        names = ("acquisitions", "contended", "hand_offs", "held", "waited", "spun")
        return {lock.name: Counter({name: getattr(lock, name) for name in names}) for lock in self.locks.values()}
