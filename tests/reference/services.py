"""Calls between services, written from `docs/services.md`: slow and obvious. Times are whole picoseconds."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from reference.distributions import time_ns, uniform
from reference.rng import Stream

NEVER = 1 << 62


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


class Bucket:
    """A retry budget, in fractions of a token."""

    def __init__(self, budget: Mapping[str, Any]) -> None:
        self.most = Fraction(budget.get("burst", 10))
        self.per_call = Fraction(round(budget.get("per_call", 0.1) * 10**12), 10**12)
        self.per_s = budget.get("per_s", 0)
        self.level, self.at = self.most, 0

    def deposit(self) -> None:
        self.level = min(self.most, self.level + self.per_call)

    def take(self, now: int) -> bool:
        self.level = min(self.most, self.level + Fraction((now - self.at) * self.per_s, 10**12))
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class Breaker:
    """A circuit breaker; a pass is the number of changes when it was given."""

    def __init__(self, breaker: Mapping[str, Any]) -> None:
        self.window, self.share = breaker.get("window", 100), breaker.get("failure_share", 0.5)
        self.open_for, self.probes = round(1000 * breaker.get("open_ns", 1e9)), breaker.get("probes", 5)
        self.state, self.changes, self.openings = "closed", 0, 0
        self.results: list[bool] = []
        self.until = self.admitted = self.succeeded = 0

    def change(self, state: str) -> None:
        self.state, self.results, self.admitted, self.succeeded = state, [], 0, 0
        self.changes += 1

    def admit(self, now: int) -> int | None:
        if self.state == "open":
            if now < self.until:
                return None
            self.change("half open")
        if self.state == "half open":
            if self.admitted == self.probes:
                return None
            self.admitted += 1
        return self.changes

    def settle(self, given: int, failed: bool, now: int) -> None:
        if given != self.changes:
            return
        if self.state == "closed":
            self.results = [*self.results, failed][-self.window :]
            opens = len(self.results) == self.window and sum(self.results) >= self.share * self.window
        else:
            opens = failed
            self.succeeded += not failed
            if self.succeeded == self.probes:
                self.change("closed")
        if opens:
            self.openings += 1
            self.until = now + self.open_for
            self.change("open")


@dataclass(eq=False)
class Request:
    """Somebody who wants a key, and where that stands."""

    purpose: str
    key: int
    began: int
    delays: Delays
    deadline: float = NEVER
    attempt: int = 0
    given: int = 0


@dataclass(eq=False)
class Attempt:
    """A message to the dependency."""

    request: Request
    number: int
    expires: float
    version: int | None = None


class Service:
    """One run. Open loads come as a list of times; counts are those of `docs/services.md`."""

    def __init__(self, config: Mapping[str, Any], arrivals: list[int], seed: int) -> None:
        self.config, self.seed = config, seed
        self.client, self.dependency = config["client"], config["dependency"]
        self.cache, self.keys = config.get("cache"), config["keys"]
        self.breaker = Breaker(self.client["breaker"]) if self.client.get("breaker") else None
        self.bucket = Bucket(self.client["budget"]) if self.client.get("budget") else None
        streams = {"backoff", "times", "network", "keys", "ttl"}
        self.streams = {name: Stream(seed, f"service.{name}", 0) for name in streams}
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.planned = self.now = self.busy = self.in_flight = self.stampede = 0
        self.queue: list[Attempt] = []
        self.store: Counter[int] = Counter()
        self.entries: dict[int, tuple[int, int]] = {}
        self.loading: Counter[int] = Counter()
        self.joined: defaultdict[int, list[Request]] = defaultdict(list)
        self.totals: Counter[str] = Counter()
        self.slowdown, self.is_down = 1.0, False
        for trouble in config["troubles"]:
            for name in ("from_ns", "until_ns"):
                self.plan(round(1000 * trouble[name]), lambda t=trouble, b=name == "from_ns": self.trouble(t, b))
        for time in arrivals:
            self.events.append((time, 1 << 60, self.arrival))

    def plan(self, time: int, what: Callable[[], None]) -> None:
        self.planned += 1
        self.events.append((time, self.planned, what))

    def run(self) -> dict[str, int]:
        end = round(1000 * self.config["duration_ns"])
        while self.events:
            first = min(range(len(self.events)), key=lambda index: self.events[index][:2])
            self.now, _, what = self.events.pop(first)
            if self.now >= end:
                break
            what()
        self.totals["unfinished"] = self.in_flight
        self.totals["breaker_openings"] = self.breaker.openings if self.breaker else 0
        return dict(self.totals)

    def trouble(self, trouble: Mapping[str, Any], begins: bool) -> None:
        if begins and trouble.get("flushes"):
            self.entries.clear()
        current = [t for t in self.config["troubles"] if 1000 * t["from_ns"] <= self.now < 1000 * t["until_ns"]]
        self.slowdown = math.prod(t.get("slowdown", 1) for t in current)
        self.is_down = any(t.get("is_down") for t in current)

    def arrival(self) -> None:
        self.totals["requests"] += 1
        stream, share = self.streams["keys"], self.keys["write_share"]
        is_write = share > 0 and uniform(stream) < share
        count = self.keys["count"]
        key = 0 if count == 1 else ((stream.next_u64() >> 32) * count) >> 32
        if is_write or not self.cache:
            return self.admit("write" if is_write else "read", key)
        version, fresh = self.entries.get(key, (0, -NEVER))
        stale = round(1000 * self.cache["stale_ns"])
        if self.now < fresh:
            self.totals["hits"] += 1
            self.serve(key, version)
        elif self.now < fresh + stale:
            self.totals["stale_hits"] += 1
            self.serve(key, version)
            if not self.loading[key]:
                self.totals["refreshes"] += 1
                self.load(key)
                self.begin("refresh", key)
        elif self.loading[key] and self.cache["single_flight"]:
            self.admit("join", key)
        else:
            self.load(key)
            self.admit("load", key)
        return None

    def load(self, key: int) -> None:
        self.loading[key] += 1
        self.stampede = max(self.stampede, self.loading[key])

    def serve(self, key: int, version: int) -> None:
        self.totals["stale_reads"] += version != self.store[key]
        self.totals["answered"] += 1

    def admit(self, purpose: str, key: int) -> None:
        if self.in_flight == self.config["load"]["in_flight_max"]:
            self.totals["turned_away"] += 1
            if purpose == "load":
                self.end_load(key, None, "retries")
            return
        if purpose in ("load", "join"):
            self.totals["loads" if purpose == "load" else "joined"] += 1
        self.begin(purpose, key)

    def begin(self, purpose: str, key: int) -> None:
        self.in_flight += purpose != "refresh"
        backoff = self.client["backoff"]
        delays = Delays(backoff["strategy"], backoff["base_ns"], backoff["cap_ns"])
        request = Request(purpose, key, self.now, delays)
        if purpose == "join":
            self.joined[key].append(request)
            return
        if self.client.get("deadline_ns"):
            request.deadline = self.now + round(1000 * self.client["deadline_ns"])
        if self.bucket:
            self.bucket.deposit()
        self.attempt(request)

    def attempt(self, request: Request) -> None:
        if self.now >= request.deadline:
            return self.give_up(request, "deadline")
        if self.breaker:
            given = self.breaker.admit(self.now)
            if given is None:
                return self.give_up(request, "breaker")
            request.given = given
        self.totals["attempts"] += 1
        self.totals["retries"] += request.delays.failures > 0
        request.attempt += 1
        timeout = self.client.get("timeout_ns")
        expires = min(request.deadline, self.now + round(1000 * timeout) if timeout else NEVER)
        attempt = Attempt(request, request.attempt, expires)
        if expires < NEVER:
            self.plan(int(expires), lambda: self.timeout(attempt))
        return self.send(lambda: self.arrive(attempt))

    def send(self, what: Callable[[], None]) -> None:
        time = picos(self.dependency["network_ns"], self.streams["network"])
        if time:
            self.plan(self.now + time, what)
        else:
            what()

    def timeout(self, attempt: Attempt) -> None:
        if attempt.request.attempt == attempt.number:
            self.totals["timeouts"] += 1
            self.fail(attempt.request)

    def arrive(self, attempt: Attempt) -> None:
        if self.is_down or (
            self.busy == self.dependency["servers"] and len(self.queue) == self.dependency["queue_max"]
        ):
            self.totals["refused"] += 1
            self.send(lambda: self.reply(attempt))
        elif self.busy == self.dependency["servers"]:
            self.queue.append(attempt)
        else:
            self.busy += 1
            self.start(attempt)

    def start(self, attempt: Attempt) -> None:
        time = picos(self.dependency["service_ns"], self.streams["times"])
        attempt.version = self.store[attempt.request.key]
        self.plan(self.now + int(time * self.slowdown), lambda: self.finish(attempt))

    def finish(self, attempt: Attempt) -> None:
        if attempt.request.purpose == "write":
            self.totals["writes"] += 1
            self.store[attempt.request.key] += 1
            attempt.version = self.store[attempt.request.key]
        while self.queue and self.dependency["drops_expired"] and self.queue[0].expires <= self.now:
            self.queue.pop(0)
        if self.queue:
            self.start(self.queue.pop(0))
        else:
            self.busy -= 1
        self.send(lambda: self.reply(attempt))

    def reply(self, attempt: Attempt) -> None:
        request = attempt.request
        if request.attempt != attempt.number:
            self.totals["late"] += attempt.version is not None
        elif attempt.version is None:
            self.fail(request)
        else:
            if self.breaker:
                self.breaker.settle(request.given, False, self.now)
            if request.purpose == "write" and self.cache:
                if self.cache["writes"] == "invalidate":
                    self.entries.pop(request.key, None)
                elif self.cache["writes"] == "write-through":
                    self.put(request.key, attempt.version)
            elif request.purpose in ("load", "refresh"):
                self.end_load(request.key, attempt.version, None)
            self.end(request, None)

    def put(self, key: int, version: int) -> None:
        assert self.cache
        ttl = round(1000 * self.cache["ttl_ns"])
        jitter = self.cache["jitter"]
        shorter = int(uniform(self.streams["ttl"]) * jitter * ttl) if jitter else 0
        self.entries[key] = (version, self.now + ttl - shorter)

    def fail(self, request: Request) -> None:
        request.attempt += 1
        if self.breaker:
            self.breaker.settle(request.given, True, self.now)
        if request.delays.failures >= self.client["retries"]:
            return self.give_up(request, "retries")
        again = self.now + request.delays.next(self.streams["backoff"])
        if again >= request.deadline:
            return self.give_up(request, "deadline")
        if self.bucket and not self.bucket.take(self.now):
            return self.give_up(request, "budget")
        return self.plan(again, lambda: self.attempt(request))

    def give_up(self, request: Request, reason: str) -> None:
        if request.purpose in ("load", "refresh"):
            self.end_load(request.key, None, reason)
        self.end(request, reason)

    def end_load(self, key: int, version: int | None, reason: str | None) -> None:
        self.loading[key] -= 1
        if version is not None:
            self.put(key, version)
        for request in self.joined.pop(key, []):
            self.end(request, reason)

    def end(self, request: Request, reason: str | None) -> None:
        request.attempt += 1
        if request.purpose == "refresh":
            return
        self.in_flight -= 1
        if reason is None:
            self.totals["answered"] += 1
        else:
            self.totals["failed"] += 1
            self.totals[f"failed_{reason}"] += 1
