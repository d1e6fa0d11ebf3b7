"""Searches beside a comparison: the best size of a pool, and the highest load that a model holds."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from runq._compare import COMPARED, CompareProgress, ModelRow, compare
from runq._compare_limits import doubt
from runq._compare_table import duration_text
from runq._table import table
from runq.errors import ConfigError
from runq.machine import Machine
from runq.models import Model, ThreadPool, labels_of, load_all
from runq.scenario import Scenario

__all__ = ["HighestLoads", "LoadRow", "PoolSizes", "find_threads", "highest_load"]

_SIZES = tuple(1 << power for power in range(11))
# Sizes whose rate and tail are within this of the best are as good.
_EQUAL = 0.02
_UNTIL = re.compile(r"(?P<name>mean|p50|p90|p99|p999|p99\.9)=(?P<value>\d+(?:\.\d+)?)(?P<unit>ns|us|ms|s)")
_UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
# The search for a load ends when it is known to this part.
_STEP = 0.02
_DOUBLINGS_MAX = 20
# A load is held if so many of its requests are answered as they come.
_HELD = 0.97


class PoolSizes(msgspec.Struct, frozen=True, kw_only=True):
    """Pools of several sizes.

    Attributes:
        best: the smallest size that is as good as any.
        pools: a row for each size, smallest first.
    """

    best: int
    pools: tuple[ModelRow, ...]

    def to_json(self) -> str:
        """Everything as one line of JSON."""
        return msgspec.json.encode({"best_threads": self.best, "pools": msgspec.to_builtins(self.pools)}).decode()

    def __str__(self) -> str:
        rows = [
            [
                str(_size(row)),
                f"{row.throughput_per_s:,.0f}",
                duration_text(row.latency_ns["p50"]),
                duration_text(row.latency_ns["p99"]),
                f"{row.peak_memory_bytes / 1e6:,.1f} MB",
                f"{100 * row.cpu_used:.1f} %",
            ]
            for row in self.pools
            if row.latency_ns
        ]
        text = table(("threads", "throughput/s", "p50", "p99", "memory", "cpu used"), rows)
        return f"{text}\n\n{self.best} threads are enough: more do not raise throughput or lower the p99 by 2 %."


class LoadRow(msgspec.Struct, frozen=True, kw_only=True):
    """The highest load that a model holds: requests a second, what limited it, and what it came to there."""

    model: str
    rate_per_s: float
    limited_by: str
    at: ModelRow | None


class HighestLoads(msgspec.Struct, frozen=True, kw_only=True):
    """The highest load that each model holds with a quantile below a limit.

    Attributes:
        until: the limit.
        loads: a row for each model.
        doubts: why they may be other loads: a quantile that rests on too few answers.
    """

    until: str
    loads: tuple[LoadRow, ...]
    doubts: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Everything as one line of JSON."""
        return msgspec.json.encode(self).decode()

    def __str__(self) -> str:
        rows = [
            [
                row.model,
                f"{row.rate_per_s:,.0f}",
                duration_text(row.at.latency_ns["p99"]) if row.at else "-",
                f"{100 * row.at.cpu_used:.1f} %" if row.at else "-",
                row.limited_by,
            ]
            for row in self.loads
        ]
        text = table(("model", f"highest load/s with {self.until}", "p99", "cpu used", "limited by"), rows)
        return "\n\n".join([text, *self.doubts])


def find_threads(
    machine: Machine,
    scenario: Scenario,
    *,
    repeat: int = 3,
    seed: int = 1,
    progress: CompareProgress | None = None,
) -> PoolSizes:
    """The best size of a thread pool: powers of two first, then between the two around the best.

    Args:
        machine: on which machine.
        scenario: what is run.
        repeat: how often each size is run.
        seed: the first seed.
        progress: called with how many of the runs of a round are done.
    """
    known: dict[int, ModelRow] = {}

    def run(sizes: Sequence[int]) -> None:
        new = [size for size in sizes if size not in known]
        if new:
            pools = [ThreadPool(size) for size in new]
            rows = compare(machine, scenario, pools, repeat=repeat, seed=seed, progress=progress).models
            known.update(zip(new, rows, strict=True))

    run(_SIZES)
    best = _best(known)
    step = best // 4
    while step >= 1:
        run([size for size in (best - step, best + step) if size >= 1])
        best = _best(known)
        step //= 2
    return PoolSizes(best=best, pools=tuple(known[size] for size in sorted(known)))


def _best(known: Mapping[int, ModelRow]) -> int:
    """The smallest size whose rate and tail nobody betters."""
    rows = {size: row for size, row in known.items() if row.latency_ns}
    if not rows:
        return min(known)
    rate = max(row.throughput_per_s for row in rows.values())
    able = {size: row for size, row in rows.items() if row.throughput_per_s >= (1 - _EQUAL) * rate}
    tail = min(row.latency_ns["p99"] for row in able.values())
    return min(size for size, row in able.items() if row.latency_ns["p99"] <= (1 + _EQUAL) * tail)


