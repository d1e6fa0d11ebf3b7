"""One CPU and jobs that are all there at time 0, as OSTEP's `scheduler.py` plays it.

Nothing but time on the CPU is modelled: no I/O, and a switch costs nothing. Names and defaults of options and the use
of random numbers are those of the tool, so that the same seed gives the same exercise. Source: cpu-sched/scheduler.py
of remzi-arpacidusseau/ostep-homework at 6c6cfc7.
"""

import math
from collections import deque
from collections.abc import Sequence
from random import Random

import msgspec

from runq.errors import ConfigError

__all__ = ["POLICIES", "JobTimes", "SchedulerResult", "Slice", "prepare", "scheduler", "simulate"]

POLICIES = ("SJF", "FIFO", "RR")

# With these, every time is exact in a float where the lengths are integers.
_LONGEST = 1_000_000_000
_MOST_JOBS = 1_000_000
_MOST_SLICES = 1_000_000


class JobTimes(msgspec.Struct, frozen=True, kw_only=True):
    """When a job ran, in the unit of its length.

    Attributes:
        job: its number, from 0.
        response: from arrival until it runs first.
        turnaround: from arrival until it is done.
        wait: how long it did not run between the two.
    """

    job: int
    response: float
    turnaround: float
    wait: float


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """From `time` on `job` runs for `run` without a break."""

    time: float
    job: int
    run: float


class SchedulerResult(msgspec.Struct, frozen=True, kw_only=True):
    """Every job, in the order in which they ran first, and what ran when, in order of time."""

    jobs: tuple[JobTimes, ...]
    trace: tuple[Slice, ...]

    def to_json(self) -> str:
        """Everything as one line of JSON: what `--json` prints."""
        return msgspec.json.encode(self).decode()


def scheduler(
    jlist: Sequence[float] | None = None,
    *,
    jobs: int = 3,
    maxlen: int = 10,
    policy: str = "FIFO",
    quantum: int = 1,
    seed: int = 0,
) -> SchedulerResult:
    """Schedules jobs on one CPU.

    >>> [(slice.job, slice.run) for slice in scheduler([3, 5], policy="RR", quantum=2).trace]
    [(0, 2.0), (1, 2.0), (0, 1.0), (1, 2.0), (1, 1.0)]

    Args:
        jlist: how long each job runs; without it random jobs do.
        jobs: how many random ones, at most 1,000,000.
        maxlen: random ones run for 1 to so long, at most 1,000,000,000.
        policy: `FIFO`, `SJF` (shortest first; among equals the one that comes first) or `RR` (in turn).
        quantum: how long a turn of RR is.
        seed: of random jobs.

    Raises:
        ConfigError: an option is out of its range.
    """
    lengths = prepare(jlist, jobs=jobs, maxlen=maxlen, policy=policy, quantum=quantum, seed=seed)
    return simulate(lengths, policy=policy, quantum=quantum)


def prepare(
    jlist: Sequence[float] | None, *, jobs: int, maxlen: int, policy: str, quantum: int, seed: int
) -> Sequence[float]:
    """Checks the options of `scheduler` and gives the length of each job; random ones are integers."""
    if policy not in POLICIES:
        raise ConfigError("policy", f"must be one of {', '.join(POLICIES)}", repr(policy))
    lengths = _random_lengths(Random(seed), jobs, maxlen) if jlist is None else [float(length) for length in jlist]
    if not lengths:
        raise ConfigError("jlist", "must be at least one job", "none")
    for job, length in enumerate(lengths):
        # Written so that NaN is refused too.
        if not 0 <= length <= _LONGEST:
            raise ConfigError(f"jlist[{job}]", f"must be a run time between 0 and {_LONGEST}", str(length))
    if policy == "RR":
        if quantum < 1:
            raise ConfigError("quantum", "must be at least 1", str(quantum))
        if sum(math.ceil(length / quantum) for length in lengths) > _MOST_SLICES:
            raise ConfigError("quantum", f"must cut the jobs into at most {_MOST_SLICES} slices", str(quantum))
    return lengths


def simulate(lengths: Sequence[float], *, policy: str, quantum: int) -> SchedulerResult:
    """Runs jobs of these lengths to their end. O(slices), and for SJF O(jobs log jobs) more."""
    order = range(len(lengths))
    turns = deque(sorted(order, key=lengths.__getitem__) if policy == "SJF" else order)
    longest_turn = quantum if policy == "RR" else math.inf
    left = [float(length) for length in lengths]
    # In the order of first runs, since keys stay where they first came.
    response: dict[int, float] = {}
    turnaround: dict[int, float] = {}
    wait = [0.0] * len(lengths)
    last_ran = [0.0] * len(lengths)
    trace = []
    time = 0.0
    while turns:
        job = turns.popleft()
        response.setdefault(job, time)
        wait[job] += time - last_ran[job]
        run = float(min(left[job], longest_turn))
        trace.append(Slice(time=time, job=job, run=run))
        time += run
        last_ran[job] = time
        if left[job] > longest_turn:
            left[job] -= run
            turns.append(job)
        else:
            turnaround[job] = time
    times = (JobTimes(job=job, response=response[job], turnaround=turnaround[job], wait=wait[job]) for job in response)
    return SchedulerResult(jobs=tuple(times), trace=tuple(trace))


def _random_lengths(rng: Random, jobs: int, maxlen: int) -> list[int]:
    if not 1 <= jobs <= _MOST_JOBS:
        raise ConfigError("jobs", f"must be between 1 and {_MOST_JOBS}", str(jobs))
    if not 1 <= maxlen <= _LONGEST:
        raise ConfigError("maxlen", f"must be between 1 and {_LONGEST}", str(maxlen))
    return [int(maxlen * rng.random()) + 1 for _ in range(jobs)]
