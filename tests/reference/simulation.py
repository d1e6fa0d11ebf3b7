"""One access after the other: cut into references, translated, looked up and put on the clock."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from . import coherence
from .hierarchy import Hierarchy, Reference
from .machine import PAGE_BITS, in_bytes
from .placement import Placement
from .tlb import Translation

ADDRESS_END = 1 << 63


class Access(NamedTuple):
    address: int
    size: int = 1
    kind: str = "read"
    thread: int = 0
    ip: int = 0


def takes_fetches(machine: dict[str, Any]) -> bool:
    caches, tlbs = machine["caches"], machine["tlbs"]
    if caches:
        return caches[0]["kind"] == "unified" or any(cache["kind"] == "instruction" for cache in caches)
    return any(tlb["kind"] != "data" for tlb in tlbs)


def cut(access: Access, line_size: int) -> Iterator[tuple[int, int]]:
    """The address and size of each reference of an access."""
    address, end = access.address, min(access.address + max(access.size, 1), ADDRESS_END)
    while address < end:
        next_address = min((address // line_size + 1) * line_size, end)
        yield address, next_address - address
        address = next_address


class Simulation:
    """The machine and the clock: everything that goes on from one reference to the next."""

    def __init__(self, machine: dict[str, Any], options: dict[str, Any]) -> None:
        self.machine = machine
        self.options = options
        self.hierarchy = Hierarchy(machine, options["seed"])
        self.translation = Translation(machine, options["seed"])
        self.placement = Placement(machine, options["seed"])
        self.references = 0
        self.latency_sum = 0

    def clock(self) -> int:
        return cycles(self.references, self.latency_sum, self.latency_sum // self.machine["mlp"], self.options)

    def region(self, vaddr: int) -> dict[str, Any] | None:
        inside = (each for each in self.options["regions"] if in_bytes(each["start"]) <= vaddr < in_bytes(each["end"]))
        return next(inside, None)

    def access(self, access: Access) -> Iterator[dict[str, Any]]:
        """Simulates an access. Yields what each of its references adds to the statistics apart."""
        cpu = access.thread % self.machine["cpus"]
        asid = access.thread if self.options["address_spaces"] == "per-thread" else 0
        stream = "instruction" if access.kind == "fetch" else "data"
        path = self.hierarchy.paths[cpu, stream]
        for vaddr, size in cut(access, path[0].line_size if path else 64):
            region = self.region(vaddr) or {}
            page_bits = PAGE_BITS[region.get("page_size") or self.machine["page_size"]]
            self.translation.enter(cpu, asid)
            walk_latency, is_walk = self.translation.translate(cpu, stream, (asid, page_bits, vaddr >> page_bits))
            paddr = self.placement.paddr(asid, page_bits, vaddr)
            ref = Reference(cpu, stream, paddr, size, access.ip, access.kind == "write", self.clock())
            latency = walk_latency + self.hierarchy.reference(ref)
            self.references += 1
            self.latency_sum += latency
            yield {
                "thread": access.thread,
                "ip": access.ip,
                "region": region.get("name", "other"),
                "kind": access.kind,
                "is_walk": is_walk,
                "misses": ref.misses,
                "latency": latency,
            }

    def snapshot(self) -> dict[str, Any]:
        directory = self.hierarchy.directory
        return {
            "levels": self.hierarchy.counters(),
            "tlbs": [[dict(tlb.counters) for tlb in instances] for instances in self.translation.tlbs],
            "page_walks": self.translation.page_walks,
            "coherence": dict(directory.counters) if directory else dict.fromkeys(coherence.COUNTERS, 0),
            "references": self.references,
            "latency_sum": self.latency_sum,
        }


def cycles(references: int, latency_sum: int, overlapped: int, options: dict[str, Any]) -> int:
    return latency_sum if options["dependent"] else max(references, overlapped)
