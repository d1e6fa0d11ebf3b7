"""What `runq.Kernel` does: the calls of a process on its memory, beside those of `lifecycle`."""

from . import huge_pages, ranges
from .access import Touch, access, grow_stack
from .errors import RefusedError, SegmentationFaultError
from .frames import Frames
from .lifecycle import Lifecycle
from .memory import Memory
from .page_table import HUGE, PAGE, Leaf, Swapped, find, path, raw
from .regions import Object, Region
from .swap import Swap

SEGMENTATION_FAULT = 128 + 11


def pages_up(size: int) -> int:
    return -(-size // PAGE) * PAGE


def check_range(address: int, size: int) -> tuple[int, int]:
    if address % PAGE or size <= 0:
        raise RefusedError("not whole pages")
    return address, address + pages_up(size)


class Kernel(Lifecycle):
    def __init__(
        self,
        *,
        memory_size: int,
        placement: str = "contiguous",
        levels: int = 4,
        swap_size: int = 0,
        swap_policy: str = "lru",
        stack_limit: int = 8 << 20,
        aslr: bool = True,
        fork_policy: str = "copy",
        processes_max: int = 32768,
        seed: int = 0,
    ) -> None:
        memory = Memory(Frames(memory_size // PAGE, placement, seed), Swap(swap_size // PAGE, swap_policy, seed))
        super().__init__(
            memory,
            levels=levels,
            stack_limit=stack_limit,
            aslr=aslr,
            fork_policy=fork_policy,
            limit=processes_max,
            seed=seed,
        )

    def access(self, pid: int, address: int, kind: str) -> Touch:
        process, space = self.living(pid), self.space(pid)
        stack_grew = grow_stack(space, address, kind)
        try:
            fault, leaf, pfn = self.with_room(pid, lambda: access(space, address, kind))
        except SegmentationFaultError:
            process.faults["protection"] += 1
            self.end(process, SEGMENTATION_FAULT)
            raise
        process.faults["stack_growth"] += stack_grew
        if fault is not None:
            process.faults[fault] += 1
        return Touch(fault, stack_grew, pfn, "2MiB" if leaf.level == 2 else "4KiB")

    def write(self, pid: int, address: int, value: int) -> Touch:
        touch = self.access(pid, address, "write")
        self.memory.frames.contents[touch.pfn] = value
        return touch

    def read(self, pid: int, address: int) -> tuple[int, Touch]:
        touch = self.access(pid, address, "read")
        return self.memory.frames.contents[touch.pfn], touch

    def peek(self, pid: int, address: int) -> int | None:
        """What a page that has an entry holds, in memory or in swap."""
        entry = find(self.space(pid).root, address)
        if isinstance(entry, Leaf):
            return self.memory.frames.contents[entry.pfn + (address % HUGE // PAGE if entry.level == 2 else 0)]
        return self.memory.swap.slots[entry.slot].contents if isinstance(entry, Swapped) else None

    def walk(self, pid: int, address: int) -> tuple[list[int], int, int]:
        """Physical addresses of the entries that a walk reads, the last entry and its level."""
        root = self.space(pid).root
        steps = path(root, address)
        entries = [table.pfn * PAGE + 8 * place for table, place in steps]
        return entries, raw(find(root, address)), steps[-1][0].level

    def mmap(
        self,
        pid: int,
        size: int,
        *,
        address: int | None = None,
        permissions: str = "rw",
        page_size: str = "4KiB",
        shared: bool = False,
        name: str = "",
    ) -> int:
        space = self.space(pid)
        if address is None:
            alignment = HUGE if page_size == "2MiB" and size >= HUGE else PAGE
            address = space.regions.highest_gap(space.base, pages_up(size), alignment)
        start, end = check_range(address, size)
        if end > space.top:
            raise RefusedError("above user space")
        to = Object() if shared else None
        space.regions.add(Region(start, end, "mapping", permissions, name, page_size, shared, to))
        if to is not None:
            self.memory.objects.append(to)
        return start

    def munmap(self, pid: int, address: int, size: int) -> None:
        start, end = check_range(address, size)
        space = self.space(pid)
        self.with_room(pid, lambda: ranges.unmap(space, start, end))

    def mprotect(self, pid: int, address: int, size: int, permissions: str) -> None:
        start, end = check_range(address, size)
        space = self.space(pid)
        self.with_room(pid, lambda: ranges.protect(space, start, end, permissions))

    def discard(self, pid: int, address: int, size: int) -> None:
        start, end = check_range(address, size)
        space = self.space(pid)
        self.with_room(pid, lambda: ranges.drop_entries(space, start, end))

    def brk(self, pid: int, size: int) -> None:
        """Makes the heap so many bytes long."""
        space = self.space(pid)
        end = space.heap_start + pages_up(size)
        if end > space.heap_end:
            space.regions.add(Region(space.heap_end, end, "heap", "rw", "heap"))
        elif end < space.heap_end:
            self.munmap(pid, end, space.heap_end - end)
        space.heap_end = end

    def collapse(self, pid: int, address: int) -> bool:
        return huge_pages.collapse(self.space(pid), address)

    def split(self, pid: int, address: int) -> bool:
        space = self.space(pid)
        return self.with_room(pid, lambda: huge_pages.split(space, address))
