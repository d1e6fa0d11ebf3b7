"""`runq simulate`, `runq scenarios`, `runq ps`: scenarios, and what they come to."""

import json
import re
from itertools import pairwise
from typing import Any

import click
import msgspec

from runq import models
from runq.cli._progress import event_line
from runq.errors import ConfigError
from runq.machine import Machine
from runq.replay import load_machine
from runq.scenario import Scenario, is_path, split_assignment
from runq.service_scenario import ServiceScenario, is_service_path
from runq.simulate import DEFAULT_MACHINE, changed_model, load_any, scenario_name, with_model, with_outcome
from runq.simulate import simulate as simulate_scenario
from runq.simulate_result import processes_at, processes_text, tasks_at, tasks_text

__all__ = [
    "changes_path",
    "load",
    "machine_option",
    "ps",
    "scenarios",
    "set_option",
    "simulate",
    "split",
    "split_choices",
]

_EVENTS_SHOWN = 1_000
_EVENTS_MAX = (1 << 31) - 1

_MACHINE = "machine."
_MODEL = "model."
_SCENARIO = "scenario."


def machine_option(command: Any) -> Any:
    """The option that names a machine."""
    return click.option(
        "-m",
        "--machine",
        default=DEFAULT_MACHINE,
        show_default=True,
        help="A name from 'runq machines' or a TOML file.",
    )(command)


def set_option(command: Any) -> Any:
    """The option that changes values."""
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="PATH=VALUE",
        help="Change a value: machine.PATH of the machine, model.PATH of the model, a parameter or a value of the "
        "scenario by PATH or scenario.PATH.",
    )(command)


