"""Calls between services: backoff, and clients that fight for one row.

`docs/services.md` says what is simulated; rules live in Rust.
"""

import operator
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from runq import _core
from runq.errors import ConfigError

__all__ = ["Backoff", "Contention", "Strategy", "contend"]

Strategy = Literal["none", "exponential", "full-jitter", "equal-jitter", "decorrelated"]


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long a client waits before it tries again.

    Attributes:
        strategy: how waits grow and vary.
        base_ns: what grows.
        cap_ns: the longest wait.
    """

    strategy: Strategy = "full-jitter"
    base_ns: float = 5e6
    cap_ns: float = 2e9


class Contention(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Runs of clients that fight for one row, a column for each thing that is told of them.

    Attributes:
        elapsed_ns: when the last client knew that it was done.
        calls: writes, those that failed included.
    """

    elapsed_ns: NDArray[np.float64]
    calls: NDArray[np.int64]


def contend(
    *,
    clients: int = 100,
    backoff: Backoff | Strategy = "full-jitter",
    network_ns: float | dict[str, Any] | None = None,
    runs: int = 100,
    seed: int = 0,
) -> Contention:
    """Lets clients write one row under an optimistic lock, each until it has succeeded once.

    Args:
        clients: how many there are; all begin at once.
        backoff: what they wait after a failure.
        network_ns: what a message takes, one way: a number or a distribution; by default normal with 10 ms and 2 ms.
        runs: how often it is repeated, each time with other random numbers.
        seed: seed of everything random.

    Raises:
        ConfigError: a number is out of its range.

    >>> import runq
    >>> plain, jitter = (runq.services.contend(backoff=name) for name in ("exponential", "full-jitter"))
    >>> bool(plain.calls.mean() > 2 * jitter.calls.mean())
    True
    """
    chosen = Backoff(strategy=backoff) if isinstance(backoff, str) else backoff
    network = {"normal": {"mean_ns": 10e6, "sd_ns": 2e6}} if network_ns is None else network_ns
    config = {"clients": operator.index(clients), "backoff": msgspec.to_builtins(chosen), "network_ns": network}
    count = operator.index(runs)
    if not 1 <= count <= 1_000_000:
        raise ConfigError("runs", "must be 1 to 1000000", str(count))
    elapsed, calls = _core.service_contention(msgspec.json.encode(config).decode(), count, operator.index(seed))
    return Contention(
        elapsed_ns=np.frombuffer(elapsed, dtype=np.uint64) / 1000.0, calls=np.frombuffer(calls, dtype=np.int64)
    )
