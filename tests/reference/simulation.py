"""One access after the other: cut into references, translated, looked up and put on the clock."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from . import coherence, page_walk
from .hierarchy import Hierarchy, Reference
from .machine import PAGE_BITS, in_bytes
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
        self.spaces = page_walk.AddressSpaces(machine, options["seed"])
        walk = machine["page_walk"]
        self.walkers = [page_walk.Walker(walk, self.spaces) for _ in range(machine["cpus"])] if walk else []
        self.walk_cycles = 0
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
            host = self.spaces.host
            tlb_bits = min(page_bits, host.bits) if host else page_bits
            if self.translation.enter(cpu, asid) and self.walkers:
                self.walkers[cpu].switch()
            walk_latency, is_walk = self.translation.translate(cpu, stream, (asid, tlb_bits, vaddr >> tlb_bits))
            place = self.spaces.place(asid, page_bits, vaddr)
            paddr = self.spaces.paddr(place)
            if is_walk and self.walkers:
                walk_latency += self.walk(cpu, asid, page_bits, vaddr, place)
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

    def walk(self, cpu: int, asid: int, page_bits: int, vaddr: int, place: int) -> int:
        """A walk that reads tables. Returns its cycles."""
        latencies = [self.machine["page_walk"]["start_cycles"]]

        def read(entry: int) -> None:
            latencies.append(self.hierarchy.walk_read(cpu, entry))

        self.walkers[cpu].walk(asid, page_bits, vaddr, place, read)
        self.walk_cycles += sum(latencies)
        return sum(latencies)

    def page_walk(self) -> dict[str, Any] | None:
        if not self.walkers:
            return None
        counters = page_walk.total([walker.counters() for walker in self.walkers])
        served, from_memory = list(self.hierarchy.walk_reads_served), self.hierarchy.walk_reads_from_memory
        return counters | {
            "reads_served": served,
            "reads_from_memory": from_memory,
            "reads_from_other_cpus": counters["reads"] - sum(served) - from_memory,
            "walk_cycles": self.walk_cycles,
        }

    def snapshot(self) -> dict[str, Any]:
        directory = self.hierarchy.directory
        return {
            "levels": self.hierarchy.counters(),
            "tlbs": [[dict(tlb.counters) for tlb in instances] for instances in self.translation.tlbs],
            "page_walks": self.translation.page_walks,
            "page_walk": self.page_walk(),
            "coherence": dict(directory.counters) if directory else dict.fromkeys(coherence.COUNTERS, 0),
            "references": self.references,
            "latency_sum": self.latency_sum,
        }


def cycles(references: int, latency_sum: int, overlapped: int, options: dict[str, Any]) -> int:
    return latency_sum if options["dependent"] else max(references, overlapped)
