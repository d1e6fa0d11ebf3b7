"""A machine as the page describes it: a dict with every default filled in."""

from typing import Any

PAGE_BITS = {"4KiB": 12, "2MiB": 21, "1GiB": 30}
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "B": 1}
MACHINE = {
    "name": "machine",
    "cpus": 1,
    "frequency_mhz": 1000,
    "memory_latency_cycles": 200,
    "transfer_cycles": 100,
    "page_walk_cycles": 30,
    "page_walk": None,
    "mlp": 1,
    "placement": "identity",
    "page_size": "4KiB",
    "memory_size": "64GiB",
    "present_write_backs": True,
    "coherence": "mesi",
}
CACHE = {
    "line_size": 64,
    "replacement": "lru",
    "shared": False,
    "inclusion": "non-inclusive",
    "write_policy": "write-back",
    "write_allocate": True,
    "prefetcher": "none",
    "prefetch_degree": 1,
}
PAGE_WALK = {
    "levels": 4,
    "start_cycles": 10,
    "first_cache": None,
    "asid_tagged": True,
    "structure_caches": [],
    "host_page_size": None,
    "host_levels": 4,
    "nested_tlb_entries": 0,
    "host_structure_caches": [],
}
TLB = {"page_sizes": ["4KiB"], "replacement": "lru", "shared": False, "asid_tagged": True}


def in_bytes(size: int | str) -> int:
    """`64`, `"64B"`, `"32KiB"`, `"1MiB"` and `"1GiB"` as bytes."""
    if isinstance(size, int):
        return size
    unit = next(unit for unit in UNITS if size.endswith(unit))
    return int(size.removesuffix(unit)) * UNITS[unit]


def takes(kind: str, stream: str) -> bool:
    """Whether a cache or TLB of `kind` takes references of `stream`, `data` or `instruction`."""
    return kind in (stream, "unified")


def complete(machine: dict[str, Any]) -> dict[str, Any]:
    """The machine with all defaults, sizes in bytes, page sizes in bits."""
    caches = [CACHE | cache for cache in machine.get("caches", [])]
    for cache in caches:
        cache["size"], cache["line_size"] = in_bytes(cache["size"]), in_bytes(cache["line_size"])
        cache["sets"] = cache["size"] // (cache["ways"] * cache["line_size"])
        cache.setdefault("kind", {"D": "data", "I": "instruction"}.get(cache["name"][-1].upper(), "unified"))
    for place, cache in enumerate(caches):
        stream = "instruction" if cache["kind"] == "instruction" else "data"
        before = sum(takes(inner["kind"], stream) for inner in caches[:place])
        cache.setdefault("latency_cycles", [4, 14, 50, 100][min(before, 3)])
    tlbs = [TLB | tlb for tlb in machine.get("tlbs", [])]
    for place, tlb in enumerate(tlbs):
        by_name = "data" if "dTLB" in tlb["name"] else "instruction" if "iTLB" in tlb["name"] else "unified"
        tlb.setdefault("kind", by_name)
        tlb["page_bits"] = {PAGE_BITS[size] for size in tlb["page_sizes"]}
        is_behind = any(
            inner["page_bits"] & tlb["page_bits"]
            and (inner["kind"] == tlb["kind"] or "unified" in (inner["kind"], tlb["kind"]))
            for inner in tlbs[:place]
        )
        tlb.setdefault("hit_cycles", 7 if is_behind else 0)
    machine = MACHINE | machine | {"caches": caches, "tlbs": tlbs}
    machine["memory_size"] = in_bytes(machine["memory_size"])
    machine["page_bits"] = PAGE_BITS[machine["page_size"]]
    if machine["page_walk"] is not None:
        walk = machine["page_walk"] = PAGE_WALK | machine["page_walk"]
        walk["host_page_bits"] = PAGE_BITS[walk["host_page_size"]] if walk["host_page_size"] else None
        for name in ("structure_caches", "host_structure_caches"):
            walk[name] = [{"ways": cache["entries"]} | cache for cache in walk[name]]
    return machine
