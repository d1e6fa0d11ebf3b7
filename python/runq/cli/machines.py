"""`runq machines`: the machines that come with runq."""

import click
import msgspec

from runq import machines as presets
from runq.machine import Machine
from runq.replay import load_machine

__all__ = ["machines"]


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: of all machines, or of the one named.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a machine file, for editors.")
def machines(name: str | None, as_json: bool, schema: bool) -> None:
    """List the machines that come with runq, or show the one called NAME with the source of every number.

    What is shown is a TOML file: save it, change it, and pass it to --machine.

    \b
    Examples:
      runq machines
      runq machines zen-4 > mine.toml
      runq machines granite-rapids-vm --json
    """
    if schema:
        click.echo(msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Machine))).decode())
    elif name is None and as_json:
        click.echo(msgspec.json.encode({name: presets.load(name).resolve() for name in presets.names()}).decode())
    elif name is None:
        width = max(map(len, presets.names()))
        for preset in presets.names():
            click.echo(f"{preset:<{width}}  {_levels(presets.load(preset))}")
    elif as_json:
        click.echo(load_machine(name).resolve().to_json())
    else:
        click.echo(presets.source_text(name), nl=False)


def _levels(machine: Machine) -> str:
    caches = (f"{cache.name} {cache.size}/{cache.ways}" for cache in machine.caches)
    return f"{', '.join(caches)}; {machine.frequency_mhz:,} MHz"
