"""`runq trace`: what is in a trace, and writing it in another format."""

from typing import Any

import click
import msgspec

from runq import trace as traces
from runq.cli._progress import progress_line
from runq.cli.replay import FORMATS

__all__ = ["trace"]


@click.group()
def trace() -> None:
    """Look into a trace or write it in another format.

    \b
    Examples:
      runq trace info trace.lackey.xz
      runq trace convert trace.lackey.xz trace.csv.zst
    """


@trace.command()
@click.argument("file")
@click.option("--format", "format_", type=FORMATS, help="Format, if name and content do not tell.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def info(file: str, format_: Any, as_json: bool) -> None:
    """Count what is in FILE (- for standard input).

    \b
    Examples:
      runq trace info trace.lackey.xz
      xz -dc trace.din.xz | runq trace info - --format din --json
    """
    with progress_line() as progress:
        summary = traces.info(file, format=format_, progress=progress)
    click.echo(msgspec.json.encode(summary.to_dict()).decode() if as_json else str(summary))


@trace.command()
@click.argument("source", metavar="A")
@click.argument("target", metavar="B")
@click.option("--from", "format_", type=FORMATS, help="Format of A, if its name and content do not tell.")
@click.option("--to", type=FORMATS, help="Format of B, if its name does not tell.")
@click.option(
    "--compression",
    type=click.Choice(["none", "gzip", "xz", "zstd"]),
    help="Compression of B, if its name does not tell.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def convert(source: str, target: str, format_: Any, to: Any, compression: Any, as_json: bool) -> None:
    """Write trace A in the format and compression that the name of B says. Either may be -.

    Tells on stderr what the format of B cannot hold.

    \b
    Examples:
      runq trace convert trace.lackey trace.u64.xz
      runq trace convert trace.champsim.xz - --to csv | head
    """
    with progress_line() as progress:
        report = traces.convert(source, target, format=format_, to=to, compression=compression, progress=progress)
    # The trace itself may be on standard output.
    to_stderr = target == "-"
    if as_json:
        click.echo(msgspec.json.encode(report).decode(), err=to_stderr)
        return
    click.echo(f"{report.accesses:,} accesses written", err=to_stderr)
    for text in _losses(report):
        click.echo(f"runq: note: {text}", err=True)


def _losses(report: traces.ConvertReport) -> list[str]:
    losses = [
        (report.dropped_fetches, f"{report.dropped_fetches:,} instruction fetches were left out"),
        (report.dropped_threads, "thread ids were left out"),
        (report.dropped_ips, "instruction addresses were left out"),
        (report.split, f"{report.split:,} accesses crossed a 64-byte line and became one a line"),
    ]
    return [text for is_lost, text in losses if is_lost]
