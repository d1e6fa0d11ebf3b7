"""A kernel to poke at: processes, address spaces and page tables, one system call at a time.

`docs/virtual-memory.md` says what each call does. Programs that run by themselves are for `runq.simulate`.
"""

from typing import Any, Literal, Self

import msgspec

from runq import _core
from runq.errors import KernelError
from runq.machine import Cache, Machine, PageSize

__all__ = ["Kernel", "MappedRegion", "Process", "Touch", "Walk"]

_ORDERS: dict[str, int] = {"4KiB": 0, "2MiB": 9, "1GiB": 18}
_SIZES: dict[int, PageSize] = {0: "4KiB", 9: "2MiB", 18: "1GiB"}


class Touch(msgspec.Struct, frozen=True):
    """What one access did: the fault that it cost, and the frame that it reached."""

    fault: str | None
    stack_grew: bool
    pfn: int
    page_size: PageSize

    @classmethod
    def _of(cls, parts: tuple[str | None, bool, int, int]) -> Self:
        fault, stack_grew, pfn, order = parts
        return cls(fault, stack_grew, pfn, _SIZES[order])


class Walk(msgspec.Struct, frozen=True):
    """A page walk: physical addresses of the entries that it reads (root first), and the last of them.

    `entry` is the 8-byte entry of x86-64 as a number, `level` its level (1 is that of 4 KiB pages).
    """

    entries: list[int]
    entry: int
    level: int

    @property
    def is_present(self) -> bool:
        """Whether the walk ends at a page."""
        return bool(self.entry & 1)

    @property
    def is_writable(self) -> bool:
        """Whether stores pass."""
        return bool(self.entry & 2)

    @property
    def pfn(self) -> int | None:
        """The first frame of the page, if there is one."""
        return (self.entry & ((1 << 52) - 1)) >> 12 if self.is_present else None


class MappedRegion(msgspec.Struct, frozen=True):
    """A region of an address space, `start <= address < end`."""

    start: int
    end: int
    kind: Literal["text", "data", "heap", "mapping", "stack"]
    name: str
    permissions: str
    page_size: PageSize
    shared: bool


class Process(msgspec.Struct, frozen=True):
    """A process control block. Times are in ns; `faults` counts by kind; a zombie is `terminated`."""

    pid: int
    parent: int
    name: str
    state: Literal["new", "ready", "running", "waiting", "terminated"]
    exit_code: int | None
    end: str | None
    children: list[int]
    program_counter: int
    registers: list[int]
    open_files: list[int]
    resident_pages: int
    virtual_pages: int
    vm_pte_bytes: int
    forks: int
    faults: dict[str, int]
    started_at_ns: float
    ended_at_ns: float | None
    cpu_ns: float
    ledger: dict[str, float]


