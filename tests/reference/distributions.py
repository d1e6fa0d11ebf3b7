"""Times that are drawn, written from `docs/distributions.md`: the quantile of each distribution at a uniform number."""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from reference.rng import Stream

PICOS_MAX = 10**17


def uniform(stream: Stream) -> float:
    return ((stream.next_u64() >> 12) + 0.5) / 2**52


def quantile_ns(distribution: Mapping[str, Any], u: float) -> float:
    ((name, of),) = distribution.items()
    match name:
        case "exponential":
            return -of["mean_ns"] * math.log1p(-u)
        case "uniform":
            return of["min_ns"] + u * (of["max_ns"] - of["min_ns"])
        case "normal":
            return max(0.0, of["mean_ns"] + of["sd_ns"] * NormalDist().inv_cdf(u))
        case "lognormal":
            median = of.get("median_ns") or of["mean_ns"] / math.exp(of["sigma"] ** 2 / 2)
            return median * math.exp(of["sigma"] * NormalDist().inv_cdf(u))
        case "pareto":
            return of["scale_ns"] * (1 - u) ** (-1 / of["shape"])
        case "empirical":
            weights = of.get("weights") or [1] * len(of["values_ns"])
            sum_ = 0.0
            for value, weight in zip(of["values_ns"], weights, strict=True):
                sum_ += weight
                if sum_ > u * math.fsum(weights):
                    return value
    raise AssertionError(f"no distribution {name}")


def time_ns(distribution: Mapping[str, Any], u: float) -> float:
    """As it is drawn: cut, and to a picosecond or the precision of its logarithm, whichever is coarser."""
    return min(quantile_ns(distribution, u), PICOS_MAX / 1000)
