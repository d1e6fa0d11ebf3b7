"""`runq ostep fork`, as OSTEP's `fork.py`."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from runq.cli.ostep._common import argument_lines, json_option, print_lines, radix_int, solve_option

if TYPE_CHECKING:
    from runq.ostep.fork_tree import ProcessTree

    Children = Mapping[str, Sequence[str]]

__all__ = ["fork"]

# What is drawn before a process: below an ancestor with later siblings, for a child, for the last child. The basic
# style draws nothing and indents.
_STYLES: dict[str, tuple[str, str, str] | None] = {
    "basic": None,
    "line1": ("|   ", "+-- ", "|-- "),
    "line2": ("|   ", "|__ ", "|__ "),
    "fancy": ("│   ", "├── ", "└── "),
}

_START_INDENT = " " * 27
_TREE_INDENT = " " * 31
_FINAL_INDENT = " " * 24


@click.command()
@click.option("-s", "--seed", type=radix_int, default="-1", metavar="N", help="Seed; with -1 it is new every time.")
@click.option("-f", "--forks", type=float, default=0.7, metavar="SHARE", help="Share of forks among random actions.")
@click.option("-A", "--action_list", default="", metavar="ACTIONS", help="Actions: a+b,b- is a forks b, b exits.")
@click.option("-a", "--actions", type=radix_int, default="5", metavar="N", help="How many random ones.")
@click.option("-t", "--show_tree", is_flag=True, help="Ask for the actions and show the trees.")
@click.option("-P", "--print_style", type=click.Choice(list(_STYLES)), default="fancy", help="How trees are drawn.")
@click.option("-F", "--final_only", "just_final", is_flag=True, help="Show or ask for the last tree alone.")
@click.option("-L", "--leaf_only", is_flag=True, help="A process that has children fails to exit.")
@click.option("-R", "--local_reparent", is_flag=True, help="Orphans go to the parent of their parent, not to the root.")
@solve_option
@json_option
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
    print_lines(
        [""],
        argument_lines(head),
        _start_lines(ProcessTree().children, style),
        _action_lines(play(plan, **rules), style, is_final=is_final, **question),
        _final_lines(final.children, style, **question) if is_final else [],
    )


def _start_lines(children: "Children", style: str) -> Iterator[str]:
    """The tree before anything happens."""
    yield f"{_START_INDENT}Process Tree:"
    yield from _tree_lines(children, style)
    yield ""


def _action_lines(
    steps: Iterable[tuple[str, "ProcessTree"]], style: str, *, is_final: bool, asks_actions: bool, solve: bool
) -> Iterator[str]:
    """Every action with the tree after it, unless `is_final`; one of the two is the question unless `solve`."""
    for action, tree in steps:
        yield f"Action: {action}" if solve or not asks_actions else "Action?"
        if is_final:
            continue
        if solve or asks_actions:
            yield from _tree_lines(tree.children, style)
        else:
            yield "Process Tree?"


def _final_lines(children: "Children", style: str, *, asks_actions: bool, solve: bool) -> Iterator[str]:
    """The tree at the end, or the question for it."""
    is_shown = solve or asks_actions
    yield ""
    yield f"{_FINAL_INDENT}Final Process Tree{':' if is_shown else '?'}"
    if is_shown:
        yield from _tree_lines(children, style)
    yield ""


def _tree_lines(children: "Children", style: str) -> Iterator[str]:
    """The tree, a process a line, drawn from the oldest process down."""
    marks = _STYLES[style]
    # Process, what is drawn before it, what is drawn before those below it. Not recursive: a tree may be deep.
    left = [(next(iter(children)), "", "")]
    while left:
        process, before, below = left.pop()
        yield f"{_TREE_INDENT}{before}{process if marks else f'{process:>2}'}"
        offspring = children[process]
        if marks is None:
            left += [(child, f"{before}   ", "") for child in reversed(offspring)]
        elif offspring:
            beside, inner, last = marks
            left.append((offspring[-1], below + last, f"{below}    "))
            left += [(child, below + inner, below + beside) for child in reversed(offspring[:-1])]
