"""`runq ostep process-run`, as OSTEP's `process-run.py`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from runq.cli.ostep._common import json_option, print_lines, radix_int, solve_option

if TYPE_CHECKING:
    from runq.ostep.process_run import Tick

__all__ = ["process_run"]

_SWITCH_TEXTS = {
    "SWITCH_ON_IO": "the current process is FINISHED or ISSUES AN IO",
    "SWITCH_ON_END": "the current process is FINISHED",
}
_IO_DONE_TEXTS = {"IO_RUN_IMMEDIATE": "run IMMEDIATELY", "IO_RUN_LATER": "run LATER (when it is its turn)"}


@click.command(name="process-run")
@click.option("-s", "--seed", type=radix_int, default="0", metavar="N", help="Seed of the instructions of -l.")
@click.option("-P", "--program", default="", metavar="LIST", help="Instructions of each process: c7,i,c1:c3.")
@click.option(
    "-l", "--processlist", default="", metavar="LIST", help="Instructions of each and CPU percent: 5:100,3:50."
)
@click.option("-L", "--iolength", type=radix_int, default="5", metavar="N", help="How long I/O takes.")
@click.option("-S", "--switch", default="SWITCH_ON_IO", metavar="NAME", help="SWITCH_ON_IO or SWITCH_ON_END.")
@click.option("-I", "--iodone", default="IO_RUN_LATER", metavar="NAME", help="IO_RUN_LATER or IO_RUN_IMMEDIATE.")
@click.option("-p", "--printstats", is_flag=True, help="With -c, tell how busy CPU and I/O are.")
@solve_option
@json_option
def process_run(solve: bool, as_json: bool, printstats: bool, **arguments: Any) -> None:
    """Run processes that compute and do I/O: who runs, who is ready, who is blocked, tick by tick.

    \b
    Examples:
      runq ostep process-run -l 5:100,5:100 -c -p
      runq ostep process-run -P c1,i,c2:c4 -S SWITCH_ON_END -c
      runq ostep process-run -l 3:0,5:100,5:100 -I IO_RUN_IMMEDIATE --json
    """
    from runq import ostep as exercises
    from runq.ostep.process_run import play, prepare

    if as_json:
        click.echo(exercises.process_run(**arguments).to_json())
        return
    programs = prepare(**arguments)
    if solve:
        ticks = play(programs, **{name: arguments[name] for name in ("iolength", "switch", "iodone")})
        print_lines(_solution_lines(ticks, len(programs), printstats))
    else:
        print_lines(_question_lines(programs, arguments["switch"], arguments["iodone"]))


def _question_lines(programs: Sequence[Sequence[str]], switch: str, iodone: str) -> Iterator[str]:
    """Every process with its instructions, and when which runs."""
    yield "Produce a trace of what would happen when you run these processes:"
    for process, instructions in enumerate(programs):
        yield f"Process {process}"
        for instruction in instructions:
            yield f"  {instruction}"
        yield ""
    yield "Important behaviors:"
    yield f"  System will switch when {_SWITCH_TEXTS[switch]}"
    yield f"  After IOs, the process issuing the IO will {_IO_DONE_TEXTS[iodone]}"
    yield ""


def _solution_lines(ticks: Iterable["Tick"], processes: int, has_statistics: bool) -> Iterator[str]:
    """Every tick, a star where I/O was done, and how busy CPU and I/O were."""
    columns = [f"PID:{process:2}" for process in range(processes)] + ["CPU", "IOs"]
    yield "Time" + "".join(f"{column:>14}" for column in columns)
    time = cpu_busy = io_busy = 0
    for tick in ticks:
        time += 1
        cpu_busy += tick.is_busy
        io_busy += tick.ios > 0
        states = "".join(f"{state:>14}" for state in tick.states)
        ios = f"{tick.ios:14}" if tick.ios else " " * 10
        yield f"{time:3}{'*' if tick.is_io_done else ' '}{states}{'1' if tick.is_busy else '':>14}{ios}"
    if has_statistics:
        yield ""
        yield f"Stats: Total Time {time}"
        yield f"Stats: CPU Busy {cpu_busy} ({100.0 * cpu_busy / time:.2f}%)"
        yield f"Stats: IO Busy  {io_busy} ({100.0 * io_busy / time:.2f}%)"
        yield ""
