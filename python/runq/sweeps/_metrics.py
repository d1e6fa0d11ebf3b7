"""Metrics by their paths: which patterns name them, and in which order tables have them."""

import re
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["matches", "ordered"]


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern names a metric: its path, a table that holds it, `*` for any name.

    >>> matches("levels.*.misses", "levels.L1D.misses"), matches("ledger", "ledger.user"), matches("led", "ledger.user")
    (True, True, False)
    """
    return _expression(pattern).fullmatch(name) is not None


def ordered(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Names in the order of the patterns, by name within one."""

    def rank(name: str) -> tuple[int, str]:
        return next((place for place, one in enumerate(patterns) if matches(one, name)), len(patterns)), name

    return sorted(names, key=rank)


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    steps = (r".+" if step == "*" else re.escape(step) for step in pattern.split("."))
    path = r"\.".join(steps)
    return re.compile(rf"{path}(?:[.\[].*)?", re.DOTALL)
