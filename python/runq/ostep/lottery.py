"""A lottery for one CPU, as OSTEP's `lottery.py` holds it: whose ticket is drawn runs for a quantum.

All jobs are there at time 0, and the clock goes by whole quanta even where a job ends within one. Names and defaults of
options and the use of random numbers are those of the tool, so that the same seed gives the same exercise. Source:
cpu-sched-lottery/lottery.py of remzi-arpacidusseau/ostep-homework at 6c6cfc7, after Waldspurger and Weihl (1994).
"""

from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from runq.errors import ConfigError

__all__ = ["Draw", "LotteryResult", "draw_number", "lottery", "play", "prepare"]

_MOST_JOBS = 100_000
# What jobs may need in all: for every unit there may be a draw, and every draw is a line.
_MOST_TIME = 1_000_000
# Draws times jobs: every job is looked at in every draw.
_MOST_LOOKS = 100_000_000
_MOST_TICKETS = 1_000_000_000
# Draws are below it.
_NUMBERS = 1_000_001


class LotteryResult(msgspec.Struct, frozen=True, kw_only=True):
    """The job that wins each draw, until all are done."""

    winners: tuple[int, ...]

    def to_json(self) -> str:
        """Everything as one line of JSON: what `--json` prints."""
        return msgspec.json.encode(self).decode()


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """A draw and what it leads to.

    Attributes:
        number: what was drawn.
        ticket: which ticket that is, from 0.
        tickets: of how many.
        winner: the job that has it.
        left: how long every job has to run before it, in order of their numbers.
        done_at: when the winner is done, if this was its last quantum.
    """

    number: int
    ticket: int
    tickets: int
    winner: int
    left: tuple[int, ...]
    done_at: int | None


def lottery(
    jlist: Sequence[tuple[int, int]] | None = None,
    *,
    jobs: int = 3,
    maxlen: int = 10,
    maxticket: int = 100,
    quantum: int = 1,
    seed: int = 0,
) -> LotteryResult:
    """Schedules jobs by a lottery.

    >>> lottery([(3, 1), (5, 100)]).winners
    (1, 1, 1, 1, 1, 0, 0, 0)

    Args:
        jlist: how long each job runs and how many tickets it has, both at least 1; without it jobs are random.
        jobs: how many random ones, at most 100,000.
        maxlen: random ones run for at least 1 and less than so long.
        maxticket: random ones have at least 1 ticket and fewer than so many.
        quantum: for how long the winner of a draw runs.
        seed: of random jobs and of the draws.

    Raises:
        ConfigError: an option is out of its range, or the jobs run for more than 1,000,000 in all, or draws times
            jobs are more than 100,000,000.
    """
    drawn, rng = prepare(jlist, jobs=jobs, maxlen=maxlen, maxticket=maxticket, quantum=quantum, seed=seed)
    return LotteryResult(winners=tuple(draw.winner for draw in play(drawn, rng, quantum)))


def prepare(
    jlist: Sequence[tuple[int, int]] | None, *, jobs: int, maxlen: int, maxticket: int, quantum: int, seed: int
) -> tuple[Sequence[tuple[int, int]], Random]:
    """Checks the options of `lottery` and gives the jobs and the stream of the draws."""
    # One stream for jobs and draws, against the custom of this package: so the tool has it.
    rng = Random(seed)
    drawn = _random_jobs(rng, jobs, maxlen, maxticket) if jlist is None else jlist
    if not 1 <= len(drawn) <= _MOST_JOBS:
        raise ConfigError("jlist", f"must be 1 to {_MOST_JOBS} jobs", f"{len(drawn)} of them")
    for job, (length, tickets) in enumerate(drawn):
        if length < 1 or tickets < 1:
            raise ConfigError(f"jlist[{job}]", "must have a run time and tickets of at least 1", f"{length}:{tickets}")
    time = sum(length for length, _ in drawn)
    if time > _MOST_TIME:
        raise ConfigError(
            "jlist", f"must run for at most {_MOST_TIME} in all", str(time) if time < 10**18 else "far more"
        )
    if quantum < 1:
        raise ConfigError("quantum", "must be at least 1", str(quantum))
    looks = sum(-(-length // quantum) for length, _ in drawn) * len(drawn)
    if looks > _MOST_LOOKS:
        raise ConfigError("jlist", f"must need at most {_MOST_LOOKS} draws times jobs", str(looks))
    return drawn, rng


def play(jobs: Sequence[tuple[int, int]], rng: Random, quantum: int) -> Iterator[Draw]:
    """Draws until every job is done; what comes out need not be kept. O(jobs) a draw."""
    left = [length for length, _ in jobs]
    # Of jobs that are not done.
    tickets = [count for _, count in jobs]
    time = 0
    while total := sum(tickets):
        number = draw_number(rng)
        ticket = number % total
        winner = _holder(tickets, ticket)
        before = tuple(left)
        time += quantum
        left[winner] = max(left[winner] - quantum, 0)
        is_done = left[winner] == 0
        if is_done:
            tickets[winner] = 0
        yield Draw(
            number=number,
            ticket=ticket,
            tickets=total,
            winner=winner,
            left=before,
            done_at=time if is_done else None,
        )


def draw_number(rng: Random) -> int:
    """The next number of a draw."""
    return int(rng.random() * _NUMBERS)


def _holder(tickets: Sequence[int], ticket: int) -> int:
    """The job that holds `ticket` where jobs hold as many as `tickets` says, one after the other."""
    for job, count in enumerate(tickets):
        ticket -= count
        if ticket < 0:
            return job
    raise AssertionError("a ticket that is drawn is somebody's")


def _random_jobs(rng: Random, jobs: int, maxlen: int, maxticket: int) -> list[tuple[int, int]]:
    if not 1 <= jobs <= _MOST_JOBS:
        raise ConfigError("jobs", f"must be between 1 and {_MOST_JOBS}", str(jobs))
    # With 1 there would be no number to draw.
    if not 2 <= maxlen <= _MOST_TIME:
        raise ConfigError("maxlen", f"must be between 2 and {_MOST_TIME}", str(maxlen))
    if not 2 <= maxticket <= _MOST_TICKETS:
        raise ConfigError("maxticket", f"must be between 2 and {_MOST_TICKETS}", str(maxticket))
    return [(_random_below(rng, maxlen), _random_below(rng, maxticket)) for _ in range(jobs)]


def _random_below(rng: Random, limit: int) -> int:
    """From 1 on; zeros are drawn and thrown away."""
    while not (number := int(limit * rng.random())):
        pass
    return number
