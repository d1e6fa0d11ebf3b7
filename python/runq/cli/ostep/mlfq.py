"""`runq ostep mlfq`, as OSTEP's `mlfq.py`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from runq.cli.ostep._common import compat_option, json_option, mean, print_lines, radix_int, solve_option
from runq.errors import ConfigError

if TYPE_CHECKING:
    from runq.ostep.feedback_queue import Event, Job, Level
    from runq.ostep.mlfq import MlfqResult

__all__ = ["mlfq"]

_DESCRIPTION = (
    *("", ""),
    "For each job, three defining characteristics are given:",
    "  startTime : at what time does the job enter the system",
    "  runTime   : the total CPU time needed by the job to finish",
    "  ioFreq    : every ioFreq time units, the job issues an I/O",
    "              (the I/O takes ioTime units to complete)",
    "",
)
_QUESTION = (
    "Compute the execution trace for the given workloads.",
    "If you would like, also compute the response and turnaround",
    "times for each of the jobs.",
    "",
    "Use the -c flag to get the exact results when you are finished.",
    "",
)


@click.command()
@click.option("-s", "--seed", type=radix_int, default="0", metavar="N", help="Seed of random jobs.")
@click.option("-n", "--numQueues", "num_queues", type=radix_int, default="3", metavar="N", help="How many queues.")
@click.option("-q", "--quantum", type=radix_int, default="10", metavar="N", help="How long a turn is in every queue.")
@click.option("-a", "--allotment", type=radix_int, default="1", metavar="N", help="Turns after which a job goes down.")
@click.option(
    "-Q", "--quantumList", "quantum_list", default="", metavar="TIMES", help="-q of each queue, highest first."
)
@click.option("-A", "--allotmentList", "allotment_list", default="", metavar="TURNS", help="-a of each queue likewise.")
@click.option("-j", "--numJobs", "num_jobs", type=radix_int, default="3", metavar="N", help="How many random jobs.")
@click.option("-m", "--maxlen", type=radix_int, default="100", metavar="N", help="Random jobs run for less than N.")
@click.option(
    "-M", "--maxio", type=radix_int, default="10", metavar="N", help="And less than N between I/Os; 0: no I/O."
)
@click.option("-B", "--boost", type=radix_int, default="0", metavar="N", help="How often all go to the top; 0: never.")
@click.option("-i", "--iotime", type=radix_int, default="5", metavar="N", help="How long I/O takes.")
@click.option("-S", "--stay", is_flag=True, help="A job that starts I/O has a whole allotment again.")
@click.option("-I", "--iobump", is_flag=True, help="After I/O a job goes to the front of its queue.")
@click.option(
    "-l", "--jlist", default="", metavar="JOBS", help="Jobs: 0,30,5:10,20,0. Start, run time, time between I/Os."
)
@solve_option
@compat_option
@json_option
def mlfq(solve: bool, as_json: bool, **arguments: Any) -> None:
    """Schedule jobs by a multi-level feedback queue: how long until each runs, and until it is done.

    With --no-compat a job that starts I/O at the end of its turn stays with -S, as -S says.

    \b
    Examples:
      runq ostep mlfq -j 2 -n 2 -m 10 -M 0 -c
      runq ostep mlfq -n 3 -q 10 -l 0,180,0:100,20,0 -c
      runq ostep mlfq -Q 5,10,20 -B 60 -l 0,120,0:10,50,3 -S --json
    """
    from runq import ostep as exercises
    from runq.ostep.mlfq import prepare

    for name in ("quantum_list", "allotment_list"):
        arguments[name] = _integers(name, arguments[name])
    arguments["jlist"] = _jobs(arguments["jlist"])
    if as_json:
        click.echo(exercises.mlfq(**arguments).to_json())
        return
    run = prepare(**arguments)
    heads = (_option_lines(run.jobs, run.levels, arguments), _DESCRIPTION, _job_lines(run.jobs))
    if solve:
        trace = _trace_lines(run.play(), run.jobs, arguments)
        print_lines(*heads, trace, _statistics_lines(exercises.mlfq(**arguments)))
    else:
        print_lines(*heads, _QUESTION)


def _integers(option: str, listed: str) -> list[int] | None:
    if not listed:
        return None
    try:
        return [int(number) for number in listed.split(",")]
    except ValueError:
        raise ConfigError(option, "must be integers with commas between them", repr(listed)) from None


def _jobs(listed: str) -> list[tuple[int, int, int]] | None:
    """The jobs that are asked for; none if random ones are."""
    if not listed:
        return None
    jobs = []
    for place, text in enumerate(listed.split(":")):
        try:
            start, run_time, io_every = (int(number) for number in text.split(","))
        except ValueError:
            rule = "must be three integers: start, run time, time between I/Os"
            raise ConfigError(f"jlist[{place}]", rule, repr(text)) from None
        jobs.append((start, run_time, io_every))
    return jobs


def _option_lines(jobs: Sequence["Job"], levels: Sequence["Level"], options: dict[str, Any]) -> Iterator[str]:
    """The options of the exercise, queues from the highest down."""
    yield "Here is the list of inputs:"
    yield f"OPTIONS jobs {len(jobs)}"
    yield f"OPTIONS queues {len(levels)}"
    for priority in range(len(levels) - 1, -1, -1):
        yield f"OPTIONS allotments for queue {priority:2} is {levels[priority].allotment:3}"
        yield f"OPTIONS quantum length for queue {priority:2} is {levels[priority].quantum:3}"
    yield f"OPTIONS boost {options['boost']}"
    yield f"OPTIONS ioTime {options['iotime']}"
    yield f"OPTIONS stayAfterIO {options['stay']}"
    yield f"OPTIONS iobump {options['iobump']}"


def _job_lines(jobs: Sequence["Job"]) -> Iterator[str]:
    """Every job."""
    yield "Job List:"
    for number, job in enumerate(jobs):
        yield f"  Job {number:2}: startTime {job.start:3} - runTime {job.run_time:3} - ioFreq {job.io_every:3}"
    yield ""


def _trace_lines(events: Iterable["Event"], jobs: Sequence["Job"], options: dict[str, Any]) -> Iterator[str]:
    """Everything that happens."""
    yield from ("", "Execution Trace:", "")
    for event in events:
        match event.kind:
            case "RUN":
                what = (
                    f"Run JOB {event.job} at PRIORITY {event.priority} [ TICKS {event.ticks} ALLOT {event.allotment} "
                    f"TIME {event.left} (of {jobs[event.job].run_time}) ]"
                )
            case "FINISHED":
                what = f"FINISHED JOB {event.job}"
            case "BOOST":
                what = f"BOOST ( every {options['boost']} )"
            case "IDLE":
                what = "IDLE"
            case _:
                what = f"{event.kind} by JOB {event.job}"
        yield f"[ time {event.time} ] {what}"
        if event.kind == "IO_START" and options["compat"]:
            # So the tool says when I/O begins.
            yield "IO DONE"


def _statistics_lines(result: "MlfqResult") -> Iterator[str]:
    """The times of every job and their means, which the tool gives the number of the last job."""
    yield from ("", "Final statistics:")
    for job in result.jobs:
        yield (
            f"  Job {job.job:2}: startTime {job.start:3} - response {job.response:3} - turnaround {job.turnaround:3}"
        )
    response = mean(job.response for job in result.jobs)
    turnaround = mean(job.turnaround for job in result.jobs)
    last = result.jobs[-1].job
    yield from ("", f"  Avg {last:2}: startTime n/a - response {response:.2f} - turnaround {turnaround:.2f}", "", "")
