"""What a table says: points that no other beats, the best, and which axis matters."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

__all__ = ["Best", "Effect", "Frontier", "best", "pareto", "sensitivity"]

# Points with their axes and metrics.
Frontier = list[dict[str, Any]]
Best = list[dict[str, Any]]


class Effect(NamedTuple):
    """What an axis does to a metric.

    Attributes:
        axis: the axis.
        share: of the metric's variance that the means by this axis have: between 0 and 1.
        effect: the largest mean less the least.
        lowest: the value of the axis at the least mean.
        highest: the value of the axis at the largest mean.
    """

    axis: str
    share: float
    effect: float
    lowest: Any
    highest: Any


def pareto(rows: Iterable[dict[str, Any]], metrics: Sequence[str], maximise: set[str]) -> Frontier:
    """Rows that no other row is at least as good as in all metrics and better in one."""
    if not metrics:
        raise KeyError("pareto takes at least one metric")
    signs = [-1 if name in maximise else 1 for name in metrics]
    keyed = sorted(
        (
            (tuple(sign * row[name] for sign, name in zip(signs, metrics, strict=True)), row["point"], row)
            for row in rows
        ),
        key=lambda entry: entry[:2],
    )
    front: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    for key, _, row in keyed:
        # What comes before is no worse in the first metric; so only it can beat this one.
        if not any(_beats(other, key) for other, _ in front):
            front.append((key, row))
    return [row for _, row in front]


def best(rows: Iterable[dict[str, Any]], metric: str, count: int, *, largest: bool) -> Best:
    """The first rows by a metric; of equal ones, the first points."""
    sign = -1 if largest else 1
    return sorted(rows, key=lambda row: (sign * row[metric], row["point"]))[:count]


def sensitivity(rows: Iterable[tuple[tuple[Any, ...], float]], axes: Sequence[str]) -> list[Effect]:
    """The first-order index and main effect of each axis."""
    groups: list[dict[str, tuple[Any, list[float]]]] = [{} for _ in axes]
    everything: list[float] = []
    for values, metric in rows:
        everything.append(metric)
        for group, value in zip(groups, values, strict=True):
            group.setdefault(repr(value), (value, []))[1].append(metric)
    if not everything:
        return []
    mean = math.fsum(everything) / len(everything)
    total = math.fsum((metric - mean) ** 2 for metric in everything)
    effects = []
    for axis, group in zip(axes, groups, strict=True):
        means = [(math.fsum(metrics) / len(metrics), value, len(metrics)) for value, metrics in group.values()]
        explained = math.fsum(count * (part - mean) ** 2 for part, _, count in means)
        low, high = min(means, key=lambda part: part[0]), max(means, key=lambda part: part[0])
        share = min(1.0, explained / total) if total > 0 else 0.0
        effects.append(Effect(axis, share, high[0] - low[0], low[1], high[1]))
    return sorted(effects, key=lambda effect: -effect.share)


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)
