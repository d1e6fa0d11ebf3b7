"""`runq replay`: a trace through a machine."""

from pathlib import Path
from typing import Any

import click
import msgspec

from runq import _demo
from runq.cli._progress import progress_line
from runq.errors import ConfigError
from runq.machine import Region
from runq.replay import load_machine
from runq.replay import replay as replay_trace
from runq.result import ReplayResult, Trace

__all__ = ["FORMATS", "replay"]

FORMATS = click.Choice(["lackey", "din", "champsim", "raw", "csv"])


@click.command()
@click.argument("trace", required=False)
@click.option(
    "-m", "--machine", default="golden", show_default=True, help="A name from 'runq machines' or a TOML file."
)
@click.option("--set", "assignments", multiple=True, metavar="PATH=VALUE", help="Change a value of the machine.")
@click.option("--format", type=FORMATS, help="Format of the trace, if its name and content do not tell.")
@click.option("--skip", default=0, metavar="N", help="Drop the first N accesses.")
@click.option("--warmup", default=0, metavar="N", help="Simulate the next N accesses without counting them.")
@click.option("--limit", type=int, metavar="N", help="Count N accesses at most.")
@click.option("--seed", default=0, metavar="N", help="Seed of everything random.")
@click.option("--dependent", is_flag=True, help="Every access waits for the one before.")
@click.option(
    "--address-spaces",
    type=click.Choice(["shared", "per-thread"]),
    default="shared",
    show_default=True,
    help="Whether threads share one.",
)
@click.option("--by-thread", is_flag=True, help="Count by thread too.")
@click.option("--by-ip", default=0, metavar="N", help="Count the N costliest instruction addresses too.")
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="NAME=START:END[:PAGE]",
    help="Count a range of addresses too, perhaps with pages of its own (4KiB, 2MiB, 1GiB).",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "general", "batch"]),
    default="auto",
    show_default=True,
    help="Which simulator runs; results are equal.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def replay(trace: str | None, machine: str, assignments: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Replay the memory TRACE of a program and tell where its accesses went.

    TRACE is a file or - for standard input: Valgrind lackey, dinero, ChampSim, raw .u64 or CSV, each also compressed
    (gzip, xz, zstd). Without one a small built-in trace is replayed.

    \b
    Examples:
      runq replay trace.lackey.xz
      runq replay trace.din --machine zen-4 --set caches.L2.size=2MiB --json
      runq replay trace.u64 --set present_write_backs=false --set 'tlbs=[]'
      runq replay trace.csv --warmup 1000000 --region heap=0x10000000:0x20000000:2MiB
      valgrind --tool=lackey --trace-mem=yes --log-fd=9 9>&1 >/dev/null ls | runq replay -
    """
    chosen = load_machine(machine)
    if assignments:
        chosen = chosen.with_set(*assignments)
    options["regions"] = [_region(text) for text in options["regions"]]
    with progress_line() as progress:
        if trace is None:
            result = _replay_demo(chosen, progress=progress, **options)
        else:
            result = replay_trace(_path(trace), chosen, progress=progress, **options)
    click.echo(result.to_json() if as_json else str(result))


def _replay_demo(*arguments: Any, **options: Any) -> ReplayResult:
    if options.pop("format") is not None:
        raise click.UsageError("--format says something of a TRACE, and there is none")
    result = replay_trace(_demo.demo_trace(), *arguments, **options)
    return msgspec.structs.replace(result, trace=Trace(name=_demo.DESCRIPTION))


def _path(trace: str) -> str | Path:
    # Only a bare dash is standard input.
    return trace if trace == "-" else Path(trace)


def _region(text: str) -> Region:
    """Reads `heap=0x1000:0x2000` or `heap=4KiB:8KiB:2MiB`."""
    name, equals, span = text.rpartition("=")
    bounds = span.split(":")
    if not equals or len(bounds) not in (2, 3):
        raise ConfigError("region", "must be NAME=START:END or NAME=START:END:PAGE", repr(text))
    start, end, *page = bounds
    tree: dict[str, Any] = {
        "name": name,
        "start": _number(start),
        "end": _number(end),
        "page_size": page[0] if page else None,
    }
    return Region(**tree)


def _number(text: str) -> int | str:
    try:
        return int(text, 0)
    except ValueError:
        return text
