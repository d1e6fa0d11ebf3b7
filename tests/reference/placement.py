"""Where pages lie in physical memory."""

from collections.abc import Callable
from typing import Any

from .rng import Stream, mix

FRAME_BITS = 12


class OutOfMemoryError(Exception):
    """More pages than frames; carries the index of the access once the replay knows it."""


def permutation(n: int, seed: int, page_bits: int) -> Callable[[int], int]:
    """A permutation of [0, n): a balanced Feistel network of 4 rounds, walked until it lands in the range."""
    half = 1
    while 1 << (2 * half) < n:
        half += 1
    stream = Stream(seed, "placement", page_bits)
    keys = [stream.next_u64() for _ in range(4)]

    def once(value: int) -> int:
        left, right = value >> half, value & ((1 << half) - 1)
        for key in keys:
            left, right = right, left ^ (mix((right + key) % (1 << 64)) % (1 << half))
        return left << half | right

    def walk(value: int) -> int:
        value = once(value)
        while value >= n:
            value = once(value)
        return value

    return walk


class Placement:
    """The physical address of every page touched so far."""

    def __init__(self, machine: dict[str, Any], seed: int) -> None:
        self.rule = machine["placement"]
        self.memory_size = machine["memory_size"]
        self.frames: dict[tuple[int, int, int], int] = {}
        self.next_frame = 0
        self.tables: list[int] = []  # places left of a page that was taken for tables
        self.page_bits = machine["page_bits"]
        self.shuffle = permutation(self.memory_size >> machine["page_bits"], seed, machine["page_bits"])

    def paddr(self, asid: int, page_bits: int, vaddr: int) -> int:
        if self.rule == "identity":
            return vaddr
        page = (asid, page_bits, vaddr >> page_bits)
        if page not in self.frames:
            self.frames[page] = self.take(page_bits)
        return self.frames[page] + vaddr % (1 << page_bits)

    def take(self, page_bits: int) -> int:
        """The physical address of the next page of this size."""
        frames = 1 << (page_bits - FRAME_BITS)
        first = -(-self.next_frame // frames) * frames
        if first + frames > self.memory_size >> FRAME_BITS:
            raise OutOfMemoryError
        self.next_frame = first + frames
        if self.rule == "random":
            return self.shuffle(first // frames) << page_bits
        return first << FRAME_BITS

    def take_table(self) -> int:
        """The physical address of the next page table."""
        if not self.tables:
            page_bits = self.page_bits if self.rule == "random" else FRAME_BITS
            page = self.take(page_bits)
            self.tables = list(range(page, page + (1 << page_bits), 1 << FRAME_BITS))
        return self.tables.pop(0)