class Kernel:
    """Processes and their memory, driven call by call. Process 1, `init`, exists from the start.

    Machine and `kernel` costs are those of `machine`; the other arguments say what is to be different in it. Errors of
    calls are `KernelError`; a forbidden access ends its process and raises `SegmentationFault`.

    >>> import runq
    >>> kernel = runq.Kernel(memory_size="64MiB")
    >>> redis = kernel.spawn(1, "redis")
    >>> heap = kernel.mmap(redis, 1 << 20, name="heap")
    >>> kernel.write(redis, heap, 7).fault
    'first_touch'
    >>> child = kernel.fork(redis)
    >>> kernel.write(redis, heap, 8).fault, kernel.read(child, heap)[0]
    ('cow_copy', 7)
    """

    def __init__(
        self,
        machine: Machine | None = None,
        *,
        memory_size: str | int | None = None,
        placement: Literal["contiguous", "random", "fragmented"] = "contiguous",
        levels: int | None = None,
        swap_size: str | int | None = None,
        swap_policy: Literal["fifo", "lru", "clock", "random"] = "lru",
        stack_limit: str | int | None = None,
        processes_max: int | None = None,
        aslr: bool = True,
        fork_policy: Literal["copy", "on-demand"] = "copy",
        seed: int = 0,
    ) -> None:
        machine = Machine(caches=[Cache("L1D", size="32KiB", ways=8)]) if machine is None else machine
        changes = {
            "memory_size": memory_size,
            "kernel.page_table_levels": levels,
            "kernel.swap_size": swap_size,
            "kernel.stack_limit": stack_limit,
            "kernel.processes_max": processes_max,
        }
        machine = machine.with_set(*(f"{path}={value}" for path, value in changes.items() if value is not None))
        options = {
            "placement": placement,
            "swap_policy": swap_policy,
            "aslr": aslr,
            "fork_policy": fork_policy,
            "seed": seed,
        }
        self._kernel = _core.Kernel(machine.to_json(), msgspec.json.encode(options).decode())

    def spawn(self, parent: int, name: str) -> int:
        """Makes a child with a fresh image of a program (`posix_spawn`). Returns its pid."""
        return self._kernel.spawn(parent, name)

    def fork(self, pid: int) -> int:
        """Makes a child that shares all pages until one of the two writes. Returns its pid."""
        return self._kernel.fork(pid)

    def vfork(self, pid: int) -> int:
        """Makes a child in the same address space; the parent waits until it ends or calls `exec`."""
        return self._kernel.vfork(pid)

    def clone_vm(self, pid: int) -> int:
        """Makes a child in the same address space."""
        return self._kernel.clone_vm(pid)

    def exec(self, pid: int, name: str) -> None:
        """Replaces the memory of a process by the image of a program."""
        self._kernel.exec(pid, name)

    def exit(self, pid: int, code: int = 0) -> None:
        """Ends a process; it is a zombie until its parent waits."""
        self._kernel.exit(pid, code)

    def kill(self, pid: int, target: int | None = None) -> None:
        """Ends `target` by a signal from `pid`; with one argument, that process by one from process 1."""
        sender, target = (1, pid) if target is None else (pid, target)
        self._kernel.kill(sender, target)

    def wait(self, pid: int) -> tuple[int, int] | None:
        """Takes the oldest child that has ended: its pid and exit code. None if all run; an error without children."""
        return self._kernel.wait(pid)

    def mmap(
        self,
        pid: int,
        size: int,
        *,
        address: int | None = None,
        permissions: str = "rw",
        page_size: PageSize = "4KiB",
        shared: bool = False,
        name: str = "",
    ) -> int:
        """Adds a region of `size` bytes, rounded up to pages. Returns its address."""
        if page_size not in _ORDERS:
            raise KernelError(f"page_size must be one of {', '.join(_ORDERS)}, got {page_size}")
        return self._kernel.mmap(pid, size, address, permissions, _ORDERS[page_size], shared, name)

    def munmap(self, pid: int, address: int, size: int) -> None:
        """Removes all pages that lie in a range, wholly or in part."""
        self._kernel.munmap(pid, address, size)

    def discard(self, pid: int, address: int, size: int) -> None:
        """Gives the memory of a range back and keeps its regions (`madvise(MADV_DONTNEED)`)."""
        self._kernel.discard(pid, address, size)

    def mprotect(self, pid: int, address: int, size: int, permissions: str) -> None:
        """Changes what a range allows: letters of `rwx`, or `""` for nothing."""
        self._kernel.mprotect(pid, address, size, permissions)

    def brk(self, pid: int, size: int) -> int:
        """Sets the size of the heap in bytes. Returns the address behind it."""
        return self._kernel.brk(pid, size)

    def collapse(self, pid: int, address: int) -> bool:
        """Makes a huge page of the 512 pages around an address. Returns whether it could."""
        return self._kernel.collapse(pid, address)

    def split(self, pid: int, address: int) -> bool:
        """Splits the huge page around an address. Returns whether there was one."""
        return self._kernel.split(pid, address)

    def access(self, pid: int, address: int, access: Literal["read", "write", "execute"] = "read") -> Touch:
        """Touches an address."""
        return Touch._of(self._kernel.access(pid, address, access))

    def write(self, pid: int, address: int, value: int) -> Touch:
        """Writes the page at an address as a whole; `value` (64 bits) stands for its bytes."""
        return Touch._of(self._kernel.write(pid, address, value))

    def read(self, pid: int, address: int) -> tuple[int, Touch]:
        """Reads the page at an address as a whole."""
        value, touch = self._kernel.read(pid, address)
        return value, Touch._of(touch)

    def peek(self, pid: int, address: int) -> int | None:
        """What the page at an address shows, without touching it; None if nothing was ever mapped there."""
        return self._kernel.peek(pid, address)

    def walk(self, pid: int, address: int) -> Walk:
        """What a page walk for an address reads."""
        return Walk(*self._kernel.walk(pid, address))

    def regions(self, pid: int) -> list[MappedRegion]:
        """The regions of a process in order of address."""
        return msgspec.json.decode(self._kernel.regions(pid), type=list[MappedRegion])

    def processes(self) -> list[Process]:
        """All processes that exist, zombies included, by pid."""
        return msgspec.json.decode(self._kernel.processes(False), type=list[Process])

    def reaped(self) -> list[Process]:
        """Processes that have ended and were waited for, in the order of that."""
        return msgspec.json.decode(self._kernel.processes(True), type=list[Process])

    @property
    def log(self) -> list[str]:
        """What the kernel reported: segmentation faults, processes that it ended for their memory."""
        return self._kernel.log()

    @property
    def ledger(self) -> dict[str, float]:
        """What all calls have cost so far, in ns by account."""
        return self._kernel.ledger()

    @property
    def last_fork(self) -> dict[str, int]:
        """What the last fork copied: entries by state, tables."""
        counts: dict[str, Any] = msgspec.json.decode(self._kernel.last_fork())
        return counts

    @property
    def frames_free(self) -> int:
        """Frames of 4 KiB that nobody has."""
        return self._kernel.frames_free

    @property
    def frames_total(self) -> int:
        """Frames of 4 KiB that the machine has."""
        return self._kernel.frames_total

    @property
    def swap_pages_in_use(self) -> int:
        """Pages that are swapped out."""
        return self._kernel.swap_pages_in_use

    def references(self, pfn: int) -> int:
        """How many page-table entries map a frame."""
        return self._kernel.references(pfn)

    def audit(self) -> None:
        """Counts all references from the page tables up; raises `KernelError` if the books do not balance."""
        problem = self._kernel.audit()
        if problem is not None:
            raise KernelError(f"the books of memory do not balance: {problem}")
