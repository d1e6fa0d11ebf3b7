"""The table that `print(result)` shows."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runq.machine import Machine
    from runq.result import Group, Lookups, ReplayResult
    from runq.trace import Summary

__all__ = ["html_table", "replay_table", "summary_table", "table"]


def replay_table(result: "ReplayResult") -> str:
    """Where the accesses went and what they cost."""
    parts = [
        _headline(result),
        *_levels(result),
        *_tlbs(result),
        *_page_walk(result),
        *_coherence(result),
        *_groups(result),
    ]
    return "\n\n".join([*parts, _cycles(result)])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns, the first to the left and the others to the right; columns without content are left out."""
    used = [index for index in range(len(header)) if any(row[index] for row in rows)]
    lines = [[line[index] for index in used] for line in (header, *rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(used))]
    aligned = (
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return "\n".join(line.rstrip() for line in aligned)


def html_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same for notebooks."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _headline(result: "ReplayResult") -> str:
    trace = result.trace
    kind = ", ".join(word for word in (trace.format, trace.compression) if word and word != "none")
    line = f"{trace.name}{f' ({kind})' if kind else ''} on {result.config.name}: {result.accesses:,} references"
    if result.ignored_fetches:
        line += f"; {result.ignored_fetches:,} instruction fetches left out, since the machine takes data alone"
    return line


def _levels(result: "ReplayResult") -> list[str]:
    if not result.levels:
        return []
    costs = _costs(result)
    rows = []
    for name, level in result.levels.items():
        rows.append(
            [
                name,
                f"{level.reads:,}",
                f"{level.writes:,}",
                f"{level.misses:,}",
                _percent(level.misses, level.accesses),
                f"{1000 * level.misses / max(result.accesses, 1):.2f}",
                f"{level.write_backs:,}",
                _some(level.prefetches_issued),
                _some(level.prefetches_useful),
                _percent(level.hits, result.accesses) if costs else "",
                f"{costs[name]:,}" if costs else "",
            ]
        )
    for name in list(costs)[len(rows) :]:
        served = _percent(_from_memory(result), result.accesses) if name == "memory" else ""
        rows.append([name, *[""] * 8, served, f"{costs[name]:,}"])
    header = ("cache", "reads", "writes", "misses", "miss ratio", "MPKA", "write-backs", "prefetched", "useful")
    return [table((*header, "served", "latency cycles"), rows)]


def _costs(result: "ReplayResult") -> dict[str, int]:
    """The latency sum by the place that served; empty if stores are sent on, which hits in outer levels do not tell."""
    machine = result.config
    if any(cache.write_policy != "write-back" or not cache.write_allocate for cache in machine.caches):
        return {}
    costs = {
        cache.name: level.hits * (cache.latency_cycles or 0)
        for cache, level in zip(machine.caches, result.levels.values(), strict=True)
    }
    coherence = (result.coherence.transfers + result.coherence.upgrades) * machine.transfer_cycles
    costs["memory"] = _from_memory(result) * machine.memory_latency_cycles
    if coherence:
        costs["other cpus"] = coherence
    if result.page_walk:
        costs["page walks"] = result.page_walk.walk_cycles
    rest = result.latency_cycles - sum(costs.values())
    if rest:
        late = any(cache.prefetcher != "none" for cache in machine.caches)
        sources = [*(["translation"] if result.tlbs else []), *(["late prefetches"] if late else [])]
        costs[", ".join(sources) or "rest"] = rest
    return costs


def _from_memory(result: "ReplayResult") -> int:
    """References that memory served: misses of the last cache of each path that no other cpu served."""
    last = {_last_of_path(result.config, ("data", "unified")), _last_of_path(result.config, ("instruction", "unified"))}
    levels = list(result.levels.values())
    misses = sum(levels[index].misses for index in last if index is not None)
    is_private = any(not result.config.caches[index].shared for index in last if index is not None)
    return misses - (result.coherence.transfers if is_private else 0)


def _last_of_path(machine: "Machine", kinds: tuple[str, str]) -> int | None:
    return max((index for index, cache in enumerate(machine.caches) if cache.kind in kinds), default=None)


def _tlbs(result: "ReplayResult") -> list[str]:
    if not result.tlbs:
        return []
    rows = [
        [
            name,
            f"{tlb.lookups:,}",
            f"{tlb.misses:,}",
            _percent(tlb.misses, tlb.lookups),
            f"{1000 * tlb.misses / max(result.accesses, 1):.2f}",
        ]
        for name, tlb in result.tlbs.items()
    ]
    rows.append(["page walks", f"{result.page_walks:,}", "", "", ""])
    return [table(("TLB", "lookups", "misses", "miss ratio", "MPKA"), rows)]


def _page_walk(result: "ReplayResult") -> list[str]:
    """What the walks read, what spared them reads, and what served the rest."""
    walk = result.page_walk
    if walk is None or not walk.walks:
        return []
    rows = [
        *_table_levels("level", walk.reads_by_level, walk.structure_caches),
        *_table_levels("host level", walk.host_reads_by_level, walk.host_structure_caches),
    ]
    if walk.nested_tlb.lookups:
        rows.append(["nested TLB", "", *_lookups(walk.nested_tlb)])
    served = walk.reads_served | {"memory": walk.reads_from_memory, "other cpus": walk.reads_from_other_cpus}
    places = ", ".join(f"{_percent(reads, walk.reads)} from {name}" for name, reads in served.items() if reads)
    line = (
        f"page walks: {walk.reads / walk.walks:.2f} reads and {walk.walk_cycles / walk.walks:.1f} cycles a walk; "
        f"reads {places}"
    )
    return [f"{table(('page tables', 'reads', 'lookups', 'hit ratio'), rows)}\n{line}"]


def _table_levels(title: str, reads: dict[int, int], caches: "dict[int, Lookups]") -> list[list[str]]:
    return [
        [f"{title} {level}", f"{count:,}", *(_lookups(caches[level]) if level in caches else ("", ""))]
        for level, count in reads.items()
    ]


def _lookups(counts: "Lookups") -> tuple[str, str]:
    return f"{counts.lookups:,}", _percent(counts.hits, counts.lookups)


def _coherence(result: "ReplayResult") -> list[str]:
    counts = result.coherence
    if result.config.cpus == 1:
        return []
    return [
        f"coherence: {counts.invalidations:,} invalidations, {counts.transfers:,} transfers, "
        f"{counts.upgrades:,} upgrades, {counts.true_sharing_misses:,} true and "
        f"{counts.false_sharing_misses:,} false sharing misses"
    ]


def _groups(result: "ReplayResult") -> list[str]:
    groups: list[tuple[str, dict[str, Group]]] = [
        ("thread", {str(thread): group for thread, group in result.by_thread.items()}),
        ("region", result.by_region),
        ("instruction", {f"{ip:#x}": group for ip, group in result.by_ip.items()}),
    ]
    return [_group_table(title, named) for title, named in groups if named]


def _group_table(title: str, named: "dict[str, Group]") -> str:
    levels = list(next(iter(named.values())).misses)
    header = (title, "references", "reads", "writes", "fetches", *(f"{name} misses" for name in levels), "page walks")
    rows = [
        [
            key,
            f"{group.references:,}",
            f"{group.reads:,}",
            f"{group.writes:,}",
            _some(group.fetches),
            *(f"{misses:,}" for misses in group.misses.values()),
            _some(group.page_walks),
            f"{group.latency_cycles:,}",
        ]
        for key, group in named.items()
    ]
    return table((*header, "latency cycles"), rows)


def _cycles(result: "ReplayResult") -> str:
    machine = result.config
    each = result.cycles / max(result.accesses, 1)
    overlap = "dependent" if result.options.dependent else f"overlap {machine.mlp}"
    rate = f" ({result.accesses / result.simulate_seconds / 1e6:,.1f} M/s)" if result.simulate_seconds > 0 else ""
    return (
        f"{result.cycles:,} cycles, {each:.2f} a reference, {overlap}: {_time(result.time_ns)} "
        f"at {machine.frequency_mhz:,} MHz\n"
        f"digest {result.digest}, seed {result.seed}, engine {result.engine}, "
        f"simulated in {result.simulate_seconds:.2f} s{rate}"
    )


def _time(nanoseconds: float) -> str:
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= scale:
            return f"{nanoseconds / scale:.3f} {unit}"
    return f"{nanoseconds:.0f} ns"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


def _some(count: int) -> str:
    return f"{count:,}" if count else ""


def summary_table(summary: "Summary") -> str:
    """What is in a trace."""
    at_least = "at least " if summary.pages_is_lower_bound else ""
    kind = ", ".join(word for word in (summary.format, summary.compression) if word and word != "none")
    rows = [
        ["format", kind or "array"],
        ["columns", ", ".join(["address", *summary.columns])],
        ["accesses", f"{summary.accesses:,}"],
        ["  reads", f"{summary.reads:,}"],
        ["  writes", f"{summary.writes:,}"],
        ["  fetches", f"{summary.fetches:,}"],
        ["threads", f"{'at least ' if summary.threads_is_lower_bound else ''}{summary.threads:,}"],
        ["64-byte lines", f"{at_least}{summary.lines:,} ({_size(64 * summary.lines)})"],
        ["4 KiB pages", f"{at_least}{summary.pages:,} ({_size(4096 * summary.pages)})"],
        ["lowest address", _address(summary.lowest_address)],
        ["highest address", _address(summary.highest_address)],
        ["bytes accessed", f"{summary.bytes:,}"],
        ["line crossings", f"{summary.line_crossings:,}"],
    ]
    for size, count in sorted(summary.sizes.items(), key=lambda item: -item[1])[:8]:
        rows.append([f"  of size {size}", f"{count:,} ({_percent(count, summary.accesses)})"])
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _address(address: int | None) -> str:
    return "-" if address is None else f"{address:#x}"


def _size(count: int) -> str:
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >> shift:
            return f"{count / (1 << shift):.1f} {unit}"
    return f"{count} B"
