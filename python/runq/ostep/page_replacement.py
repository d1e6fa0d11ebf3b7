"""The replacement policies of OSTEP's `paging-policy.py`, one small class each.

A policy sees the pages of the cache in the order in which they are shown, says which of them goes, and changes nothing
but itself. What differs from textbooks is the tool's: CLOCK has no hand but examines pages at random, and ties of OPT
and UNOPT go by place. Source: vm-beyondphys-policy/paging-policy.py of remzi-arpacidusseau/ostep-homework at 6c6cfc7.
"""

from collections.abc import Sequence
from random import Random
from typing import Protocol

from runq.errors import ConfigError

__all__ = ["POLICIES", "Policy", "make_policy"]

POLICIES = ("FIFO", "LRU", "MRU", "OPT", "UNOPT", "RAND", "CLOCK")


class Policy(Protocol):
    """What a page cache asks."""

    # What the two ends of the list of pages are called.
    ends: tuple[str, str]
    # Whether a hit moves the page to the right end, so that the list is in order of use and not of arrival.
    moves_hits: bool

    def touch(self, page: int) -> None:
        """Notes an access to `page`, hit or miss; called once for every access, after `victim`."""

    def victim(self, pages: Sequence[int]) -> int:
        """The index in `pages` of the one that goes; asked only when the cache is full."""


class Fifo:
    """The page that came first."""

    ends = ("FirstIn", "Lastin ")
    moves_hits = False

    def touch(self, page: int) -> None:
        """Keeps nothing: the order of the list is all there is to know."""

    def victim(self, pages: Sequence[int]) -> int:
        """The left end."""
        return 0


class Lru:
    """The page that was not used for longest."""

    ends = ("LRU", "MRU")
    moves_hits = True

    def touch(self, page: int) -> None:
        """Keeps nothing: the order of the list is all there is to know."""

    def victim(self, pages: Sequence[int]) -> int:
        """The left end."""
        return 0


class Mru:
    """The page that was used last."""

    ends = ("LRU", "MRU")
    moves_hits = True

    def touch(self, page: int) -> None:
        """Keeps nothing: the order of the list is all there is to know."""

    def victim(self, pages: Sequence[int]) -> int:
        """The right end."""
        return len(pages) - 1


class Opt:
    """The page whose next use is furthest away (Belady 1966); among equals the rightmost."""

    ends = ("Left ", "Right")
    moves_hits = False

    def __init__(self, future: Sequence[int]) -> None:
        self._next_use = _NextUse(future)

    def touch(self, page: int) -> None:
        """Looks up when `page` comes again."""
        self._next_use.touch(page)

    def victim(self, pages: Sequence[int]) -> int:
        """O(pages)."""
        return max(range(len(pages)), key=lambda index: (self._next_use[pages[index]], index))


class Unopt:
    """The page whose next use is closest, the opposite of OPT; among equals the leftmost."""

    ends = ("Left ", "Right")
    moves_hits = False

    def __init__(self, future: Sequence[int]) -> None:
        self._next_use = _NextUse(future)

    def touch(self, page: int) -> None:
        """Looks up when `page` comes again."""
        self._next_use.touch(page)

    def victim(self, pages: Sequence[int]) -> int:
        """O(pages)."""
        return min(range(len(pages)), key=lambda index: (self._next_use[pages[index]], index))


class Rand:
    """Any page, with equal chances."""

    ends = ("Left ", "Right")
    moves_hits = False

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def touch(self, page: int) -> None:
        """Keeps nothing."""

    def victim(self, pages: Sequence[int]) -> int:
        """One draw."""
        return int(self._rng.random() * len(pages))


class Clock:
    """A page that is found unreferenced; a referenced one that is examined loses one of its references instead."""

    ends = ("Left ", "Right")
    moves_hits = False

    def __init__(self, rng: Random, bits: int) -> None:
        self._rng = rng
        self._bits = bits
        # Of the pages in the cache alone: a page that comes back starts anew.
        self._references: dict[int, int] = {}

    def touch(self, page: int) -> None:
        """Counts a reference, at most up to the number of bits; the first counts even where that is 0."""
        known = self._references.get(page)
        self._references[page] = 1 if known is None else min(known + 1, self._bits)

    def victim(self, pages: Sequence[int]) -> int:
        """One draw for each page that is examined."""
        while True:
            index = int(self._rng.random() * len(pages))
            page = pages[index]
            if self._references[page] < 1:
                del self._references[page]
                return index
            self._references[page] -= 1


def make_policy(name: str, future: Sequence[int], *, rng: Random, clockbits: int) -> Policy:
    """The policy called `name` for the accesses of `future`.

    Raises:
        ConfigError: there is no such policy, or `clockbits` is negative.
    """
    if clockbits < 0:
        raise ConfigError("clockbits", "must be at least 0", str(clockbits))
    match name:
        case "FIFO":
            return Fifo()
        case "LRU":
            return Lru()
        case "MRU":
            return Mru()
        case "OPT":
            return Opt(future)
        case "UNOPT":
            return Unopt(future)
        case "RAND":
            return Rand(rng)
        case "CLOCK":
            return Clock(rng, clockbits)
    raise ConfigError("policy", f"must be one of {', '.join(POLICIES)}", repr(name))


class _NextUse:
    """When pages that were touched come again: an index into `future`, or its length for never."""

    def __init__(self, future: Sequence[int]) -> None:
        self._after = [0] * len(future)
        following: dict[int, int] = {}
        for time in range(len(future) - 1, -1, -1):
            self._after[time] = following.get(future[time], len(future))
            following[future[time]] = time
        self._time = 0
        self._next: dict[int, int] = {}

    def touch(self, page: int) -> None:
        self._next[page] = self._after[self._time]
        self._time += 1

    def __getitem__(self, page: int) -> int:
        return self._next[page]
