"""What the homework tools of OSTEP print, line by line: their words and columns, which readers of the book know.

Lines come without their end. Every function takes what was simulated and computes nothing of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runq.ostep.fork_tree import ProcessTree
    from runq.ostep.paging_policy import Access

    Children = Mapping[str, Sequence[str]]

__all__ = [
    "STYLES",
    "argument_lines",
    "fork_action_lines",
    "fork_final_lines",
    "fork_start_lines",
    "paging_question_lines",
    "paging_solution_lines",
]

# What is drawn before a process: below an ancestor with later siblings, for a child, for the last child. The basic
# style draws nothing and indents.
STYLES: dict[str, tuple[str, str, str] | None] = {
    "basic": None,
    "line1": ("|   ", "+-- ", "|-- "),
    "line2": ("|   ", "|__ ", "|__ "),
    "fancy": ("│   ", "├── ", "└── "),
}

_START_INDENT = " " * 27
_TREE_INDENT = " " * 31
_FINAL_INDENT = " " * 24


def argument_lines(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The options of the exercise and an empty line."""
    for name, value in arguments.items():
        yield f"ARG {name} {value}"
    yield ""


def paging_question_lines(pages: Iterable[int], policy: str, cachesize: int) -> Iterator[str]:
    """The exercise without its answers."""
    yield f"Assuming a replacement policy of {policy}, and a cache of size {cachesize} pages,"
    yield "figure out whether each of the following page references hit or miss"
    yield "in the page cache."
    yield ""
    for page in pages:
        yield f"Access: {page}  Hit/Miss?  State of Memory?"
    yield ""


def paging_solution_lines(accesses: Iterable["Access"], ends: tuple[str, str], notrace: bool) -> Iterator[str]:
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


def fork_start_lines(children: "Children", style: str) -> Iterator[str]:
    """The tree before anything happens."""
    yield f"{_START_INDENT}Process Tree:"
    yield from _tree_lines(children, style)
    yield ""


def fork_action_lines(
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


def fork_final_lines(children: "Children", style: str, *, asks_actions: bool, solve: bool) -> Iterator[str]:
    """The tree at the end, or the question for it."""
    is_shown = solve or asks_actions
    yield ""
    yield f"{_FINAL_INDENT}Final Process Tree{':' if is_shown else '?'}"
    if is_shown:
        yield from _tree_lines(children, style)
    yield ""


def _tree_lines(children: "Children", style: str) -> Iterator[str]:
    """The tree, a process a line, drawn from the oldest process down."""
    marks = STYLES[style]
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
