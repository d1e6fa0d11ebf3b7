"""Sizes as people write them."""

import re

from runq.errors import ConfigError

__all__ = ["parse_size", "size_text"]

_UNITS = {"": 0, "B": 0, "KIB": 10, "MIB": 20, "GIB": 30, "TIB": 40}
_SIZE = re.compile(r"\s*(\d+)\s*([A-Za-z]*)\s*")


def parse_size(path: str, size: str | int) -> int:
    """Bytes of `64MiB` or 67108864; an error names the path."""
    found = _SIZE.fullmatch(str(size))
    if isinstance(size, bool) or not found or found[2].upper() not in _UNITS:
        raise ConfigError(path, "must be a number of bytes or a size such as 64MiB", repr(size))
    return int(found[1]) << _UNITS[found[2].upper()]


def size_text(count: int) -> str:
    """Bytes as people write them, exactly: `64MiB`."""
    for unit, shift in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count and count % (1 << shift) == 0:
            return f"{count >> shift}{unit}"
    return f"{count}B"
