"""The tables that `print(result)` and `runq ps` show of a simulation."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from runq._table import table

if TYPE_CHECKING:
    from runq.kernel import Process
    from runq.simulate_result import SimulateResult

__all__ = ["ledger_table", "outcome_parts", "process_table", "simulate_table", "time_text"]

_FORKS_SHOWN = 10
_LINES_SHOWN = 20


def simulate_table(result: "SimulateResult") -> str:
    """What happened, how long it took, and where the time went."""
    parts = [_headline(result), *outcome_parts(result.outcome), *_measures(result), *_forks(result), *_faults(result)]
    parts += [*_dependencies(result), *_scheduling(result), *_misses(result), *_shared(result), *_log(result)]
    return "\n\n".join([*parts, *_notes(result), ledger_table(result.ledger), _footer(result)])


def time_text(nanoseconds: float | None) -> str:
    """A time in the unit that suits it."""
    if nanoseconds is None:
        return "-"
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= scale:
            return f"{nanoseconds / scale:.3f} {unit}"
    return f"{nanoseconds:.3g} ns"


def process_table(processes: "Sequence[Process]") -> str:
    """One row a process, each under its parent."""
    header = (
        "pid",
        "name",
        "parent",
        "state",
        "resident",
        "virtual",
        "page tables",
        "faults",
        "forks",
        "cpu time",
        "end",
    )
    rows = []
    for depth, process in _tree(processes):
        rows.append(
            [
                f"{'  ' * depth}{process.pid}",
                process.name,
                str(process.parent),
                process.state,
                _pages(process.resident_pages),
                _pages(process.virtual_pages),
                f"{process.vm_pte_bytes // 1024:,} KiB" if process.vm_pte_bytes else "",
                f"{sum(process.faults.values()):,}",
                f"{process.forks:,}" if process.forks else "",
                time_text(process.cpu_ns),
                process.end or "",
            ]
        )
    return table(header, rows)


def _tree(processes: "Sequence[Process]") -> "Iterable[tuple[int, Process]]":
    """Processes with their depth, children behind their parent."""
    by_parent: dict[int, list[Process]] = {}
    pids = {process.pid for process in processes}
    for process in processes:
        is_root = process.parent == process.pid or process.parent not in pids
        by_parent.setdefault(0 if is_root else process.parent, []).append(process)
    stack = [(0, process) for process in reversed(by_parent.get(0, []))]
    while stack:
        depth, process = stack.pop()
        yield depth, process
        stack += [(depth + 1, child) for child in reversed(by_parent.get(process.pid, []))]


def _shared(result: "SimulateResult") -> list[str]:
    parts = []
    if result.variables:
        rows = [[name, f"{value:,}"] for name, value in result.variables.items()]
        parts.append(table(("variable", "at the end"), rows))
    if result.races is not None:
        lines = [f"races: {result.races.pairs:,}"]
        for race in result.races.told:
            lines.append(f"{race.variable}, {race.count:,} time{'s' if race.count != 1 else ''}")
            lines += [f"    {race.first}", f"    {race.second}"]
        parts.append("\n".join(lines))
    return parts


def _headline(result: "SimulateResult") -> str:
    count = len(result.processes) - 1
    processes = f"{count:,} process{'es' if count != 1 else ''}"
    return f"{result.scenario.name} on {result.config.name}: {processes}, {time_text(result.makespan_ns)}"


def outcome_parts(outcome: Mapping[str, Any]) -> list[str]:
    """What a scenario is about: its numbers, and then each table or list."""
    plain = {key: value for key, value in outcome.items() if not isinstance(value, (dict, list))}
    parts = []
    if plain:
        width = max(map(len, plain))
        parts.append("\n".join(f"{key.replace('_', ' '):<{width}}  {_value(key, plain[key])}" for key in plain))
    for key, value in outcome.items():
        if isinstance(value, Mapping) and value:
            parts.append(_mapping(key, value))
        elif isinstance(value, list):
            parts.append(f"{key.replace('_', ' ')}: {'; '.join(map(_anomaly, value)) or 'none'}")
    return parts


def _notes(result: "SimulateResult") -> list[str]:
    return ["\n".join(result.notes)] if result.notes else []


def _mapping(key: str, value: Mapping[str, Any]) -> str:
    first = next(iter(value.values()))
    if not isinstance(first, Mapping):
        return "\n".join(f"{name}: {text}" for name, text in value.items())
    rows = [[name, *(f"{number:,}" for number in row.values())] for name, row in value.items()]
    return table((f"{key} by frames", *map(str, first)), rows)


def _anomaly(row: Any) -> str:
    return f"{row['policy']} from {row['frames'][0]} to {row['frames'][1]} frames" if "policy" in row else str(row)


def _value(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "_ns" in key:
        return time_text(value)
    if isinstance(value, float):
        return f"{100 * value:.2f} %" if key.endswith("_share") else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _measures(result: "SimulateResult") -> list[str]:
    rows = [
        [name, f"{row.count:,}", *map(time_text, (row.mean_ns, row.min_ns, row.median_ns, row.p99_ns, row.max_ns))]
        for name, row in result.measures.items()
    ]
    return [table(("measure", "count", "mean", "min", "median", "p99", "max"), rows)] if rows else []


def _forks(result: "SimulateResult") -> list[str]:
    header = ("fork at", "parent", "child", "time", "clean", "dirtied", "scattered", "huge", "tables", "shared tables")
    rows = [
        [
            time_text(fork.at_ns),
            str(fork.pid),
            str(fork.child),
            time_text(fork.time_ns),
            *(
                _some(count)
                for count in (fork.clean, fork.dirtied, fork.scattered, fork.huge_clean + fork.huge_dirtied)
            ),
            _some(fork.tables),
            _some(fork.shared_tables),
        ]
        for fork in result.forks[:_FORKS_SHOWN]
    ]
    more = len(result.forks) - len(rows)
    return [table(header, rows) + (f"\n... and {more:,} more" if more else "")] if rows else []


def _faults(result: "SimulateResult") -> list[str]:
    rows = [[kind.replace("_", " "), f"{count:,}"] for kind, count in result.faults.items() if count]
    return [table(("fault", "count"), rows)] if rows else []


def _scheduling(result: "SimulateResult") -> list[str]:
    row = result.scheduling
    if not row.switches:
        return []
    latency = ", ".join(f"{name} {time_text(getattr(row.latency, f'{name}_ns'))}" for name in ("p50", "p99", "max"))
    return [
        f"{row.switches:,} switches ({row.switches_involuntary:,} involuntary, {row.space_switches:,} to another "
        f"address space, {row.tlb_flushes:,} with a flush), {row.migrations:,} migrations, {row.ticks:,} ticks\n"
        f"wait for a cpu: {latency}; fairness {row.fairness:.4f}"
    ]


def _dependencies(result: "SimulateResult") -> list[str]:
    header = ("calls to", "calls", "failed", "attempts", "timeouts", "refused", "p50", "p99", "used")
    rows = []
    for name, row in result.dependencies.items():
        counts = (row.calls, row.failed, row.attempts, row.timeouts, row.refused)
        times = (time_text(row.latency.p50_ns), time_text(row.latency.p99_ns))
        rows.append((name, *(f"{count:,}" for count in counts), *times, f"{100 * row.utilization:.1f} %"))
    return [table(header, rows)] if rows else []


def _misses(result: "SimulateResult") -> list[str]:
    misses = result.misses
    if misses is None:
        return []
    header = ("misses", *misses.by_level, "stall")
    rows = []
    for cause, stall in misses.stall_ns_by_cause.items():
        if counts := [level[cause] for level in misses.by_level.values()]:
            rows.append([cause, *map(_some, counts), time_text(stall) if stall else ""])
    return [table(header, rows)]


def _log(result: "SimulateResult") -> list[str]:
    said = [list(lines) for _, lines in groupby(result.log, key=lambda line: line.text)]
    lines = [
        f"{time_text(same[0].at_ns)}  {same[0].text}" + (f" ({len(same):,} times)" if len(same) > 1 else "")
        for same in said[:_LINES_SHOWN]
    ]
    more = sum(map(len, said[_LINES_SHOWN:]))
    return ["\n".join([*lines, *([f"... and {more:,} more"] if more else [])])] if lines else []


def ledger_table(ledger: Mapping[str, float]) -> str:
    """What all time went to."""
    total = sum(ledger.values())
    rows = [[account, time_text(time), f"{100 * time / total:.2f} %"] for account, time in ledger.items() if time]
    return table(("time went to", "time", "share"), rows)


def _footer(result: "SimulateResult") -> str:
    memory = result.memory
    return (
        f"{_pages(-(-memory.peak_bytes // 4096))} of {_pages(memory.frames_total)} of memory at the peak\n"
        f"digest {result.digest}, seed {result.seed}, simulated in {result.simulate_seconds:.2f} s"
    )


def _pages(count: int) -> str:
    for unit, shift in (("GiB", 18), ("MiB", 8)):
        if count >> shift:
            return f"{count / (1 << shift):,.1f} {unit}"
    return f"{4 * count:,} KiB"


def _some(count: int) -> str:
    return f"{count:,}" if count else ""
