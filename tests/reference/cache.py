"""One cache: its lines, its policy and its counters. What it asks of other levels is in `hierarchy`."""

from dataclasses import dataclass
from typing import Any

from .prefetch import make_prefetcher
from .replacement import make_policy
from .rng import Stream

COUNTERS = (
    "reads",
    "writes",
    "read_misses",
    "write_misses",
    "misses",
    "write_backs",
    "write_backs_in",
    "write_back_misses",
    "write_throughs",
    "victims_in",
    "back_invalidations",
    "prefetch_reads",
    "prefetch_misses",
    "prefetches_issued",
    "prefetches_useful",
    "prefetches_late",
    "prefetches_polluting",
    "walk_reads",
    "walk_read_misses",
)


@dataclass
class Line:
    number: int
    is_dirty: bool
    arrival: int | None = None  # the clock at which a prefetched line is there; None without the mark


class Cache:
    """The cache at `level` of the machine's list, of one cpu or shared."""

    def __init__(self, config: dict[str, Any], level: int, cpu: int, seed: int) -> None:
        self.config = config
        self.level = level
        self.line_size: int = config["line_size"]
        self.latency: int = config["latency_cycles"]
        self.is_exclusive = config["inclusion"] == "exclusive"
        self.is_inclusive = config["inclusion"] == "inclusive"
        self.is_write_back = config["write_policy"] == "write-back"
        self.allocates: bool = config["write_allocate"]
        self.sets: int = config["sets"]
        self.ways: list[list[Line | None]] = [[None] * config["ways"] for _ in range(self.sets)]
        stream = Stream(seed, "cache.victim", 256 * level + cpu)
        self.policy = make_policy(config["replacement"], self.sets, config["ways"], stream)
        self.prefetcher = make_prefetcher(config)
        self.polluted: dict[int, int] = {}  # line mod entries -> a line that a prefetch evicted
        self.counters = dict.fromkeys(COUNTERS, 0)

    def find(self, number: int) -> Line | None:
        return next((line for line in self.ways[number % self.sets] if line and line.number == number), None)

    def touch(self, number: int) -> None:
        index = number % self.sets
        self.policy.touch(index, self.ways[index].index(self.find(number)))

    def remove(self, number: int) -> Line | None:
        """Makes the way of a line invalid. Returns the line, if it was there."""
        index, line = number % self.sets, self.find(number)
        if line is not None:
            self.ways[index][self.ways[index].index(line)] = None
        return line

    def insert(self, line: Line) -> Line | None:
        """Puts a line in. Returns the line that made room for it, if one did."""
        index = line.number % self.sets
        ways = self.ways[index]
        way = ways.index(None) if None in ways else self.policy.victim(index)
        evicted, ways[way] = ways[way], line
        self.policy.fill(index, way)
        return evicted

    def pollution_slot(self, number: int) -> int:
        return number % (self.sets * self.config["ways"])

    def forget_polluted(self, number: int) -> bool:
        """Clears the record of a line that a prefetch evicted. Returns whether there was one."""
        slot = self.pollution_slot(number)
        if self.polluted.get(slot) != number:
            return False
        del self.polluted[slot]
        return True
