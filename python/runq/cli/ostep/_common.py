"""What the commands of `runq ostep` share: options, how numbers are read and added up, how lines are printed."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import click

from runq.errors import ConfigError

__all__ = [
    "argument_lines",
    "compat_option",
    "integer",
    "json_option",
    "mean",
    "print_lines",
    "radix_int",
    "solve_option",
]

_LINES_AT_ONCE = 1000

solve_option = click.option("-c", "--compute", "solve", is_flag=True, help="Tell the answers.")
compat_option = click.option("--compat/--no-compat", default=True, help="Do as the tool does, bugs included (default).")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the answers as one line of JSON.")


def radix_int(value: str) -> int:
    """Reads an integer as Python's `optparse` does: `0x1f`, `0b11` and, after a zero, octal."""
    radix = {"0x": 16, "0b": 2}.get(value[:2].lower(), 8 if value[:1] == "0" else 10)
    try:
        number = int(value, radix)
        # What is too long to be printed is refused as well.
        str(number)
        return number
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a valid integer.") from None


def integer(option: str, value: str) -> int:
    """Reads what the tool takes as text and makes an integer of later."""
    try:
        return int(value)
    except ValueError:
        raise ConfigError(option, "must be an integer", repr(value)) from None


def argument_lines(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The options of the exercise and an empty line."""
    for name, value in arguments.items():
        yield f"ARG {name} {value}"
    yield ""


def mean(times: Iterable[float]) -> float:
    """The mean, added up from left to right.

    So the tools do it; `sum` corrects roundings since Python 3.12, and a last digit may differ.
    """
    total, count = 0.0, 0
    for time in times:
        total += time
        count += 1
    return total / count


def print_lines(*parts: Iterable[str]) -> None:
    """Prints lines, few at a time since there may be many; in UTF-8 wherever, as trees are drawn with its signs."""
    lines = chain(*parts)
    while batch := list(islice(lines, _LINES_AT_ONCE)):
        click.echo("".join(f"{line}\n" for line in batch).encode(errors="surrogateescape"), nl=False)
