"""Calls between services, written from `docs/services.md`: slow and obvious. Times are whole picoseconds."""

from collections.abc import Mapping
from typing import Any

from reference.distributions import time_ns, uniform
from reference.rng import Stream


def picos(time: float | Mapping[str, Any], stream: Stream) -> int:
    """A time, drawn if it is a table."""
    if isinstance(time, Mapping):
        return int(1000 * time_ns(time, uniform(stream)) + 0.5)
    return int(1000 * time + 0.5)


class Delays:
    """What one call waits after each of its failures."""

    def __init__(self, strategy: str, base_ns: float, cap_ns: float) -> None:
        self.strategy, self.base, self.cap = strategy, picos(base_ns, Stream(0, "", 0)), picos(cap_ns, Stream(0, "", 0))
        self.failures = 0
        self.previous = 0

    def next(self, stream: Stream) -> int:
        def between(low: int, high: int) -> int:
            return low + int(uniform(stream) * (high - low))

        self.failures += 1
        grown = min(self.cap, self.base * 2**self.failures)
        if self.strategy == "none":
            self.previous = 0
        elif self.strategy == "exponential":
            self.previous = grown
        elif self.strategy == "full-jitter":
            self.previous = between(0, grown)
        elif self.strategy == "equal-jitter":
            self.previous = between(grown // 2, grown)
        else:
            self.previous = min(self.cap, between(self.base, 3 * max(self.previous, self.base)))
        return self.previous


def contend(
    clients: int,
    strategy: str,
    base_ns: float,
    cap_ns: float,
    network_ns: float | Mapping[str, Any],
    *,
    seed: int,
    run: int,
) -> tuple[float, int]:
    """When the last client is done, in ns, and the writes it took."""
    stream = Stream(seed, "contention", run)
    delays = [Delays(strategy, base_ns, cap_ns) for _ in range(clients)]
    # When, in which order planned, by whom, what, and with which version or success.
    events: list[tuple[int, int, int, str, int]] = []
    planned = 0

    def plan(time: int, client: int, what: str, value: int) -> None:
        nonlocal planned
        events.append((time + picos(network_ns, stream), planned, client, what, value))
        planned += 1

    for client in range(clients):
        plan(0, client, "read", 0)
    now = version = calls = 0
    while events:
        event = min(events)
        events.remove(event)
        now, _, client, what, value = event
        if what == "read":
            plan(now, client, "told", version)
        elif what == "told":
            plan(now, client, "write", value)
        elif what == "write":
            calls += 1
            plan(now, client, "written", int(value == version))
            version += value == version
        elif not value:
            plan(now + delays[client].next(stream), client, "read", 0)
    return now / 1000, calls
