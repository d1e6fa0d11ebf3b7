"""The Universal Scalability Law: what a load loses to queueing and to talking to one another.

Gunther, "A General Theory of Computational Scalability Based on Rational Functions", 2008: with N threads the
throughput is X(N) = gamma N / (1 + sigma (N - 1) + kappa N (N - 1)). `sigma` is the share that only one at a time can
do (contention), `kappa` what each pair costs one another (coherence). With kappa above 0 there is a peak behind which
more threads do less.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from runq.errors import ConfigError

__all__ = ["Usl", "usl", "usl_of"]


class Usl(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted law.

    Attributes:
        gamma: the throughput of one thread.
        sigma: contention.
        kappa: coherence.
        peak_threads: where the throughput is largest; infinite without coherence.
        peak_throughput: how large it is there.
        error: the root of the mean squared relative error of the fit.
    """

    gamma: float
    sigma: float
    kappa: float
    peak_threads: float
    peak_throughput: float
    error: float

    def throughput(self, threads: float) -> float:
        """The throughput that the law predicts."""
        return self.gamma * threads / (1 + self.sigma * (threads - 1) + self.kappa * threads * (threads - 1))


def usl(threads: Sequence[float], throughput: Sequence[float]) -> Usl:
    """Fits the law to measured throughputs by least squares of relative errors of N / X, coefficients at least 0.

    Args:
        threads: how many, at least 1; at least three different numbers.
        throughput: above 0, one for each.

    >>> import runq
    >>> law = runq.usl([1, 2, 4, 8, 16], [100, 190, 339, 537, 697])
    >>> round(law.sigma, 2), round(law.kappa, 3), round(law.peak_threads)
    (0.05, 0.002, 21)
    """
    n, x = np.asarray(threads, float), np.asarray(throughput, float)
    if n.ndim != 1 or n.shape != x.shape:
        raise ConfigError("throughput", f"must be one number for each of the {n.size} numbers of threads", str(x.size))
    for name, values, least in (("threads", n, 1.0), ("throughput", x, math.ulp(0.0))):
        wrong = values[~(np.isfinite(values) & (values >= least))]
        if wrong.size:
            rule = "must be at least 1" if name == "threads" else "must be above 0"
            raise ConfigError(name, rule, str(wrong[0]))
    if np.unique(n).size < 3:
        raise ConfigError("threads", "must have at least three different numbers", str(np.unique(n).tolist()))
    base, sigma_part, kappa_part = _fit(n, n / x)
    gamma, sigma, kappa = 1 / base, sigma_part / base, kappa_part / base
    peak = math.sqrt((1 - sigma) / kappa) if kappa > 0 and sigma < 1 else (1.0 if sigma >= 1 else math.inf)
    peak = max(1.0, peak)
    law = Usl(gamma=gamma, sigma=sigma, kappa=kappa, peak_threads=peak, peak_throughput=0.0, error=0.0)
    limit = gamma / sigma if sigma > 0 else math.inf
    predicted = np.array([law.throughput(float(count)) for count in n])
    return msgspec.structs.replace(
        law,
        peak_throughput=limit if math.isinf(peak) else law.throughput(peak),
        error=float(np.sqrt(np.mean((predicted / x - 1) ** 2))),
    )


def usl_of(table: Any, *, threads: str = "threads", throughput: str = "operations_per_s") -> Usl:
    """Fits the law to two columns of the table of a sweep, by their names or the ends of them.

    >>> import runq
    >>> over = {"scenario.threads": [1, 2, 3, 4], "machine.cpus": [4]}
    >>> sweep = runq.Sweep(runq.simulate, "lock-contention", over=over, metrics=["outcome.operations_per_s"])
    >>> runq.usl_of(sweep.run()).kappa > 0
    True
    """
    return usl(table[threads], table[throughput])


def _fit(n: "np.ndarray[Any, Any]", cost: "np.ndarray[Any, Any]") -> tuple[float, float, float]:
    """Coefficients of 1, N - 1 and N (N - 1), none below 0: of all choices of columns the best that has none below."""
    columns = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1) / cost[:, None]
    best: tuple[float, tuple[float, float, float]] | None = None
    for chosen in ([0, 1, 2], [0, 1], [0, 2], [0]):
        found = np.linalg.lstsq(columns[:, chosen], np.ones_like(n), rcond=None)[0]
        if np.any(found < 0) or found[0] <= 0:
            continue
        whole = np.zeros(3)
        whole[chosen] = found
        squares = float(np.sum((columns @ whole - 1) ** 2))
        if best is None or squares < best[0] - 1e-15:
            best = (squares, (float(whole[0]), float(whole[1]), float(whole[2])))
    assert best is not None, "a constant is always above 0"
    return best[1]
