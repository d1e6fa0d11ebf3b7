"""A multi-level feedback queue, as OSTEP's `mlfq.py` plays it: options, random jobs, and times of every job.

Defaults of options and the use of random numbers are those of the tool, so that the same seed gives the same exercise.
Source: cpu-sched-mlfq/mlfq.py of remzi-arpacidusseau/ostep-homework at 6c6cfc7.
"""

from collections.abc import Sequence
from random import Random

import msgspec

from runq.errors import ConfigError
from runq.ostep.feedback_queue import FeedbackQueue, Job, Level

__all__ = ["MlfqJob", "MlfqResult", "mlfq", "prepare"]

_MOST_QUEUES = 1000
_MOST_JOBS = 100_000
# What a run may take at most: everything of it is a line.
_MOST_TIME = 1_000_000


class MlfqJob(msgspec.Struct, frozen=True, kw_only=True):
    """When a job ran.

    Attributes:
        job: its number, from 0.
        start: when it arrived.
        response: from then until it ran first.
        turnaround: from then until it was done.
    """

    job: int
    start: int
    response: int
    turnaround: int


class MlfqResult(msgspec.Struct, frozen=True, kw_only=True):
    """Every job, in order of their numbers."""

    jobs: tuple[MlfqJob, ...]

    def to_json(self) -> str:
        """Everything as one line of JSON: what `--json` prints."""
        return msgspec.json.encode(self).decode()


def mlfq(
    jlist: Sequence[tuple[int, int, int]] | None = None,
    *,
    num_queues: int = 3,
    quantum: int = 10,
    allotment: int = 1,
    quantum_list: Sequence[int] | None = None,
    allotment_list: Sequence[int] | None = None,
    num_jobs: int = 3,
    maxlen: int = 100,
    maxio: int = 10,
    boost: int = 0,
    iotime: int = 5,
    stay: bool = False,
    iobump: bool = False,
    seed: int = 0,
    compat: bool = True,
) -> MlfqResult:
    """Schedules jobs by a multi-level feedback queue.

    >>> [job.turnaround for job in mlfq([(0, 25, 0), (20, 5, 0)], quantum=10).jobs]
    [30, 5]

    Args:
        jlist: each job as start, run time, and how long it runs between two I/Os (0: it does none); without it jobs
            are random and start at 0.
        num_queues: how many queues, at most 1,000.
        quantum: how long a turn is in every queue.
        allotment: after how many turns a job goes down.
        quantum_list: `quantum` of each queue, from the highest down; `num_queues` is then their number.
        allotment_list: `allotment` of each queue, from the highest down; the lowest may have 0 or less for no end.
        num_jobs: how many random jobs.
        maxlen: random jobs run for at least 1 and less than so long (or 1 where it is).
        maxio: they run for at least 1 and less than so long between I/Os (or 1 where it is); with 0 they do none.
        boost: how often all jobs go to the top; with 0 never.
        iotime: how long I/O takes.
        stay: whether a job that starts I/O has a whole allotment again.
        iobump: whether a job goes to the front of its queue after I/O.
        seed: of random jobs.
        compat: whether a turn that ends with I/O counts in spite of `stay`, as it does in the tool.

    Raises:
        ConfigError: an option is out of its range, or the jobs need more than 1,000,000 units of time.
    """
    run = prepare(
        jlist,
        num_queues=num_queues,
        quantum=quantum,
        allotment=allotment,
        quantum_list=quantum_list,
        allotment_list=allotment_list,
        num_jobs=num_jobs,
        maxlen=maxlen,
        maxio=maxio,
        boost=boost,
        iotime=iotime,
        stay=stay,
        iobump=iobump,
        seed=seed,
        compat=compat,
    )
    first_run: dict[int, int] = {}
    end: dict[int, int] = {}
    for event in run.play():
        if event.kind == "RUN":
            first_run.setdefault(event.job, event.time)
        elif event.kind == "FINISHED":
            end[event.job] = event.time
    return MlfqResult(
        jobs=tuple(
            MlfqJob(
                job=number, start=job.start, response=first_run[number] - job.start, turnaround=end[number] - job.start
            )
            for number, job in enumerate(run.jobs)
        )
    )


