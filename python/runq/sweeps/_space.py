"""The space of a sweep: axes, how they are combined, and the points that come of it, one at a time."""

import itertools
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from runq.errors import ConfigError
from runq.models import Model, plain
from runq.sweeps._expression import Condition, condition

__all__ = ["Axes", "Space", "Where", "linear", "log", "points", "space_of", "zipped"]

# A value of an axis: what JSON has.
Value = Any

# An expression over axes, or what takes the values by axis and says whether the point is wanted.
Where = str | Callable[[Mapping[str, Value]], object]


# Integers of eight bytes.
_LIMIT = 1 << 63

# Of a range: what memory takes with ease.
_STEPS_MAX = 10_000_000

# An axis may have a million values.
_ENCODE = json.JSONEncoder(sort_keys=True).encode


class Axes(NamedTuple):
    """Axes that move together: their paths, and a tuple of values for each step."""

    names: tuple[str, ...]
    steps: Sequence[tuple[Value, ...]]


class _Steps(Sequence[tuple[Value, ...]]):
    """Steps by columns, those of numbers as eight bytes each."""

    def __init__(self, columns: Sequence[Sequence[Value]]) -> None:
        self._columns = [_compact(column) for column in columns]

    def __iter__(self) -> Iterator[tuple[Value, ...]]:
        return zip(*self._columns, strict=True)

    def __len__(self) -> int:
        return len(self._columns[0])

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return _Steps([column[place] for column in self._columns])
        return tuple(column[place] for column in self._columns)

    def column(self, place: int) -> Sequence[Value]:
        """The values of one of the axes."""
        return self._columns[place]


def _by_columns(part: Axes) -> Axes:
    if isinstance(part.steps, _Steps):
        return part
    return Axes(part.names, _Steps(list(zip(*part.steps, strict=True)) or [()] * len(part.names)))


def _compact(column: Sequence[Value]) -> Sequence[Value]:
    if isinstance(column, (range, array)):
        return column
    kinds = set(map(type, column))
    if kinds == {int} and min(column) >= -_LIMIT and max(column) < _LIMIT:
        return array("q", column)
    return array("d", column) if kinds == {float} else list(column)


