"""One access: the region must allow it, and faults make the page table able to serve it."""

from dataclasses import dataclass

from .address_space import AddressSpace
from .errors import AgainError, SegmentationFaultError
from .faults import handle
from .page_table import HUGE, PAGE, Leaf, find, pointer

LETTER = {"read": "r", "write": "w", "execute": "x"}


@dataclass
class Touch:
    fault: str | None
    stack_grew: bool
    pfn: int
    page_size: str


def access(space: AddressSpace, vaddr: int, kind: str) -> tuple[str | None, Leaf, int]:
    """The fault, if there was one, the entry that serves the access, and the frame."""
    region = space.regions.find(vaddr)
    if region is None or LETTER[kind] not in region.permissions:
        raise SegmentationFaultError
    fault = None
    while not is_served(space, vaddr, kind):
        try:
            found = handle(space, region, vaddr, kind)
            fault = fault or found  # what the fault began with is its kind
        except AgainError:
            continue
    leaf = find(space.root, vaddr)
    assert isinstance(leaf, Leaf)
    leaf.dirty = leaf.dirty or kind == "write"
    pfn = leaf.pfn + (vaddr % HUGE // PAGE if leaf.level == 2 else 0)
    space.memory.swap.policy.touch(pfn)
    return fault, leaf, pfn


def grow_stack(space: AddressSpace, vaddr: int, kind: str) -> bool:
    """Whether an access below a stack has grown it."""
    above = [region for region in space.regions.list if region.start > vaddr]
    below = [region.end for region in space.regions.list if region.end <= vaddr]
    page = vaddr // PAGE * PAGE
    if (
        space.regions.find(vaddr) is not None
        or not above
        or above[0].kind != "stack"
        or LETTER[kind] not in above[0].permissions
        or page < above[0].end - space.stack_limit
        or page - max(below, default=-256 * PAGE) < 256 * PAGE
    ):
        return False
    above[0].start = page
    return True


def is_served(space: AddressSpace, vaddr: int, kind: str) -> bool:
    entry = find(space.root, vaddr)
    if not isinstance(entry, Leaf):
        return False
    to_table = pointer(space.root, vaddr)
    return kind != "write" or (entry.writable and (to_table is None or to_table.writable))
