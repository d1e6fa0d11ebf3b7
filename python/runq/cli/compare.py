"""`runq compare`: the same work under each execution model, side by side."""

import click

from runq._compare import COMPARED, chosen_machine
from runq._compare import compare as compare_models
from runq.cli._progress import row_line
from runq.cli.simulate import set_option, split, split_choices
from runq.errors import ConfigError
from runq.scenario import Scenario, split_assignment
from runq.simulate import load_scenario, scenario_name

__all__ = ["compare"]


@click.command()
@click.argument("scenario", default="web-service")
@click.option(
    "-m", "--machine", help="A name from 'runq machines' or a TOML file; sapphire-rapids with 8 cpus if absent."
)
@click.option("--models", metavar="A,B,C", help=f"Models, as go or thread-pool:200. [default: {','.join(COMPARED)}]")
@set_option
@click.option("--repeat", type=click.IntRange(1, 1000), default=3, show_default=True, help="Runs a model.")
@click.option("--find", type=click.Choice(["threads"]), help="Search the best number of threads of a pool.")
@click.option("--until", metavar="QUANTILE=TIME", help="Search the highest load that holds, as p99=50ms.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="The first seed.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def compare(
    scenario: str,
    machine: str | None,
    models: str | None,
    assignments: tuple[str, ...],
    repeat: int,
    find: str | None,
    until: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Run SCENARIO under each execution model: throughput, latencies, memory, where the time goes, and which one wins.

    SCENARIO is a name from 'runq scenarios' or a TOML file; web-service if absent.

    \b
    Examples:
      runq compare
      runq compare web-service --set rate_per_s=100000 --models go,tokio,thread-pool:200
      runq compare sleepers --set tasks=10000 --machine granite-rapids-vm --json
      runq compare --find threads
      runq compare --until p99=50ms --models go,thread-per-task
    """
    for name, value in (("models", models), ("until", until)):
        if find is not None and value is not None:
            raise ConfigError(name, "must not be given where the size of a pool is searched", repr(value))
    choices, others = split_choices(assignments)
    for path, choice in choices.items():
        raise ConfigError(f"model.{path}", "must be for one model; workers are written as in go:4", repr(choice))
    of_machine, of_scenario = split(others)
    chosen = chosen_machine(machine)
    if of_machine:
        chosen = chosen.with_set(*of_machine)
    built = _scenario(scenario, of_scenario)
    asked = None if models is None else [name.strip() for name in models.split(",")]
    with row_line() as progress:
        if find is not None:
            from runq._compare_search import find_threads

            found = find_threads(chosen, built, repeat=repeat, seed=seed, progress=progress)
            click.echo(found.to_json() if as_json else str(found))
            return
        if until is not None:
            from runq._compare_search import highest_load

            loads = highest_load(chosen, built, asked, until=until, seed=seed, progress=progress)
            click.echo(loads.to_json() if as_json else str(loads))
            return
        table = compare_models(chosen, built, asked, repeat=repeat, seed=seed, progress=progress)
    click.echo(table.to_json() if as_json else str(table))


def _scenario(scenario: str, assignments: list[str]) -> Scenario:
    from runq.cli.simulate import changes_path

    if scenario_name(scenario) is None:
        built = load_scenario(scenario)
        return built.with_set(*assignments) if assignments else built
    from runq import scenarios

    paths = [text for text in assignments if changes_path(text)]
    values = dict(split_assignment(text) for text in assignments if text not in paths)
    built = load_scenario(scenarios.load(scenario, **values))
    return built.with_set(*paths) if paths else built