def linear(start: float, stop: float, steps: int) -> list[float]:
    """Values at equal distances, both ends included; whole numbers if ends and distance are whole.

    >>> import runq
    >>> runq.sweeps.linear(10, 50, 5)
    [10, 20, 30, 40, 50]
    """
    _check_steps("linear", start, stop, steps)
    if all(isinstance(end, int) for end in (start, stop)) and (stop - start) % (steps - 1) == 0:
        return list(range(int(start), int(stop) + _sign(stop - start), int(stop - start) // (steps - 1)))
    return [start + (stop - start) * step / (steps - 1) for step in range(steps)]


def log(start: float, stop: float, steps: int) -> list[float]:
    """Values at equal ratios, both ends included; of whole ends, the nearest whole numbers.

    >>> import runq
    >>> runq.sweeps.log(1, 64, 4)
    [1, 4, 16, 64]
    >>> runq.sweeps.log(0.1, 10.0, 3)
    [0.1, 1.0, 10.0]
    """
    _check_steps("log", start, stop, steps)
    if start <= 0 or stop <= 0:
        raise ConfigError("log", "must have ends above 0", f"{start} to {stop}")
    values: list[float] = [
        start,
        *(start * (stop / start) ** (step / (steps - 1)) for step in range(1, steps - 1)),
        stop,
    ]
    if not all(isinstance(end, int) for end in (start, stop)):
        return values
    whole = [round(value) for value in values]
    if len(set(whole)) < steps:
        raise ConfigError("log", "must give different whole numbers (write 1.0 for fractions)", str(whole))
    return list(whole)


def zipped(axes: Mapping[str, Iterable[Value]]) -> Axes:
    """Axes that move together: the first value of each, then the second of each, and so on.

    >>> import runq
    >>> runq.sweeps.zipped({"machine.caches.L1D.size": ["32KiB", "48KiB"], "machine.caches.L1D.ways": [8, 12]}).steps
    [('32KiB', 8), ('48KiB', 12)]
    """
    columns = {name: _values(name, values) for name, values in axes.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigError("zip", "must have as many values for each axis", json.dumps(lengths))
    if not columns:
        raise ConfigError("zip", "must hold at least one axis", "{}")
    return Axes(tuple(columns), list(zip(*columns.values(), strict=True)))


def points(rows: Iterable[Mapping[str, Value]]) -> Axes:
    """Points one by one, each a table of the same axes.

    >>> import runq
    >>> runq.sweeps.points([{"seed": 1, "machine": "zen-3"}, {"seed": 2, "machine": "zen-4"}]).steps
    [(1, 'zen-3'), (2, 'zen-4')]
    """
    names: tuple[str, ...] = ()
    steps = []
    for place, row in enumerate(rows):
        names = names or tuple(row)
        if set(names) != set(row):
            raise ConfigError(f"points[{place}]", f"must have the axes {', '.join(names)}", ", ".join(row))
        steps.append(tuple(_plain(f"points[{place}].{name}", row[name]) for name in names))
    if not names:
        raise ConfigError("points", "must hold at least one point with an axis", "none")
    return Axes(names, steps)


class Space:
    """All points of a sweep: the product of its axes without those that a condition leaves out.

    Points are made as they are asked for; none is kept.
    """

    def __init__(self, parts: Sequence[Axes], where: Sequence[Where] = ()) -> None:
        self.parts = tuple(map(_by_columns, parts))
        self.names = tuple(itertools.chain.from_iterable(part.names for part in self.parts))
        for name in self.names:
            if self.names.count(name) > 1:
                raise ConfigError(f"over.{name}", "must be an axis once", f"{self.names.count(name)} times")
        self.where = tuple(where)
        self._conditions: list[Condition] = [condition(one, self.names) for one in self.where]
        self._count: int | None = None

    def __iter__(self) -> Iterator[tuple[Value, ...]]:
        """The values of each point in the order of `names`; the last axis changes fastest."""
        rows = (tuple(itertools.chain.from_iterable(row)) for row in _product([part.steps for part in self.parts]))
        if not self._conditions:
            return rows
        return (row for row in rows if all(holds(row) for holds in self._conditions))

    def __len__(self) -> int:
        """How many points there are; with a condition, all of them are looked at once."""
        if self._count is None:
            if self._conditions:
                self._count = sum(1 for _ in self)
            else:
                self._count = 1
                for part in self.parts:
                    self._count *= len(part.steps)
        return self._count

    def is_grid(self) -> bool:
        """Whether every combination of the values of the axes is a point."""
        return not self.where and all(len(part.names) == 1 for part in self.parts)

    def values(self, name: str) -> list[Value]:
        """The different values of an axis in the order in which they are given."""
        return list({_key(value): value for value in self.column(name)}.values())

    def column(self, name: str) -> Sequence[Value]:
        """The values of an axis at its steps."""
        for part in self.parts:
            if name in part.names:
                assert isinstance(part.steps, _Steps), "parts are made so"
                return part.steps.column(part.names.index(name))
        raise KeyError(name)


def space_of(
    over: object, where: object = (), more: Callable[[Sequence[str]], Mapping[str, Iterable[Value]]] = lambda _: {}
) -> Space:
    """The space that a user describes: a table of axes, `zipped`, `points`, or a list of such to be multiplied.

    `more` says which axes there are beside those that it is called with.
    """
    parts: list[Axes] = []
    for part in [over] if isinstance(over, (Mapping, Axes)) else _listed(over):
        if isinstance(part, Axes):
            parts.append(part)
        elif isinstance(part, Mapping):
            parts += _grid(part)
        else:
            raise ConfigError("over", "must be a table of axes, zipped(...), points(...) or a list of such", repr(part))
    parts += _grid(more([name for part in parts for name in part.names]))
    wheres = [where] if isinstance(where, str) or callable(where) else list(_listed(where))
    return Space(parts, wheres)


def _grid(table: Mapping[str, Any]) -> list[Axes]:
    return [Axes((name,), _Steps([_once(name, _values(name, table[name]))])) for name in table]


def _listed(value: object) -> Iterable[Any]:
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return value
    raise ConfigError("over", "must be a table of axes, zipped(...), points(...) or a list of such", repr(value))


def _values(name: object, values: object) -> Sequence[Value]:
    if not isinstance(name, str) or not name:
        raise ConfigError("over", "must have paths as names of axes", repr(name))
    if isinstance(values, Mapping):
        values = _range(name, values)
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ConfigError(f"over.{name}", "must be a list of values", repr(values))
    plain = values if isinstance(values, range) else [_plain(f"over.{name}", value) for value in values]
    if not plain:
        raise ConfigError(f"over.{name}", "must have at least one value", "[]")
    return plain


def _once(name: str, values: Sequence[Value]) -> Sequence[Value]:
    """The values of an axis by itself, which has each once."""
    values = _compact(values)
    if isinstance(values, range) or (isinstance(values, array) and len(set(values)) == len(values)):
        return values
    seen: set[str] = set()
    for value in values:
        key = _key(value)
        if key in seen:
            raise ConfigError(f"over.{name}", "must have each value once", key)
        seen.add(key)
    return values


def _range(name: str, table: Mapping[str, Any]) -> list[float]:
    """`{from = 1, to = 64, steps = 7, scale = "log"}` as files write a range."""
    known = {"from", "to", "steps", "scale"}
    if not {"from", "to", "steps"} <= set(table) <= known or table.get("scale", "linear") not in ("linear", "log"):
        rule = 'must be a list, or a range {from = 1, to = 64, steps = 7, scale = "linear" or "log"}'
        raise ConfigError(f"over.{name}", rule, json.dumps(dict(table), default=str))
    scale = log if table.get("scale") == "log" else linear
    try:
        return scale(table["from"], table["to"], table["steps"])
    except ConfigError as error:
        raise ConfigError(f"over.{name}", error.rule, error.value) from None
    except TypeError as error:
        raise ConfigError(f"over.{name}", f"must be a range of numbers ({error})", json.dumps(dict(table))) from None


def _check_steps(name: str, start: float, stop: float, steps: int) -> None:
    if not isinstance(steps, int) or not 2 <= steps <= _STEPS_MAX:
        raise ConfigError(name, f"must have from 2 to {_STEPS_MAX:,} steps", str(steps))
    if start == stop:
        raise ConfigError(name, "must have different ends", str(start))


def _sign(value: float) -> int:
    return 1 if value >= 0 else -1


def _plain(path: str, value: Any) -> Value:
    """A value as JSON has it; NumPy's numbers become Python's."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(path, "must be finite numbers", repr(value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Model):
        return plain(value)
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return value.item()
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        raise ConfigError(path, "must be made of tables, lists, texts and numbers", repr(value)) from None


def _key(value: Value) -> str:
    return _ENCODE(value)


def _product(parts: Sequence[Sequence[tuple[Value, ...]]]) -> Iterator[tuple[tuple[Value, ...], ...]]:
    """The product; unlike `itertools.product` it copies no list."""
    if len(parts) < 2:
        yield from ((step,) for step in parts[0]) if parts else ((),)
        return
    *outer, last = parts
    for head in _product(outer):
        for step in last:
            yield (*head, step)
