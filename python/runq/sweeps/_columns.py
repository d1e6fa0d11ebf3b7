"""Columns of a store: their names in SQL, and how values of axes lie in them."""

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["HEAD", "HIDDEN", "TAIL", "axis_columns", "loaded", "point_columns", "quoted", "stored"]

# Columns of every table of points, before and after the axes.
HEAD = ("point", "replicate")
TAIL = ("seed", "status", "error", "attempts")

# Columns that tables do not show.
HIDDEN = ("identity", "model")

# Integers of SQLite.
_LIMIT = 1 << 63


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def axis_columns(axes: Sequence[str]) -> list[str]:
    """The columns of axes: their names, with another ending where SQLite takes two for the same."""
    return point_columns(axes)[len(HEAD) : len(HEAD) + len(axes)]


def point_columns(axes: Sequence[str]) -> list[str]:
    taken = {name.lower() for name in (*HEAD, *TAIL, *HIDDEN)}
    columns = []
    for name in axes:
        stored, count = name, 1
        while stored.lower() in taken:
            count += 1
            stored = f"{name}~{count}"
        taken.add(stored.lower())
        columns.append(stored)
    return [*HEAD, *columns, *TAIL, *HIDDEN]


def stored(value: Any) -> Any:
    """The value of an axis as a column has it: numbers and texts as they are, all else as JSON behind a zero byte."""
    kind = type(value)
    if kind is float or (kind is str and not value.startswith("\0")) or (kind is int and -_LIMIT <= value < _LIMIT):
        return value
    return f"\0{json.dumps(value, sort_keys=True)}"


def loaded(value: Any) -> Any:
    """The value of an axis from its column."""
    return json.loads(value[1:]) if isinstance(value, str) and value.startswith("\0") else value
