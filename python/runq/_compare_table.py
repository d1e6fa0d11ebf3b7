"""What a comparison looks like: as text, and as HTML."""

from html import escape
from typing import TYPE_CHECKING

from runq._table import html_table, table

if TYPE_CHECKING:
    from runq._compare import Comparison, ModelRow

__all__ = ["comparison_html", "comparison_text", "duration_text", "percents"]

_HEADER = (
    "model",
    "throughput/s",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "memory",
    "threads",
    "switches",
    "pollution",
    "cpu used",
)
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))


def comparison_text(comparison: "Comparison") -> str:
    """The table, the ledgers, and the verdict."""
    rows = [_cells(row) for row in comparison.models]
    accounts = [
        account
        for account in next((list(row.ledger) for row in comparison.models if row.ledger), [])
        if any(row.ledger.get(account, 0.0) >= 0.05 for row in comparison.models)
    ]
    ledgers = []
    for row in comparison.models:
        shares = percents(row.ledger)
        rest = sum(share for account, share in shares.items() if account not in accounts)
        ledgers.append([row.model, *(f"{shares.get(account, 0.0):.1f}" for account in accounts), f"{rest:.1f}"])
    has_rest = any(line[-1] != "0.0" for line in ledgers)
    header = ["where time goes, %", *accounts, "other"]
    if not has_rest:
        header, ledgers = header[:-1], [line[:-1] for line in ledgers]
    parts = [_headline(comparison), table(_HEADER, rows), table(header, ledgers)]
    if notes := _notes(comparison):
        parts.append("\n".join(notes))
    parts.append("\n".join(comparison.verdict))
    return "\n\n".join(parts)


def comparison_html(comparison: "Comparison") -> str:
    """The table for a notebook."""
    cells = [_cells(row) for row in comparison.models]
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in [*_notes(comparison), *comparison.verdict])
    return html_table(_headline(comparison), _HEADER, cells) + sentences


def _notes(comparison: "Comparison") -> list[str]:
    return [f"{row.model}: {note}" for row in comparison.models for note in row.notes]


def percents(ledger: dict[str, float]) -> dict[str, float]:
    """Percentages with one digit whose sum is still 100: the largest remainders are rounded up."""
    tenths = {account: int(share * 10) for account, share in ledger.items()}
    missing = round(sum(ledger.values()) * 10) - sum(tenths.values())
    by_rest = sorted(ledger, key=lambda account: tenths[account] - ledger[account] * 10)
    for account in by_rest[:missing]:
        tenths[account] += 1
    return {account: count / 10 for account, count in tenths.items()}


def duration_text(nanos: float) -> str:
    """A time with three digits and the unit that fits."""
    for size, unit in _UNITS:
        if nanos >= size:
            value = nanos / size
            digits = 0 if value >= 100 else 1 if value >= 10 else 2
            return f"{value:.{digits}f} {unit}"
    return "0 ns"


def _headline(comparison: "Comparison") -> str:
    times = "once" if comparison.repeat == 1 else f"{comparison.repeat} times"
    cpus = "1 cpu" if comparison.cpus == 1 else f"{comparison.cpus} cpus"
    return f"{comparison.scenario} on {comparison.machine} with {cpus}, {times} under each model"


def _cells(row: "ModelRow") -> list[str]:
    polluted = "" if row.pollution_misses is None else f"{row.pollution_misses:,.0f}"
    return [
        row.model,
        _with_width(row.throughput_per_s, row.throughput_half_width),
        *(_latency(row, name) for name in ("p50", "p90", "p99", "p999")),
        f"{row.peak_memory_bytes / 1e6:,.1f} MB",
        f"{row.threads:,}",
        f"{row.switches:,.0f}",
        polluted,
        f"{100 * row.cpu_used:.1f} %",
    ]


def _with_width(value: float, half_width: float | None) -> str:
    text = f"{value:,.0f}"
    if half_width is None or not value:
        return text
    return f"{text} ±{100 * half_width / value:.0f}%"


def _latency(row: "ModelRow", name: str) -> str:
    if name not in row.latency_ns:
        return "-"
    value = row.latency_ns[name]
    width = row.latency_half_width_ns.get(name)
    text = duration_text(value)
    return text if width is None or not value else f"{text} ±{100 * width / value:.0f}%"
