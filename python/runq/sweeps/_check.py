"""Checks before anything runs: whether each value of an axis can be right.

A value that breaks a rule with one value of another axis may be right with the next (12 ways want 48 KiB). So it is
refused only if all of the first points that have it are wrong; what is wrong beyond that is a failed row.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runq.errors import ConfigError
from runq.sweeps._native import NativeJob
from runq.sweeps._target import Point

if TYPE_CHECKING:
    from runq.sweeps._sweep import Sweep

__all__ = ["check_axes"]

# Points that are looked at, from the first on.
_POINTS_MAX = 500

# Values of an axis that are looked at.
_VALUES_MAX = 200


def check_axes(sweep: Sweep) -> None:
    """Raises `ConfigError` with axis, rule and value."""
    job = sweep.target.job()
    if not isinstance(job, NativeJob):
        return
    points = [
        Point(number, 0, 0, values) for number, values in enumerate(itertools.islice(iter(sweep.space), _POINTS_MAX))
    ]
    if not points:
        raise ConfigError("where", "must leave at least one point", " and ".join(map(str, sweep.space.where)) or "none")
    wrong = _wrong(sweep, job, points)
    if not wrong:
        return
    blamed = list(_blamed(sweep.space.names, points, wrong))
    # What the error names comes first; another axis may be at fault all the same.
    for name, value, error in sorted(blamed, key=lambda one: not _is_about(one[0], one[2])):
        if _is_about(name, error):
            raise ConfigError(f"over.{name}", error.rule, error.value)
        if len(wrong) < len(points):
            raise ConfigError(f"over.{name}", f"{error.rule} ({error.path})", f"{error.value} with {value!r}")
    if len(wrong) == len(points):
        first = wrong[0]
        raise ConfigError(first.path, f"{first.rule} (at every point)", first.value)


def _blamed(
    names: Sequence[str], points: Sequence[Point], wrong: dict[int, ConfigError]
) -> Iterator[tuple[str, Any, ConfigError]]:
    """Axes and values of which all points are wrong, in the same place."""
    for place, name in enumerate(names):
        by_value: dict[str, list[int]] = {}
        for index, point in enumerate(points):
            by_value.setdefault(repr(point.values[place]), []).append(index)
        for indices in itertools.islice(by_value.values(), _VALUES_MAX):
            errors = [wrong.get(index) for index in indices]
            first = errors[0]
            if first is not None and all(error is not None and error.path == first.path for error in errors):
                yield name, points[indices[0]].values[place], first


def _wrong(sweep: Sweep, job: NativeJob, points: Sequence[Point]) -> dict[int, ConfigError]:
    """What is wrong with points, by their place."""
    wrong: dict[int, ConfigError] = {}
    right: list[tuple[int, bytes]] = []
    with contextlib.suppress(ConfigError):
        answers: Sequence[Any] = job.identities(sweep.target.chunk(points))
        return {index: ConfigError(*answer) for index, answer in enumerate(answers) if isinstance(answer, tuple)}
    for index, point in enumerate(points):
        try:
            right.append((index, sweep.target.chunk([point])))
        except ConfigError as error:
            wrong[index] = error
    for index, chunk in right:
        (answer,) = job.identities(chunk)
        if isinstance(answer, tuple):
            wrong[index] = ConfigError(*answer)
    return wrong


def _is_about(name: str, error: ConfigError) -> bool:
    """Whether an error is about that axis, as far as its path tells: it leads there, or its last words agree."""
    rest = name.partition(".")[2]
    if error.path == "set":
        return rest.endswith(error.value.strip('"'))
    if error.path == name or rest.startswith((f"{error.path}.", f"{error.path}[")):
        return True
    return error.path.rpartition(".")[2] == name.rpartition(".")[2]
