"""`runq ostep lottery`, as OSTEP's `lottery.py`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from runq.cli.ostep._common import argument_lines, json_option, print_lines, radix_int, solve_option
from runq.errors import ConfigError

if TYPE_CHECKING:
    from runq.ostep.lottery import Draw

__all__ = ["lottery"]


@click.command()
@click.option("-s", "--seed", type=radix_int, default="0", metavar="N", help="Seed of random jobs and of the draws.")
@click.option("-j", "--jobs", type=radix_int, default="3", metavar="N", help="How many random jobs.")
@click.option("-l", "--jlist", default="", metavar="JOBS", help="Run times and tickets of jobs instead: 10:100,20:100.")
@click.option("-m", "--maxlen", type=radix_int, default="10", metavar="N", help="Random jobs run for less than N.")
@click.option("-T", "--maxticket", type=radix_int, default="100", metavar="N", help="They have fewer than N tickets.")
@click.option("-q", "--quantum", type=radix_int, default="1", metavar="N", help="For how long the winner runs.")
@solve_option
@json_option
def lottery(solve: bool, as_json: bool, **arguments: Any) -> None:
    """Draw lots for the CPU: who runs next, and who is done when.

    \b
    Examples:
      runq ostep lottery -s 2 -j 3
      runq ostep lottery -l 10:1,10:100 -c
      runq ostep lottery -l 100:100,100:100 -q 5 --json
    """
    from runq import ostep as exercises
    from runq.ostep.lottery import draw_number, play, prepare

    listed = arguments["jlist"]
    options = arguments | {"jlist": _jobs(listed)}
    if as_json:
        click.echo(exercises.lottery(**options).to_json())
        return
    jobs, rng = prepare(**options)
    # In the order in which the tool tells them.
    names = ("jlist", "jobs", "maxlen", "maxticket", "quantum", "seed")
    heads = (argument_lines({name: arguments[name] for name in names}), _job_lines(jobs))
    if solve:
        print_lines(*heads, _draw_lines(play(jobs, rng, arguments["quantum"]), [tickets for _, tickets in jobs]))
    else:
        # As many as there are draws if all are of one unit.
        draws = sum(length for length, _ in jobs)
        print_lines(*heads, _question_lines(draw_number(rng) for _ in range(draws)))


def _jobs(listed: str) -> list[tuple[int, int]] | None:
    """The jobs that are asked for; none if random ones are."""
    if not listed:
        return None
    jobs = []
    for place, text in enumerate(listed.split(",")):
        try:
            length, tickets = (int(number) for number in text.split(":"))
        except ValueError:
            raise ConfigError(f"jlist[{place}]", "must be two integers: run time:tickets", repr(text)) from None
        jobs.append((length, tickets))
    return jobs


def _job_lines(jobs: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Every job."""
    yield "Here is the job list, with the run time of each job: "
    for job, (length, tickets) in enumerate(jobs):
        yield f"  Job {job} ( length = {length}, tickets = {tickets} )"
    yield from ("", "")


def _question_lines(numbers: Iterable[int]) -> Iterator[str]:
    """What is drawn."""
    yield "Here is the set of random numbers you will need (at most):"
    for number in numbers:
        yield f"Random {number}"


def _draw_lines(draws: Iterable["Draw"], tickets: Sequence[int]) -> Iterator[str]:
    """Every draw with the jobs before it, the winner marked."""
    yield from ("** Solutions **", "")
    for draw in draws:
        yield f"Random {draw.number} -> Winning ticket {draw.ticket} (of {draw.tickets}) -> Run {draw.winner}"
        yield "  Jobs:"
        yield "".join(
            f" ({'*' if job == draw.winner else ' '} job:{job} timeleft:{left} tix:{tickets[job] if left else '---'} ) "
            for job, left in enumerate(draw.left)
        )
        if draw.done_at is not None:
            yield f"--> JOB {draw.winner} DONE at time {draw.done_at}"
    yield ""
