"""Faults, step by step: each takes the page table nearer to what an access needs."""

from .address_space import AddressSpace
from .frames import HUGE_ORDER, ZERO_PAGE
from .huge_pages import split
from .page_table import Leaf, Swapped, find, index, pointer
from .regions import Object, Region


def handle(space: AddressSpace, region: Region, vaddr: int, kind: str) -> str | None:
    """One step towards serving an access. A table that becomes this process's own is no fault of the page."""
    to_table = pointer(space.root, vaddr)
    if to_table is not None and not to_table.writable:
        space.memory.require(space.needs_copy(vaddr))
        space.own(vaddr)
        return None
    entry = find(space.root, vaddr)
    if isinstance(entry, Swapped):
        return swap_in(space, region, vaddr, entry, kind)
    if isinstance(entry, Leaf):
        return write_to_read_only(space, region, vaddr, entry)
    if region.object is not None:
        return file(space, region, vaddr, region.object)
    if region.holds_huge_page(vaddr) and to_table is None and huge_first_touch(space, region, vaddr):
        return "huge_first_touch"
    return absent(space, region, vaddr, kind)


def put(space: AddressSpace, vaddr: int, leaf: Leaf) -> None:
    """Makes an entry, and the tables above it. Frames were reserved."""
    space.make(vaddr, leaf.level).entries[index(vaddr, leaf.level)] = leaf
    space.memory.gain(leaf)


def huge_first_touch(space: AddressSpace, region: Region, vaddr: int) -> bool:
    frames = space.memory.frames
    pfn = frames.take(HUGE_ORDER)
    if pfn is None:
        return False
    if frames.free < space.tables_missing(vaddr, 2):
        for each in range(pfn, pfn + 512):
            frames.give(each)
        return False
    put(space, vaddr, Leaf(pfn, 2, "w" in region.permissions, "x" in region.permissions))
    return True


def file(space: AddressSpace, region: Region, vaddr: int, to: Object) -> str:
    page = region.page_of_object(vaddr)
    space.memory.require(space.tables_missing(vaddr, 1) + (page not in to.frames))
    pfn = space.memory.page_of_object(to, page)
    put(space, vaddr, Leaf(pfn, 1, "w" in region.permissions, "x" in region.permissions))
    return "file"


def absent(space: AddressSpace, region: Region, vaddr: int, kind: str) -> str:
    is_write = kind == "write"
    space.memory.require(space.tables_missing(vaddr, 1) + is_write)
    pfn = space.memory.page(0) if is_write else ZERO_PAGE
    put(space, vaddr, Leaf(pfn, 1, is_write, "x" in region.permissions))
    return "first_touch" if is_write else "zero_page"


def swap_in(space: AddressSpace, region: Region, vaddr: int, entry: Swapped, kind: str) -> str:
    """A read shows the frame that a reader before has brought in; a write has one of its own."""
    memory, slot = space.memory, space.memory.swap.slots[entry.slot]
    is_write = kind == "write"
    pfn = None if is_write else slot.pfn
    if pfn is None:
        memory.require(1)
        pfn = memory.page(slot.contents)
    if not is_write:
        slot.pfn = pfn
    put(space, vaddr, Leaf(pfn, 1, is_write, "x" in region.permissions))
    memory.swap.lose(entry.slot)
    return "swap_in"


def write_to_read_only(space: AddressSpace, region: Region, vaddr: int, entry: Leaf) -> str:
    memory = space.memory
    if region.shared or space.is_alone(entry):
        entry.writable = True
        return "reuse"
    if entry.level == 2:
        memory.require(2)  # for the table and for the copy
        split(space, vaddr)
        return "huge_cow"
    memory.require(1)
    pfn = memory.take()
    memory.frames.contents[pfn] = memory.frames.contents[entry.pfn]
    put(space, vaddr, Leaf(pfn, 1, True, entry.executable))
    memory.lose(entry)
    memory.swap.policy.insert(pfn)
    return "write_after_zero" if entry.pfn == ZERO_PAGE else "cow_copy"
