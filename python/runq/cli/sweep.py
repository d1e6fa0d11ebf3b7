"""`runq sweep`: many simulations, and what they come to."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from runq.cli._progress import point_line

__all__ = ["sweep"]


class _Group(click.Group):
    """`runq sweep FILE` is `runq sweep run FILE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Group)
def sweep() -> None:
    """Run a scenario or a trace at many points, none twice, and go on where it was if it is killed.

    Exits with 0 if all points are done, 1 if some failed, 2 on bad input or a store that cannot be used, 130 on Ctrl-C.

    \b
    Examples:
      runq sweep examples/sweep.toml --store s.db
      runq sweep examples/sweep.toml --store s.db --set repeat=5 --jobs 2
      runq sweep examples/sweep.toml --store s.db --engine dask --scheduler tcp://10.0.0.1:8786
      runq sweep status s.db
      runq sweep resume s.db
      runq sweep export s.db --csv -
    """


def _engine_options(command: Any) -> Any:
    for option in (
        click.option("--mix-versions", is_flag=True, help="Use a store with results of another version of the model."),
        click.option(
            "--jobs", type=click.IntRange(1, 1024), metavar="N", help="Points at a time; all cpus by default."
        ),
        click.option(
            "--scheduler", metavar="ADDRESS", help="The Dask scheduler; a cluster on this machine by default."
        ),
        click.option(
            "--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True, help="What runs them."
        ),
    ):
        command = option(command)
    return command


_NUMBER = click.option(
    "--sweep", "number", type=int, metavar="N", help="Which sweep of the store; the newest by default."
)


@sweep.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--store", required=True, type=click.Path(dir_okay=False), help="The file that keeps the results.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change what all points begin with: machine.PATH, scenario.X, options.X, seed, repeat.",
)
@_engine_options
def run(file: str, store: str, assignments: tuple[str, ...], **options: Any) -> None:
    """Run the sweep of FILE; what STORE has already is not run again."""
    from runq.sweeps._file import load_sweep

    _run(load_sweep(file, assignments), store, **options)


@sweep.command()
@click.argument("store", type=click.Path(dir_okay=False))
@_NUMBER
@_engine_options
def resume(store: str, number: int | None, **options: Any) -> None:
    """Go on with a sweep that was stopped, killed, or ran out of disk."""
    _resume(store, number, retry_failed=False, **options)


@sweep.command("retry-failed")
@click.argument("store", type=click.Path(dir_okay=False))
@_NUMBER
@_engine_options
def retry_failed(store: str, number: int | None, **options: Any) -> None:
    """Run the failed points of a sweep again."""
    _resume(store, number, retry_failed=True, **options)


@sweep.command()
@click.argument("store", type=click.Path(dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def status(store: str, as_json: bool) -> None:
    """Tell how far the sweeps of a store are."""
    from runq.sweeps._store import Store

    opened = Store(store, create=False)
    rows: list[dict[str, Any]] = []
    for record in opened.sweeps():
        running = opened.running(record.id)
        settled = record.done + record.failed
        pending = None if record.total is None else max(0, record.total - settled - running)
        if record.is_complete:
            running = pending = 0
        rows.append(
            {
                "sweep": record.id,
                "target": record.target,
                "axes": record.axes,
                "points": record.total,
                "pending": pending,
                "running": running,
                "done": record.done,
                "failed": record.failed,
                "reused": record.reused,
                "model_version": record.model,
                "complete": record.is_complete,
            }
        )
    opened.close()
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo(f"{store}: holds no sweep yet")
    for row in rows:
        click.echo(
            f"sweep {row['sweep']}: {row['target']} over {', '.join(row['axes']) or 'nothing'}: "
            f"{_count(row['points'])} points, {_count(row['pending'])} pending, {row['running']:,} running, "
            f"{row['done']:,} done ({row['reused']:,} reused), {row['failed']:,} failed"
        )


@sweep.command()
@click.argument("store", type=click.Path(dir_okay=False))
@_NUMBER
@click.option(
    "--csv", "csv_file", type=click.Path(), metavar="FILE", help="Comma-separated values; - is standard output."
)
@click.option("--json", "json_file", is_flag=True, help="Print a list of objects, a row a line.")
@click.option("--arrow", "arrow_file", type=click.Path(), metavar="FILE", help="An Arrow file.")
@click.option("--digest", is_flag=True, help="Print 32 digits over the table: equal for equal results.")
@click.option("--parquet", "parquet_file", type=click.Path(), metavar="FILE", help="A Parquet file.")
def export(
    store: str,
    number: int | None,
    csv_file: str | None,
    json_file: bool,
    arrow_file: str | None,
    parquet_file: str | None,
    digest: bool,
) -> None:
    """Write the table of a sweep, its rows in the order of the points."""
    from runq.sweeps._store import Store
    from runq.sweeps._table import SweepTable

    if not (csv_file or json_file or arrow_file or parquet_file or digest):
        raise click.UsageError("say what to export: --csv FILE, --json, --arrow FILE, --parquet FILE or --digest")
    opened = Store(store, create=False)
    table = SweepTable(opened, opened.sweep(number))
    if csv_file:
        table.to_csv(csv_file)
    if json_file:
        table.to_json("-")
    if arrow_file:
        table.to_arrow_file(arrow_file)
    if parquet_file:
        table.to_parquet(parquet_file)
    if digest:
        click.echo(table.digest())
    table.close()


def _resume(store: str, number: int | None, *, retry_failed: bool, **options: Any) -> None:
    from runq.sweeps import Sweep
    from runq.sweeps._store import Store

    opened = Store(store, create=False)
    try:
        opened.check_model(mix=options["mix_versions"])
        record = opened.sweep(number)
        definition = opened.definition(record.id)
        is_complete = record.is_complete and opened.is_whole(record)
    finally:
        opened.close()
    if is_complete and not (retry_failed and record.failed):
        click.echo(f"{store}: nothing to do: {record.done:,} done, {record.failed:,} failed")
        return
    _run(Sweep.from_definition(definition), store, retry_failed=retry_failed, **options)


def _run(
    sweep: Any,
    store: str,
    *,
    engine: str,
    scheduler: str | None,
    jobs: int | None,
    mix_versions: bool,
    retry_failed: bool = False,
) -> None:
    from runq.sweeps._sweep import engine_of

    started = time.monotonic()
    with _resumable(store):
        chosen = engine_of(engine, jobs, scheduler)
    with _resumable(store), point_line() as progress:
        table = sweep.run(store, engine=chosen, progress=progress, retry_failed=retry_failed, mix_versions=mix_versions)
    done, failed = table.count("done"), table.count("failed")
    took = time.monotonic() - started
    click.echo(f"{done + failed:,} points in {took:.1f} s: {done:,} done, {failed:,} failed")
    table.close()
    if failed:
        click.echo(f"why points failed: runq sweep export {store} --csv - (column error)", err=True)
        raise click.exceptions.Exit(1)


@contextmanager
def _resumable(store: str) -> Iterator[None]:
    """Says how to go on when the sweep ends early."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"runq: stopped; what is done is kept. Go on with: runq sweep resume {store}", err=True)
        raise


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
