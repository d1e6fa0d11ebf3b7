"""What a result says of itself in words: calls that stop a loop, starvation, overload, more memory than there is.

Only what counts and quantiles show is told; where a task was at a time, `result.where` tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runq._simulate_table import time_text

if TYPE_CHECKING:
    from runq.scenario import Scenario
    from runq.simulate_parts import Load, Memory, Runtime
    from runq.simulate_result import SimulateResult

__all__ = ["notes_of", "rates_of"]

# A wait for a worker is starvation if it is this long, and as many times the median.
_STARVED_NS = 100e6
_STARVED_TIMES = 100

# Or tasks never had one, while those that had kept it for as long as this in the mean.
_KEPT_NS = 10e6

# A pool has a thread for each task that runs, and the kernel makes those give way.
_POOL = "thread-pool"

# Where a program's first thread is a task, which has a worker from the beginning.
_MAIN_IS_TASK = ("go", "event-loop", "event-loop-per-cpu")

# Loads shorter than that say little about what comes after.
_REQUESTS_MIN = 100

# A page frame.
_FRAME_BYTES = 4096

# Answers lag behind by this part of the time in which requests come, and the mean request waits for a part of that.
_LAG = 0.1
_WAITED = (0.25, 0.8)


def notes_of(result: "SimulateResult", rates: Sequence[float | None]) -> list[str]:
    """Sentences without a full stop, none if nothing stands out. `rates` of loads, without which less can be told."""
    overload, memory = _overload(result.loads, rates), _memory(result.memory)
    if result.runtime is None or result.runtime.model == _POOL:
        return [*overload, *memory]
    stopped = _stopped(result.runtime)
    # Who waits under overload need not starve.
    is_known = len(rates) == len(result.loads)
    starved = _starved(result, result.runtime) if is_known and not stopped and not overload else []
    return [*stopped, *overload, *starved, *memory]


def rates_of(scenario: "Scenario") -> list[float | None]:
    """Requests a second of each load, if it has a rate."""
    return [_rate(op) for process in scenario.processes for op in _serves(process.program)]


def _stopped(runtime: "Runtime") -> list[str]:
    if not runtime.blocking_calls or runtime.hand_offs:
        return []
    calls = "1 blocking call" if runtime.blocking_calls == 1 else f"{runtime.blocking_calls:,} blocking calls"
    if runtime.workers == 1:
        return [f"{calls} stopped everybody: there is one thread for all tasks"]
    return [f"{calls} each kept one of {runtime.workers:,} threads from all other tasks"]


def _starved(result: "SimulateResult", runtime: "Runtime") -> list[str]:
    waits = runtime.latency
    if runtime.preemptions:
        return []
    longest_ns = max(waits.max_ns, runtime.late_max_ns)
    if longest_ns >= max(_STARVED_NS, _STARVED_TIMES * waits.p50_ns):
        longest, median = time_text(longest_ns), time_text(waits.p50_ns)
        return [f"starvation: a task that could run waited {longest} (median {median}), since others did not give way"]
    ran = waits.count + (runtime.model in _MAIN_IS_TASK)
    never = runtime.tasks - runtime.tasks_refused - ran
    busy = sum(time for account, time in result.ledger.items() if account != "idle")
    if never > 0 and busy >= _KEPT_NS * ran:
        return [f"starvation: {never:,} of {runtime.tasks:,} tasks never ran, since others did not give way"]
    return []


def _memory(memory: "Memory") -> list[str]:
    total = _FRAME_BYTES * memory.frames_total
    if memory.peak_bytes <= total:
        return []
    return [f"memory: {memory.peak_bytes / 1e6:,.1f} MB were in use, and the machine has {total / 1e6:,.1f} MB"]


def _overload(loads: Sequence["Load"], rates: Sequence[float | None]) -> list[str]:
    notes = []
    for index, load in enumerate(loads):
        if load.refused:
            notes.append(f"overload: {load.refused:,} of {load.arrived:,} requests found no room")
        elif len(rates) == len(loads) and (rate := rates[index]) and _lags(load, rate):
            notes.append(f"overload: requests come at {rate:,.0f}/s and are answered at {load.throughput_per_s:,.0f}/s")
    return notes


def _lags(load: "Load", rate_per_s: float) -> bool:
    """Whether answers fall back behind arrivals, other than by the time that any request takes."""
    if load.completed < _REQUESTS_MIN or not load.throughput_per_s:
        return False
    arriving_ns = 1e9 * load.arrived / rate_per_s
    lag_ns = 1e9 * load.completed / load.throughput_per_s - arriving_ns
    low, high = _WAITED
    return lag_ns >= _LAG * arriving_ns and low * lag_ns <= load.latency.mean_ns <= high * lag_ns


def _serves(program: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    for op in program:
        if op.get("op") == "serve":
            yield op
        for key in ("body", "child"):
            yield from _serves(op.get(key, ()))


def _rate(op: Mapping[str, Any]) -> float | None:
    arrivals = op["load"].get("arrivals", {})
    for kind in ("poisson", "constant"):
        if kind in arrivals:
            return float(arrivals[kind]["rate_per_s"])
    return None
