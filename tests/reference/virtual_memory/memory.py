"""What all address spaces share: frames, objects, swap. Here references are gained and lost."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import AgainError, NoFrameError
from .frames import ZERO_PAGE, Frames
from .page_table import Leaf, Pointer, Swapped, Table, tables
from .regions import Object
from .swap import Swap

if TYPE_CHECKING:
    from .address_space import AddressSpace


class Memory:
    def __init__(self, frames: Frames, swap: Swap) -> None:
        self.frames = frames
        self.swap = swap
        self.spaces: list[AddressSpace] = []
        self.objects: list[Object] = []

    def reserve(self, count: int) -> bool:
        """Sees to it that so many frames are free. Returns whether pages had to be swapped out for that."""
        has_changed = False
        while self.frames.free < count:
            self.swap_out()
            has_changed = True
        return has_changed

    def require(self, count: int) -> None:
        """The same for a fault, which begins anew when pages had to go: one of them may be its own."""
        if self.reserve(count):
            raise AgainError

    def take(self) -> int:
        """A frame. It was reserved."""
        pfn = self.frames.take(0)
        assert pfn is not None
        return pfn

    def page(self, contents: int) -> int:
        """A frame for an anonymous page."""
        pfn = self.take()
        self.frames.contents[pfn] = contents
        self.swap.policy.insert(pfn)
        return pfn

    def page_of_object(self, to: Object, page: int) -> int:
        """The frame of a page of an object, which itself counts as a reference."""
        if page not in to.frames:
            to.frames[page] = self.take()
            self.frames.references[to.frames[page]] = 1
        return to.frames[page]

    def gain(self, leaf: Leaf) -> None:
        for pfn in leaf.frames():
            self.frames.references[pfn] += pfn != ZERO_PAGE

    def lose(self, leaf: Leaf) -> None:
        for pfn in leaf.frames():
            if pfn != ZERO_PAGE:
                self.lose_one(pfn)

    def lose_one(self, pfn: int) -> None:
        self.frames.references[pfn] -= 1
        if self.frames.references[pfn] == 0:
            self.swap.forget(pfn)
            self.frames.give(pfn)

    def drop(self, entry: Leaf | Swapped | Pointer) -> None:
        """An entry goes, and with the last pointer to a table all that is in it."""
        if isinstance(entry, Leaf):
            self.lose(entry)
        elif isinstance(entry, Swapped):
            self.swap.lose(entry.slot)
        else:
            self.frames.references[entry.table.pfn] -= 1
            if self.frames.references[entry.table.pfn] == 0:
                self.drop_table(entry.table)

    def drop_table(self, table: Table) -> None:
        for place in sorted(table.entries):
            self.drop(table.entries[place])
        self.frames.give(table.pfn)

    def is_only_reference(self, pfn: int) -> bool:
        """Whether one entry alone shows the frame, and no other will find it through its swap slot."""
        return self.frames.references[pfn] == 1 and self.swap.slot_of(pfn) is None

    def drop_unused_objects(self) -> None:
        """An object lives as long as a region shows it."""
        used = [region.object for space in self.spaces for region in space.regions.list]
        for gone in [each for each in self.objects if each not in used]:
            self.objects.remove(gone)
            for pfn in gone.frames.values():
                self.lose_one(pfn)

    def all_tables(self) -> Iterator[Table]:
        """Every table once."""
        yield from {id(table): table for space in self.spaces for table in tables(space.root)}.values()

    def swap_out(self) -> None:
        pfn = self.victim()
        slot = self.swap.slot_for(pfn, self.frames.contents[pfn])
        for table in self.all_tables():
            for place, entry in table.entries.items():
                if isinstance(entry, Leaf) and entry.pfn == pfn:
                    table.entries[place] = Swapped(slot)
                    self.swap.gain(slot)
                    self.lose(entry)
        assert self.frames.references[pfn] == 0

    def victim(self) -> int:
        """The frame that the policy names. It forgets those that a huge entry maps too."""
        pfn = self.swap.policy.victim() if len(self.swap.slots) < self.swap.count else None
        while pfn is not None and pfn // 512 * 512 in self.huge_pages():
            self.swap.policy.remove(pfn)
            pfn = self.swap.policy.victim()
        if pfn is None:
            raise NoFrameError
        return pfn

    def huge_pages(self) -> set[int]:
        """First frames of all huge pages."""
        every = (entry for table in self.all_tables() if table.level == 2 for entry in table.entries.values())
        return {entry.pfn for entry in every if isinstance(entry, Leaf)}
