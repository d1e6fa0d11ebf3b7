"""Jobs under scheduling policies, step by step: written from `docs/scheduling.md`, slow and obvious.

All times are whole picoseconds. A policy is a list of jobs and a rule to choose from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .rng import Stream

US = 1_000_000
NEVER = 1 << 100


@dataclass
class Job:
    number: int
    arrival: int
    service: int
    weight: int = 1024
    tickets: int = 100
    priority: int = 0
    io_every: int | None = None
    io: int = 0

    def __post_init__(self) -> None:
        self.left = self.service
        self.burst = self.io_every or NEVER
        self.first_run: int | None = None
        self.end: int | None = None
        self.blocked = 0
        self.voluntary = self.involuntary = self.migrations = 0
        self.cpu: int | None = None
        # Of the policies: when it joined its queue, and what they note on it.
        self.joined = 0
        self.note: dict[str, int] = {}

    @property
    def need(self) -> int:
        return min(self.left, self.burst)


class Policy:
    """First in, first out; the others change some of it."""

    def __init__(self) -> None:
        self.queue: list[Job] = []
        self.count = 0

    def append(self, job: Job) -> None:
        self.count += 1
        job.joined = self.count
        self.queue.append(job)

    def enqueue(self, job: Job, reason: str, now: int) -> None:
        self.append(job)

    def key(self, job: Job) -> Any:
        return job.joined

    def pick(self, now: int) -> Job | None:
        if not self.queue:
            return None
        job = min(self.queue, key=lambda job: (self.key(job), job.joined))
        self.queue.remove(job)
        return job

    def until(self, job: Job, now: int) -> int:
        return NEVER

    def charge(self, job: Job, ran: int, now: int) -> None: ...

    def must_yield(self, job: Job, now: int) -> bool:
        return True

    def leave(self, job: Job, reason: str, now: int) -> None: ...

    def victim(self, woken: Job, running: list[Job], now: int) -> Job | None:
        return None

    def give_away(self, now: int) -> tuple[Job, int] | None:
        job = self.pick(now)
        return None if job is None else (job, 0)


def worst(running: list[Job], measure: Callable[[Job], int], above: int) -> Job | None:
    """The first of those with the largest measure, if that is above a limit."""
    worse = [job for job in running if measure(job) > above]
    return max(worse, key=measure) if worse else None


class Sjf(Policy):
    def key(self, job: Job) -> Any:
        return job.need


class Stcf(Sjf):
    def victim(self, woken: Job, running: list[Job], now: int) -> Job | None:
        return worst(running, lambda job: job.need, woken.need)


class Sliced(Policy):
    def __init__(self, time_slice: int | None) -> None:
        super().__init__()
        self.slice = NEVER if time_slice is None else time_slice

    def until(self, job: Job, now: int) -> int:
        return now + self.slice


class Priority(Sliced):
    def __init__(self, time_slice: int | None, aging: int | None) -> None:
        super().__init__(time_slice)
        self.aging = aging

    def enqueue(self, job: Job, reason: str, now: int) -> None:
        job.note["since"] = now
        self.append(job)

    def key(self, job: Job) -> Any:
        return job.priority if self.aging is None else job.priority * self.aging + job.note["since"]

    def victim(self, woken: Job, running: list[Job], now: int) -> Job | None:
        return worst(running, lambda job: job.priority, woken.priority)


class Lottery(Sliced):
    def __init__(self, time_slice: int, seed: int, index: int) -> None:
        super().__init__(time_slice)
        self.stream = Stream(seed, "sched.lottery", index)

    def pick(self, now: int) -> Job | None:
        if not self.queue:
            return None
        drum = sorted(self.queue, key=lambda job: job.number)
        ticket = self.stream.next_u64() * sum(job.tickets for job in drum) >> 64
        for job in drum:
            if ticket < job.tickets:
                self.queue.remove(job)
                return job
            ticket -= job.tickets
        raise AssertionError("every ticket has a holder")


class Stride(Sliced):
    def __init__(self, time_slice: int) -> None:
        super().__init__(time_slice)
        self.reached = 0

    def enqueue(self, job: Job, reason: str, now: int, carry: int = 0) -> None:
        if reason == "new":
            job.note["pass"] = self.reached
        elif reason == "wake":
            job.note["pass"] = max(job.note["pass"], self.reached)
        elif reason == "migrated":
            job.note["pass"] = self.reached + carry
        self.append(job)

    def key(self, job: Job) -> Any:
        return job.note["pass"]

    def pick(self, now: int) -> Job | None:
        job = super().pick(now)
        if job is not None:
            self.reached = max(self.reached, job.note["pass"])
        return job

    def charge(self, job: Job, ran: int, now: int) -> None:
        job.note["pass"] += 2**30 * ran // (job.tickets * self.slice)

    def give_away(self, now: int) -> tuple[Job, int] | None:
        job = super().pick(now)
        return None if job is None else (job, job.note["pass"] - self.reached)


class Mlfq(Policy):
    def __init__(self, slices: Sequence[int], allotments: Sequence[int], boost: int | None, io_renews: bool) -> None:
        super().__init__()
        self.levels: list[list[Job]] = [[] for _ in slices]
        self.slices, self.allotments = slices, [a * b for a, b in zip(slices, allotments, strict=True)]
        self.boost, self.io_renews, self.boosts = boost, io_renews, 0

    def look(self, job: Job, now: int) -> dict[str, int]:
        self.rise(now)
        if job.note["boosts"] < self.boosts:
            job.note = {"level": 0, "used": 0, "slice": 0, "boosts": self.boosts}
        return job.note

    def rise(self, now: int) -> None:
        if self.boost is not None and now // self.boost > self.boosts:
            self.boosts = now // self.boost
            everyone = [job for level in self.levels for job in level]
            self.levels = [everyone, *([] for _ in self.levels[1:])]

    def enqueue(self, job: Job, reason: str, now: int, carry: int = 0) -> None:
        self.rise(now)
        if reason in ("new", "migrated"):
            job.note = {"level": carry, "used": 0, "slice": 0, "boosts": self.boosts}
        note = self.look(job, now)
        sank = False
        if reason == "wake" and self.io_renews:
            note["used"] = 0
        elif note["used"] >= self.allotments[note["level"]]:
            sank = True
            note["level"] = min(note["level"] + 1, len(self.levels) - 1)
            note["used"] = 0
        if reason == "preempted" and not sank:
            self.levels[note["level"]].insert(0, job)
        else:
            note["slice"] = 0
            self.levels[note["level"]].append(job)

    def pick(self, now: int) -> Job | None:
        self.rise(now)
        for level in self.levels:
            if level:
                return level.pop(0)
        return None

    def until(self, job: Job, now: int) -> int:
        note = self.look(job, self.boosts * (self.boost or 0))
        level = note["level"]
        return now + min(self.slices[level] - note["slice"], self.allotments[level] - note["used"])

    def charge(self, job: Job, ran: int, now: int) -> None:
        note = self.look(job, now)
        note["used"] += ran
        note["slice"] += ran

    def victim(self, woken: Job, running: list[Job], now: int) -> Job | None:
        return worst(running, lambda job: self.look(job, now)["level"], self.look(woken, now)["level"])

    def give_away(self, now: int) -> tuple[Job, int] | None:
        job = self.pick(now)
        return None if job is None else (job, self.look(job, now)["level"])


def factor(cpus: int) -> int:
    return {1: 1, 2: 2, 3: 2}.get(cpus, 3 if cpus < 8 else 4)


def virtual(time: int, job: Job) -> int:
    return time * 1024 // job.weight


class Ticked(Policy):
    def __init__(self, tick: int) -> None:
        super().__init__()
        self.tick = tick
        self.running: Job | None = None

    def until(self, job: Job, now: int) -> int:
        return (now // self.tick + 1) * self.tick

    @property
    def everyone(self) -> list[Job]:
        return self.queue + ([self.running] if self.running else [])


class Cfs(Ticked):
    def __init__(self, latency: int, min_gran: int, wakeup_gran: int, tick: int, cpus: int) -> None:
        super().__init__(tick)
        scale = factor(cpus)
        self.latency, self.min_gran, self.wakeup_gran = latency * scale, min_gran * scale, wakeup_gran * scale
        self.min_v = self.ran = 0

    def key(self, job: Job) -> Any:
        return job.note["v"]

    def share(self, job: Job, everyone: list[Job]) -> int:
        period = self.latency if len(everyone) <= 8 else self.min_gran * len(everyone)
        return period * job.weight // sum(other.weight for other in everyone)

    def enqueue(self, job: Job, reason: str, now: int, carry: int = 0) -> None:
        if job is self.running:
            self.running = None
        if reason == "new":
            job.note["v"] = self.min_v + virtual(self.share(job, [*self.everyone, job]), job)
        elif reason == "wake":
            job.note["v"] = max(job.note["v"], self.min_v - self.latency // 2)
        elif reason == "migrated":
            job.note["v"] = self.min_v + carry
        self.append(job)

    def pick(self, now: int) -> Job | None:
        job = super().pick(now)
        if job is not None:
            self.running, self.ran = job, 0
        return job

    def advance(self) -> None:
        if self.everyone:
            self.min_v = max(self.min_v, min(job.note["v"] for job in self.everyone))

    def charge(self, job: Job, ran: int, now: int) -> None:
        job.note["v"] += virtual(ran, job)
        self.ran += ran
        self.advance()

    def must_yield(self, job: Job, now: int) -> bool:
        if not self.queue:
            return False
        share = self.share(job, self.everyone)
        ahead = job.note["v"] - min(other.note["v"] for other in self.queue)
        return self.ran > share or (self.ran >= self.min_gran and ahead > share)

    def leave(self, job: Job, reason: str, now: int) -> None:
        self.running = None
        self.advance()

    def victim(self, woken: Job, running: list[Job], now: int) -> Job | None:
        (job,) = running
        return job if job.note["v"] - woken.note["v"] > virtual(self.wakeup_gran, woken) else None

    def give_away(self, now: int) -> tuple[Job, int] | None:
        job = Policy.pick(self, now)
        return None if job is None else (job, job.note["v"] - self.min_v)


class Eevdf(Ticked):
    def __init__(self, base_slice: int, tick: int, cpus: int) -> None:
        super().__init__(tick)
        self.slice = base_slice * factor(cpus)
        self.delayed: list[Job] = []
        self.protected = 0
        self.passed = False

    def average(self) -> int:
        everyone = self.everyone
        weight = sum(job.weight for job in everyone)
        return sum(job.weight * job.note["v"] for job in everyone) // weight if weight else 0

    def eligible(self, job: Job) -> bool:
        everyone = self.everyone
        return sum(other.weight * (other.note["v"] - job.note["v"]) for other in everyone) >= 0

    def lag(self, job: Job) -> int:
        limit = virtual(max(2 * self.slice, self.tick), job)
        return max(-limit, min(limit, self.average() - job.note["v"]))

    def place(self, job: Job, lag: int, time_slice: int) -> None:
        weight = sum(other.weight for other in self.everyone)
        stretched = abs(lag) * (weight + job.weight) // weight if weight else 0
        job.note["v"] = self.average() - (stretched if lag >= 0 else -stretched)
        job.note["deadline"] = job.note["v"] + time_slice
        self.append(job)

    def enqueue(self, job: Job, reason: str, now: int, carry: int = 0) -> None:
        if reason in ("preempted", "slice-used"):
            self.running = None
            self.append(job)
        elif reason == "new":
            self.place(job, 0, virtual(self.slice, job) // 2)
        elif reason == "wake" and job in self.delayed:
            self.delayed.remove(job)
            if self.lag(job) > 0:
                self.queue.remove(job)
                self.place(job, 0, virtual(self.slice, job))
        else:
            self.place(job, carry if reason == "migrated" else job.note["lag"], virtual(self.slice, job))

    def best(self) -> Job | None:
        fit = [job for job in self.queue if self.eligible(job)]
        return min(fit, key=lambda job: (job.note["deadline"], job.joined)) if fit else None

    def pick(self, now: int) -> Job | None:
        while (job := self.best()) is not None:
            if job not in self.delayed:
                self.queue.remove(job)
                self.running = job
                self.protected, self.passed = job.note["deadline"], False
                return job
            job.note["lag"] = min(0, self.lag(job))
            self.delayed.remove(job)
            self.queue.remove(job)
        return None

    def charge(self, job: Job, ran: int, now: int) -> None:
        job.note["v"] -= -ran * 1024 // job.weight
        if job.note["v"] >= job.note["deadline"]:
            job.note["deadline"] = job.note["v"] + virtual(self.slice, job)
            self.passed = True

    def must_yield(self, job: Job, now: int) -> bool:
        return bool(self.queue) and (self.passed or job.note["v"] >= self.protected)

    def leave(self, job: Job, reason: str, now: int) -> None:
        if reason == "blocked" and not self.eligible(job):
            self.running = None
            self.delayed.append(job)
            self.append(job)
            return
        job.note["lag"] = self.lag(job)
        self.running = None

    def victim(self, woken: Job, running: list[Job], now: int) -> Job | None:
        (job,) = running
        fit = self.eligible(job)
        if fit and job.note["v"] < self.protected:
            return None
        if self.best() is not woken or (fit and job.note["deadline"] < woken.note["deadline"]):
            return None
        return job

    def give_away(self, now: int) -> tuple[Job, int] | None:
        awake = [job for job in self.queue if job not in self.delayed]
        if not awake:
            return None
        job = min(awake, key=lambda job: (not self.eligible(job), job.note["deadline"], job.joined))
        lag = self.lag(job)
        self.queue.remove(job)
        return job, lag


@dataclass
class Cpu:
    running: Job | None = None
    last: Job | None = None
    put_back: Job | None = None
    picked: int = 0
    begin: int = 0
    charged: int = 0
    limit: int = NEVER
    busy: int = 0
    switching: int = 0
    switches: int = 0


class Simulation:
    """Cpus with their queues: one for all, or one each."""

    def __init__(self, jobs: list[Job], queues: list[Policy], cpus: int, switch: int, steal: bool) -> None:
        self.jobs, self.queues, self.switch, self.steal = jobs, queues, switch, steal
        self.cpus = [Cpu() for _ in range(cpus)]
        self.coming = sorted(jobs, key=lambda job: (job.arrival, job.number))
        self.asleep: list[tuple[int, int, Job]] = []
        self.waiting: list[list[Job]] = [[] for _ in queues]
        self.slept = 0

    def queue_of(self, cpu: int) -> int:
        return 0 if len(self.queues) == 1 else cpu

    def run(self, until: int = NEVER) -> int:
        """Runs to the end, or to a time; returns when that was."""
        now = 0
        while True:
            times = [job.arrival for job in self.coming] + [time for time, _, _ in self.asleep]
            for cpu in self.cpus:
                if cpu.running:
                    times += [cpu.limit, cpu.charged + cpu.running.need]
            if not times or min(times) > until:
                break
            now = min(times)
            self.instant(now)
        if times:
            now = until
            for number in range(len(self.cpus)):
                self.charge(number, now)
                self.close_switch(number, now)
        return now

    def instant(self, now: int) -> None:
        for number, cpu in enumerate(self.cpus):
            if cpu.running and cpu.charged + cpu.running.need == now:
                self.end_burst(number, now)
        fresh = []
        for _, _, job in sorted(entry for entry in self.asleep if entry[0] == now):
            self.enqueue(job.cpu or 0, job, "wake", now)
            fresh.append(job)
        self.asleep = [entry for entry in self.asleep if entry[0] != now]
        while self.coming and self.coming[0].arrival == now:
            job = self.coming.pop(0)
            loads = [len(self.waiting[q]) + bool(self.cpus[q].running) for q in range(len(self.queues))]
            if len(self.queues) > 1:
                job.cpu = loads.index(min(loads))
            self.enqueue(job.cpu or 0, job, "new", now)
            fresh.append(job)
        for number, cpu in enumerate(self.cpus):
            if cpu.running and cpu.limit == now:
                self.charge(number, now)
                queue = self.queues[self.queue_of(number)]
                if queue.must_yield(cpu.running, now):
                    self.put_back(number, "slice-used", now)
                else:
                    cpu.limit = queue.until(cpu.running, now)
        self.dispatch(now)
        for job in fresh:
            self.preempt_for(job, now)

    def enqueue(self, cpu: int, job: Job, reason: str, now: int, *carry: int) -> None:
        queue = self.queue_of(cpu)
        self.waiting[queue].append(job)
        self.queues[queue].enqueue(job, reason, now, *carry)

    def charge(self, number: int, now: int) -> None:
        cpu = self.cpus[number]
        if cpu.running and now > cpu.charged:
            ran = now - cpu.charged
            cpu.charged = now
            cpu.busy += ran
            cpu.running.left -= ran
            if cpu.running.io_every:
                cpu.running.burst -= ran
            self.queues[self.queue_of(number)].charge(cpu.running, ran, now)

    def close_switch(self, number: int, now: int) -> None:
        cpu = self.cpus[number]
        if cpu.running:
            cpu.switching += min(now, cpu.begin) - cpu.picked

    def vacate(self, number: int, now: int) -> Job:
        cpu = self.cpus[number]
        self.close_switch(number, now)
        job, cpu.running = cpu.running, None
        assert job is not None
        return job

    def end_burst(self, number: int, now: int) -> None:
        self.charge(number, now)
        job = self.vacate(number, now)
        queue = self.queues[self.queue_of(number)]
        if job.left == 0:
            job.end = now
            queue.leave(job, "ended", now)
            return
        job.burst = job.io_every or NEVER
        job.blocked += job.io
        job.voluntary += 1
        self.slept += 1
        self.asleep.append((now + job.io, self.slept, job))
        queue.leave(job, "blocked", now)

    def put_back(self, number: int, reason: str, now: int) -> None:
        job = self.vacate(number, now)
        self.cpus[number].put_back = job
        self.enqueue(number, job, reason, now)

    def dispatch(self, now: int) -> None:
        for number, cpu in enumerate(self.cpus):
            if cpu.running:
                continue
            job = self.pick(number, now)
            if cpu.put_back and cpu.put_back is not job:
                cpu.put_back.involuntary += 1
            cpu.put_back = None
            if job:
                self.start(number, job, now)

    def pick(self, number: int, now: int) -> Job | None:
        queue = self.queue_of(number)
        job = self.queues[queue].pick(now)
        if job is None and self.steal and len(self.queues) > 1 and any(self.waiting):
            lengths = [len(waiting) for waiting in self.waiting]
            longest = lengths.index(max(lengths))
            given = self.queues[longest].give_away(now)
            assert given is not None
            self.waiting[longest].remove(given[0])
            carries = isinstance(self.queues[0], (Mlfq, Stride, Cfs, Eevdf))
            self.enqueue(number, given[0], "migrated", now, *(given[1:] if carries else ()))
            job = self.queues[queue].pick(now)
        if job:
            self.waiting[queue].remove(job)
        return job

    def start(self, number: int, job: Job, now: int) -> None:
        cpu = self.cpus[number]
        is_switch = cpu.last is not None and cpu.last is not job
        cpu.begin = now + (self.switch if is_switch else 0)
        cpu.switches += is_switch
        if job.first_run is None:
            job.first_run = cpu.begin
        elif job.cpu != number:
            job.migrations += 1
        job.cpu = number
        cpu.running = cpu.last = job
        cpu.picked, cpu.charged = now, cpu.begin
        cpu.limit = self.queues[self.queue_of(number)].until(job, cpu.begin)

    def preempt_for(self, woken: Job, now: int) -> None:
        if any(cpu.running is woken for cpu in self.cpus):
            return
        queue = self.queue_of(woken.cpu or 0)
        numbers = [n for n, cpu in enumerate(self.cpus) if cpu.running and self.queue_of(n) == queue]
        if isinstance(self.queues[0], (Stcf, Priority, Mlfq, Cfs, Eevdf)):
            for number in numbers:
                self.charge(number, now)
            running = [job for number in numbers if (job := self.cpus[number].running)]
            victim = self.queues[queue].victim(woken, running, now)
            if victim is not None:
                self.put_back(numbers[running.index(victim)], "preempted", now)
                self.dispatch(now)
