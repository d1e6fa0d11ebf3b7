"""A web service: requests arrive at random, compute, wait for a database, compute again and answer.

What `runq compare` runs if nothing else is said. Each request reads some of what the service keeps in memory, so that
what a switch evicts is paid for too.
"""

from typing import Any, Literal

import msgspec

from runq._size import parse_size
from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]

_LINE = 64
_REQUESTS_MAX = 1 << 26


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        rate_per_s: requests a second; they arrive independent of one another.
        requests: how many.
        compute_us: what a request computes on average, half of it before its call and half behind it.
        database_us: how long its call takes on average.
        hot_data: what all requests go through.
        cold_data: where each request reads `cold_lines` lines at random.
        cold_lines: how many.
        blocking: whether the call to the database takes its thread along, as a driver does that knows no other way.
        memory: how exactly memory is simulated.
    """

    rate_per_s: float = 50_000
    requests: int = 10_000
    compute_us: float = 100
    database_us: float = 1_000
    hot_data: str | int = "24KiB"
    cold_data: str | int = "8MiB"
    cold_lines: int = 16
    blocking: bool = False
    memory: Literal["none", "addresses", "footprint"] = "footprint"


def build(parameters: Parameters) -> Scenario:
    """A server that makes a task for each request."""
    if not 1 <= parameters.requests <= _REQUESTS_MAX:
        raise ConfigError("scenario.requests", f"must be 1 to {_REQUESTS_MAX}", str(parameters.requests))
    for field in ("compute_us", "database_us"):
        if not getattr(parameters, field) > 0:
            raise ConfigError(f"scenario.{field}", "must be above 0", str(getattr(parameters, field)))
    if parameters.cold_lines < 0:
        raise ConfigError("scenario.cold_lines", "must be at least 0", str(parameters.cold_lines))
    hot = parse_size("scenario.hot_data", parameters.hot_data)
    cold = parse_size("scenario.cold_data", parameters.cold_data)
    for name, size in (("hot_data", hot), ("cold_data", cold)):
        if size < _LINE:
            raise ConfigError(f"scenario.{name}", "must be at least one line of 64 B", str(size))
    compute = {"op": "compute", "ns": {"exponential": {"mean_ns": 1e3 * parameters.compute_us / 2}}}
    wait = {
        "op": "block" if parameters.blocking else "io",
        "ns": {"exponential": {"mean_ns": 1e3 * parameters.database_us}},
    }
    touch_hot = {"op": "touch", "region": "hot", "access": "read", "unit": "line"}
    touch_cold: dict[str, Any] = {
        "op": "touch",
        "region": "cold",
        "access": "read",
        "unit": "line",
        "pattern": "uniform",
        "count": parameters.cold_lines,
    }
    serve = {
        "op": "serve",
        "load": {"arrivals": {"poisson": {"rate_per_s": parameters.rate_per_s}}, "requests": parameters.requests},
        "request": [touch_hot, compute, wait, touch_hot, touch_cold, compute],
    }
    program: list[dict[str, Any]] = [
        {"op": "mmap", "region": "hot", "size": hot},
        {"op": "mmap", "region": "cold", "size": cold},
        {"op": "touch", "region": "hot"},
        {"op": "touch", "region": "cold"},
        serve,
    ]
    return Scenario(name="web-service", processes=[ProcessSpec("server", program)], memory=parameters.memory)


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Answers a second, and how long requests took."""
    load = result.loads[0]
    return {
        "throughput_per_s": load.throughput_per_s,
        "p50_us": load.latency.p50_ns / 1e3,
        "p99_us": load.latency.p99_ns / 1e3,
        "refused": load.refused,
    }
