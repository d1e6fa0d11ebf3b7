"""Regions of an address space: a sorted list; cutting, joining and finding gaps."""

from dataclasses import dataclass, field, replace

from .errors import RefusedError
from .page_table import HUGE, PAGE

LOWEST = 0x400000  # no mapping goes below


@dataclass(eq=False)
class Object:
    """What text and shared mappings show: a frame for every page that was touched."""

    frames: dict[int, int] = field(default_factory=dict)


@dataclass
class Region:
    start: int
    end: int
    kind: str
    permissions: str
    name: str = ""
    page_size: str = "4KiB"
    shared: bool = False
    object: Object | None = None
    offset: int = 0  # bytes from the start of the object

    def page_of_object(self, vaddr: int) -> int:
        return (self.offset + vaddr - self.start) // PAGE

    def holds_huge_page(self, vaddr: int) -> bool:
        first = vaddr // HUGE * HUGE
        return self.page_size != "4KiB" and self.start <= first and first + HUGE <= self.end

    def continues(self, lower: "Region") -> bool:
        """Whether this region and the one beneath are one."""
        moved = replace(lower, start=self.start, end=self.end, offset=lower.offset + self.start - lower.start)
        return lower.end == self.start and self == (moved if self.object else replace(moved, offset=self.offset))


class Regions:
    def __init__(self) -> None:
        self.list: list[Region] = []

    def find(self, vaddr: int) -> Region | None:
        return next((region for region in self.list if region.start <= vaddr < region.end), None)

    def within(self, start: int, end: int) -> list[Region]:
        return [region for region in self.list if region.start < end and start < region.end]

    def add(self, region: Region) -> None:
        if region.start >= region.end or self.within(region.start, region.end):
            raise RefusedError("in use")
        self.list = sorted([*self.list, region], key=lambda each: each.start)
        self.join()

    def cut(self, vaddr: int) -> None:
        region = self.find(vaddr)
        if region is not None and region.start < vaddr:
            upper = replace(region, start=vaddr, offset=region.offset + vaddr - region.start)
            region.end = vaddr
            self.list.insert(self.list.index(region) + 1, upper)

    def remove(self, start: int, end: int) -> None:
        self.cut(start)
        self.cut(end)
        self.list = [region for region in self.list if not start <= region.start < end]

    def protect(self, start: int, end: int, permissions: str) -> None:
        self.cut(start)
        self.cut(end)
        for region in self.within(start, end):
            region.permissions = permissions
        self.join()

    def join(self) -> None:
        joined: list[Region] = []
        for region in self.list:
            if joined and region.continues(joined[-1]):
                joined[-1].end = region.end
            else:
                joined.append(region)
        self.list = joined

    def highest_gap(self, base: int, size: int, alignment: int) -> int:
        """The start of `size` bytes in the highest gap below `base` in which they fit."""
        top = base
        for region in [*reversed(self.list), Region(0, LOWEST, "", "")]:
            start = (top - size) // alignment * alignment
            if region.end <= start:
                return start
            top = min(top, region.start)
        raise RefusedError("no gap")
