"""One address space: its regions and its page table."""

from ..rng import Stream
from .frames import ZERO_PAGE, below
from .memory import Memory
from .page_table import HUGE, PAGE, Leaf, Pointer, Swapped, Table, index, leaves, path, pointer, tables
from .regions import Object, Region, Regions


class AddressSpace:
    def __init__(self, memory: Memory, levels: int) -> None:
        self.memory = memory
        self.levels = levels
        self.users = 1
        self.regions = Regions()
        self.top = 1 << (12 + 9 * levels - 1)  # the end of user space
        memory.reserve(1)
        self.root = Table(memory.take(), levels)
        self.base = self.heap_start = self.heap_end = self.stack_limit = 0
        memory.spaces.append(self)

    def lay_out(self, aslr: Stream | None, stack_limit: int, of_text: Object) -> None:
        """The regions of a fresh image."""
        stack, mappings, heap = [PAGE * below(aslr, 1 << bits) if aslr else 0 for bits in (22, 28, 13)]
        top = self.top - stack
        text, data = 0x400000, 0x400000 + 4 * PAGE
        self.stack_limit = stack_limit
        self.base = top - stack_limit - 256 * PAGE - mappings
        self.heap_start = self.heap_end = data + 4 * PAGE + heap
        self.regions.add(Region(text, data, "text", "rx", "text", shared=True, object=of_text))
        self.regions.add(Region(data, data + 4 * PAGE, "data", "rw", "data"))
        self.regions.add(Region(top - 4 * PAGE, top, "stack", "rw", "stack"))

    def make(self, vaddr: int, level: int) -> Table:
        """The table of `level` for an address; missing ones are made from the root on. Frames were reserved."""
        table = self.root
        while table.level > level:
            place = index(vaddr, table.level)
            entry = table.entries.get(place)
            if entry is None:
                entry = self.point(table, place, Table(self.memory.take(), table.level - 1))
            assert isinstance(entry, Pointer)
            table = entry.table
        return table

    def tables_missing(self, vaddr: int, level: int) -> int:
        """How many tables `make` makes."""
        return max(path(self.root, vaddr)[-1][0].level - level, 0)

    def point(self, table: Table, place: int, to: Table) -> Pointer:
        entry = Pointer(to)
        table.entries[place] = entry
        self.memory.frames.references[to.pfn] += 1
        return entry

    def needs_copy(self, vaddr: int) -> bool:
        """Whether the table of level 1 is shared since an on-demand fork."""
        shared = pointer(self.root, vaddr)
        return shared is not None and self.memory.frames.references[shared.table.pfn] > 1

    def own(self, vaddr: int) -> None:
        """After an on-demand fork: a copy of the table of level 1, unless no other points to it."""
        shared = pointer(self.root, vaddr)
        assert shared is not None
        if self.needs_copy(vaddr):
            copy = Table(self.memory.take(), 1)
            self.memory.frames.references[copy.pfn] += 1
            self.memory.frames.references[shared.table.pfn] -= 1
            for place, entry in sorted(shared.table.entries.items()):
                assert not isinstance(entry, Pointer)
                copy.entries[place] = self.share(entry)
            shared.table = copy
        shared.writable = True

    def share(self, entry: Leaf | Swapped) -> Leaf | Swapped:
        """A second entry like this one; both become read-only."""
        if isinstance(entry, Swapped):
            self.memory.swap.gain(entry.slot)
            return Swapped(entry.slot)
        entry.writable = False
        self.memory.gain(entry)
        return Leaf(**vars(entry))

    def prune(self, vaddr: int) -> None:
        """Frees the tables of an address that have become empty."""
        steps = path(self.root, vaddr)
        while len(steps) > 1 and not steps[-1][0].entries:
            steps.pop()
            table, place = steps[-1]
            self.memory.drop(table.entries.pop(place))

    def within(self, start: int, end: int) -> list[tuple[int, Leaf | Swapped]]:
        found = []
        for vaddr, entry in leaves(self.root):
            size = HUGE if isinstance(entry, Leaf) and entry.level == 2 else PAGE
            if vaddr < end and start < vaddr + size:
                found.append((vaddr, entry))
        return found

    def is_alone(self, leaf: Leaf) -> bool:
        """Whether no other entry shows a frame of this one."""
        return leaf.pfn != ZERO_PAGE and all(self.memory.is_only_reference(pfn) for pfn in leaf.frames())

    def resident_pages(self) -> int:
        here = [entry for _, entry in leaves(self.root) if isinstance(entry, Leaf) and entry.pfn != ZERO_PAGE]
        return sum(len(entry.frames()) for entry in here)

    def vm_pte_bytes(self) -> int:
        return PAGE * (len(list(tables(self.root))) - 1)

    def end(self) -> None:
        self.memory.spaces.remove(self)
        self.memory.drop_table(self.root)
        self.memory.drop_unused_objects()
