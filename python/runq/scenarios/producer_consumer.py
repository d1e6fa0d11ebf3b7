"""A bounded buffer between producers and consumers: two semaphores count places and items, a lock guards the buffer.

In the right order, the semaphore first, it cannot deadlock. With the lock first whoever finds the buffer full or empty
waits with the lock in its hand, and nobody can change that any more (Dijkstra, 1965).
"""

from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import KernelChoices, LockSpec, ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        producers: threads that make items.
        consumers: threads that take them.
        slots: places in the buffer.
        items: how many go through it.
        produce_us: to make one.
        consume_us: to use one.
        insert_us: inside of the lock, to put one in or to take one out.
        order: what is taken first: `semaphore-first`, or `lock-first`, which deadlocks.
    """

    producers: int = 2
    consumers: int = 2
    slots: int = 8
    items: int = 1000
    produce_us: float = 20
    consume_us: float = 30
    insert_us: float = 1
    order: Literal["semaphore-first", "lock-first"] = "semaphore-first"


def build(parameters: Parameters) -> Scenario:
    """One process with all threads."""
    for name in ("producers", "consumers", "slots", "items"):
        if getattr(parameters, name) < 1:
            raise ConfigError(f"scenario.{name}", "must be at least 1", str(getattr(parameters, name)))

    def step(taken: str, given: str) -> list[dict[str, Any]]:
        take: list[dict[str, Any]] = [{"op": "acquire", "semaphore": taken}, {"op": "lock", "lock": "buffer"}]
        inside: dict[str, Any] = {"op": "compute", "ns": 1000 * parameters.insert_us}
        give: list[dict[str, Any]] = [{"op": "unlock", "lock": "buffer"}, {"op": "release", "semaphore": given}]
        return [*(take if parameters.order == "semaphore-first" else take[::-1]), inside, *give]

    make = {"op": "compute", "ns": 1000 * parameters.produce_us}
    use = {"op": "compute", "ns": 1000 * parameters.consume_us}
    program: list[dict[str, Any]] = [
        {"op": "repeat", "times": parameters.slots, "body": [{"op": "release", "semaphore": "places"}]},
        *_threads("consumer", parameters.consumers, parameters.items, [*step("items", "places"), use]),
        *_threads("producer", parameters.producers, parameters.items, [make, *step("places", "items")]),
        {"op": "join"},
    ]
    return Scenario(
        name="producer-consumer",
        processes=[ProcessSpec("program", program)],
        locks={"buffer": LockSpec()},
        kernel=KernelChoices(),
    )


def _threads(name: str, count: int, items: int, body: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Threads that share the items out among them."""
    share, rest = divmod(items, count)
    measured = {"op": "measure", "name": name, "body": body}
    return [
        {"op": "thread", "name": name, "child": [{"op": "repeat", "times": share + (index < rest), "body": [measured]}]}
        for index in range(count)
    ]


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Items a second, and whether all came through."""
    consumed = result.measures["consumer"].count
    return {
        "items_per_s": 1e9 * consumed / result.makespan_ns,
        "items_consumed": consumed,
        "is_deadlocked": bool(result.deadlock),
        "lock_wait_ns_p99": result.locks["buffer"].wait.p99_ns,
        "lock_contended_share": result.locks["buffer"].contended / max(1, result.locks["buffer"].acquisitions),
    }
