"""The tables that `print(result)` and `runq schedule` show of jobs under policies."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from runq._table import table

if TYPE_CHECKING:
    from runq._schedule import ScheduleResult

__all__ = ["schedule_table", "zoo_table"]

_JOBS_SHOWN = 20


def schedule_table(result: "ScheduleResult") -> str:
    """The jobs, the cpus and the means."""
    count = len(result.arrival_us)
    cpus = f"{result.cpus} cpu{'' if result.cpus == 1 else 's'}"
    head = f"{count:,} jobs under {result.name} on {cpus}: {result.elapsed_us:,.6g} us, {result.events:,} events"
    parts = [head]
    if count <= _JOBS_SHOWN:
        parts.append(_jobs(result))
    parts += [_means(result), _cpus(result), f"Jain's fairness index {result.fairness:.4f}, digest {result.digest}"]
    return "\n\n".join(parts)


def zoo_table(results: "Mapping[str, ScheduleResult]") -> str:
    """One row a policy."""
    header = ("policy", "mean response us", "mean turnaround us", "p99 turnaround us", "switches", "fairness")
    rows = []
    for name, result in results.items():
        done = result.turnaround_us[~np.isnan(result.turnaround_us)]
        tail = float(np.quantile(done, 0.99)) if done.size else float("nan")
        means = [_number(_mean(result.response_us)), _number(_mean(result.turnaround_us)), _number(tail)]
        rows.append([name, *means, f"{int(result.switches.sum()):,}", f"{result.fairness:.4f}"])
    return table(header, rows)


def _jobs(result: "ScheduleResult") -> str:
    header = ("job", "arrival us", "service", "response", "turnaround", "wait", "run", "I/O", "left", "pushed", "moved")
    times = (
        result.arrival_us,
        result.service_us,
        result.response_us,
        result.turnaround_us,
        result.wait_us,
        result.run_us,
    )
    rows = []
    for job in range(len(result.arrival_us)):
        cells = [_number(column[job]) for column in times]
        cells.append(_number(result.blocked_us[job]) if result.blocked_us.any() else "")
        for counts in (result.switches_voluntary, result.switches_involuntary, result.migrations):
            cells.append(f"{counts[job]:,}" if counts.any() else "")
        rows.append([str(job), *cells])
    return table(header, rows)


def _means(result: "ScheduleResult") -> str:
    rows = []
    for name in ("response_us", "turnaround_us", "wait_us"):
        column = getattr(result, name)
        done = column[~np.isnan(column)]
        tail = [float(np.quantile(done, part)) for part in (0.5, 0.99, 1)] if done.size else [float("nan")] * 3
        rows.append([name.removesuffix("_us"), _number(_mean(column)), *[_number(value) for value in tail]])
    return table(("us", "mean", "median", "p99", "max"), rows)


def _cpus(result: "ScheduleResult") -> str:
    rows = [
        [str(cpu), *[_number(column[cpu]) for column in (result.busy_us, result.switching_us, result.idle_us)]]
        for cpu in range(min(result.cpus, _JOBS_SHOWN))
    ]
    header = ("cpu", "busy us", "switching", "idle", "switches")
    return table(header, [[*row, f"{result.switches[cpu]:,}"] for cpu, row in enumerate(rows)])


def _mean(column: Any) -> float:
    done = column[~np.isnan(column)]
    return float(done.mean()) if done.size else float("nan")


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
