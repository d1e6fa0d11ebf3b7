"""A trace through a machine: which accesses are simulated, which are counted, and what the result says."""

from collections.abc import Sequence
from typing import Any

from .hierarchy import total
from .machine import complete
from .placement import OutOfMemoryError
from .simulation import Access, Simulation, cycles, takes_fetches
from .statistics import groups

DEFAULTS = {
    "skip": 0,
    "warmup": 0,
    "limit": None,
    "seed": 0,
    "dependent": False,
    "address_spaces": "shared",
    "by_thread": False,
    "by_ip": 0,
    "regions": [],
}


class NothingCountedError(Exception):
    """The trace ended before anything was counted."""


def subtract(end: Any, start: Any) -> Any:
    """What was counted between two snapshots of one shape."""
    if isinstance(end, dict):
        return {name: subtract(end[name], start[name]) for name in end}
    if isinstance(end, list):
        return [subtract(*pair) for pair in zip(end, start, strict=True)]
    if end is None:
        return None
    return end - start


def replay(
    accesses: Sequence[tuple[int, int, str, int, int]], machine: dict[str, Any], **options: Any
) -> dict[str, Any]:
    """Replays (address, size, kind, thread, ip) accesses.

    The result has the keys of the simulator's, without digest and engine. Raises NothingCountedError, or
    OutOfMemoryError with the index of the access.
    """
    machine, options = complete(machine), DEFAULTS | options
    simulation = Simulation(machine, options)
    start, records = simulation.snapshot(), []
    taken = ignored = 0
    first = options["skip"] + options["warmup"]
    for index, access in enumerate(Access(*each) for each in accesses):
        if options["limit"] is not None and taken == first + options["limit"]:
            break
        if access.kind == "fetch" and not takes_fetches(machine):
            ignored += 1
            continue
        if taken == first:
            start = simulation.snapshot()
        try:
            new = list(simulation.access(access)) if taken >= options["skip"] else []
        except OutOfMemoryError as error:
            raise OutOfMemoryError(index) from error
        taken += 1
        if taken > first:
            records += new
    if taken <= first:
        raise NothingCountedError
    return result(machine, options, subtract(simulation.snapshot(), start), records) | {"ignored_fetches": ignored}


def result(
    machine: dict[str, Any], options: dict[str, Any], counted: dict[str, Any], records: list[Any]
) -> dict[str, Any]:
    names, cpus, levels = [cache["name"] for cache in machine["caches"]], machine["cpus"], counted["levels"]
    private = [level for level, cache in enumerate(machine["caches"]) if not cache["shared"]]
    latency_sum, references = counted["latency_sum"], counted["references"]
    tlbs = [{key: sum(each[key] for each in tlb) for key in ("lookups", "misses")} for tlb in counted["tlbs"]]
    return {
        "accesses": references,
        "levels": [[name, total(level)] for name, level in zip(names, levels, strict=True)],
        "per_cpu": [[levels[level][cpu] for level in private] for cpu in range(cpus)] if cpus > 1 else [],
        "tlbs": [[tlb["name"], count] for tlb, count in zip(machine["tlbs"], tlbs, strict=True)],
        "page_walks": counted["page_walks"],
        "page_walk": counted["page_walk"],
        "coherence": counted["coherence"],
        **groups(records, options, len(levels)),
        "latency_cycles": latency_sum,
        "cycles": cycles(references, latency_sum, -(-latency_sum // machine["mlp"]), options),
    }
