"""Replacement of pages written down as slowly and plainly as it can be, from what the policies are said to do.

A cache is a list. Whoever wants to know the past or the future looks at the accesses themselves.
"""

from random import Random


def paging_policy(
    accesses: list[int], *, policy: str, cachesize: int, clockbits: int = 2, seed: int = 0
) -> list[tuple[int, bool, list[int], int | None]]:
    """Page, hit, contents and victim of every access."""
    rng = Random(seed)
    cache: list[int] = []
    references: dict[int, int] = {}
    rows = []
    for now, page in enumerate(accesses):
        hit, victim = page in cache, None
        if not hit and len(cache) == cachesize:
            victim = choose(policy, cache, accesses, now, references, rng)
            cache = [other for other in cache if other != victim]
            del references[victim]
        if not hit:
            cache = [*cache, page]
        elif policy in ("LRU", "MRU"):
            cache = [*(other for other in cache if other != page), page]
        references[page] = min(references[page] + 1, clockbits) if page in references else 1
        rows.append((page, hit, cache, victim))
    return rows


def choose(
    policy: str, cache: list[int], accesses: list[int], now: int, references: dict[int, int], rng: Random
) -> int:
    def last_use(page: int) -> int:
        return max(time for time in range(now) if accesses[time] == page)

    def next_use(page: int) -> int:
        return min((time for time in range(now + 1, len(accesses)) if accesses[time] == page), default=len(accesses))

    if policy == "FIFO":
        return cache[0]
    if policy == "LRU":
        return min(cache, key=last_use)
    if policy == "MRU":
        return max(cache, key=last_use)
    if policy == "OPT":
        furthest = max(next_use(page) for page in cache)
        return [page for page in cache if next_use(page) == furthest][-1]
    if policy == "UNOPT":
        closest = min(next_use(page) for page in cache)
        return next(page for page in cache if next_use(page) == closest)
    if policy == "RAND":
        return cache[int(rng.random() * len(cache))]
    assert policy == "CLOCK"
    while True:
        page = cache[int(rng.random() * len(cache))]
        if references[page] < 1:
            return page
        references[page] -= 1
