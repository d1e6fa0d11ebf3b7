"""TLBs and the translation of a reference: which TLBs are looked up, which are filled, when there is a page walk."""

from typing import Any

from .machine import takes
from .replacement import make_policy
from .rng import Stream

Page = tuple[int, int, int]  # asid, log2 of the page size, vpn


class Tlb:
    """One TLB of one cpu, or a shared one."""

    def __init__(self, config: dict[str, Any], stream: Stream) -> None:
        self.config = config
        self.sets = config["entries"] // config["ways"]
        self.policy = make_policy(config["replacement"], self.sets, config["ways"], stream)
        self.counters = {"lookups": 0, "misses": 0}
        self.flush()

    def flush(self) -> None:
        self.entries: list[list[Page | None]] = [[None] * self.config["ways"] for _ in range(self.sets)]

    def lookup(self, page: Page) -> bool:
        index = page[2] % self.sets
        self.counters["lookups"] += 1
        if page in self.entries[index]:
            self.policy.touch(index, self.entries[index].index(page))
            return True
        self.counters["misses"] += 1
        return False

    def fill(self, page: Page) -> None:
        index = page[2] % self.sets
        ways = self.entries[index]
        way = ways.index(None) if None in ways else self.policy.victim(index)
        ways[way] = page
        self.policy.fill(index, way)


class Translation:
    """All TLBs of a machine."""

    def __init__(self, machine: dict[str, Any], seed: int) -> None:
        self.walk_cycles = 0 if machine["page_walk"] else machine["page_walk_cycles"]
        self.page_walks = 0
        self.asids: dict[int, int] = {}
        self.tlbs = [
            [
                Tlb(config, Stream(seed, "tlb.victim", 256 * place + cpu))
                for cpu in range(1 if config["shared"] else machine["cpus"])
            ]
            for place, config in enumerate(machine["tlbs"])
        ]

    def of_cpu(self, cpu: int) -> list[Tlb]:
        return [instances[0 if instances[0].config["shared"] else cpu] for instances in self.tlbs]

    def enter(self, cpu: int, asid: int) -> bool:
        """Notes which address space runs on `cpu`: another one empties the TLBs that are not tagged. Whether it is."""
        is_another = self.asids.setdefault(cpu, asid) != asid
        if is_another:
            self.asids[cpu] = asid
            for tlb in self.of_cpu(cpu):
                if not tlb.config["asid_tagged"] and not tlb.config["shared"]:
                    tlb.flush()
        return is_another

    def translate(self, cpu: int, stream: str, page: Page) -> tuple[int, bool]:
        """Latency and whether there was a page walk."""
        of_kind = [tlb for tlb in self.of_cpu(cpu) if takes(tlb.config["kind"], stream)]
        if not of_kind:
            return 0, False
        path = [tlb for tlb in of_kind if page[1] in tlb.config["page_bits"]]
        missed: list[Tlb] = []
        hit = None
        for tlb in path:
            if tlb.lookup(page):
                hit = tlb
                break
            missed.append(tlb)
        for tlb in missed:
            tlb.fill(page)
        if hit is not None:
            return hit.config["hit_cycles"], False
        self.page_walks += 1
        return self.walk_cycles + (path[-1].config["hit_cycles"] if path else 0), True
