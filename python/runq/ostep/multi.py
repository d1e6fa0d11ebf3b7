"""Jobs on several CPUs with caches, as OSTEP's `multi.py` plays them: options, random jobs, and how busy CPUs are.

Names and defaults of options and the use of random numbers are those of the tool, so that the same seed gives the same
exercise. Source: cpu-sched-multi/multi.py of remzi-arpacidusseau/ostep-homework at 6c6cfc7.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import msgspec

from runq.errors import ConfigError
from runq.ostep.multi_cpu import CpuJob, MultiCpu, Options

__all__ = ["CpuUse", "MultiResult", "multi", "prepare", "run_to_end"]

_MOST_JOBS = 1000
_MOST_CPUS = 1000
_LONGEST = 1_000_000
# Ticks times CPUs: each is a column of the output.
_MOST_TURNS = 10_000_000


class CpuUse(msgspec.Struct, frozen=True, kw_only=True):
    """How busy a CPU was, in percent of the time until all was done: with any job, and with a warm one."""

    cpu: int
    utilization: float
    warm: float


class MultiResult(msgspec.Struct, frozen=True, kw_only=True):
    """After how many ticks all is done, and every CPU."""

    finished: int
    cpus: tuple[CpuUse, ...]

    def to_json(self) -> str:
        """Everything as one line of JSON: what `--json` prints."""
        return msgspec.json.encode(self).decode()


def multi(
    job_list: Sequence[tuple[str, int, int]] | None = None,
    *,
    job_num: int = 3,
    max_run: int = 100,
    max_wset: int = 200,
    affinity: Mapping[str, Sequence[int]] | None = None,
    per_cpu_queues: bool = False,
    num_cpus: int = 2,
    quantum: int = 10,
    peek_interval: int = 30,
    warmup_time: int = 10,
    warm_rate: int = 2,
    cache_size: int = 100,
    rand_order: bool = False,
    seed: int = 0,
    compat: bool = True,
) -> MultiResult:
    """Schedules jobs on several CPUs, each with a cache.

    >>> [multi([("a", 30, 200)], num_cpus=1, cache_size=size).finished for size in (100, 300)]
    [30, 20]

    Args:
        job_list: each job as name, run time where it is cold, and size of its working set; without it jobs are random.
        job_num: how many random ones, at most 1,000.
        max_run: their run times are multiples of 10 below it (or 0 where it is).
        max_wset: their working sets likewise.
        affinity: on which CPUs a job may run, for jobs that may not on all.
        per_cpu_queues: whether every CPU has a queue of its own; else there is one for all.
        num_cpus: how many CPUs.
        quantum: the turns of all jobs end when the time is a multiple of it.
        peek_interval: how often a CPU whose own queue is empty looks for a job in another one; with 0 never.
        warmup_time: for how long a job runs on a CPU until its working set is in the cache there.
        warm_rate: how much of its run time a job does in a tick where it is warm; 1 where it is cold.
        cache_size: how large working sets that are warm may be in all.
        rand_order: whether CPUs take jobs in random order.
        seed: of random jobs, of random order, and of whose queue is looked at.
        compat: whether a job with an affinity is stolen as in the tool, which looks whether the CPU is the run time or
            the working set of the job, and whether only a tick in which a job does more than 1 counts as warm.

    Raises:
        ConfigError: an option is out of its range, or jobs need too long, or one ends up where it may not run.
    """
    machine = prepare(
        job_list,
        job_num=job_num,
        max_run=max_run,
        max_wset=max_wset,
        affinity=affinity,
        per_cpu_queues=per_cpu_queues,
        num_cpus=num_cpus,
        quantum=quantum,
        peek_interval=peek_interval,
        warmup_time=warmup_time,
        warm_rate=warm_rate,
        cache_size=cache_size,
        rand_order=rand_order,
        seed=seed,
        compat=compat,
    )
    return run_to_end(machine)


def prepare(
    job_list: Sequence[tuple[str, int, int]] | None,
    *,
    job_num: int,
    max_run: int,
    max_wset: int,
    affinity: Mapping[str, Sequence[int]] | None,
    seed: int,
    **options: Any,
) -> MultiCpu:
    """Checks the options of `multi` and gives the machine before anything happens."""
    machine = Options(**options)
    _check_options(machine)
    # One stream for all that is random, against the custom of this package: so the tool has it.
    rng = Random(seed)
    listed = _random_jobs(rng, job_num, max_run, max_wset) if job_list is None else job_list
    jobs = _make_jobs(listed, affinity or {}, machine.num_cpus)
    # As if no two of them ever ran at once. A job that has nothing to do runs for a tick.
    turns = sum(max(job.run_time, 1) for job in jobs) * machine.num_cpus
    if turns > _MOST_TURNS:
        shown = f"up to {turns}" if turns < 10**18 else "far more"
        raise ConfigError("job_list", f"must take at most {_MOST_TURNS} ticks times CPUs", shown)
    return MultiCpu(jobs, machine, rng)


def run_to_end(machine: MultiCpu) -> MultiResult:
    """Plays `machine` and tells how busy its CPUs were."""
    finished = sum(1 for _ in machine.play())
    cpus = (
        CpuUse(cpu=cpu, utilization=100.0 * ran / finished, warm=100.0 * warm / finished)
        for cpu, (ran, warm) in enumerate(zip(machine.ran, machine.ran_warm, strict=True))
    )
    return MultiResult(finished=finished, cpus=tuple(cpus))


def _check_options(options: Options) -> None:
    if not 1 <= options.num_cpus <= _MOST_CPUS:
        raise ConfigError("num_cpus", f"must be between 1 and {_MOST_CPUS}", str(options.num_cpus))
    for name, least in (("quantum", 1), ("warm_rate", 1), ("peek_interval", 0), ("warmup_time", 0), ("cache_size", 0)):
        value = getattr(options, name)
        if value < least:
            raise ConfigError(name, f"must be at least {least}", str(value))


def _make_jobs(
    listed: Sequence[tuple[str, int, int]], affinity: Mapping[str, Sequence[int]], num_cpus: int
) -> list[CpuJob]:
    if not 1 <= len(listed) <= _MOST_JOBS:
        raise ConfigError("job_list", f"must be 1 to {_MOST_JOBS} jobs", f"{len(listed)} of them")
    names: set[str] = set()
    jobs = []
    for place, (name, run_time, working_set) in enumerate(listed):
        if not name or name in names:
            raise ConfigError(f"job_list[{place}]", "must have a name of its own", repr(name))
        if run_time < 0 or working_set < 0:
            rule = "must have a run time and a working set of at least 0"
            raise ConfigError(f"job_list[{place}]", rule, f"{name}:{run_time}:{working_set}")
        names.add(name)
        cpus = tuple(affinity.get(name, ()))
        jobs.append(CpuJob(name=name, run_time=run_time, working_set=working_set, affinity=cpus))
    for name, pinned in affinity.items():
        if name not in names:
            raise ConfigError("affinity", "must be of jobs that there are", repr(name))
        for cpu in pinned:
            if not 0 <= cpu < num_cpus:
                raise ConfigError("affinity", f"must have CPUs from 0 to {num_cpus - 1}", f"{name}:{cpu}")
    return jobs


def _random_jobs(rng: Random, job_num: int, max_run: int, max_wset: int) -> list[tuple[str, int, int]]:
    if not 1 <= job_num <= _MOST_JOBS:
        raise ConfigError("job_num", f"must be between 1 and {_MOST_JOBS}", str(job_num))
    for name, value in (("max_run", max_run), ("max_wset", max_wset)):
        if not 0 <= value <= _LONGEST:
            raise ConfigError(name, f"must be between 0 and {_LONGEST}", str(value))
    # Arguments are evaluated in the order in which the tool draws.
    return [(str(job), _random_tens(rng, max_run), _random_tens(rng, max_wset)) for job in range(job_num)]


def _random_tens(rng: Random, limit: int) -> int:
    return int((rng.random() * limit) / 10.0) * 10
