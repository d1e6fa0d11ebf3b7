"""Prefetchers: told of each demand request of their level, they name the lines to fetch."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

PAGE_SIZE = 4096


class Trigger(NamedTuple):
    """A demand request, as a prefetcher sees it."""

    paddr: int
    line: int
    ip: int
    is_new: bool  # a miss, or the first demand hit of a prefetched line


class Prefetcher(Protocol):
    def lines(self, trigger: Trigger) -> Iterable[int]: ...


class NoPrefetcher:
    def lines(self, trigger: Trigger) -> Iterable[int]:
        return []


class NextLine:
    def __init__(self, degree: int) -> None:
        self.degree = degree

    def lines(self, trigger: Trigger) -> Iterable[int]:
        return range(trigger.line + 1, trigger.line + 1 + self.degree) if trigger.is_new else []


class Stride:
    """A constant distance between the addresses of one instruction."""

    def __init__(self, degree: int, line_size: int) -> None:
        self.degree = degree
        self.line_size = line_size
        self.table: dict[int, dict[str, int]] = {}

    def lines(self, trigger: Trigger) -> Iterable[int]:
        if trigger.ip == 0:
            return []
        entry = self.table.get(trigger.ip % 256)
        if entry is None or entry["ip"] != trigger.ip:
            self.table[trigger.ip % 256] = {"ip": trigger.ip, "last": trigger.paddr, "stride": 0, "confidence": 0}
            return []
        step = trigger.paddr - entry["last"]
        entry["last"] = trigger.paddr
        if step == entry["stride"] != 0:
            entry["confidence"] = min(entry["confidence"] + 1, 3)
        else:
            entry["confidence"] = max(entry["confidence"] - 1, 0)
            if entry["confidence"] == 0:
                entry["stride"] = step
        if entry["confidence"] < 2:
            return []
        named = [(trigger.paddr + k * entry["stride"]) // self.line_size for k in range(1, self.degree + 1)]
        return [line for line in dict.fromkeys(named) if line != trigger.line]


class Stream:
    """Runs of lines in one direction, followed in 16 pages at a time."""

    def __init__(self, degree: int) -> None:
        self.degree = degree
        self.streams: dict[int, dict[str, int]] = {}  # invariant: the least recently used page first

    def lines(self, trigger: Trigger) -> Iterable[int]:
        page = trigger.paddr // PAGE_SIZE
        stream = self.streams.pop(page, None)
        if stream is None:
            if len(self.streams) == 16:
                del self.streams[next(iter(self.streams))]
            self.streams[page] = {"last": trigger.line, "direction": 0, "confidence": 0}
            return []
        self.streams[page] = stream
        step = trigger.line - stream["last"]
        if step == 0:
            return []
        if step * stream["direction"] > 0 and abs(step) <= 4:
            stream["confidence"] = min(stream["confidence"] + 1, 3)
        else:
            stream["direction"] = 1 if step > 0 else -1
            stream["confidence"] = 1
        stream["last"] = trigger.line
        if stream["confidence"] < 2:
            return []
        return [trigger.line + stream["direction"] * k for k in range(1, self.degree + 1)]


def make_prefetcher(cache: dict[str, Any]) -> Prefetcher:
    """The prefetcher that a cache's configuration names."""
    degree = cache["prefetch_degree"]
    if cache["prefetcher"] == "next-line":
        return NextLine(degree)
    if cache["prefetcher"] == "stride":
        return Stride(degree, cache["line_size"])
    if cache["prefetcher"] == "stream":
        return Stream(degree)
    return NoPrefetcher()
