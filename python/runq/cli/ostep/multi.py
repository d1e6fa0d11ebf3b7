"""`runq ostep multi`, as OSTEP's `multi.py`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from runq.cli.ostep._common import argument_lines, compat_option, json_option, print_lines, radix_int, solve_option
from runq.errors import ConfigError

if TYPE_CHECKING:
    from runq.ostep.multi import MultiResult
    from runq.ostep.multi_cpu import MultiCpu

__all__ = ["multi"]

# What the tool tells of the options, in its order, where it has other names than the options.
_SHOWN = {
    **{name: name for name in ("seed", "job_num", "max_run", "max_wset", "job_list", "affinity", "per_cpu_queues")},
    **{name: name for name in ("num_cpus", "quantum", "peek_interval", "warmup_time", "cache_size")},
    "random_order": "rand_order",
    "trace": "trace",
    "trace_time": "trace_time_left",
    "trace_cache": "trace_cache",
    "trace_sched": "trace_sched",
    "compute": "solve",
}


@click.command()
@click.option("-s", "--seed", type=radix_int, default="0", metavar="N", help="Seed of everything random.")
@click.option("-j", "--job_num", type=radix_int, default="3", metavar="N", help="How many random jobs.")
@click.option("-R", "--max_run", type=radix_int, default="100", metavar="N", help="They run for less than N.")
@click.option("-W", "--max_wset", type=radix_int, default="200", metavar="N", help="Their working sets are below N.")
@click.option("-L", "--job_list", default="", metavar="JOBS", help="Jobs: a:10:100,b:10:50. Run time and working set.")
@click.option("-p", "--per_cpu_queues", is_flag=True, help="A queue for each CPU, not one for all.")
@click.option("-A", "--affinity", default="", metavar="LIST", help="CPUs on which jobs may run: a:0.1.2,b:0.1.")
@click.option("-n", "--num_cpus", type=radix_int, default="2", metavar="N", help="How many CPUs.")
@click.option("-q", "--quantum", type=radix_int, default="10", metavar="N", help="Turns end at multiples of N.")
@click.option(
    "-P", "--peek_interval", type=radix_int, default="30", metavar="N", help="How often CPUs steal; 0: never."
)
@click.option("-w", "--warmup_time", type=radix_int, default="10", metavar="N", help="How long until a job is warm.")
@click.option("-r", "--warm_rate", type=radix_int, default="2", metavar="N", help="How fast a warm job is.")
@click.option("-M", "--cache_size", type=radix_int, default="100", metavar="N", help="How much fits a cache.")
@click.option("-o", "--rand_order", is_flag=True, help="CPUs take jobs in random order.")
@click.option("-t", "--trace", is_flag=True, help="Tell which job runs where.")
@click.option("-T", "--trace_time_left", is_flag=True, help="And how long each has to run.")
@click.option("-C", "--trace_cache", is_flag=True, help="And which are warm.")
@click.option("-S", "--trace_sched", is_flag=True, help="And what is in the queues.")
@solve_option
@compat_option
@json_option
def multi(as_json: bool, **arguments: Any) -> None:
    """Schedule jobs on several CPUs with caches: when all is done, and how busy each CPU is.

    With --no-compat a CPU steals a job only if it may run there, and a tick of a warm job counts as warm with -r 1 too.

    \b
    Examples:
      runq ostep multi -n 1 -L a:30:200 -M 300 -c -t -T -C
      runq ostep multi -n 2 -L a:100:100,b:100:50,c:100:50 -A a:0,b:1,c:1 -c
      runq ostep multi -n 4 -p -P 10 -j 6 --json
    """
    from runq.ostep.multi import prepare, run_to_end

    shown = {name: arguments[option] for name, option in _SHOWN.items()}
    traces = {name: arguments.pop(name) for name in ("trace_time_left", "trace_cache", "trace_sched")}
    is_traced, solve = arguments.pop("trace") or any(traces.values()), arguments.pop("solve")
    options = arguments | {"job_list": _jobs(arguments["job_list"]), "affinity": _affinity(arguments["affinity"])}
    # To the end before anything is printed, since not every run has one; and once more below for the lines.
    result = run_to_end(prepare(**options))
    if as_json:
        click.echo(result.to_json())
        return
    machine = prepare(**options)
    print_lines(
        argument_lines(shown),
        _job_lines(machine),
        _queue_lines(machine, options["per_cpu_queues"]),
        _trace_lines(machine, options["per_cpu_queues"], **traces) if is_traced else [],
        _statistics_lines(result) if solve else [],
    )


def _jobs(listed: str) -> list[tuple[str, int, int]] | None:
    """The jobs that are asked for; none if random ones are."""
    if not listed:
        return None
    jobs = []
    for place, text in enumerate(listed.split(",")):
        try:
            name, run_time, working_set = text.split(":")
            jobs.append((name, int(run_time), int(working_set)))
        except ValueError:
            rule = "must be name:run time:working set, the two as integers"
            raise ConfigError(f"job_list[{place}]", rule, repr(text)) from None
    return jobs


def _affinity(listed: str) -> dict[str, list[int]]:
    affinity: dict[str, list[int]] = {}
    for place, text in enumerate(listed.split(",") if listed else ()):
        try:
            name, cpus = text.split(":")
            affinity.setdefault(name, []).extend(int(cpu) for cpu in cpus.split("."))
        except ValueError:
            rule = "must be name:cpu.cpu, a job and integers with points between them"
            raise ConfigError(f"affinity[{place}]", rule, repr(text)) from None
    return affinity


def _job_lines(machine: "MultiCpu") -> Iterator[str]:
    """Every job."""
    for job in machine.jobs:
        yield f"Job name:{job.name} run_time:{job.run_time} working_set_size:{job.working_set}"
    yield ""


def _queue_lines(machine: "MultiCpu", per_cpu_queues: bool) -> Iterator[str]:
    """What is in the queues at the beginning."""
    for cpu, queue in enumerate(machine.queues if per_cpu_queues else machine.queues[:1]):
        title = f"Scheduler CPU {cpu} queue" if per_cpu_queues else "Scheduler central queue"
        yield f"{title}: {[job.name for job in queue]}"
    yield ""


def _trace_lines(
    machine: "MultiCpu", per_cpu_queues: bool, *, trace_time_left: bool, trace_cache: bool, trace_sched: bool
) -> Iterator[str]:
    """Every tick, and a rule where turns end."""
    column = 7 + 6 * trace_time_left + (8 + len(machine.jobs)) * trace_cache
    rule = "-" * (3 + column * len(machine.caches))
    for tick in machine.play():
        if tick.is_interrupt:
            yield rule
        line = f" {tick.time:3}   "
        for ran, cache in zip(tick.ran, machine.caches, strict=True):
            name, left = ran or ("-", "")
            line += f"{name} "
            if trace_time_left:
                line += f"[{left:3}] "
            if trace_cache:
                line += f"cache[{''.join('w' if job in cache.warm else ' ' for job in machine.jobs)}]"
            line += "     "
        if trace_sched:
            for cpu, queue in enumerate(machine.queues if per_cpu_queues else machine.queues[:1]):
                line += f"Q{cpu if per_cpu_queues else ''}: {''.join(f'{job.name} ' for job in queue)}"
                line += "  " if per_cpu_queues else ""
            line += "    "
        yield line


def _statistics_lines(result: "MultiResult") -> Iterator[str]:
    """When all was done, and how busy every CPU was."""
    yield from ("", f"Finished time {result.finished}", "", "Per-CPU stats")
    for cpu in result.cpus:
        yield f"  CPU {cpu.cpu}  utilization {cpu.utilization:3.2f} [ warm {cpu.warm:3.2f} ]"
    yield ""
