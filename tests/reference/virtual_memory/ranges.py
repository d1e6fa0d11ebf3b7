"""Changes to a range of addresses: unmap, discard, protect."""

from .address_space import AddressSpace
from .errors import RefusedError
from .huge_pages import split
from .page_table import HUGE, Leaf, find, path, pointer


def prepare(space: AddressSpace, start: int, end: int) -> None:
    """Splits the huge pages that a range covers in part, and owns the tables that lie in it, by address."""
    for first in range(start // HUGE * HUGE, end, HUGE):
        huge = find(space.root, first)
        to_table = pointer(space.root, first)
        if isinstance(huge, Leaf) and huge.level == 2 and not start <= first < first + HUGE <= end:
            split(space, first)
        elif to_table is not None and not to_table.writable:
            space.memory.reserve(space.needs_copy(first))
            space.own(first)


def drop_entries(space: AddressSpace, start: int, end: int) -> None:
    prepare(space, start, end)
    for vaddr, _ in space.within(start, end):
        table, place = path(space.root, vaddr)[-1]
        space.memory.drop(table.entries.pop(place))
        space.prune(vaddr)


def unmap(space: AddressSpace, start: int, end: int) -> None:
    drop_entries(space, start, end)
    space.regions.remove(start, end)
    space.memory.drop_unused_objects()


def protect(space: AddressSpace, start: int, end: int, permissions: str) -> None:
    regions = space.regions.within(start, end)
    if sum(min(end, each.end) - max(start, each.start) for each in regions) < end - start:
        raise RefusedError("not mapped throughout")
    if "w" in permissions and any(region.kind == "text" for region in regions):
        raise RefusedError("text stays as it is")
    prepare(space, start, end)
    for vaddr, entry in space.within(start, end):
        region = space.regions.find(vaddr)
        assert region is not None
        if isinstance(entry, Leaf) and region.permissions != permissions:
            entry.user = permissions != ""
            entry.executable = "x" in permissions
            entry.writable = "w" in permissions and (region.shared or space.is_alone(entry))
    space.regions.protect(start, end, permissions)
