"""`runq mrc`: miss-ratio curves, and caches of many geometries in one pass."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runq.cli._progress import progress_line
from runq.cli.replay import FORMATS
from runq.errors import ConfigError
from runq.machine import Machine
from runq.replay import load_machine

if TYPE_CHECKING:
    from runq._one_pass import MissRatioCurve

__all__ = ["mrc"]


@click.command()
@click.argument("trace")
@click.option(
    "-m",
    "--machine",
    default="golden",
    show_default=True,
    help="Mark the levels of this machine: a name from 'runq machines' or a TOML file.",
)
@click.option("--sample", type=float, metavar="RATE", help="Look at this part of the lines, such as 0.01.")
@click.option("--sets", metavar="FROM:TO", help="Caches with these numbers of sets: 64:8192, or 64,1024.")
@click.option("--ways", type=int, metavar="N", help="With --sets: 1 to N ways.  [default: 16]")
@click.option("--fifo", is_flag=True, help="With --sets: FIFO instead of LRU.")
@click.option("--line-size", default="64", show_default=True, metavar="SIZE", help="Bytes a line.")
@click.option("--page-size", type=click.Choice(["4KiB", "2MiB", "1GiB"]), help="Lines are pages: TLBs.")
@click.option(
    "--kind",
    type=click.Choice(["data", "instruction", "unified"]),
    default="data",
    show_default=True,
    help="Which accesses count.",
)
@click.option("--seed", default=0, metavar="N", help="Seed of the sample.")
@click.option("--format", type=FORMATS, help="Format of the trace, if its name and content do not tell.")
@click.option("--plot", type=click.Path(dir_okay=False), metavar="FILE.png", help="Draw the curve with matplotlib too.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def mrc(
    trace: str,
    machine: str,
    sample: float | None,
    sets: str | None,
    ways: int | None,
    fifo: bool,
    plot: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Print and draw what caches of every size miss of the memory TRACE of a program, in one pass.

    TRACE is a file or - for standard input, as for 'runq replay'. Without --sets the caches are fully associative, with
    it they have those numbers of sets and 1 to --ways ways.

    \b
    Examples:
      runq mrc trace.lackey.xz                           every size, exactly
      runq mrc trace.u64 --sample 0.01 --machine zen-4   from 1 % of the lines; the levels of Zen 4 marked
      runq mrc trace.u64 --sets 64:8192 --ways 16        128 LRU caches
      runq mrc trace.u64 --sets 64:8192 --fifo --json    128 FIFO caches
      runq mrc trace.u64 --page-size 4KiB                TLBs
      runq mrc trace.u64 --plot curve.png
    """
    from runq._one_pass import all_associativity, miss_ratio_curve
    from runq._one_pass_table import curve_table

    path: str | Path = trace if trace == "-" else Path(trace)
    chosen = load_machine(machine).check()
    if sets is not None:
        if sample is not None or plot is not None:
            raise click.UsageError("--sample and --plot are for the curve, without --sets")
        counts = _sets(sets)
        with progress_line() as progress:
            caches = all_associativity(
                path,
                sets=counts,
                max_ways=16 if ways is None else ways,
                policy="fifo" if fifo else "lru",
                progress=progress,
                **options,
            )
        click.echo(caches.to_json() if as_json else str(caches))
        return
    if fifo or ways is not None:
        raise click.UsageError("--fifo and --ways say something of --sets, which is not there")
    draw = _plotter() if plot is not None else None
    with progress_line() as progress:
        curve = miss_ratio_curve(path, sample=sample, progress=progress, **options)
    marks = _marks(chosen, options["page_size"], curve.line_size)
    if draw is not None:
        _plot(draw, curve, marks, str(plot))
    click.echo(curve.to_json() if as_json else curve_table(curve, marks))


def _sets(text: str) -> list[int]:
    """Reads `64:8192` (all powers of two between them) or `64,1024`."""
    first, colon, last = text.partition(":")
    try:
        if not colon:
            return [int(count) for count in text.split(",")]
        low, high = int(first), int(last)
    except ValueError:
        low, high = 0, 0
    if not 0 < low <= high or low & (low - 1) or high & (high - 1):
        raise ConfigError("sets", "must be powers of two as FROM:TO or N,N,...", repr(text))
    return [1 << bit for bit in range(low.bit_length() - 1, high.bit_length())]


def _marks(machine: Machine, page_size: Any, line_size: int) -> dict[str, int]:
    """The sizes of a machine's levels for data, in lines; TLBs if lines are pages."""
    from runq._size import parse_size

    if page_size is not None:
        tlbs = (tlb for tlb in machine.resolve().tlbs if tlb.kind != "instruction" and page_size in tlb.page_sizes)
        return {tlb.name: tlb.entries for tlb in tlbs}
    caches = (cache for cache in machine.resolve().caches if cache.kind != "instruction")
    return {cache.name: max(parse_size("size", cache.size) // line_size, 1) for cache in caches}


def _plotter() -> Any:
    """matplotlib, asked for before the work is done."""
    try:
        import matplotlib
    except ImportError:
        raise click.UsageError(
            "--plot needs matplotlib, which the extra 'plot' installs: pip install 'runq[plot]'"
        ) from None
    matplotlib.use("agg")
    import matplotlib.pyplot

    return matplotlib.pyplot


def _plot(pyplot: Any, curve: "MissRatioCurve", marks: dict[str, int], path: str) -> None:
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    last = max([2 * int(curve.lines[-1]), *(2 * lines for lines in marks.values())])
    lines = [*(int(line) for line in curve.lines), last]
    axes.step(lines, curve.miss_ratio_at(lines), where="post")
    for name, size in marks.items():
        axes.axvline(size, linestyle=":", color="gray")
        axes.annotate(name, (size, 1), xycoords=("data", "axes fraction"), xytext=(3, -12), textcoords="offset points")
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"lines of {curve.line_size} bytes, fully associative LRU")
    axes.set_ylabel("miss ratio")
    axes.set_title(curve.trace.name)
    figure.savefig(path)
    pyplot.close(figure)