class _Simulate(click.Command):
    """A negative number behind `--events`, whose value may be left out, is no option of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for option, value in pairwise([*args, ""]):
            number = value if option == "--events" else option.removeprefix("--events=")
            if option.startswith("--events") and re.fullmatch(r"-\d+", number):
                rule = f"{number} is not in the range 0<=x<={_EVENTS_MAX}."
                raise click.BadParameter(rule, param_hint="'--events'")
        return super().parse_args(ctx, args)


@click.command(cls=_Simulate)
@click.argument("scenario")
@machine_option
@click.option("--model", metavar="NAME[:WORKERS]", help="What tasks are: go, thread-pool:200, ...; threads if absent.")
@set_option
@click.option("--seed", default=0, metavar="N", help="Seed of everything random.")
@click.option("--races", is_flag=True, help="Look for races on shared variables.")
@click.option(
    "--events",
    is_flag=False,
    flag_value=_EVENTS_SHOWN,
    default=0,
    type=click.IntRange(0, _EVENTS_MAX),
    metavar="[N]",
    help=f"Tell the first N events of tasks: park, unpark, steal, ...; {_EVENTS_SHOWN} without N, none if 0.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def simulate(
    scenario: str,
    machine: str,
    model: str | None,
    assignments: tuple[str, ...],
    seed: int,
    races: bool,
    events: int,
    as_json: bool,
) -> None:
    """Run SCENARIO on a machine: what it costs, and where the time goes.

    SCENARIO is a name from 'runq scenarios' or a TOML file.

    \b
    Examples:
      runq simulate fork-latency --set scenario.resident=8GiB --set scenario.state=scattered
      runq simulate snapshot --set scenario.skew=zipf --set scenario.writes_per_s=100000 --json
      runq simulate page-replacement --set 'scenario.pages=[1,2,3,4,1,2,5,1,2,3,4,5]'
      runq simulate sleepers --model go --set tasks=1000000 --json
      runq simulate shared-counter --races
      runq simulate fork-join --model go:2 --set tasks=8 --events 40
      runq simulate fork-join --model work-stealing --set model.queues.steal=one
      runq simulate retry-storm --set scenario.budget=0.1
      runq simulate mine.toml --machine golden --set machine.kernel.fork.pte_clean_ns=20
    """
    choices, others = split_choices(assignments)
    chosen, built, parameters = load_either(scenario, machine, others)
    with event_line() as progress:
        result: Any
        if isinstance(built, ServiceScenario):
            model = model or next((f"model.{path}" for path in choices), None)
            for name, value in (("model", model), ("races", races or None), ("events", events or None)):
                if value is not None:
                    raise ConfigError(name, "must not be given for a service", repr(value))
            result = simulate_scenario(built, seed=seed, progress=progress)
        else:
            asked = changed_model(built, model, choices)
            result = simulate_scenario(built, chosen, asked, seed=seed, races=races, events=events, progress=progress)
    if parameters is not None:
        result = with_outcome(result, scenario, parameters)
    click.echo(result.to_json() if as_json else str(result))
    if events and not as_json:
        click.echo(f"\n{result.events}")


@click.command()
@click.argument("scenario")
@click.option("--at-ns", type=float, required=True, metavar="T", help="When to look, in ns from the start.")
@machine_option
@click.option("--model", metavar="NAME[:WORKERS]", help="What tasks are: go, thread-pool:200, ...; threads if absent.")
@click.option("--tasks", is_flag=True, help="List tasks instead: on which worker, thread and cpu each is.")
@set_option
@click.option("--seed", default=0, metavar="N", help="Seed of everything random.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def ps(
    scenario: str,
    at_ns: float,
    machine: str,
    model: str | None,
    tasks: bool,
    assignments: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """List the processes of SCENARIO as they are at a time: a tree by parents, with state, memory and faults.

    \b
    Examples:
      runq ps address-space --at-ns 1300000
      runq ps snapshot --at-ns 1e8 --json
      runq ps web-service --model go --at-ns 1.5e7 --tasks
    """
    choices, others = split_choices(assignments)
    chosen, loaded, _ = load(scenario, machine, others)
    built = with_model(loaded, changed_model(loaded, model, choices))
    if tasks:
        places = tasks_at(chosen, built, seed, at_ns)
        click.echo(msgspec.json.encode(places).decode() if as_json else tasks_text(places))
        return
    rows = processes_at(chosen, built, seed, at_ns)
    click.echo(msgspec.json.encode(rows).decode() if as_json else processes_text(rows))


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: names, summaries, parameters.")
@click.pass_context
def scenarios(context: click.Context, as_json: bool) -> None:
    """List the scenarios that come with runq, with their parameters.

    \b
    Examples:
      runq scenarios
      runq scenarios show snapshot > mine.toml
      runq simulate mine.toml
    """
    if context.invoked_subcommand is not None:
        return
    from runq import scenarios as presets

    if as_json:
        tree = {
            name: {"summary": presets.summary(name), "parameters": msgspec.to_builtins(presets.parameters(name))}
            for name in presets.names()
        }
        click.echo(json.dumps(tree))
        return
    for name in presets.names():
        click.echo(f"{name}: {presets.summary(name)}")
        for key, value in msgspec.to_builtins(presets.parameters(name)).items():
            click.echo(f"    scenario.{key} = {json.dumps(value)}")


@scenarios.command()
@click.argument("name")
@set_option
def show(name: str, assignments: tuple[str, ...]) -> None:
    """Print the scenario called NAME as a TOML file: save it, change it, and pass it to 'runq simulate'.

    \b
    Examples:
      runq scenarios show fork-latency --set scenario.resident=64MiB > mine.toml
      runq simulate mine.toml
    """
    _, built, _ = load_either(name, DEFAULT_MACHINE, assignments)
    click.echo(built.to_toml(), nl=False)


def load(scenario: str, machine: str, assignments: tuple[str, ...]) -> tuple[Machine, Scenario, msgspec.Struct | None]:
    """Machine, scenario and its parameters (none of a file) with what `--set` changes."""
    chosen, built, parameters = load_either(scenario, machine, assignments)
    if isinstance(built, ServiceScenario):
        raise ConfigError("scenario", "must be one of programs, not a service", repr(built.name))
    return chosen, built, parameters


def load_either(
    scenario: str, machine: str, assignments: tuple[str, ...]
) -> tuple[Machine, Scenario | ServiceScenario, msgspec.Struct | None]:
    """The same, or a service."""
    of_machine, of_scenario = split(assignments)
    chosen = load_machine(machine)
    if of_machine:
        chosen = chosen.with_set(*of_machine)
    name = scenario_name(scenario)
    built: Scenario | ServiceScenario
    if name is None:
        built = load_any(scenario)
        return chosen, built.with_set(*of_scenario) if of_scenario else built, None
    from runq import scenarios as presets

    # A path into the scenario that the parameters make, or else a parameter.
    paths = [text for text in of_scenario if changes_path(text)]
    values = dict(split_assignment(text) for text in of_scenario if text not in paths)
    parameters = presets.parameters(name, **values)
    built = presets.module(name).build(parameters)
    return chosen, built.with_set(*paths) if paths else built, parameters


def split(assignments: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Changes of the machine, and those of the scenario."""
    of_machine, of_scenario = [], []
    for text in assignments:
        if text.startswith(_MACHINE):
            of_machine.append(text.removeprefix(_MACHINE))
        else:
            of_scenario.append(text.removeprefix(_SCENARIO))
    return of_machine, of_scenario


def split_choices(assignments: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Choices of a model by path, and the other changes. What begins with its name is a path of the scenario's file."""
    named = tuple(f"{_MODEL}{name}{end}" for name in models.names() for end in ".=")
    texts = [text for text in assignments if text.startswith(_MODEL) and not text.startswith(named)]
    choices = dict(split_assignment(text.removeprefix(_MODEL)) for text in texts)
    return choices, tuple(text for text in assignments if text not in texts)


def changes_path(assignment: str) -> bool:
    """Whether it changes a value of the scenario as files have it."""
    path = assignment.partition("=")[0].strip()
    return is_path(path) or is_service_path(path)
