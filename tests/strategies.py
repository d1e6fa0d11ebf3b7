"""Hypothesis strategies for machines, traces and options that are valid by construction.

Caches are tiny and addresses few, so that lines are evicted all the time. Every strategy shrinks towards one small LRU
cache, the first policy of each list and a short trace of reads.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st
from reference.machine import complete

ORDERED = ["lru", "mru", "lip", "fifo", "random"]  # those that go beyond 32 ways
POLICIES = [*ORDERED, "tree-plru", "bit-plru", "qlru", "srrip", "brrip", "drrip"]
PREFETCHERS = ["none", "next-line", "stride", "stream"]
PAGE_SIZE_SETS = [["4KiB"], ["4KiB", "2MiB"], ["2MiB"], ["4KiB", "2MiB", "1GiB"]]
PAGE_BYTES = {"4KiB": 1 << 12, "2MiB": 1 << 21, "1GiB": 1 << 30}
BASES = [0, 0, 1 << 12, 5 << 12, 1 << 21, (1 << 30) + (1 << 21), (1 << 63) - (1 << 12)]
FEW_LINES = [0, 0, 1 << 12]

STREAMS = {"D": {"data"}, "I": {"fetches"}, "": {"data", "fetches"}}
KINDS = {"D": "data", "I": "instruction", "": "unified"}
# Last letters of caches from the cpu outwards, and where the first shared one can stand.
LAYOUTS = [
    (["D"], [1, 0]),
    ([""], [1, 0]),
    (["D", "D"], [1, 2, 0]),
    (["", ""], [1, 2, 0]),
    (["D", ""], [1, 2, 0]),
    (["I", "D", ""], [2, 3, 0]),
    (["", "", ""], [2, 1, 3, 0]),
    (["", "", "", ""], [3, 2, 4, 0]),
    (["D", "D", "D"], [2, 1, 3, 0]),
    (["I", "D", "", ""], [3, 2, 4, 0]),
    (["I", "I", "D", "D", ""], [4, 5, 0]),
    (["D", "D", "", "", ""], [4, 3, 2, 5, 0]),
]


class Case(NamedTuple):
    """What a replay takes."""

    accesses: list[tuple[int, int, str, int, int]]
    machine: dict[str, Any]
    options: dict[str, Any]


def rarely(value: Any, usual: Any, very: bool = False) -> st.SearchStrategy[Any]:
    """`usual` three times out of four, or, if `very`, 15 times out of 16."""
    return st.sampled_from([usual] * (15 if very else 3) + [value])


@st.composite
def shapes(draw: st.DrawFn, *, policies: list[str] = POLICIES) -> dict[str, Any]:
    """Sets, ways and policy of a cache or TLB."""
    sets = draw(st.sampled_from([1, 2, 4, 8]))
    ways = draw(st.sampled_from([1, 2, 3, 4, 1, 2, 3, 4, 12, 20, 32] + ([40] if sets == 1 else [])))
    fitting = [policy for policy in policies if ways <= 32 or policy in ORDERED] or ["lru"]
    return {"sets": sets, "ways": ways, "replacement": draw(st.sampled_from(fitting))}


@st.composite
def caches(
    draw: st.DrawFn,
    *,
    layout: list[str],
    first_shared: int,
    one_line_size: bool,
    policies: list[str] = POLICIES,
    prefetchers: list[str] = PREFETCHERS,
    is_plain: bool = False,
) -> list[dict[str, Any]]:
    """The caches of a machine. `one_line_size` holds for the private ones, which coherence needs.

    `is_plain`: non-inclusive and, most often, write-back with allocation.
    """
    base_line_size = draw(st.sampled_from([64, 64, 32, 128, 16]))
    chosen: list[dict[str, Any]] = []
    for place, letter in enumerate(layout):
        inner = [cache for cache, other in zip(chosen, layout, strict=False) if STREAMS[other] & STREAMS[letter]]
        is_first = not STREAMS[letter] <= set().union(*(STREAMS[other] for other in layout[:place]))
        is_shared = place >= first_shared
        line_size = max([base_line_size, *(cache["line_size"] for cache in inner)])
        if (is_shared or not one_line_size) and line_size < 512:
            line_size *= draw(st.sampled_from([1, 1, 1, 2, 4]))
        is_even = all(cache["line_size"] == line_size for cache in inner)
        inclusions = ["non-inclusive", "inclusive", *(["exclusive"] if is_even and not is_first else [])]
        inclusion = "non-inclusive" if is_plain else draw(st.sampled_from(inclusions))
        shape = draw(shapes(policies=policies))
        cache = {
            "name": f"L{place + 1}{letter}",
            "size": shape.pop("sets") * shape["ways"] * line_size,
            "line_size": line_size,
            **shape,
            "shared": is_shared,
            "inclusion": inclusion,
            "write_policy": draw(rarely("write-through", "write-back", is_plain)),
            "write_allocate": draw(rarely(False, True, is_plain)),
        }
        if inclusion != "exclusive":
            cache["prefetcher"] = draw(st.sampled_from(["none", *prefetchers]))
            cache["prefetch_degree"] = draw(st.sampled_from([1, 1, 2, 3, 16])) if cache["prefetcher"] != "none" else 1
        if draw(rarely(True, False)):
            cache["latency_cycles"] = draw(st.integers(0, 60))
        if draw(rarely(True, False)):
            cache |= {"name": f"cache {place}, a bad one", "kind": KINDS[letter]}
        chosen.append(cache)
    return chosen


@st.composite
def tlbs(draw: st.DrawFn, *, count: int, page_sizes: list[str], policies: list[str] = POLICIES) -> list[dict[str, Any]]:
    """TLBs of any kinds; those that are shared come last."""
    shared_from = draw(st.sampled_from([count, count, max(count - 1, 0)]))
    chosen = []
    for place in range(count):
        shape = draw(shapes(policies=policies))
        tlb = {
            "name": f"L{place + 1} {draw(st.sampled_from(['dTLB', 'TLB', 'iTLB']))}",
            "entries": shape.pop("sets") * shape["ways"],
            **shape,
            "page_sizes": draw(st.lists(st.sampled_from(page_sizes), min_size=1, max_size=3, unique=True)),
            "shared": place >= shared_from,
            "asid_tagged": draw(rarely(False, True)),
        }
        if draw(rarely(True, False)):
            tlb["hit_cycles"] = draw(st.integers(0, 12))
        if draw(rarely(True, False)):
            tlb["kind"] = draw(st.sampled_from(list(KINDS.values())))
        chosen.append(tlb)
    return chosen


@st.composite
def structure_caches(draw: st.DrawFn, *, levels: int) -> list[dict[str, Any]]:
    """Caches of the entries of some levels."""
    chosen = []
    for level in draw(st.lists(st.sampled_from(range(2, levels + 1)), max_size=3, unique=True)):
        sets, ways = draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from([1, 2, 3, 40]))
        if sets == 1:
            chosen.append({"level": level, "entries": ways} | ({"ways": ways} if draw(st.booleans()) else {}))
        else:
            chosen.append({"level": level, "entries": 2 * min(ways, 3), "ways": min(ways, 3)})
    return chosen


@st.composite
def page_walks(draw: st.DrawFn, *, caches: list[dict[str, Any]]) -> dict[str, Any]:
    """Page walks that read tables."""
    levels, host_levels = draw(st.sampled_from([4, 5])), draw(st.sampled_from([4, 5]))
    walk: dict[str, Any] = {"levels": levels, "structure_caches": draw(structure_caches(levels=levels))}
    path = [
        cache["name"]
        for cache in complete({"caches": caches})["caches"]
        if cache["kind"] != "instruction" and cache["inclusion"] != "exclusive"
    ]
    if path and draw(st.booleans()):
        walk["first_cache"] = draw(st.sampled_from(path))
    if draw(st.booleans()):
        walk |= {"start_cycles": draw(st.integers(0, 20)), "asid_tagged": False}
    if draw(st.booleans()):
        walk["host_page_size"] = draw(st.sampled_from(["4KiB", "4KiB", "2MiB", "1GiB"]))
        walk["host_levels"] = host_levels
        walk["nested_tlb_entries"] = draw(st.sampled_from([0, 0, 1, 3, 40]))
        walk["host_structure_caches"] = draw(structure_caches(levels=host_levels))
    return walk


@st.composite
def machines(
    draw: st.DrawFn,
    *,
    cpus: Sequence[int] = (1, 1, 2, 3),
    cache_counts: Sequence[int] = (1, 2, 3, 4, 5),
    tlb_counts: Sequence[int] = (0, 0, 1, 2, 3),
    page_sizes: list[str],
    policies: list[str] = POLICIES,
    prefetchers: list[str] = PREFETCHERS,
    is_plain: bool = False,
    walks: Sequence[bool] = (False, True),
    placements: Sequence[str] = ("identity", "contiguous", "random"),
) -> dict[str, Any]:
    """A machine; its page sizes in use are the machine's own and those that its options' regions name."""
    chosen_cpus = draw(st.sampled_from(cpus))
    coherence = draw(rarely("none", "mesi"))
    machine: dict[str, Any] = {"cpus": chosen_cpus, "coherence": coherence}
    tlb_count = draw(st.sampled_from(tlb_counts))
    cache_count = draw(st.sampled_from([*cache_counts, 0] if tlb_count else cache_counts))
    if cache_count:
        layout, places = draw(st.sampled_from([each for each in LAYOUTS if len(each[0]) == cache_count]))
        machine["caches"] = draw(
            caches(
                layout=layout,
                first_shared=draw(st.sampled_from(places)),
                one_line_size=chosen_cpus > 1 and coherence == "mesi",
                policies=policies,
                prefetchers=prefetchers,
                is_plain=is_plain,
            )
        )
    machine["tlbs"] = draw(tlbs(count=tlb_count, page_sizes=page_sizes, policies=policies))
    machine["page_size"] = draw(st.sampled_from(page_sizes))
    machine["placement"] = draw(st.sampled_from(placements))
    machine["present_write_backs"] = draw(st.booleans())
    machine["mlp"] = draw(st.sampled_from([1, 1, 2, 7, 100]))
    if tlb_count and machine["placement"] != "identity" and draw(st.sampled_from(walks)):
        machine["page_walk"] = draw(page_walks(caches=machine.get("caches", [])))
    if draw(rarely(True, False)):
        machine |= {"memory_latency_cycles": 90, "transfer_cycles": 33, "page_walk_cycles": 11}
    return machine


@st.composite
def memory_sizes(draw: st.DrawFn, page_size: str) -> int:
    """Whole pages of the largest size: mostly plenty, sometimes so few that they run out."""
    return PAGE_BYTES[page_size] * draw(st.sampled_from([1 << 20, 1 << 20, 1 << 20, 1000, 37, 3, 1]))


@st.composite
def regions(draw: st.DrawFn, *, page_sizes: list[str]) -> list[dict[str, Any]]:
    """Ranges that may overlap and, where they name a page size, begin and end at its pages."""
    chosen = []
    for place in range(draw(st.sampled_from([0, 0, 1, 2, 3]))):
        page_size = draw(st.sampled_from([None, *page_sizes]))
        unit = PAGE_BYTES[page_size] if page_size else draw(st.sampled_from([64, 1000, 4096]))
        start = draw(st.sampled_from(BASES)) // unit + draw(st.integers(0, 2))
        end = min(start + draw(st.integers(1, 4)), (1 << 63) // unit)
        if start < end:
            region = {"name": f"region{place}", "start": start * unit, "end": end * unit}
            chosen.append(region | ({"page_size": page_size} if page_size else {}))
    return chosen


@st.composite
def options(draw: st.DrawFn, *, page_sizes: list[str], is_threaded: bool, is_apart: bool) -> dict[str, Any]:
    """Options of a replay. `is_apart`: with statistics by thread, region and instruction."""
    return {
        "skip": draw(st.sampled_from([0, 0, 0, 1, 5])),
        "warmup": draw(st.sampled_from([0, 0, 1, 10])),
        "limit": draw(st.sampled_from([None, None, None, 1, 7, 30])),
        "seed": draw(st.sampled_from([0, 1, 2**64 - 1])),
        "dependent": draw(st.booleans()),
        "address_spaces": draw(st.sampled_from(["shared", "per-thread"])) if is_threaded else "shared",
        "by_thread": is_apart and draw(st.booleans()),
        "by_ip": draw(st.sampled_from([0, 1, 3, 100])) if is_apart else 0,
        "regions": draw(regions(page_sizes=page_sizes)) if is_apart else [],
    }


def noise(
    seed: int, length: int, footprint: int, bases: list[int], is_threaded: bool
) -> list[tuple[int, int, str, int, int]]:
    """A longer trace with runs, repeats and jumps, from a seed: small to draw, though it shrinks in length alone."""
    random = Random(seed)
    accesses: list[tuple[int, int, str, int, int]] = []
    address, step = 0, 0
    for _ in range(length):
        if random.random() < 0.4:
            address = random.choice(bases) + 16 * random.randrange(footprint)
            step = random.choice([-128, -64, 0, 8, 64, 64, 192])
        kind = random.choice(["read", "read", "write", "fetch"])
        thread = random.choice([0, 1, 2, 7, 63]) if is_threaded else 0
        accesses.append((address, random.choice([1, 4, 8, 8, 80]), kind, thread, random.choice([0, 3, 3, 3, 259])))
        address = min(max(address + step, 0), (1 << 63) - 1)
    return accesses


@st.composite
def runs(draw: st.DrawFn, *, bases: list[int], is_threaded: bool) -> list[tuple[int, int, str, int, int]]:
    """Some accesses of one instruction at a constant distance; most often one."""
    base = draw(st.sampled_from(bases)) + draw(st.sampled_from([16, 16, 64, 1])) * draw(st.integers(0, 63))
    kind = draw(st.sampled_from(["read", "write", "fetch", "write"]))
    size = draw(st.sampled_from([1, 8, 4, 60, 300, 0]))
    thread = draw(st.sampled_from([0, 1, 2, 2**32 - 1])) if is_threaded else 0
    ip = draw(st.sampled_from([0, 1, 257, 2**63]))
    count = draw(st.sampled_from([1, 1, 1, 6]))
    step = draw(st.sampled_from([64, 0, -64, 16, 200, 1 << 12])) if count > 1 else 0
    addresses = (base + step * place for place in range(count))
    return [(address, size, kind, thread, ip) for address in addresses if 0 <= address < 1 << 63]


@st.composite
def traces(
    draw: st.DrawFn, *, bases: list[int] = BASES, is_threaded: bool = True, max_length: int = 400
) -> list[tuple[int, int, str, int, int]]:
    """A trace: drawn access by access when short, from a seed when long."""
    if draw(st.booleans()):
        seed, length = draw(st.integers(0, 2**32)), draw(st.integers(1, max_length))
        return noise(seed, length, draw(st.sampled_from([16, 64, 256])), bases, is_threaded)
    count = draw(st.integers(1, 40))
    drawn = draw(st.lists(runs(bases=bases, is_threaded=is_threaded), min_size=count, max_size=count))
    return [access for run in drawn for access in run] or [(0, 1, "read", 0, 0)]


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    bases: list[int] = BASES,
    is_threaded: bool = True,
    is_apart: bool = True,
    max_length: int = 400,
    page_size_sets: list[list[str]] = PAGE_SIZE_SETS,
    **limits: Any,
) -> Case:
    """A machine, a trace and options that go together. `limits` are those of `machines`."""
    page_sizes = draw(st.sampled_from(page_size_sets))
    machine = draw(machines(page_sizes=page_sizes, **limits))
    chosen = draw(options(page_sizes=page_sizes, is_threaded=is_threaded, is_apart=is_apart))
    in_use = {machine["page_size"]} | {each["page_size"] for each in chosen["regions"] if "page_size" in each}
    host = machine.get("page_walk", {}).get("host_page_size")
    if len(in_use) > 1 and machine["placement"] == "random" and not host:
        machine["placement"] = "contiguous"
    in_use = {host} if host else in_use
    machine["memory_size"] = draw(memory_sizes(max(in_use, key=lambda size: PAGE_BYTES[size])))
    return Case(draw(traces(bases=bases, is_threaded=is_threaded, max_length=max_length)), machine, chosen)
