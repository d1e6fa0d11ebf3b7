"""`runq ostep scheduler`, as OSTEP's `scheduler.py`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from runq.cli.ostep._common import argument_lines, json_option, mean, print_lines, radix_int, solve_option
from runq.errors import ConfigError

if TYPE_CHECKING:
    from runq.ostep.scheduler import SchedulerResult

__all__ = ["scheduler"]

_QUESTION = (
    "Compute the turnaround time, response time, and wait time for each job.",
    "When you are done, run this program again, with the same arguments,",
    "but with -c, which will thus provide you with the answers. You can use",
    "-s <somenumber> or your own job list (-l 10,15,20 for example)",
    "to generate different problems for yourself.",
    "",
)


@click.command()
@click.option("-s", "--seed", type=radix_int, default="0", metavar="N", help="Seed of random jobs.")
@click.option("-j", "--jobs", type=radix_int, default="3", metavar="N", help="How many random jobs.")
@click.option("-l", "--jlist", default="", metavar="TIMES", help="Run times of jobs instead of random ones: 10,15,20.")
@click.option("-m", "--maxlen", type=radix_int, default="10", metavar="N", help="Random jobs run for 1 to N.")
@click.option("-p", "--policy", default="FIFO", metavar="NAME", help="One of SJF, FIFO, RR.")
@click.option("-q", "--quantum", type=radix_int, default="1", metavar="N", help="How long a turn of RR is.")
@solve_option
@json_option
def scheduler(solve: bool, as_json: bool, **arguments: Any) -> None:
    """Schedule jobs on one CPU: how long until each runs, and until it is done.

    \b
    Examples:
      runq ostep scheduler -p SJF -l 100,200,300 -c
      runq ostep scheduler -p RR -q 3 -s 7
      runq ostep scheduler -p RR -j 5 -m 30 -q 4 --json
    """
    from runq.ostep.scheduler import prepare, simulate

    listed = arguments.pop("jlist")
    lengths = prepare(_run_times(listed), **arguments)
    policy = arguments["policy"]
    if as_json:
        click.echo(simulate(lengths, policy=policy, quantum=arguments["quantum"]).to_json())
        return
    shown = {"jlist": listed} if listed else {name: arguments[name] for name in ("jobs", "maxlen", "seed")}
    head = argument_lines({"policy": policy} | shown)
    if solve:
        result = simulate(lengths, policy=policy, quantum=arguments["quantum"])
        print_lines(head, _job_lines(lengths), _trace_lines(result, policy), _statistics_lines(result))
    else:
        print_lines(head, _job_lines(lengths), _QUESTION)


def _run_times(listed: str) -> list[float] | None:
    """The lengths that are asked for; none if random ones are."""
    if not listed:
        return None
    try:
        return [float(length) for length in listed.split(",")]
    except ValueError:
        raise ConfigError("jlist", "must be run times with commas between them", repr(listed)) from None


def _job_lines(lengths: Sequence[float]) -> Iterator[str]:
    """Every job with its length, as an integer if it is one at random."""
    yield "Here is the job list, with the run time of each job: "
    for job, length in enumerate(lengths):
        yield f"  Job {job} ( length = {length} )"
    yield from ("", "")


def _trace_lines(result: "SchedulerResult", policy: str) -> Iterator[str]:
    """What runs when; the last time of a job tells when it is done."""
    yield from ("** Solutions **", "", "Execution trace:")
    last = {turn.job: index for index, turn in enumerate(result.trace)}
    width = 3 if policy == "RR" else 1
    for index, turn in enumerate(result.trace):
        done = f" ( DONE at {turn.time + turn.run:.2f} )" if index == last[turn.job] else ""
        # The tool cuts fractions of this time off.
        yield f"  [ time {int(turn.time):3} ] Run job {turn.job:{width}} for {turn.run:.2f} secs{done}"


def _statistics_lines(result: "SchedulerResult") -> Iterator[str]:
    """The times of every job and their means."""
    yield from ("", "Final statistics:")
    for job in result.jobs:
        yield (
            f"  Job {job.job:3} -- Response: {job.response:3.2f}  Turnaround {job.turnaround:3.2f}  "
            f"Wait {job.wait:3.2f}"
        )
    response = mean(job.response for job in result.jobs)
    turnaround = mean(job.turnaround for job in result.jobs)
    wait = mean(job.wait for job in result.jobs)
    yield from ("", f"  Average -- Response: {response:3.2f}  Turnaround {turnaround:3.2f}  Wait {wait:3.2f}", "")
