"""Physical memory: the buddy allocator, reference counts and contents."""

from collections import Counter

from ..rng import Stream

MAX_ORDER = 18
HUGE_ORDER = 9
ZERO_PAGE = 0


def below(stream: Stream, bound: int) -> int:
    """A number below 2^32 at most."""
    return ((stream.next_u64() >> 32) * bound) >> 32


def below_any(stream: Stream, bound: int) -> int:
    return (stream.next_u64() * bound) >> 64


class Frames:
    def __init__(self, count: int, placement: str, seed: int) -> None:
        self.count = count
        self.placement = placement
        self.stream = Stream(seed, "vm.frames", 0)
        self.blocks: dict[int, set[int]] = {order: set() for order in range(MAX_ORDER + 1)}  # the free ones
        self.references: Counter[int] = Counter()
        self.contents: Counter[int] = Counter()
        first = 0
        while first < count:
            order = max(o for o in self.blocks if first % (1 << o) == 0 and first + (1 << o) <= count)
            self.blocks[order].add(first)
            first += 1 << order
        self.carve(ZERO_PAGE, 0)
        if placement == "fragmented":
            for first in range(0, count - 511, 512):
                pfn = first + below_any(self.stream, 512)
                if self.block_around(pfn, 0) is not None:  # frame 0 may be drawn
                    self.carve(pfn, 0)

    @property
    def free(self) -> int:
        return sum(len(blocks) << order for order, blocks in self.blocks.items())

    def block_around(self, pfn: int, order: int) -> tuple[int, int] | None:
        """The free block, first frame and order, in which the block at `pfn` lies."""
        for outer in range(order, MAX_ORDER + 1):
            first = pfn >> outer << outer
            if first in self.blocks[outer]:
                return first, outer
        return None

    def carve(self, pfn: int, order: int) -> None:
        """Takes the block at `pfn` out of the free one in which it lies; the halves without it stay free."""
        around = self.block_around(pfn, order)
        assert around is not None
        first, outer = around
        self.blocks[outer].remove(first)
        while outer > order:
            outer -= 1
            lower, upper = first, first + (1 << outer)
            first, other = (lower, upper) if pfn < upper else (upper, lower)
            self.blocks[outer].add(other)

    def take(self, order: int) -> int | None:
        """A block of zeroed frames, or None."""
        pfn = self.choose(order)
        if pfn is not None:
            self.carve(pfn, order)
            for each in range(pfn, pfn + (1 << order)):
                assert self.references[each] == 0
                self.contents[each] = 0
        return pfn

    def choose(self, order: int) -> int | None:
        suffices = [outer for outer in range(order, MAX_ORDER + 1) if self.blocks[outer]]
        if not suffices:
            return None
        blocks = self.blocks[suffices[0]]
        if self.placement != "random":
            return min(blocks)
        for _ in range(16):
            drawn = below_any(self.stream, self.count) >> order << order
            if self.block_around(drawn, order) is not None:
                return drawn
        return min((first for first in blocks if first >= drawn), default=min(blocks))

    def give(self, pfn: int) -> None:
        """Frees one frame, which joins its buddy as long as that is free too."""
        order = 0
        while order < MAX_ORDER and pfn ^ (1 << order) in self.blocks[order]:
            self.blocks[order].remove(pfn ^ (1 << order))
            pfn &= ~(1 << order)
            order += 1
        self.blocks[order].add(pfn)
