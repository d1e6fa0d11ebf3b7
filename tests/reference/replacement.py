"""Replacement policies: told of hits (`touch`) and fills (`fill`), asked for a `victim` of a full set."""

from collections import defaultdict
from typing import Protocol

from .rng import Stream


class Policy(Protocol):
    def touch(self, index: int, way: int) -> None: ...
    def fill(self, index: int, way: int) -> None: ...
    def victim(self, index: int) -> int: ...


class Recency:
    """lru, mru, lip and fifo: the ways of each set in an order, the most recent first."""

    def __init__(self, name: str, ways: int) -> None:
        self.name = name
        self.order: dict[int, list[int]] = defaultdict(lambda: list(range(ways)))

    def move(self, index: int, way: int, place: int) -> None:
        order = self.order[index]
        order.remove(way)
        order.insert(place, way)

    def touch(self, index: int, way: int) -> None:
        if self.name != "fifo":
            self.move(index, way, 0)

    def fill(self, index: int, way: int) -> None:
        self.move(index, way, len(self.order[index]) - 1 if self.name == "lip" else 0)

    def victim(self, index: int) -> int:
        return self.order[index][0 if self.name == "mru" else -1]


class Random:
    """Draws a way from the cache's own stream."""

    def __init__(self, ways: int, stream: Stream) -> None:
        self.ways = ways
        self.stream = stream

    def touch(self, index: int, way: int) -> None:
        pass

    def fill(self, index: int, way: int) -> None:
        pass

    def victim(self, index: int) -> int:
        return ((self.stream.next_u64() >> 32) * self.ways) >> 32


class TreePlru:
    """A binary tree over the next power of two ways; a node is named by its first leaf and the number of its leaves."""

    def __init__(self, ways: int) -> None:
        self.ways = ways
        self.leaves = 1 << (ways - 1).bit_length()
        self.points_right: dict[tuple[int, int, int], bool] = defaultdict(bool)

    def touch(self, index: int, way: int) -> None:
        first, size = 0, self.leaves
        while size > 1:
            half = size // 2
            is_right = way >= first + half
            self.points_right[index, first, size] = not is_right
            first, size = (first + half if is_right else first), half

    fill = touch

    def victim(self, index: int) -> int:
        first, size = 0, self.leaves
        while size > 1:
            half = size // 2
            right_has_ways = first + half < self.ways
            if right_has_ways and self.points_right[index, first, size]:
                first += half
            size = half
        return first


class BitPlru:
    """One bit a way; when the last one would be set, all others are cleared."""

    def __init__(self, ways: int) -> None:
        self.ways = ways
        self.bits: dict[int, set[int]] = defaultdict(set)

    def touch(self, index: int, way: int) -> None:
        self.bits[index].add(way)
        if len(self.bits[index]) == self.ways:
            self.bits[index] = {way} if self.ways > 1 else set()

    fill = touch

    def victim(self, index: int) -> int:
        return min(set(range(self.ways)) - self.bits[index])


class Qlru:
    """Quad-age LRU, QLRU_H00_M1_R0_U1 of nanoBench (Abel & Reineke 2020): an age of 0..3 a way."""

    def __init__(self, ways: int) -> None:
        self.age: dict[int, list[int]] = defaultdict(lambda: [3] * ways)

    def use(self, index: int, way: int, age: int) -> None:
        ages = self.age[index]
        ages[way] = age
        others = [other for other in range(len(ages)) if other != way]
        while others and 3 not in [ages[other] for other in others]:
            for other in others:
                ages[other] += 1

    def touch(self, index: int, way: int) -> None:
        self.use(index, way, 0)

    def fill(self, index: int, way: int) -> None:
        self.use(index, way, 1)

    def victim(self, index: int) -> int:
        return self.age[index].index(3) if 3 in self.age[index] else 0


class Rrip:
    """srrip, brrip and drrip (Jaleel et al. 2010): a re-reference prediction value of 0..3 a way."""

    def __init__(self, name: str, sets: int, ways: int) -> None:
        self.name = name
        self.stride = max(sets // 32, 2)
        self.rrpv: dict[int, list[int]] = defaultdict(lambda: [3] * ways)
        self.brrip_fills = 0
        self.psel = 511

    def touch(self, index: int, way: int) -> None:
        self.rrpv[index][way] = 0

    def fill(self, index: int, way: int) -> None:
        if self.rule(index) == "srrip":
            self.rrpv[index][way] = 2
            return
        self.brrip_fills += 1
        self.rrpv[index][way] = 2 if self.brrip_fills % 32 == 0 else 3

    def rule(self, index: int) -> str:
        if self.name != "drrip":
            return self.name
        if index % self.stride == 0:
            self.psel = min(self.psel + 1, 1023)
            return "srrip"
        if index % self.stride == self.stride // 2:
            self.psel = max(self.psel - 1, 0)
            return "brrip"
        return "brrip" if self.psel >= 512 else "srrip"

    def victim(self, index: int) -> int:
        while 3 not in self.rrpv[index]:
            self.rrpv[index] = [value + 1 for value in self.rrpv[index]]
        return self.rrpv[index].index(3)


def make_policy(name: str, sets: int, ways: int, stream: Stream) -> Policy:
    """The policy called `name`; only `random` draws from `stream`."""
    if name == "random":
        return Random(ways, stream)
    if name == "tree-plru":
        return TreePlru(ways)
    if name == "bit-plru":
        return BitPlru(ways)
    if name == "qlru":
        return Qlru(ways)
    if name in ("srrip", "brrip", "drrip"):
        return Rrip(name, sets, ways)
    return Recency(name, ways)
