"""`runq validate`: predictions beside measurements."""

from pathlib import Path

import click

from runq.cli._progress import row_line
from runq.replay import load_machine
from runq.simulate import DEFAULT_MACHINE

__all__ = ["validate"]


@click.command()
@click.argument("experiment", required=False)
@click.option(
    "-m",
    "--machine",
    default=DEFAULT_MACHINE,
    show_default=True,
    help="A name from 'runq machines' or a TOML file.",
)
@click.option("--set", "assignments", multiple=True, metavar="PATH=VALUE", help="Change a value of the machine.")
@click.option(
    "--measured",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Measured rows: a CSV file with the columns of the one that comes with runq, and any rows of that kind.",
)
@click.option("--seed", default=0, metavar="N", help="Seed of everything random.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def validate(
    experiment: str | None,
    machine: str,
    assignments: tuple[str, ...],
    measured: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Simulate each row of a measured EXPERIMENT and print the prediction beside it, with the error.

    Without EXPERIMENT they are listed. Predictions follow from the machine's parameters alone.

    \b
    Examples:
      runq validate
      runq validate fork
      runq validate redis-bgsave --measured mine.csv --json
      runq validate fork --machine mine.toml --set kernel.fork.pte_clean_ns=20
    """
    from runq import validation

    if experiment is None:
        width = max(map(len, validation.names()))
        for name in validation.names():
            click.echo(f"{name:<{width}}  {validation.summary(name)}")
        return
    chosen = load_machine(machine)
    if assignments:
        chosen = chosen.with_set(*(text.removeprefix("machine.") for text in assignments))
    with row_line() as progress:
        result = validation.validate(experiment, chosen, measured=measured, seed=seed, progress=progress)
    click.echo(result.to_json() if as_json else str(result))
