"""How often each point is run: a number of replicates, or until the interval of a metric is narrow enough."""

from collections.abc import Sequence
from typing import NamedTuple

from runq.errors import ConfigError
from runq.sweeps._statistics import interval

__all__ = ["Until", "is_narrow", "until"]

_REPLICATES_MAX = 1_000_000


class Until(NamedTuple):
    """A rule to stop by; `until` makes it."""

    metric: str
    within: float
    confidence: float
    at_least: int
    at_most: int


def until(
    metric: str, *, within: float = 0.02, confidence: float = 0.95, at_least: int = 3, at_most: int = 100
) -> Until:
    """Repeats each point until the interval of its mean is within a part of it, 2 % by default.

    Args:
        metric: a metric of the result.
        within: half the width of the interval, as a part of the mean.
        confidence: how surely the interval holds the mean, if what is drawn were normal.
        at_least: replicates before the rule is asked.
        at_most: replicates after which a point is left as it is.

    >>> import runq
    >>> runq.sweeps.until("makespan_ns", within=0.05).at_least
    3
    """
    if not 0 < within < 1:
        raise ConfigError("repeat.within", "must be between 0 and 1", str(within))
    if not 0 < confidence < 1:
        raise ConfigError("repeat.confidence", "must be between 0 and 1", str(confidence))
    if not 2 <= at_least <= at_most <= _REPLICATES_MAX:
        rule = f"must be at least 2 and at most at_most, which is at most {_REPLICATES_MAX:,}"
        raise ConfigError("repeat.at_least", rule, f"{at_least} to {at_most}")
    return Until(metric, within, confidence, at_least, at_most)


def is_narrow(rule: Until, values: Sequence[float]) -> bool:
    """Whether the replicates so far are enough."""
    found = interval(values, rule.confidence)
    return found.half_width <= rule.within * abs(found.mean)
