"""Copying an address space: at once or, on demand, by sharing the tables of level 1."""

from dataclasses import replace

from .address_space import AddressSpace
from .frames import ZERO_PAGE
from .page_table import HUGE, PAGE, Leaf, Pointer, Swapped, Table, find, index, pointer, tables

COUNTS = (
    "clean",
    "dirtied",
    "scattered",
    "zero_pages",
    "swapped",
    "huge_clean",
    "huge_dirtied",
    "huge_pages",
    "tables",
    "shared_tables",
)
Work = dict[str, int]


def fork(parent: AddressSpace, policy: str) -> tuple[AddressSpace, Work]:
    """The child and what was counted. As many frames must be had as the parent has tables that are not shared."""
    lowest = 2 if policy == "on-demand" else 1
    parent.memory.reserve(sum(table.level >= lowest for table in tables(parent.root)))
    child = AddressSpace(parent.memory, parent.levels)
    for name in ("base", "heap_start", "heap_end", "stack_limit"):
        setattr(child, name, getattr(parent, name))
    child.regions.list = [replace(region) for region in parent.regions.list]
    copier = Copier(child, policy)
    for region in parent.regions.list:
        if region.object is None:
            copier.copy(parent.root, region.start, region.end)
    return child, copier.work


class Copier:
    def __init__(self, child: AddressSpace, policy: str) -> None:
        self.child = child
        self.policy = policy
        self.work = dict.fromkeys(COUNTS, 0) | {"tables": 1}
        self.before: int | None = None  # the frame of the entry before

    def copy(self, root: Table, start: int, end: int) -> None:
        for vaddr in range(start // HUGE * HUGE, end, HUGE):
            to_table, huge = pointer(root, vaddr), find(root, vaddr)
            if to_table is not None and self.policy == "on-demand":
                self.share_table(vaddr, to_table)
            elif to_table is not None:
                for page in range(max(start, vaddr), min(end, vaddr + HUGE), PAGE):
                    self.copy_entry(page, find(root, page))
            elif isinstance(huge, Leaf) and huge.level == 2:
                self.copy_entry(vaddr, huge)

    def share_table(self, vaddr: int, to_table: Pointer) -> None:
        above = self.make(vaddr, 2)
        if index(vaddr, 2) not in above.entries:  # else another region has shared it
            to_table.writable = False
            self.child.point(above, index(vaddr, 2), to_table.table).writable = False
            self.work["shared_tables"] += 1

    def copy_entry(self, vaddr: int, entry: Leaf | Swapped | None) -> None:
        if entry is None:
            return
        level = entry.level if isinstance(entry, Leaf) else 1
        if isinstance(entry, Swapped):
            self.work["swapped"] += 1
        elif entry.level > 1:
            self.work["huge_dirtied" if entry.writable else "huge_clean"] += 1
            self.work["huge_pages"] += 512
        else:
            self.count(entry)
        self.make(vaddr, level).entries[index(vaddr, level)] = self.child.share(entry)

    def make(self, vaddr: int, level: int) -> Table:
        self.work["tables"] += self.child.tables_missing(vaddr, level)
        return self.child.make(vaddr, level)

    def count(self, leaf: Leaf) -> None:
        is_near = self.before is None or abs(leaf.pfn - self.before) == 1
        self.work["clean" if not leaf.writable else "dirtied" if is_near else "scattered"] += 1
        self.work["zero_pages"] += leaf.pfn == ZERO_PAGE
        self.before = leaf.pfn
