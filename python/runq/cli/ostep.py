"""`runq ostep`: the homework tools of "Operating Systems: Three Easy Pieces", with their own options and output."""

from collections import deque
from collections.abc import Iterable
from itertools import chain, islice
from typing import Any

import click

from runq.cli import _ostep_text as text
from runq.errors import ConfigError

__all__ = ["ostep"]

_LINES_AT_ONCE = 1000


def _radix_int(value: str) -> int:
    """Reads an integer as Python's `optparse` does: `0x1f`, `0b11` and, after a zero, octal."""
    radix = {"0x": 16, "0b": 2}.get(value[:2].lower(), 8 if value[:1] == "0" else 10)
    try:
        return int(value, radix)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a valid integer.") from None


@click.group()
def ostep() -> None:
    """Pose and solve the exercises of the book "Operating Systems: Three Easy Pieces".

    Each command takes the options of the homework tool of that name and prints what it prints, draw for draw: without
    -c the exercise, with -c its answers too.

    \b
    Examples:
      runq ostep paging-policy -s 1 -n 10 -p LRU      an exercise
      runq ostep paging-policy -s 1 -n 10 -p LRU -c   and its answers
      runq ostep fork -A a+b,b+c,b- -c --json
    """


@ostep.command(name="paging-policy")
@click.option("-a", "--addresses", default="-1", metavar="PAGES", help="Pages to access: 1,2,3. -1 is random ones.")
@click.option("-f", "--addressfile", default="", metavar="FILE", help="Read them from FILE instead, one a line.")
@click.option("-n", "--numaddrs", default="10", metavar="N", help="How many random ones.")
@click.option("-p", "--policy", default="FIFO", metavar="NAME", help="One of FIFO, LRU, MRU, OPT, UNOPT, RAND, CLOCK.")
@click.option("-b", "--clockbits", type=_radix_int, default="2", metavar="N", help="References that CLOCK remembers.")
@click.option("-C", "--cachesize", default="3", metavar="N", help="Pages that the cache holds.")
@click.option("-m", "--maxpage", default="10", metavar="N", help="Random pages are below N.")
@click.option("-s", "--seed", default="0", metavar="N", help="Seed of everything random.")
@click.option("-N", "--notrace", is_flag=True, help="Tell the sums alone.")
@click.option("-c", "--compute", "solve", is_flag=True, help="Tell the answers.")
@click.option("--json", "as_json", is_flag=True, help="Print the answers as one line of JSON.")
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
        name: _integer(name, arguments[name]) for name in ("numaddrs", "cachesize", "maxpage", "seed")
    }
    options |= {name: arguments[name] for name in ("policy", "clockbits")}
    if as_json:
        click.echo(exercises.paging_policy(addresses, **options).to_json())
        return
    pages, cache = prepare(addresses, **options)
    # In the order in which the tool tells them, and as they were written.
    shown = ("addresses", "addressfile", "numaddrs", "policy", "clockbits", "cachesize", "maxpage", "seed", "notrace")
    head = text.argument_lines({name: arguments[name] for name in shown})
    if solve:
        _print(head, text.paging_solution_lines(play(pages, cache), cache.policy.ends, arguments["notrace"]))
    else:
        _print(head, text.paging_question_lines(pages, options["policy"], options["cachesize"]))


@ostep.command()
@click.option("-s", "--seed", type=_radix_int, default="-1", metavar="N", help="Seed; with -1 it is new every time.")
@click.option("-f", "--forks", type=float, default=0.7, metavar="SHARE", help="Share of forks among random actions.")
@click.option("-A", "--action_list", default="", metavar="ACTIONS", help="Actions: a+b,b- is a forks b, b exits.")
@click.option("-a", "--actions", type=_radix_int, default="5", metavar="N", help="How many random ones.")
@click.option("-t", "--show_tree", is_flag=True, help="Ask for the actions and show the trees.")
@click.option("-P", "--print_style", type=click.Choice(list(text.STYLES)), default="fancy", help="How trees are drawn.")
@click.option("-F", "--final_only", "just_final", is_flag=True, help="Show or ask for the last tree alone.")
@click.option("-L", "--leaf_only", is_flag=True, help="A process that has children fails to exit.")
@click.option("-R", "--local_reparent", is_flag=True, help="Orphans go to the parent of their parent, not to the root.")
@click.option("-c", "--compute", "solve", is_flag=True, help="Tell the answers.")
@click.option("--json", "as_json", is_flag=True, help="Print the answers as one line of JSON.")
def fork(as_json: bool, **arguments: Any) -> None:
    """Let processes fork and exit, and see what becomes of their tree.

    \b
    Examples:
      runq ostep fork -s 4 -c
      runq ostep fork -s 10 -a 10 -f 0.4 -t
      runq ostep fork -A a+b,b+c,c+d,c+e,c- -R -F -c
    """
    from runq import ostep as exercises
    from runq.ostep.fork_tree import ProcessTree, play, prepare

    drawn = {name: arguments[name] for name in ("action_list", "actions", "forks", "seed")}
    rules = {name: arguments[name] for name in ("leaf_only", "local_reparent")}
    if as_json:
        click.echo(exercises.fork(**drawn, **rules).to_json())
        return
    plan = prepare(**drawn)
    # Once to the end, since nothing is printed where an action is refused, and once more below for the lines.
    last = deque(play(plan, **rules), maxlen=1)
    final = last[0][1] if last else ProcessTree()
    # In the order in which the tool tells them.
    names = ("actions", "action_list", "show_tree", "just_final", "leaf_only", "local_reparent", "print_style", "solve")
    head = {"seed": arguments["seed"], "fork_percentage": arguments["forks"]}
    head |= {name: arguments[name] for name in names}
    style = arguments["print_style"]
    question = {"asks_actions": arguments["show_tree"], "solve": arguments["solve"]}
    is_final = arguments["just_final"]
    _print(
        [""],
        text.argument_lines(head),
        text.fork_start_lines(ProcessTree().children, style),
        text.fork_action_lines(play(plan, **rules), style, is_final=is_final, **question),
        text.fork_final_lines(final.children, style, **question) if is_final else [],
    )


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


def _integer(option: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ConfigError(option, "must be an integer", repr(value)) from None


def _print(*parts: Iterable[str]) -> None:
    """Prints lines, few at a time since there may be many; in UTF-8 wherever, as trees are drawn with its signs."""
    lines = chain(*parts)
    while batch := list(islice(lines, _LINES_AT_ONCE)):
        click.echo("".join(f"{line}\n" for line in batch).encode(errors="surrogateescape"), nl=False)
