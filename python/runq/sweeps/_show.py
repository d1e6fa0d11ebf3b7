"""What printing the table of a sweep shows, and a notebook: its first rows, and of its metrics those that differ."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from runq._table import html_table, table

if TYPE_CHECKING:
    from runq.sweeps._table import SweepTable

__all__ = ["sweep_html", "sweep_text"]

_ROWS = 20
_METRICS = 8


def sweep_text(rows: SweepTable) -> str:
    """The table as text."""
    header, cells, summary = _cells(rows)
    return f"{table(header, cells)}\n\n{summary}"


def sweep_html(rows: SweepTable) -> str:
    """The table for a notebook."""
    header, cells, summary = _cells(rows)
    return html_table(summary, header, cells)


def _cells(rows: SweepTable) -> tuple[list[str], list[list[str]], str]:
    """Names, cells, and how much there is in all."""
    shown = [dict(zip(rows.columns, row, strict=True)) for row in itertools.islice(rows.rows(), _ROWS)]
    metrics = [name for name in rows.metrics if name != "digest"]
    telling = [name for name in metrics if any(row[name] != shown[0][name] for row in shown)] or metrics
    head = [name for name in ("replicate", "error") if any(row[name] for row in shown)]
    names = [*rows.axes, *head, *telling[:_METRICS]]
    summary = f"{len(rows):,} rows, {rows.count('failed'):,} failed; {len(rows.metrics):,} metrics"
    return names, [[_text(row[name]) for name in names] for row in shown], summary


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
