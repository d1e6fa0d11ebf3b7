"""Caches asking caches: the requests of the page, each a method, passed from the cpu outwards."""

from dataclasses import dataclass, field
from typing import Any

from .cache import COUNTERS, Cache, Line
from .coherence import Directory
from .machine import takes
from .prefetch import PAGE_SIZE, Trigger


@dataclass
class Reference:
    """What every request of one reference carries along."""

    cpu: int
    stream: str  # data or instruction
    paddr: int
    size: int
    ip: int
    is_store: bool
    clock: int
    is_transfer: bool = False
    misses: list[int] = field(default_factory=list)  # levels with a demand miss


@dataclass
class Answer:
    """What a level inside learns: when the data is there, and whether a dirty line came out of an exclusive level."""

    latency: int
    is_dirty: bool = False


class Hierarchy:
    def __init__(self, machine: dict[str, Any], seed: int) -> None:
        self.machine = machine
        self.levels = [
            [Cache(config, level, cpu, seed) for cpu in range(1 if config["shared"] else machine["cpus"])]
            for level, config in enumerate(machine["caches"])
        ]
        self.paths = {
            (cpu, stream): [
                level[0 if level[0].config["shared"] else cpu]
                for level in self.levels
                if takes(level[0].config["kind"], stream)
            ]
            for cpu in range(machine["cpus"])
            for stream in ("data", "instruction")
        }
        self.walk_reads_served = [0] * len(self.levels)
        self.walk_reads_from_memory = 0
        self.directory: Directory | None = None
        private = [level for level in self.levels if not level[0].config["shared"]]
        if machine["cpus"] > 1 and machine["coherence"] == "mesi" and private:
            domains = [[level[cpu] for level in private] for cpu in range(machine["cpus"])]
            self.directory = Directory(domains, self.write_back_to_shared)

    def outside(self, cache: Cache, cpu: int) -> Cache | None:
        """The next level of `cache` for requests of `cpu`; None is memory."""
        path = self.paths[cpu, "instruction" if cache.config["kind"] == "instruction" else "data"]
        place = path.index(cache) + 1
        return path[place] if place < len(path) else None

    def inside(self, cache: Cache) -> list[Cache]:
        """All caches of all cpus whose requests come to `cache`."""
        found: list[Cache] = []
        for path in self.paths.values():
            if cache in path:
                found += [inner for inner in path[: path.index(cache)] if inner not in found]
        return found

    def reference(self, ref: Reference) -> int:
        """One reference of the cpu. Returns its latency, without the translation."""
        upgrade_cycles = 0
        if self.directory:
            ref.is_transfer, is_upgrade = self.directory.before(ref.cpu, ref.paddr, ref.size, ref.is_store)
            upgrade_cycles = self.machine["transfer_cycles"] if is_upgrade else 0
        first = next(iter(self.paths[ref.cpu, ref.stream]), None)
        answer = self.store(first, ref, True) if ref.is_store else self.read_or_write("read", first, ref)
        if self.directory:
            self.directory.after(ref.cpu, ref.paddr, ref.is_store)
        return answer.latency + upgrade_cycles

    def read_or_write(self, kind: str, cache: Cache | None, ref: Reference) -> Answer:
        if ref.is_transfer and (cache is None or cache.config["shared"]):
            return Answer(self.machine["transfer_cycles"])
        if cache is None:
            return Answer(self.machine["memory_latency_cycles"])
        number = ref.paddr // cache.line_size
        line = cache.find(number)
        is_new = self.count_demand(cache, kind, number, line, ref)
        if line:
            answer = Answer(self.hit(cache, line, ref))
            if cache.is_exclusive:
                cache.remove(number)
                answer.is_dirty = line.is_dirty
        else:
            answer = self.read_or_write(kind, self.outside(cache, ref.cpu), ref)
            if not cache.is_exclusive:
                self.fill(cache, Line(number, answer.is_dirty), ref.cpu)
                answer.is_dirty = False
        self.prefetch_after(cache, Trigger(ref.paddr, number, ref.ip, is_new), ref)
        return answer

    def walk_read(self, cpu: int, paddr: int) -> int:
        """A page walk of `cpu` reads an entry. Returns the latency."""
        ref = Reference(cpu, "data", paddr, 8, 0, False, 0)
        if self.directory:
            ref.is_transfer, _ = self.directory.before(cpu, paddr, 8, False)
        path = self.paths[cpu, "data"]
        wanted = self.machine["page_walk"]["first_cache"]
        first = next((cache for cache in path if wanted in (None, cache.config["name"])), None)
        answer = self.read_entry(first, ref)
        if self.directory:
            self.directory.after(cpu, paddr, False)
        return answer.latency

    def read_entry(self, cache: Cache | None, ref: Reference) -> Answer:
        if ref.is_transfer and (cache is None or cache.config["shared"]):
            return Answer(self.machine["transfer_cycles"])
        if cache is None:
            self.walk_reads_from_memory += 1
            return Answer(self.machine["memory_latency_cycles"])
        number = ref.paddr // cache.line_size
        line = cache.find(number)
        cache.counters["walk_reads"] += 1
        if line:
            cache.touch(number)
            self.walk_reads_served[cache.level] += 1
            if cache.is_exclusive:
                cache.remove(number)
            return Answer(cache.latency, cache.is_exclusive and line.is_dirty)
        cache.counters["walk_read_misses"] += 1
        answer = self.read_entry(self.outside(cache, ref.cpu), ref)
        if not cache.is_exclusive:
            self.fill(cache, Line(number, answer.is_dirty), ref.cpu)
            answer.is_dirty = False
        return answer

    def store(self, cache: Cache | None, ref: Reference, is_from_cpu: bool) -> Answer:
        if cache is None:
            return Answer(self.machine["memory_latency_cycles"])
        if cache.config["shared"]:
            ref.is_transfer = False  # a store that the private caches send on is the shared ones' own business
        outside = self.outside(cache, ref.cpu)
        number = ref.paddr // cache.line_size
        line = cache.find(number)
        is_new = self.count_demand(cache, "write", number, line, ref)
        if line:
            answer = Answer(self.hit(cache, line, ref))
            line.is_dirty |= cache.is_write_back
        elif cache.allocates and not cache.is_exclusive:
            answer = self.read_or_write("write", outside, ref)
            self.fill(cache, Line(number, answer.is_dirty or cache.is_write_back), ref.cpu)
        else:
            answer = Answer(cache.latency)
            if cache.is_write_back:
                self.store(outside, ref, False)
        if not cache.is_write_back:
            cache.counters["write_throughs"] += 1
            self.store(outside, ref, False)
        if is_from_cpu:
            self.prefetch_after(cache, Trigger(ref.paddr, number, ref.ip, is_new), ref)
        return Answer(answer.latency)

    def count_demand(self, cache: Cache, kind: str, number: int, line: Line | None, ref: Reference) -> bool:
        """Counts a demand request. Returns whether a next-line prefetcher acts on it."""
        cache.counters[f"{kind}s"] += 1
        if line:
            return line.arrival is not None
        cache.counters[f"{kind}_misses"] += 1
        cache.counters["misses"] += 1
        cache.counters["prefetches_polluting"] += cache.forget_polluted(number)
        ref.misses.append(cache.level)
        return True

    def hit(self, cache: Cache, line: Line, ref: Reference) -> int:
        """A demand hit. Returns its latency."""
        cache.touch(line.number)
        if line.arrival is None:
            return cache.latency
        remaining = line.arrival - ref.clock
        line.arrival = None
        cache.counters["prefetches_useful"] += 1
        cache.counters["prefetches_late"] += remaining > 0
        return max(cache.latency, remaining)

    def write_back(self, cache: Cache | None, paddr: int, cpu: int) -> None:
        """A dirty victim of the level inside."""
        if cache is None:
            return
        number = paddr // cache.line_size
        line = cache.find(number)
        cache.counters["write_backs_in"] += 1
        cache.counters["write_back_misses"] += line is None
        if line:
            cache.touch(number)
            line.is_dirty |= cache.is_write_back
        elif cache.allocates:
            self.fill(cache, Line(number, cache.is_write_back), cpu)
        if not cache.is_write_back or (line is None and not cache.allocates):
            self.write_back(self.outside(cache, cpu), paddr, cpu)

    def write_back_to_shared(self, cpu: int, paddr: int) -> None:
        """A modified line that its owner gives away."""
        if self.machine["present_write_backs"]:
            shared = [level[0] for level in self.levels if level[0].config["shared"]]
            self.write_back(shared[0] if shared else None, paddr, cpu)

    def victim(self, cache: Cache, victim: Line, cpu: int) -> None:
        """A victim, clean or dirty, for an exclusive level."""
        cache.counters["victims_in"] += 1
        line = cache.find(victim.number)
        if line:
            cache.touch(line.number)
            line.is_dirty |= victim.is_dirty
        else:
            self.fill(cache, Line(victim.number, victim.is_dirty), cpu)

    def fill(self, cache: Cache, line: Line, cpu: int) -> None:
        cache.forget_polluted(line.number)
        evicted = cache.insert(line)
        if evicted is None:
            return
        if line.arrival is not None:
            cache.polluted[cache.pollution_slot(evicted.number)] = evicted.number
        paddr = evicted.number * cache.line_size
        if cache.is_inclusive:
            for inner in self.inside(cache):
                for inner_paddr in range(paddr, paddr + cache.line_size, inner.line_size):
                    copy = inner.remove(inner_paddr // inner.line_size)
                    cache.counters["back_invalidations"] += copy is not None
                    evicted.is_dirty |= copy is not None and copy.is_dirty
        cache.counters["write_backs"] += evicted.is_dirty
        outside = self.outside(cache, cpu)
        if outside and outside.is_exclusive:
            self.victim(outside, evicted, cpu)
        elif evicted.is_dirty and self.machine["present_write_backs"]:
            self.write_back(outside, paddr, cpu)

    def prefetch_after(self, cache: Cache, trigger: Trigger, ref: Reference) -> None:
        """What the level's prefetcher does once a demand request is done."""
        for number in cache.prefetcher.lines(trigger):
            paddr = number * cache.line_size
            if paddr // PAGE_SIZE != trigger.paddr // PAGE_SIZE or cache.find(number):
                continue
            if self.directory and not self.directory.may_prefetch(ref.cpu, paddr):
                continue
            latency = self.prefetch(self.outside(cache, ref.cpu), paddr, ref.cpu)
            cache.counters["prefetches_issued"] += 1
            self.fill(cache, Line(number, False, arrival=ref.clock + latency), ref.cpu)
            if self.directory and not cache.config["shared"]:
                self.directory.prefetched(ref.cpu, paddr)

    def prefetch(self, cache: Cache | None, paddr: int, cpu: int) -> int:
        """A request of a prefetcher inside. Returns the latency of the place that serves it."""
        if cache is None:
            return self.machine["memory_latency_cycles"]
        number = paddr // cache.line_size
        cache.counters["prefetch_reads"] += 1
        if cache.find(number):
            return cache.latency
        cache.counters["prefetch_misses"] += 1
        latency = self.prefetch(self.outside(cache, cpu), paddr, cpu)
        if not cache.is_exclusive:
            self.fill(cache, Line(number, False), cpu)
        return latency

    def counters(self) -> list[list[dict[str, int]]]:
        """By level and cpu."""
        return [[dict(cache.counters) for cache in level] for level in self.levels]


def total(counters: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(each[name] for each in counters) for name in COUNTERS}
