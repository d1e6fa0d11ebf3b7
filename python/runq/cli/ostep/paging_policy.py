"""`runq ostep paging-policy`, as OSTEP's `paging-policy.py`."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from runq.cli.ostep._common import argument_lines, integer, json_option, print_lines, radix_int, solve_option
from runq.errors import ConfigError

if TYPE_CHECKING:
    from runq.ostep.paging_policy import Access

__all__ = ["paging_policy"]


@click.command(name="paging-policy")
@click.option("-a", "--addresses", default="-1", metavar="PAGES", help="Pages to access: 1,2,3. -1 is random ones.")
@click.option("-f", "--addressfile", default="", metavar="FILE", help="Read them from FILE instead, one a line.")
@click.option("-n", "--numaddrs", default="10", metavar="N", help="How many random ones.")
@click.option("-p", "--policy", default="FIFO", metavar="NAME", help="One of FIFO, LRU, MRU, OPT, UNOPT, RAND, CLOCK.")
@click.option("-b", "--clockbits", type=radix_int, default="2", metavar="N", help="References that CLOCK remembers.")
@click.option("-C", "--cachesize", default="3", metavar="N", help="Pages that the cache holds.")
@click.option("-m", "--maxpage", default="10", metavar="N", help="Random pages are below N.")
@click.option("-s", "--seed", default="0", metavar="N", help="Seed of everything random.")
@click.option("-N", "--notrace", is_flag=True, help="Tell the sums alone.")
@solve_option
@json_option
def paging_policy(solve: bool, as_json: bool, **arguments: Any) -> None:
    """Bring pages into a cache of few pages: which access hits, and which page has to go.

    \b
    Examples:
      runq ostep paging-policy -p OPT -c
      runq ostep paging-policy -p FIFO -a 1,2,3,4,1,2,5,1,2,3,4,5 -C 4 -c
      runq ostep paging-policy -p CLOCK -b 1 -s 5 -n 1000 -m 100 -C 30 -N -c
    """
    from runq import ostep as exercises
    from runq.ostep.paging_policy import play, prepare

    addresses = _addresses(arguments["addresses"], arguments["addressfile"])
    options: dict[str, Any] = {
        name: integer(name, arguments[name]) for name in ("numaddrs", "cachesize", "maxpage", "seed")
    }
    options |= {name: arguments[name] for name in ("policy", "clockbits")}
    if as_json:
        click.echo(exercises.paging_policy(addresses, **options).to_json())
        return
    pages, cache = prepare(addresses, **options)
    # In the order in which the tool tells them, and as they were written.
    shown = ("addresses", "addressfile", "numaddrs", "policy", "clockbits", "cachesize", "maxpage", "seed", "notrace")
    head = argument_lines({name: arguments[name] for name in shown})
    if solve:
        print_lines(head, _solution_lines(play(pages, cache), cache.policy.ends, arguments["notrace"]))
    else:
        print_lines(head, _question_lines(pages, options["policy"], options["cachesize"]))


def _addresses(listed: str, file: str) -> list[int] | None:
    """The pages that are asked for; none if random ones are."""
    from runq.ostep.paging_policy import read_addresses

    if file:
        return read_addresses(file)
    if listed == "-1":
        return None
    try:
        return [int(page) for page in listed.split(",")]
    except ValueError:
        raise ConfigError("addresses", "must be page numbers with commas between them", repr(listed)) from None


def _question_lines(pages: Iterable[int], policy: str, cachesize: int) -> Iterator[str]:
    """The exercise without its answers."""
    yield f"Assuming a replacement policy of {policy}, and a cache of size {cachesize} pages,"
    yield "figure out whether each of the following page references hit or miss"
    yield "in the page cache."
    yield ""
    for page in pages:
        yield f"Access: {page}  Hit/Miss?  State of Memory?"
    yield ""


def _solution_lines(accesses: Iterable["Access"], ends: tuple[str, str], notrace: bool) -> Iterator[str]:
    """Every access with what the cache holds after it, unless `notrace`, and the sums."""
    if not notrace:
        yield "Solving..."
        yield ""
    left, right = ends
    hits = misses = 0
    for access in accesses:
        hits += access.hit
        misses += not access.hit
        if not notrace:
            outcome = "HIT " if access.hit else "MISS"
            # The tool keeps -1 for "none" and so shows a page of that number as none.
            replaced = "-" if access.replaced in (None, -1) else access.replaced
            yield (
                f"Access: {access.page}  {outcome} {left} -> {list(access.state)!s:>12} <- {right} "
                f"Replaced:{replaced} [Hits:{hits} Misses:{misses}]"
            )
    yield ""
    yield f"FINALSTATS hits {hits}   misses {misses}   hitrate {100.0 * hits / (hits + misses):.2f}"
    yield ""
