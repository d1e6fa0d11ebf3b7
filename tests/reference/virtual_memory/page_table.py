"""Page tables: radix trees whose tables are dictionaries from index to entry."""

from collections.abc import Iterator
from dataclasses import dataclass, field

PAGE = 1 << 12
HUGE = 1 << 21


@dataclass
class Leaf:
    """Maps a page, of 4 KiB at level 1, of 2 MiB at level 2."""

    pfn: int
    level: int
    writable: bool
    executable: bool
    user: bool = True  # cleared where nothing is allowed
    accessed: bool = True
    dirty: bool = False

    def frames(self) -> range:
        return range(self.pfn, self.pfn + (1 if self.level == 1 else 512))


@dataclass
class Swapped:
    slot: int


@dataclass
class Pointer:
    """To the table one level down; read-only after an on-demand fork."""

    table: "Table"
    writable: bool = True


Entry = Leaf | Swapped | Pointer


@dataclass(eq=False)
class Table:
    pfn: int
    level: int
    entries: dict[int, Entry] = field(default_factory=dict)


def index(vaddr: int, level: int) -> int:
    return (vaddr >> (12 + 9 * (level - 1))) % 512


def raw(entry: Entry | None) -> int:
    """A leaf or what stands in its place as the 64 bits that x86-64 sees."""
    if entry is None:
        return 0
    if isinstance(entry, Swapped):
        return entry.slot << 12 | 1 << 9
    assert isinstance(entry, Leaf)
    bits = {0: True, 1: entry.writable, 2: entry.user, 5: entry.accessed, 6: entry.dirty, 7: entry.level > 1}
    return sum(1 << bit for bit, is_set in bits.items() if is_set) | entry.pfn << 12 | (not entry.executable) << 63


def path(root: Table, vaddr: int) -> list[tuple[Table, int]]:
    """Tables and indices from the root to where the walk ends."""
    steps = [(root, index(vaddr, root.level))]
    while isinstance(entry := steps[-1][0].entries.get(steps[-1][1]), Pointer):
        steps.append((entry.table, index(vaddr, entry.table.level)))
    return steps


def find(root: Table, vaddr: int) -> Leaf | Swapped | None:
    table, place = path(root, vaddr)[-1]
    entry = table.entries.get(place)
    assert not isinstance(entry, Pointer)
    return entry


def pointer(root: Table, vaddr: int) -> Pointer | None:
    """The entry of level 2 that points to the table of level 1 of an address."""
    steps = path(root, vaddr)
    if steps[-1][0].level > 1:
        return None
    table, place = steps[-2]
    found = table.entries[place]
    assert isinstance(found, Pointer)
    return found


def leaves(table: Table, base: int = 0) -> Iterator[tuple[int, Leaf | Swapped]]:
    """Address and entry of every page, in order of address."""
    for place in sorted(table.entries):
        vaddr = base + (place << (12 + 9 * (table.level - 1)))
        entry = table.entries[place]
        if isinstance(entry, Pointer):
            yield from leaves(entry.table, vaddr)
        else:
            yield vaddr, entry


def tables(table: Table) -> Iterator[Table]:
    """This table and all below it."""
    yield table
    for entry in table.entries.values():
        if isinstance(entry, Pointer):
            yield from tables(entry.table)
