"""Page walks that read tables: where entries lie, what is cached of them, which are read."""

from collections.abc import Callable, Iterator
from typing import Any

from .placement import Placement
from .rng import Stream
from .tlb import Tlb

Read = Callable[[int], None]


def shift(level: int) -> int:
    """The lowest of the address bits that index tables of a level."""
    return 12 + 9 * (level - 1)


class Tree:
    """The tables of one address space."""

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.tables: dict[tuple[int, int], int] = {}  # (level, address bits above the table's) -> place

    def known(self, address: int) -> int:
        return address % (1 << shift(self.levels + 1))

    def table(self, address: int, level: int) -> tuple[int, int]:
        return level, self.known(address) >> shift(level + 1)

    def add(self, address: int, leaf: int, place: Callable[[], int]) -> None:
        for level in range(self.levels, leaf - 1, -1):
            if self.table(address, level) not in self.tables:
                self.tables[self.table(address, level)] = place()

    def entry(self, address: int, level: int) -> int:
        return self.tables[self.table(address, level)] + 8 * ((address >> shift(level)) % 512)


class Lookaside(Tlb):
    """A structure cache or nested TLB: an LRU array of (asid, bits, number)."""

    def __init__(self, entries: int, ways: int) -> None:
        super().__init__({"entries": entries, "ways": ways, "replacement": "lru"}, Stream(0, "", 0))

    def counts(self) -> dict[str, int]:
        return {"lookups": self.counters["lookups"], "hits": self.counters["lookups"] - self.counters["misses"]}


class Caches:
    """The structure caches of one cpu for one kind of tree."""

    def __init__(self, configs: list[dict[str, Any]]) -> None:
        self.by_level = {each["level"]: Lookaside(each["entries"], each["ways"]) for each in configs}

    def walk(self, tree: Tree, asid: int, address: int, leaf: int) -> Iterator[tuple[int, bool]]:
        """The levels of the entries that are read, root first, and whether the table's place has to be found out."""
        number = {level: (asid, level, tree.known(address) >> shift(level)) for level in self.by_level}
        hits = [level for level, cache in self.by_level.items() if level > leaf and cache.lookup(number[level])]
        top = min(hits, default=tree.levels + 1) - 1
        for level in range(top, leaf - 1, -1):
            yield level, level < top or not hits
            if level > leaf and level in self.by_level:
                self.by_level[level].fill(number[level])


class Host:
    """Backs guest-physical pages of one size."""

    def __init__(self, machine: dict[str, Any], page_bits: int, seed: int) -> None:
        self.bits = page_bits
        self.tree = Tree(machine["page_walk"]["host_levels"])
        self.placement = Placement(machine | {"page_bits": page_bits}, seed)
        self.leaf = (page_bits - 12) // 9 + 1

    def back(self, address: int) -> int:
        """The host-physical address."""
        if (0, self.bits, address >> self.bits) not in self.placement.frames:
            self.tree.add(address, self.leaf, self.placement.take_table)
        return self.placement.paddr(0, self.bits, address)


class AddressSpaces:
    """Pages and tables of all address spaces, and the host if there is one."""

    def __init__(self, machine: dict[str, Any], seed: int) -> None:
        self.walk = machine["page_walk"]
        host_bits = self.walk and self.walk["host_page_bits"]
        self.host = Host(machine, host_bits, seed) if host_bits else None
        guest = {"placement": "contiguous", "memory_size": 1 << 80} if self.host else {}
        self.placement = Placement(machine | guest, seed)
        self.trees: dict[int, Tree] = {}

    def take_table(self) -> int:
        place = self.placement.take_table()
        if self.host:
            self.host.back(place)
        return place

    def place(self, asid: int, page_bits: int, vaddr: int) -> int:
        """Where an address lies, guest-physical if there is a host."""
        if self.walk and (asid, page_bits, vaddr >> page_bits) not in self.placement.frames:
            tree = self.trees.setdefault(asid, Tree(self.walk["levels"]))
            tree.add(vaddr, (page_bits - 12) // 9 + 1, self.take_table)
        return self.placement.paddr(asid, page_bits, vaddr)

    def paddr(self, place: int) -> int:
        return self.host.back(place) if self.host else place


class Walker:
    """The walker of one cpu."""

    def __init__(self, walk: dict[str, Any], spaces: AddressSpaces) -> None:
        self.config, self.spaces = walk, spaces
        self.caches = Caches(walk["structure_caches"])
        self.host_caches = Caches(walk["host_structure_caches"])
        entries = walk["nested_tlb_entries"]
        self.nested_tlb = Lookaside(entries, entries) if entries else None
        self.walks = self.host_walks = 0
        self.reads = [0] * walk["levels"]
        self.host_reads = [0] * (walk["host_levels"] if spaces.host else 0)

    def switch(self) -> None:
        if not self.config["asid_tagged"]:
            for cache in self.caches.by_level.values():
                cache.flush()

    def walk(self, asid: int, page_bits: int, vaddr: int, place: int, read: Read) -> None:
        self.walks += 1
        tree = self.spaces.trees[asid]
        for level, is_unknown in self.caches.walk(tree, asid, vaddr, (page_bits - 12) // 9 + 1):
            entry = tree.entry(vaddr, level)
            if is_unknown:
                self.translate(entry, read)
            read(self.spaces.paddr(entry))
            self.reads[level - 1] += 1
        self.translate(place, read)

    def translate(self, place: int, read: Read) -> None:
        """Finds out where the host has a guest-physical address."""
        host = self.spaces.host
        if not host:
            return
        if self.nested_tlb:
            page = (0, 0, place >> host.bits)
            if self.nested_tlb.lookup(page):
                return
            self.nested_tlb.fill(page)
        self.host_walks += 1
        for level, _ in self.host_caches.walk(host.tree, 0, place, host.leaf):
            read(host.tree.entry(place, level))
            self.host_reads[level - 1] += 1

    def counters(self) -> dict[str, Any]:
        none = {"lookups": 0, "hits": 0}
        return {
            "walks": self.walks,
            "reads": sum(self.reads) + sum(self.host_reads),
            "reads_by_level": list(self.reads),
            "structure_caches": [cache.counts() for cache in self.caches.by_level.values()],
            "host_walks": self.host_walks,
            "host_reads_by_level": list(self.host_reads),
            "host_structure_caches": [cache.counts() for cache in self.host_caches.by_level.values()],
            "nested_tlb": self.nested_tlb.counts() if self.nested_tlb else none,
        }


def total(counters: list[Any]) -> Any:
    """The sum over cpus of counters of one shape."""
    if isinstance(counters[0], dict):
        return {name: total([each[name] for each in counters]) for name in counters[0]}
    if isinstance(counters[0], list):
        return [total(list(each)) for each in zip(*counters, strict=True)]
    return sum(counters)
