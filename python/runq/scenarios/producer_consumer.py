"""A bounded buffer between producers and consumers: two semaphores count places and items, a lock guards the buffer.

In the right order, the semaphore first, it cannot deadlock. With the lock first whoever finds the buffer full or empty
waits with the lock in its hand, and nobody can change that any more (Dijkstra, 1965).
A channel does all that by itself.
"""

from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import ChannelSpec, LockSpec, ProcessSpec, Scenario
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
        how: by `semaphores` and a lock, or by a `channel`, for which `insert_us` and `order` say nothing.
    """

    producers: int = 2
    consumers: int = 2
    slots: int = 8
    items: int = 1000
    produce_us: float = 20
    consume_us: float = 30
    insert_us: float = 1
    order: Literal["semaphore-first", "lock-first"] = "semaphore-first"
    how: Literal["semaphores", "channel"] = "semaphores"


def build(parameters: Parameters) -> Scenario:
    """One process with all threads."""
    for name in ("producers", "consumers", "slots", "items"):
        if getattr(parameters, name) < 1:
            raise ConfigError(f"scenario.{name}", "must be at least 1", str(getattr(parameters, name)))

    make = {"op": "compute", "ns": 1000 * parameters.produce_us}
    use = {"op": "compute", "ns": 1000 * parameters.consume_us}
    is_channel = parameters.how == "channel"
    places = {"op": "repeat", "times": parameters.slots, "body": [{"op": "release", "semaphore": "places"}]}
    put, take = _by_channel() if is_channel else _by_semaphores(parameters)
    program: list[dict[str, Any]] = [
        *([] if is_channel else [places]),
        *_threads("consumer", parameters.consumers, parameters.items, [*take, use]),
        *_threads("producer", parameters.producers, parameters.items, [make, *put]),
        {"op": "join"},
    ]
    return Scenario(
        name="producer-consumer",
        processes=[ProcessSpec("program", program)],
        locks={} if is_channel else {"buffer": LockSpec()},
        channels={"buffer": ChannelSpec(kind="queue", capacity=parameters.slots)} if is_channel else {},
    )


def _by_channel() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What puts an item in, and what takes one out."""
    return [{"op": "send", "channel": "buffer"}], [{"op": "recv", "channel": "buffer"}]


def _by_semaphores(parameters: Parameters) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The same in the order of the parameters."""

    def step(taken: str, given: str) -> list[dict[str, Any]]:
        take: list[dict[str, Any]] = [{"op": "acquire", "semaphore": taken}, {"op": "lock", "lock": "buffer"}]
        inside: dict[str, Any] = {"op": "compute", "ns": 1000 * parameters.insert_us}
        give: list[dict[str, Any]] = [{"op": "unlock", "lock": "buffer"}, {"op": "release", "semaphore": given}]
        return [*(take if parameters.order == "semaphore-first" else take[::-1]), inside, *give]

    return step("places", "items"), step("items", "places")


def _threads(name: str, count: int, items: int, body: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Threads that share the items out among them."""
    share, rest = divmod(items, count)
    measured = {"op": "measure", "name": name, "body": body}
    return [
        {"op": "thread", "name": name, "child": [{"op": "repeat", "times": share + (index < rest), "body": [measured]}]}
        for index in range(count)
    ]


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Items a second, whether all came through, and what was waited for."""
    consumed = result.measures["consumer"].count
    told = {
        "items_per_s": 1e9 * consumed / result.makespan_ns,
        "items_consumed": consumed,
        "is_deadlocked": bool(result.deadlock),
    }
    if parameters.how == "channel":
        channel = result.channels["buffer"]
        return told | {"send_wait_ns_p99": channel.send_wait.p99_ns, "receive_wait_ns_p99": channel.receive_wait.p99_ns}
    return told | {
        "lock_wait_ns_p99": result.locks["buffer"].wait.p99_ns,
        "lock_contended_share": result.locks["buffer"].contended / max(1, result.locks["buffer"].acquisitions),
    }
