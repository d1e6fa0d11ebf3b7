"""More threads than cpus: when slices and switches begin to cost work, and when caches are too small for all of them.

Threads go through working sets of their own, reading and writing each line. As long as those of all threads of a cpu
fit its caches together, or a slice is long against the time that it takes to bring one back, more threads cost nothing;
with short turns the work follows the sum of the working sets of each cpu (thrashing).
"""

from typing import Any, Literal

import msgspec

from runq._size import parse_size
from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]

_LINE = 64
_THREADS_MAX = 1 << 20


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        threads: how many.
        working_set: what each goes through.
        pattern: in an order without order, each access waiting for the one before (`random`), or `sequential`.
        passes: through its working set, by each thread.
        turns: until the slice ends (`slice`), or one pass each (`yield`).
        memory: how exactly memory is simulated.
    """

    threads: int = 16
    working_set: str | int = "512KiB"
    pattern: Literal["random", "sequential"] = "random"
    passes: int = 20
    turns: Literal["slice", "yield"] = "slice"
    memory: Literal["addresses", "footprint"] = "footprint"


def build(parameters: Parameters) -> Scenario:
    """Threads of one process that fill their working sets, wait for one another, and go through them."""
    for field, most in (("threads", _THREADS_MAX), ("passes", 1 << 40)):
        if not 1 <= getattr(parameters, field) <= most:
            raise ConfigError(f"scenario.{field}", f"must be 1 to {most}", str(getattr(parameters, field)))
    size = parse_size("scenario.working_set", parameters.working_set)
    if size < _LINE:
        raise ConfigError("scenario.working_set", "must be at least one line of 64 B", str(parameters.working_set))
    program: list[dict[str, Any]] = []
    for thread in range(parameters.threads):
        program.append({"op": "thread", "child": _worker(parameters, f"set {thread}", size)})
    wait = {"op": "acquire", "semaphore": "ready"}
    start = {"op": "release", "semaphore": "start"}
    program += [
        {"op": "repeat", "times": parameters.threads, "body": [wait]},
        {
            "op": "measure",
            "name": "work",
            "body": [{"op": "repeat", "times": parameters.threads, "body": [start]}, {"op": "join"}],
        },
    ]
    return Scenario(name="oversubscription", processes=[ProcessSpec("workers", program)], memory=parameters.memory)


def _worker(parameters: Parameters, region: str, size: int) -> list[dict[str, Any]]:
    is_random = parameters.pattern == "random"
    pattern: dict[str, Any] = {"pattern": "chase", "dependent": True} if is_random else {}
    touch = {"op": "touch", "region": region, "unit": "line", **pattern}
    body = [touch] if parameters.turns == "slice" else [touch, {"op": "yield_now"}]
    return [
        {"op": "mmap", "region": region, "size": size},
        {"op": "touch", "region": region},
        {"op": "release", "semaphore": "ready"},
        {"op": "acquire", "semaphore": "start"},
        {"op": "repeat", "times": parameters.passes, "body": body},
    ]


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Lines that were read and written a second, over all threads."""
    lines = parse_size("scenario.working_set", parameters.working_set) // _LINE
    total = lines * parameters.passes * parameters.threads
    time = result["work"].total_ns
    return {
        "million_lines_per_s": 1e3 * total / time if time else None,
        "lines": total,
        "switches": result.scheduling.switches,
        "pollution_misses": result.misses.pollution if result.misses else 0,
    }
