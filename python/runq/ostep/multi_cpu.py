"""The CPUs of OSTEP's `multi.py` with their caches and queues, tick by tick.

A cache is a list of working sets that are warm; nothing of them is modelled but their size. Turns end for all CPUs at
once, whenever the time is a multiple of the quantum. Source: cpu-sched-multi/multi.py of
remzi-arpacidusseau/ostep-homework at 6c6cfc7.
"""

from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from runq.errors import ConfigError

__all__ = ["CpuJob", "MultiCpu", "Options", "Tick"]

# So long may every CPU idle while jobs wait for one to steal them.
_MOST_IDLE = 100_000


class CpuJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that runs for `run_time` where it is cold, on the CPUs of `affinity`, or on any where that is empty."""

    name: str
    run_time: int
    working_set: int
    affinity: tuple[int, ...] = ()

    def may_run_on(self, cpu: int) -> bool:
        """Whether its affinity has the CPU, or is empty."""
        return not self.affinity or cpu in self.affinity


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and its scheduler, as `runq.ostep.multi` explains them."""

    num_cpus: int
    per_cpu_queues: bool
    quantum: int
    peek_interval: int
    warmup_time: int
    warm_rate: int
    cache_size: int
    rand_order: bool
    compat: bool


class Tick(msgspec.Struct, frozen=True):
    """A tick: when, whether turns ended before it, and for every CPU the job that ran, with what is left of it."""

    time: int
    is_interrupt: bool
    ran: tuple[tuple[str, int] | None, ...]


class _Cache:
    """Which jobs are warm on a CPU, and which get so while they run there."""

    def __init__(self, size: int, warmup_time: int) -> None:
        self._size = size
        self._warmup_time = warmup_time
        # Warm jobs, the one first that became so last. invariant: their working sets fit
        self.warm: list[CpuJob] = []
        # How long others have to run until they are warm. invariant: no job is in both
        self._left: dict[str, int] = {}

    def enter(self, job: CpuJob) -> None:
        """Notes that `job` gets the CPU."""
        if job in self.warm or job.name in self._left:
            return
        if self._warmup_time == 0:
            self._make_warm(job)
        else:
            self._left[job.name] = self._warmup_time

    def run(self, job: CpuJob) -> None:
        """Notes that `job` has run for a tick."""
        if job.name not in self._left:
            return
        self._left[job.name] -= 1
        if self._left[job.name] <= 0:
            del self._left[job.name]
            self._make_warm(job)

    def _make_warm(self, job: CpuJob) -> None:
        """Puts `job` in and whoever became warm first out until all fit, `job` itself too where it is too big."""
        self.warm.insert(0, job)
        total = sum(other.working_set for other in self.warm)
        while total > self._size:
            gone = self.warm.pop()
            self._left[gone.name] = self._warmup_time
            total -= gone.working_set


class MultiCpu:
    """The CPUs and what waits for them."""

    def __init__(self, jobs: Sequence[CpuJob], options: Options, rng: Random) -> None:
        self.jobs = jobs
        self.caches = [_Cache(options.cache_size, options.warmup_time) for _ in range(options.num_cpus)]
        # One for each CPU, or one and the same. invariant: a job that is not done is in one of them, or runs
        self.queues = _assign(jobs, options.num_cpus) if options.per_cpu_queues else [list(jobs)] * options.num_cpus
        # Ticks in which each CPU ran, and ran a warm job.
        self.ran = [0] * options.num_cpus
        self.ran_warm = [0] * options.num_cpus
        self._options = options
        self._rng = rng
        self._current: list[CpuJob | None] = [None] * options.num_cpus
        self._left = {job.name: job.run_time for job in jobs}

    def play(self) -> Iterator[Tick]:
        """Runs every job to its end, once; what comes out need not be kept.

        Raises:
            ConfigError: a pinned job was stolen as the tool does it, and stays where it must not run.
        """
        options = self._options
        time = idle = 0
        unfinished = len(self.jobs)
        while unfinished:
            is_interrupt = time > 0 and time % options.quantum == 0
            if is_interrupt:
                self._end_turns()
            if options.per_cpu_queues and options.peek_interval and time and time % options.peek_interval == 0:
                self._steal()
            self._dispatch()
            ran = tuple(self._run(cpu) for cpu in range(options.num_cpus))
            unfinished -= sum(job is not None and job[1] == 0 for job in ran)
            yield Tick(time, is_interrupt, ran)
            time += 1
            idle = 0 if any(ran) else idle + 1
            if idle > _MOST_IDLE:
                stuck = next(job.name for queue in self.queues for job in queue)
                rule = (
                    "must not have a job stolen by a CPU that it may not run on, as the tool has it without --no-compat"
                )
                raise ConfigError("affinity", rule, repr(stuck))

    def _end_turns(self) -> None:
        for cpu, job in enumerate(self._current):
            if job is not None:
                self.queues[cpu].append(job)
                self._current[cpu] = None

    def _steal(self) -> None:
        """Lets every CPU whose queue is empty, whether it runs a job or not, look at the queue of another one."""
        for cpu, queue in enumerate(self.queues):
            others = [other for other in range(len(self.queues)) if other != cpu]
            if queue or not others:
                continue
            victim = self.queues[self._rng.choice(others)]
            job = next((job for job in victim if self._may_steal(cpu, job)), None)
            if job is not None:
                victim.remove(job)
                queue.append(job)

    def _may_steal(self, cpu: int, job: CpuJob) -> bool:
        if job.affinity and self._options.compat:
            # The tool looks for the CPU among what it knows of the job, where its affinity is but one thing.
            return cpu in (job.run_time, job.working_set)
        return job.may_run_on(cpu)

    def _dispatch(self) -> None:
        """Gives every idle CPU the first job of its queue that may run there."""
        cpus = list(range(len(self.queues)))
        if self._options.rand_order:
            self._rng.shuffle(cpus)
        for cpu in cpus:
            if self._current[cpu] is None:
                job = next((job for job in self.queues[cpu] if job.may_run_on(cpu)), None)
                if job is not None:
                    self.queues[cpu].remove(job)
                    self._current[cpu] = job
                    self.caches[cpu].enter(job)

    def _run(self, cpu: int) -> tuple[str, int] | None:
        """Runs the job of `cpu` for a tick, if it has one; gives it and what is left of it."""
        job = self._current[cpu]
        if job is None:
            return None
        cache = self.caches[cpu]
        is_warm = job in cache.warm
        rate = self._options.warm_rate if is_warm else 1
        self.ran[cpu] += 1
        # The tool takes a tick for warm if the job was faster than a cold one.
        self.ran_warm[cpu] += rate > 1 if self._options.compat else is_warm
        left = max(self._left[job.name] - rate, 0)
        self._left[job.name] = left
        cache.run(job)
        if left == 0:
            self._current[cpu] = None
        return job.name, left


def _assign(jobs: Sequence[CpuJob], num_cpus: int) -> list[list[CpuJob]]:
    """Deals jobs out: one CPU after the other takes the first that may run there."""
    queues: list[list[CpuJob]] = [[] for _ in range(num_cpus)]
    left = list(jobs)
    while left:
        for cpu, queue in enumerate(queues):
            job = next((job for job in left if job.may_run_on(cpu)), None)
            if job is not None:
                left.remove(job)
                queue.append(job)
    return queues
