"""Splitting a huge page, and collapsing 512 pages into one."""

from .address_space import AddressSpace
from .frames import HUGE_ORDER
from .page_table import HUGE, Leaf, Table, find, path, pointer


def split(space: AddressSpace, vaddr: int) -> bool:
    """Replaces a huge entry by a table of 512 entries."""
    huge = find(space.root, vaddr)
    if not isinstance(huge, Leaf) or huge.level != 2:
        return False
    space.memory.reserve(1)
    table = Table(space.memory.take(), 1)
    for place, pfn in enumerate(huge.frames()):
        table.entries[place] = Leaf(**vars(huge) | {"pfn": pfn, "level": 1})
    above, place = path(space.root, vaddr)[-1]
    space.point(above, place, table)
    for pfn in huge.frames():
        space.memory.swap.policy.insert(pfn)
    return True


def collapse(space: AddressSpace, vaddr: int) -> bool:
    """Replaces 512 entries by a huge page with copies."""
    first = vaddr // HUGE * HUGE
    region = space.regions.find(first)
    to_table = pointer(space.root, first)
    if region is None or first + HUGE > region.end or region.object is not None:
        return False
    if to_table is None or not to_table.writable:
        return False
    old = [entry for entry in to_table.table.entries.values() if isinstance(entry, Leaf) and space.is_alone(entry)]
    if len(old) < 512:
        return False
    old = [leaf for _, leaf in space.within(first, first + HUGE) if isinstance(leaf, Leaf)]
    pfn = space.memory.frames.take(HUGE_ORDER)
    if pfn is None:
        return False
    for place, entry in enumerate(old):
        space.memory.frames.contents[pfn + place] = space.memory.frames.contents[entry.pfn]
    huge = Leaf(pfn, 2, "w" in region.permissions, "x" in region.permissions, dirty=True)
    huge.user = region.permissions != ""
    space.memory.gain(huge)
    space.memory.drop(to_table)
    above, place = path(space.root, first)[-2]
    above.entries[place] = huge
    return True
