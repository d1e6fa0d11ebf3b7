"""Means with confidence intervals, by Student's t, without a library.

The quantile of t is found by bisection on its distribution, which is an incomplete beta function, which is a continued
fraction (Lentz's method; Numerical Recipes, 6.4).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import msgspec

__all__ = ["Interval", "interval", "student_t"]


class Interval(msgspec.Struct, frozen=True):
    """A mean, half the width of its interval, and of how many values."""

    mean: float
    half_width: float
    count: int

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half_width


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The mean of independent values and its confidence interval; infinitely wide of one value.

    >>> found = interval([1.0, 2.0, 3.0, 4.0])
    >>> found.mean, round(found.half_width, 4)
    (2.5, 2.0543)
    """
    count = len(values)
    if count == 0:
        return Interval(math.nan, math.inf, 0)
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, math.inf, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return Interval(mean, student_t(count - 1, confidence) * math.sqrt(variance / count), count)


@lru_cache(maxsize=4096)
def student_t(degrees: int, confidence: float) -> float:
    """The value that Student's t stays within with that probability.

    >>> round(student_t(10, 0.95), 4), round(student_t(1000, 0.99), 4)
    (2.2281, 2.5808)
    """
    tail = 1 - confidence
    low, high = 0.0, 1.0
    while _outside(high, degrees) > tail:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _outside(middle, degrees) > tail else (low, middle)
    return high


def _outside(t: float, degrees: int) -> float:
    """How probable it is that |T| is above t."""
    return _beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = d
    for step in range(1, 1000):
        for term in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