def _size(row: ModelRow) -> int:
    return int(row.model.partition(":")[2])


def highest_load(
    machine: Machine,
    scenario: Scenario,
    models: Sequence[Model | str | Mapping[str, Any]] | None = None,
    *,
    until: str,
    seed: int = 1,
    progress: CompareProgress | None = None,
) -> HighestLoads:
    """The highest load under which a quantile stays below a limit, for each model.

    Args:
        machine: on which machine.
        scenario: what is run; the rates of its loads are scaled together.
        models: as for `compare`.
        until: the limit, as `p99=50ms`.
        seed: of all runs.
        progress: called with how many models are done.

    Raises:
        ConfigError: the limit is not written so, or no load of the scenario has a rate.
    """
    match = _UNTIL.fullmatch(until.replace(" ", ""))
    if match is None:
        raise ConfigError("until", "must be a quantile and a time, as p99=50ms", repr(until))
    name = match["name"].replace("99.9", "999")
    limit = float(match["value"]) * _UNITS[match["unit"]]
    base = _rate(scenario.to_dict())
    if base <= 0:
        raise ConfigError("until", "must be for a scenario that serves requests at a rate", repr(scenario.name))
    asked = load_all(COMPARED if models is None else models)
    rows = []
    for done, (label, model) in enumerate(zip(labels_of(asked), asked, strict=True)):
        if progress is not None:
            progress(done, len(asked))

        def run(factor: float, model: Model = model) -> ModelRow:
            scaled = Scenario.from_dict(_scaled(scenario.to_dict(), factor))
            return compare(machine, scaled, [model], repeat=1, seed=seed).models[0]

        rows.append(_search(label, base, run, name, limit))
    few = doubt(name, {row.model: row.at.completed for row in rows if row.at is not None})
    return HighestLoads(until=until, loads=tuple(rows), doubts=(few,) if few else ())


def _search(label: str, base: float, run: Callable[[float], ModelRow], name: str, limit: float) -> LoadRow:
    """Doubles or halves the load until it is bracketed, then halves the bracket."""
    why = ""

    def holds(factor: float, row: ModelRow) -> bool:
        nonlocal why
        if not row.latency_ns or row.refused:
            why = row.notes[0] if row.notes else "nothing came to its end"
        elif row.latency_ns[name] > limit:
            why = f"{name} {duration_text(row.latency_ns[name])}"
        elif row.throughput_per_s < _HELD * base * factor and row.cpu_used > _HELD:
            why = "cpus are full"
        else:
            return True
        return False

    factor, found = 1.0, run(1.0)
    low: tuple[float, ModelRow] | None = None
    high: float | None = None
    for _ in range(_DOUBLINGS_MAX):
        if holds(factor, found):
            low = (factor, found)
            if high is not None:
                break
            factor *= 2
        else:
            high = factor
            if low is not None:
                break
            factor /= 2
        found = run(factor)
    if low is None:
        return LoadRow(model=label, rate_per_s=0.0, limited_by=why, at=None)
    while high is not None and high / low[0] > 1 + _STEP:
        factor = (low[0] * high) ** 0.5
        found = run(factor)
        if holds(factor, found):
            low = (factor, found)
        else:
            high = factor
    return LoadRow(model=label, rate_per_s=base * low[0], limited_by=why or "nothing that was tried", at=low[1])


def _rate(tree: Any) -> float:
    """Requests a second of all loads."""
    if isinstance(tree, Mapping):
        own = 0.0
        if tree.get("op") == "serve":
            for kind, load in tree["load"]["arrivals"].items():
                if kind in ("poisson", "constant"):
                    own += load["rate_per_s"]
                elif kind == "bursts":
                    weights = load["mean_ns"]
                    own += sum(r * w for r, w in zip(load["rates_per_s"], weights, strict=True)) / sum(weights)
        return own + sum(_rate(value) for value in tree.values())
    return sum(_rate(value) for value in tree) if isinstance(tree, (list, tuple)) else 0.0


def _scaled(tree: Any, factor: float) -> Any:
    """A scenario with all rates times a factor."""
    if isinstance(tree, Mapping):
        changed = {key: _scaled(value, factor) for key, value in tree.items()}
        if "rate_per_s" in changed:
            changed["rate_per_s"] *= factor
        if "rates_per_s" in changed:
            changed["rates_per_s"] = [rate * factor for rate in changed["rates_per_s"]]
        return changed
    return [_scaled(value, factor) for value in tree] if isinstance(tree, (list, tuple)) else tree
