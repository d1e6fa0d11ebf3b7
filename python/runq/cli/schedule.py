"""`runq schedule`: jobs under scheduling policies."""

import json
from typing import Any

import click

from runq.errors import ConfigError
from runq.sched import BUILTIN, BuiltinPolicy, Open, load

__all__ = ["schedule"]


@click.command()
@click.argument("jobs", required=False, metavar="[JOBS.csv]")
@click.option("--generate", type=click.IntRange(min=0), metavar="N", help="Draw N jobs instead of reading a file.")
@click.option("--utilization", default=0.8, show_default=True, help="Of drawn jobs: how busy they keep the cpus.")
@click.option("--service-us", default=1000.0, show_default=True, help="Of drawn jobs: the mean service time.")
@click.option(
    "--service-scv",
    default=1.0,
    show_default=True,
    help="Of drawn jobs: squared variation of service (1: exponential).",
)
@click.option("--arrival-scv", default=1.0, show_default=True, help="The same of times between arrivals (1: Poisson).")
@click.option(
    "-p", "--policy", default="fifo", show_default=True, metavar="NAME", help=f"{', '.join(BUILTIN)}, or all."
)
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="Change a value of the policy.")
@click.option("-c", "--cpus", default=1, show_default=True, help="How many jobs run at a time.")
@click.option(
    "--queues", type=click.Choice(["auto", "shared", "per-cpu"]), default="auto", help="Whether cpus share a queue."
)
@click.option("--no-steal", is_flag=True, help="Idle cpus do not take from the queues of others.")
@click.option("--context-switch-us", default=0.0, show_default=True, help="What a switch costs a cpu.")
@click.option("--until-us", type=float, help="When to stop, if not with the last job.")
@click.option("--timeline", is_flag=True, help="With --json: who ran where and when.")
@click.option("--seed", default=0, metavar="N", help="Seed of everything random.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def schedule(
    jobs: str | None,
    generate: int | None,
    utilization: float,
    service_us: float,
    service_scv: float,
    arrival_scv: float,
    policy: str,
    values: tuple[str, ...],
    no_steal: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run jobs under a scheduling policy: response, turnaround, waits and switches of each.

    JOBS.csv has a header with service_us, and as you like arrival_us, nice or weight, tickets, priority, io_every_us
    and io_us.

    \b
    Examples:
      runq schedule jobs.csv --policy round-robin --set time_slice_us=5000
      runq schedule jobs.csv --policy all --cpus 4 --context-switch-us 2
      runq schedule --generate 100000 --utilization 0.9 --service-scv 4 --policy stcf --json
      runq schedule --generate 1000 --policy mlfq --set 'time_slices_us=[500,2000]' --set 'allotments=[2,1]'
    """
    from runq._schedule import schedule as schedule_jobs
    from runq._schedule import schedule_zoo
    from runq._schedule_table import zoo_table

    if (jobs is None) == (generate is None):
        raise ConfigError("jobs", "must be a file or --generate", "both" if jobs else "neither")
    work = jobs or Open(
        jobs=generate or 0,
        utilization=utilization,
        service_us=service_us,
        service_scv=service_scv,
        arrival_scv=arrival_scv,
    )
    options["steal"] = not no_steal
    if policy == "all":
        if values:
            raise ConfigError("--set", "must not be given with --policy all", values[0])
        results = schedule_zoo(work, **options)
        tree = {name: result.to_dict() for name, result in results.items()}
        click.echo(json.dumps(tree) if as_json else zoo_table(results))
        return
    result = schedule_jobs(work, _policy(policy, values), **options)
    click.echo(result.to_json() if as_json else str(result))


def _policy(name: str, assignments: tuple[str, ...]) -> BuiltinPolicy:
    values = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(key, "must be NAME=VALUE", repr(text))
        try:
            values[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            raise ConfigError(f"{name}.{key}", "must be a number, a list, true, false or null", repr(value)) from None
    return load(name, **values)
