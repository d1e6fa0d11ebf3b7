"""MESI with a full directory over the private caches of each cpu."""

from collections.abc import Callable

from .cache import Cache

COUNTERS = ("invalidations", "transfers", "upgrades", "true_sharing_misses", "false_sharing_misses")

Parts = set[int]


class Directory:
    """Who holds which line. What a domain holds is read from its caches, so it cannot disagree with them."""

    def __init__(self, domains: list[list[Cache]], write_back: Callable[[int, int], None]) -> None:
        self.domains = domains
        self.line_size = domains[0][0].line_size
        self.write_back = write_back  # of (cpu, paddr), to the first shared cache
        self.modified: dict[int, int] = {}  # line -> the cpu that has it M
        self.lost: dict[tuple[int, int], Parts] = {}  # (cpu, line) lost by invalidation -> parts stored to since
        self.counters = dict.fromkeys(COUNTERS, 0)

    def holds(self, cpu: int, line: int) -> bool:
        return any(cache.find(line) for cache in self.domains[cpu])

    def holders(self, line: int) -> list[int]:
        return [cpu for cpu in range(len(self.domains)) if self.holds(cpu, line)]

    def parts(self, paddr: int, size: int) -> Parts:
        part_size = max(self.line_size // 64, 1)
        return {byte % self.line_size // part_size for byte in range(paddr, paddr + size)}

    def before(self, cpu: int, paddr: int, size: int, is_store: bool) -> tuple[bool, bool]:
        """Before a reference is looked up. Returns whether it is a transfer and whether it is an upgrade."""
        line, parts = paddr // self.line_size, self.parts(paddr, size)
        is_held = self.holds(cpu, line)
        others = [other for other in self.holders(line) if other != cpu]
        is_transfer = not is_held and self.modified.get(line) in others
        stored_since = self.lost.pop((cpu, line), None)
        if stored_since is not None:
            self.counters["true_sharing_misses" if parts & stored_since else "false_sharing_misses"] += 1
        if is_store:
            self.invalidate(line, others, parts)
        elif is_transfer:
            self.clean(line)
        is_upgrade = is_store and is_held and bool(others)
        self.counters["transfers"] += is_transfer
        self.counters["upgrades"] += is_upgrade
        return is_transfer, is_upgrade

    def invalidate(self, line: int, others: list[int], parts: Parts) -> None:
        """A store takes the line from all `others`."""
        for (_, lost_line), stored_since in self.lost.items():
            if lost_line == line:
                stored_since |= parts
        for other in others:
            for cache in self.domains[other]:
                cache.remove(line)
            self.lost[other, line] = set(parts)
            self.counters["invalidations"] += 1
        self.modified.pop(line, None)

    def clean(self, line: int) -> None:
        """The owner gives a modified line away to be shared."""
        owner = self.modified.pop(line)
        for cache in self.domains[owner]:
            copy = cache.find(line)
            if copy is not None:
                copy.is_dirty = False
        self.write_back(owner, line * self.line_size)

    def after(self, cpu: int, paddr: int, is_store: bool) -> None:
        """After a reference is done."""
        line = paddr // self.line_size
        if is_store and self.holds(cpu, line):
            self.modified[line] = cpu
        self.forget_lost()

    def forget_lost(self) -> None:
        """A line is no longer M when the last copy has left its domain."""
        self.modified = {line: owner for line, owner in self.modified.items() if self.holds(owner, line)}

    def may_prefetch(self, cpu: int, paddr: int) -> bool:
        """Whether no other domain has the line M or E: is its only holder."""
        self.forget_lost()
        holders = self.holders(paddr // self.line_size)
        return len(holders) != 1 or holders == [cpu]

    def prefetched(self, cpu: int, paddr: int) -> None:
        """A prefetch has brought a line into the domain."""
        self.lost.pop((cpu, paddr // self.line_size), None)
