"""A reader of Valgrind lackey's text, independent of the project's own: a modify is a load and then a store."""

import lzma
import re
from collections.abc import Iterator
from pathlib import Path

LINE = re.compile(r"^(I | S| L| M) ?\s*([0-9a-f]+),(\d+)$")
KINDS = {"I ": ["fetch"], " L": ["read"], " S": ["write"], " M": ["read", "write"]}


def accesses(path: Path) -> Iterator[tuple[int, int, str, int, int]]:
    """The accesses of an xz-compressed trace as (address, size, kind, thread, ip)."""
    with lzma.open(path, "rt", encoding="ascii") as text:
        for line in text:
            if found := LINE.match(line.rstrip("\n")):
                for kind in KINDS[found[1]]:
                    yield int(found[2], 16), int(found[3]), kind, 0, 0