def prepare(
    jlist: Sequence[tuple[int, int, int]] | None,
    *,
    num_queues: int,
    quantum: int,
    allotment: int,
    quantum_list: Sequence[int] | None,
    allotment_list: Sequence[int] | None,
    num_jobs: int,
    maxlen: int,
    maxio: int,
    boost: int,
    iotime: int,
    stay: bool,
    iobump: bool,
    seed: int,
    compat: bool,
) -> FeedbackQueue:
    """Checks the options of `mlfq` and gives the queues before anything happens."""
    for name, value in (("boost", boost), ("iotime", iotime)):
        if value < 0:
            raise ConfigError(name, "must be at least 0", str(value))
    levels = _levels(num_queues, quantum, allotment, quantum_list, allotment_list)
    jobs = _random_jobs(Random(seed), num_jobs, maxlen, maxio) if jlist is None else [Job(*job) for job in jlist]
    _check_jobs(jobs, iotime)
    return FeedbackQueue(jobs, levels, boost_every=boost, io_time=iotime, stay=stay, bump=iobump, compat=compat)


def _levels(
    num_queues: int,
    quantum: int,
    allotment: int,
    quantum_list: Sequence[int] | None,
    allotment_list: Sequence[int] | None,
) -> list[Level]:
    """The queues from the lowest up."""
    if quantum_list is None:
        if not 1 <= num_queues <= _MOST_QUEUES:
            raise ConfigError("num_queues", f"must be between 1 and {_MOST_QUEUES}", str(num_queues))
        if quantum < 1:
            raise ConfigError("quantum", "must be at least 1", str(quantum))
    quantums = [quantum] * num_queues if quantum_list is None else quantum_list
    if not 1 <= len(quantums) <= _MOST_QUEUES:
        raise ConfigError("quantum_list", f"must be of 1 to {_MOST_QUEUES} queues", f"{len(quantums)} of them")
    allotments = [allotment] * len(quantums) if allotment_list is None else allotment_list
    if len(allotments) != len(quantums):
        rule = f"must have one number for each of the {len(quantums)} queues"
        raise ConfigError("allotment_list", rule, f"{len(allotments)} of them")
    for place, (turn, turns) in enumerate(zip(quantums, allotments, strict=True)):
        if turn < 1:
            raise ConfigError(f"quantum_list[{place}]", "must be at least 1", str(turn))
        if turns < 1 and place < len(quantums) - 1:
            name = "allotment" if allotment_list is None else f"allotment_list[{place}]"
            raise ConfigError(name, "must be at least 1 except in the lowest queue", str(turns))
    return [Level(*level) for level in zip(quantums, allotments, strict=True)][::-1]


def _check_jobs(jobs: Sequence[Job], io_time: int) -> None:
    if not 1 <= len(jobs) <= _MOST_JOBS:
        raise ConfigError("jlist", f"must be 1 to {_MOST_JOBS} jobs", f"{len(jobs)} of them")
    for number, job in enumerate(jobs):
        shown = f"{job.start},{job.run_time},{job.io_every}"
        if job.start < 0 or job.io_every < 0:
            raise ConfigError(f"jlist[{number}]", "must have a start and a time between I/Os of at least 0", shown)
        if job.run_time < 1:
            raise ConfigError(f"jlist[{number}]", "must have a run time of at least 1", shown)
    # As if no two jobs ever ran or did I/O at once, since there is no bound as simple that is closer.
    time = max(job.start for job in jobs) + sum(job.run_time for job in jobs)
    time += sum((job.run_time - 1) // job.io_every for job in jobs if job.io_every) * io_time
    if time > _MOST_TIME:
        raise ConfigError(
            "jlist",
            f"must need at most {_MOST_TIME} units of time with I/O",
            f"up to {time}" if time < 10**18 else "far more",
        )


def _random_jobs(rng: Random, num_jobs: int, maxlen: int, maxio: int) -> list[Job]:
    if not 1 <= num_jobs <= _MOST_JOBS:
        raise ConfigError("num_jobs", f"must be between 1 and {_MOST_JOBS}", str(num_jobs))
    if not 1 <= maxlen <= _MOST_TIME:
        raise ConfigError("maxlen", f"must be between 1 and {_MOST_TIME}", str(maxlen))
    if not 0 <= maxio <= _MOST_TIME:
        raise ConfigError("maxio", f"must be between 0 and {_MOST_TIME}", str(maxio))
    # Arguments are evaluated in the order in which the tool draws.
    return [Job(0, int(rng.random() * (maxlen - 1) + 1), int(rng.random() * (maxio - 1) + 1)) for _ in range(num_jobs)]
