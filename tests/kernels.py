"""The reference and the simulator behind one face: calls give outcomes, states are dictionaries to compare."""

from collections.abc import Iterator
from typing import Any

import msgspec
import runq
from reference.virtual_memory import Kernel as ReferenceKernel
from reference.virtual_memory.errors import NoChildError, OutOfMemoryError, RefusedError, SegmentationFaultError
from runq.errors import KernelError, OutOfMemory, SegmentationFault

PAGE = 1 << 12
HUGE = 1 << 21
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}
STATES = {"terminated": "zombie", "new": "ready", "running": "ready", "ready": "ready", "waiting": "waiting"}

State = dict[str, Any]


def in_bytes(size: str | int) -> int:
    return size if isinstance(size, int) else int(size[:-3]) * UNITS[size[-3:]]


def as_text(value: int) -> str:
    """So that addresses are readable where two states differ."""
    return hex(value)


def pages_of(kernel: Any, pid: int, start: int, end: int) -> dict[str, Any]:
    """Walk and contents of every page of a range that has an entry, and of its first one."""
    pages = {}
    for vaddr in sorted({start, *kernel.addresses_of_entries(pid, start, end)}):
        entries, entry, level = kernel.walk_of(pid, vaddr)
        after = min(vaddr + (1 << (12 + 9 * (level - 1))), end) if entry else vaddr
        contents = {as_text(each): kernel.peek(pid, each) for each in range(vaddr, after, PAGE)}
        pages[as_text(vaddr)] = {
            "walk": [as_text(each) for each in entries],
            "entry": as_text(entry),
            "level": level,
            "contents": {each: value for each, value in contents.items() if value},
        }
    return pages


def addresses_of_entries(kernel: Any, pid: int, start: int, end: int) -> Iterator[int]:
    """The pages of a range that have an entry, found by walks alone."""
    vaddr = start
    while vaddr < end:
        _, entry, level = kernel.walk_of(pid, vaddr)
        if entry:
            yield vaddr
        step = 1 << (12 + 9 * (level - 1))
        vaddr = (vaddr // step + 1) * step


def state_of(kernel: Any) -> State:
    """All that can be seen of a kernel."""
    processes = kernel.rows()
    for pid, row in processes.items():
        if row["state"] != "zombie":
            regions = kernel.regions_of(pid)
            row["regions"] = [
                {**region, "start": as_text(region["start"]), "end": as_text(region["end"])} for region in regions
            ]
            row["pages"] = {}
            for region in regions:
                row["pages"] |= pages_of(kernel, pid, region["start"], region["end"])
    frames = {
        int(page["entry"], 16) >> 12 & ((1 << 40) - 1)
        for row in processes.values()
        for page in row.get("pages", {}).values()
        if int(page["entry"], 16) & 1
    }
    return {
        "processes": processes,
        "references": {pfn: kernel.references(pfn) for pfn in sorted(frames)},
        "frames_free": kernel.frames_free,
        "swap_pages_in_use": kernel.swap_pages_in_use,
        "last_fork": kernel.last_fork_counts(),
    }


class Simulator(runq.Kernel):
    """The simulator, seen as `state_of` wants it."""

    def outcome(self, call: str, /, *arguments: Any, **options: Any) -> Any:
        """What a call returns, or how it fails."""
        try:
            result = getattr(self, call)(*arguments, **options)
        except SegmentationFault:
            return "segmentation fault"
        except OutOfMemory as error:
            return f"out of memory: {error.pid or 1}"
        except KernelError as error:
            return "no child" if "no child" in str(error) else "refused"
        return None if call == "brk" else plain(result)

    def rows(self) -> dict[int, State]:
        return {
            process.pid: {
                "parent": process.parent,
                "name": process.name,
                "state": STATES[process.state],
                "exit_code": process.exit_code,
                "children": process.children,
                "faults": {kind: count for kind, count in sorted(process.faults.items()) if count},
                "resident_pages": process.resident_pages,
                "vm_pte_bytes": process.vm_pte_bytes,
            }
            for process in self.processes()
        }

    def regions_of(self, pid: int) -> list[State]:
        regions = [msgspec.structs.asdict(region) for region in self.regions(pid)]
        return [region | {"permissions": region["permissions"].replace("-", "")} for region in regions]

    def walk_of(self, pid: int, address: int) -> tuple[list[int], int, int]:
        walk = self.walk(pid, address)
        return walk.entries, walk.entry, walk.level

    def addresses_of_entries(self, pid: int, start: int, end: int) -> Iterator[int]:
        return addresses_of_entries(self, pid, start, end)

    def last_fork_counts(self) -> dict[str, int]:
        return self.last_fork


class Reference(ReferenceKernel):
    """The slow model, seen as `state_of` wants it."""

    def __init__(self, **options: Any) -> None:
        sizes = {name: in_bytes(options[name]) for name in ("memory_size", "swap_size", "stack_limit")}
        super().__init__(**options | sizes)

    def outcome(self, call: str, /, *arguments: Any, **options: Any) -> Any:
        """What a call returns, or how it fails."""
        try:
            result = getattr(self, call)(*arguments, **options)
        except SegmentationFaultError:
            return "segmentation fault"
        except OutOfMemoryError as error:
            return f"out of memory: {error.victim}"
        except NoChildError:
            return "no child"
        except RefusedError:
            return "refused"
        return plain(result)

    def rows(self) -> dict[int, State]:
        return {
            process.pid: {
                "parent": process.parent,
                "name": process.name,
                "state": process.state,
                "exit_code": process.exit_code,
                "children": process.children,
                "faults": {kind: count for kind, count in sorted(process.faults.items()) if count},
                "resident_pages": process.space.resident_pages() if process.space else 0,
                "vm_pte_bytes": process.space.vm_pte_bytes() if process.space else 0,
            }
            for process in self.by_pid.values()
        }

    def regions_of(self, pid: int) -> list[State]:
        space = self.by_pid[pid].space
        assert space is not None
        names = ("start", "end", "kind", "name", "permissions", "page_size", "shared")
        return [{name: getattr(region, name) for name in names} for region in space.regions.list]

    def walk_of(self, pid: int, address: int) -> tuple[list[int], int, int]:
        return self.walk(pid, address)

    def addresses_of_entries(self, pid: int, start: int, end: int) -> list[int]:
        return [max(vaddr, start) for vaddr, _ in self.space(pid).within(start, end)]

    def references(self, pfn: int) -> int:
        return self.memory.frames.references[pfn]

    @property
    def frames_free(self) -> int:
        return self.memory.frames.free

    @property
    def swap_pages_in_use(self) -> int:
        return len(self.memory.swap.slots)

    def last_fork_counts(self) -> dict[str, int]:
        return dict(self.last_fork)


def plain(result: Any) -> Any:
    """A result as something that compares: touches as dictionaries."""
    if isinstance(result, tuple) and len(result) == 2 and hasattr(result[1], "pfn"):
        return [result[0], plain(result[1])]
    if hasattr(result, "pfn"):
        return {name: getattr(result, name) for name in ("fault", "stack_grew", "pfn", "page_size")}
    return result
