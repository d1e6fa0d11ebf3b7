"""Caches and stack distances the obvious way: lists of lines, one cache after the other."""

from collections.abc import Sequence


def set_associative_misses(lines: Sequence[int], sets: int, ways: int, policy: str) -> int:
    """Misses of one cache with those lines in order."""
    contents: list[list[int]] = [[] for _ in range(sets)]  # newest first
    misses = 0
    for line in lines:
        content = contents[line % sets]
        if line in content:
            if policy == "lru":
                content.remove(line)
                content.insert(0, line)
            continue
        misses += 1
        content.insert(0, line)
        del content[ways:]
    return misses


def stack_distances(lines: Sequence[int]) -> list[int | None]:
    """How many other lines were used since each line's last use; None for a first use."""
    stack: list[int] = []
    distances: list[int | None] = []
    for line in lines:
        distances.append(stack.index(line) if line in stack else None)
        if line in stack:
            stack.remove(line)
        stack.insert(0, line)
    return distances


def fully_associative_misses(lines: Sequence[int], size: int) -> int:
    """Misses of a fully associative LRU cache of `size` lines."""
    return sum(distance is None or distance >= size for distance in stack_distances(lines))
