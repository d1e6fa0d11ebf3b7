"""A page cache as OSTEP's `paging-policy.py` plays it: hit or miss, contents and victim, access by access.

Pages are numbers, the cache is fully associative, and nothing but replacement is modelled. Names and defaults of
options and the use of random numbers are those of the tool, so that the same seed gives the same exercise. Source:
vm-beyondphys-policy/paging-policy.py of remzi-arpacidusseau/ostep-homework at 6c6cfc7.
"""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from random import Random

import msgspec

from runq.errors import ConfigError
from runq.ostep.page_replacement import Policy, make_policy

__all__ = ["Access", "PageCache", "PagingResult", "paging_policy", "play", "prepare", "read_addresses"]

# So many fit memory; the exercises have some ten.
_MOST_ADDRESSES = 10_000_000
# What a page number has to be below, and its negative may be: they are 64 bits wide in JSON.
_PAGE_LIMIT = 1 << 63


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """An access and what it does to the cache.

    Attributes:
        page: the page that is accessed.
        hit: whether the cache held it.
        state: the pages of the cache afterwards, in the order in which the tool prints them.
        replaced: the page that had to go, if one had to.
    """

    page: int
    hit: bool
    state: tuple[int, ...]
    replaced: int | None


class PagingResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the cache does: hits and misses in all, and every access in order."""

    hits: int
    misses: int
    accesses: tuple[Access, ...]

    @property
    def hit_ratio(self) -> float:
        """Hits by accesses."""
        return self.hits / (self.hits + self.misses)

    def to_json(self) -> str:
        """Everything as one line of JSON: what `--json` prints."""
        return msgspec.json.encode(self).decode()


class PageCache:
    """The mechanism: who is in. Its policy says who goes."""

    def __init__(self, policy: Policy, size: int) -> None:
        self.policy = policy
        self._size = size
        # invariant: no page twice, at most `_size` of them
        self._pages: list[int] = []

    def access(self, page: int) -> Access:
        """Brings `page` in. O(size)."""
        replaced = None
        hit = page in self._pages
        if hit:
            if self.policy.moves_hits:
                self._pages.remove(page)
                self._pages.append(page)
        else:
            if len(self._pages) == self._size:
                replaced = self._pages.pop(self.policy.victim(self._pages))
            self._pages.append(page)
        self.policy.touch(page)
        return Access(page=page, hit=hit, state=tuple(self._pages), replaced=replaced)


def paging_policy(
    addresses: Sequence[int] | None = None,
    *,
    numaddrs: int = 10,
    policy: str = "FIFO",
    clockbits: int = 2,
    cachesize: int = 3,
    maxpage: int = 10,
    seed: int = 0,
) -> PagingResult:
    """Plays accesses to pages through a page cache.

    >>> [access.page for access in paging_policy(numaddrs=5, seed=1).accesses]
    [1, 8, 7, 2, 4]

    Args:
        addresses: the pages that are accessed, in order; without them random ones are.
        numaddrs: how many random ones, at most 10,000,000.
        policy: `FIFO`, `LRU`, `MRU`, `OPT`, `UNOPT`, `RAND` or `CLOCK`.
        clockbits: how many references of a page CLOCK remembers.
        cachesize: how many pages the cache holds.
        maxpage: random pages are below it (or 0 where it is).
        seed: of random pages and of the victims of RAND and CLOCK.

    Raises:
        ConfigError: an option is out of its range.
    """
    pages, cache = prepare(
        addresses,
        numaddrs=numaddrs,
        policy=policy,
        clockbits=clockbits,
        cachesize=cachesize,
        maxpage=maxpage,
        seed=seed,
    )
    accesses = tuple(play(pages, cache))
    hits = sum(access.hit for access in accesses)
    return PagingResult(hits=hits, misses=len(accesses) - hits, accesses=accesses)


def prepare(
    addresses: Sequence[int] | None,
    *,
    numaddrs: int,
    policy: str,
    clockbits: int,
    cachesize: int,
    maxpage: int,
    seed: int,
) -> tuple[Sequence[int], PageCache]:
    """Checks the options of `paging_policy` and gives the accesses and the empty cache."""
    # One stream for pages and victims, against the custom of this package: so the tool has it.
    rng = Random(seed)
    pages = _random_pages(rng, numaddrs, maxpage) if addresses is None else addresses
    if not pages:
        raise ConfigError("addresses", "must be at least one page", "none")
    for page in pages:
        if not -_PAGE_LIMIT <= page < _PAGE_LIMIT:
            raise ConfigError("addresses", "must be page numbers of at most 64 bits", str(page))
    if cachesize < 1:
        raise ConfigError("cachesize", "must be at least 1", str(cachesize))
    return pages, PageCache(make_policy(policy, pages, rng=rng, clockbits=clockbits), cachesize)


def play(pages: Sequence[int], cache: PageCache) -> Iterator[Access]:
    """Plays `pages` through `cache`; what comes out need not be kept."""
    return (cache.access(page) for page in pages)


def read_addresses(path: str | PathLike[str]) -> list[int]:
    """The pages in a file that has one a line.

    Raises:
        ConfigError: there is no such file, or a line is something else.
    """
    pages = []
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                text = line.strip()
                try:
                    pages.append(int(text))
                except ValueError:
                    shown = repr(text if len(text) <= 40 else f"{text[:40]}...")
                    raise ConfigError(f"addressfile: {path}: line {number}", "must be a page number", shown) from None
    except OSError as error:
        raise ConfigError("addressfile", f"must be a file to read ({error.strerror})", repr(str(path))) from None
    if not pages:
        raise ConfigError("addressfile", "must have at least one page", f"none in {str(path)!r}")
    return pages


def _random_pages(rng: Random, numaddrs: int, maxpage: int) -> list[int]:
    if not 1 <= numaddrs <= _MOST_ADDRESSES:
        raise ConfigError("numaddrs", f"must be between 1 and {_MOST_ADDRESSES}", str(numaddrs))
    if not 0 <= maxpage < _PAGE_LIMIT:
        raise ConfigError("maxpage", f"must be between 0 and {_PAGE_LIMIT - 1}", str(maxpage))
    return [int(maxpage * rng.random()) for _ in range(numaddrs)]
