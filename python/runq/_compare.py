"""The same work under each execution model, side by side: `runq.compare`."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from typing import Any, NamedTuple

import msgspec

from runq import _core
from runq._compare_limits import Limit, limits_of
from runq.errors import ConfigError, SimulationError
from runq.machine import Machine
from runq.models import Model, labels_of, load_all
from runq.replay import load_machine
from runq.scenario import Scenario
from runq.simulate import load_scenario, scenario_name, simulate, with_model
from runq.simulate_parts import Latency
from runq.simulate_result import SimulateResult
from runq.sweeps import Interval, interval

__all__ = ["COMPARED", "Comparison", "ModelRow", "chosen_machine", "compare", "compared_scenario", "row_of"]

# What is compared if nothing else is said.
COMPARED = (
    "process-per-task",
    "thread-per-task",
    "thread-pool",
    "event-loop",
    "event-loop-per-cpu",
    "go",
    "tokio",
    "java",
)

# On which machine, with how many cpus.
_MACHINE = "sapphire-rapids"
_CPUS = 8

_QUANTILES = ("p50", "p90", "p99", "p999")

# Called with how many of all runs are done.
CompareProgress = Callable[[int, int], object]


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the work came to under one model: means over repeats, and half the widths of their 95 % intervals.

    Attributes:
        model: its label.
        throughput_per_s: answers to requests a second; of work without requests, tasks a second.
        throughput_half_width: half the width of its interval; None of one run.
        latency_ns: mean, p50, p90, p99 and p999, from arrival to answer.
        latency_half_width_ns: half the widths of theirs; empty of one run.
        peak_memory_bytes: the most memory that was in use, over all repeats.
        switches: of threads.
        threads: how many there were at a time.
        pollution_misses: misses that others caused while a thread did not run; None where memory is not simulated.
        cpu_used: the part of all cpus' time that was not idle.
        cpu_ns_per_task: time of cpus that a task took, without idling and spinning.
        ledger: percent of all cpus' time by account; they sum to 100.
        completed: answers, or tasks that ended.
        refused: requests and tasks that found no room.
        notes: what went wrong or was met: limits, deadlocks, and what a run says of itself (`SimulateResult.notes`).
        limits: memory, threads, dependencies and locks: how much of each was in use.
        digests: of each run.
        simulate_seconds: in the simulator, of all runs.
    """

    model: str
    throughput_per_s: float
    throughput_half_width: float | None
    latency_ns: dict[str, float]
    latency_half_width_ns: dict[str, float]
    peak_memory_bytes: int
    switches: float
    threads: int
    pollution_misses: float | None
    cpu_used: float
    cpu_ns_per_task: float
    ledger: dict[str, float]
    completed: int
    refused: int
    notes: tuple[str, ...]
    limits: tuple[Limit, ...]
    digests: tuple[str, ...]
    simulate_seconds: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The models side by side. `print(table)` shows them with the verdict; notebooks show a table.

    Attributes:
        models: a row for each model, in the order in which they were asked for.
        scenario: what was run.
        machine: on which machine.
        cpus: how many cpus it has.
        repeat: how often, each time with another seed.
        seed: the first of them.
    """

    models: tuple[ModelRow, ...]
    scenario: str
    machine: str
    cpus: int
    repeat: int
    seed: int

    def __getitem__(self, model: str) -> ModelRow:
        """The row of a model."""
        for row in self.models:
            if row.model == model:
                return row
        raise KeyError(f"{model!r}: compared were {', '.join(row.model for row in self.models)}")

    @property
    def verdict(self) -> list[str]:
        """Which model wins, by how much, because of what, and from which load on another would."""
        from runq._compare_verdict import verdict

        return verdict(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists and numbers: what `--json` prints."""
        tree: dict[str, Any] = msgspec.to_builtins(self)
        return tree | {"verdict": self.verdict, "version": _core.__version__}

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return msgspec.json.encode(self.to_dict()).decode()

    def to_arrow(self) -> "ComparisonColumns":
        """A table for anything that takes `__arrow_c_stream__`: a row a model, a column a number."""
        return ComparisonColumns(self)

    def __str__(self) -> str:
        from runq._compare_table import comparison_text

        return comparison_text(self)

    def _repr_html_(self) -> str:
        from runq._compare_table import comparison_html

        return comparison_html(self)


class ComparisonColumns:
    """The numbers of a comparison as columns."""

    def __init__(self, comparison: Comparison) -> None:
        self._rows = comparison.models

    def columns(self) -> dict[str, list[Any]]:
        """The columns by name."""
        rows = self._rows
        plain = (
            "model",
            "throughput_per_s",
            "peak_memory_bytes",
            "switches",
            "threads",
            "cpu_used",
            "cpu_ns_per_task",
            "completed",
            "refused",
        )
        columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in plain}
        for quantile in ("mean", *_QUANTILES):
            columns[f"latency_{quantile}_ns"] = [row.latency_ns.get(quantile) for row in rows]
        for account in sorted({account for row in rows for account in row.ledger}):
            columns[f"ledger_{account}"] = [row.ledger.get(account, 0.0) for row in rows]
        return columns

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A column of text for models, and one of numbers for each of the others."""
        return _core.arrow_stream(list(self.columns().items()))


class _Run(NamedTuple):
    """What one run came to."""

    result: SimulateResult | None
    error: str


def compare(
    machine: Machine | str | PathLike[str] | None = None,
    scenario: Scenario | str | PathLike[str] = "web-service",
    models: Sequence[Model | str | Mapping[str, Any]] | None = None,
    *,
    repeat: int = 3,
    seed: int = 1,
    progress: CompareProgress | None = None,
    **parameters: Any,
) -> Comparison:
    """Runs the same work under each model.

    All models see the same requests: random numbers belong to tasks, not to threads.

    Args:
        machine: a `Machine`, the name of one that comes with runq, or the path of a TOML file; by default
            `sapphire-rapids` with 8 cpus.
        scenario: a `Scenario`, the name of one that comes with runq, or the path of a TOML file.
        models: models of `runq.models`, their names, or `name:workers`; by default all that differ in kind.
        repeat: how often each is run, with the seeds `seed`, `seed + 1` and so on.
        seed: the first seed.
        progress: called with how many of all runs are done.
        parameters: those of a scenario that comes with runq.

    Raises:
        ConfigError: scenario, parameters, machine or models break a rule.

    >>> import runq
    >>> table = runq.compare(scenario="sleepers", models=["go", "thread-per-task"], repeat=1, tasks=1000)
    >>> table["go"].peak_memory_bytes < table["thread-per-task"].peak_memory_bytes
    True
    >>> round(sum(table["go"].ledger.values()), 6)
    100.0
    """
    if repeat < 1:
        raise ConfigError("repeat", "must be at least 1", str(repeat))
    chosen = chosen_machine(machine)
    built = compared_scenario(scenario, parameters)
    asked = load_all(COMPARED if models is None else models)
    runs = _all_runs(built, chosen, asked, range(seed, seed + repeat), progress)
    return Comparison(
        models=tuple(map(_row, labels_of(asked), runs)),
        scenario=built.name,
        machine=chosen.name,
        cpus=chosen.cpus,
        repeat=repeat,
        seed=seed,
    )


def chosen_machine(machine: Machine | str | PathLike[str] | None) -> Machine:
    """The machine that was asked for, or the usual one."""
    if machine is not None:
        return load_machine(machine)
    return load_machine(_MACHINE).with_set(f"cpus={_CPUS}")


def compared_scenario(scenario: Scenario | str | PathLike[str], parameters: Mapping[str, Any]) -> Scenario:
    """The scenario that was asked for."""
    name = scenario_name(scenario)
    if name is None:
        if parameters:
            first = next(iter(parameters))
            raise ConfigError(f"scenario.{first}", "must be for a scenario that comes with runq", repr(scenario))
        return load_scenario(scenario)
    from runq import scenarios

    return load_scenario(scenarios.load(name, **parameters))


def _all_runs(
    scenario: Scenario, machine: Machine, models: Sequence[Model], seeds: range, progress: CompareProgress | None
) -> list[list[_Run]]:
    """The runs of each model, all cpus at work."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
    total = len(models) * len(seeds)
    done = 0

    def run(model: Model, seed: int) -> _Run:
        try:
            return _Run(simulate(with_model(scenario, model), machine, seed=seed), "")
        except SimulationError as error:
            return _Run(None, str(error))

    futures: list[list[Future[_Run]]] = [[pool.submit(run, model, seed) for seed in seeds] for model in models]
    try:
        results: list[list[_Run]] = []
        for row in futures:
            results.append([])
            for future in row:
                results[-1].append(future.result())
                done += 1
                if progress is not None:
                    progress(done, total)
        return results
    finally:
        # Runs that have begun cannot be stopped; nobody waits for them.
        pool.shutdown(wait=False, cancel_futures=True)


def _row(label: str, runs: Sequence[_Run]) -> ModelRow:
    errors = list(dict.fromkeys(run.error for run in runs if run.error))
    results = [run.result for run in runs if run.result is not None]
    # What one run says of itself: the numbers of the others differ a little.
    told = next((notes for result in results if (notes := result.notes)), [])
    return row_of(label, results, errors, told, limits_of(results))


def row_of(
    label: str,
    results: Sequence[SimulateResult],
    errors: Sequence[str] = (),
    told: Sequence[str] = (),
    limits: tuple[Limit, ...] = (),
) -> ModelRow:
    """What runs of a model come to, why others failed, what they say of themselves, and what they met."""
    rates = [_throughput(result) for result in results]
    latencies = [_latency(result) for result in results]
    names = ("mean", *_QUANTILES)
    found = {name: interval([getattr(latency, f"{name}_ns") for latency in latencies]) for name in names}
    rate = interval(rates)
    ledger = _ledger(results)
    completed = sum(_completed(result) for result in results)
    busy = sum(time for result in results for account, time in result.ledger.items() if account not in ("idle", "spin"))
    polluted = [result.misses.pollution for result in results if result.misses is not None]
    return ModelRow(
        model=label,
        throughput_per_s=rate.mean if results else 0.0,
        throughput_half_width=_half_width(rate),
        latency_ns={name: each.mean for name, each in found.items()} if results else {},
        latency_half_width_ns={name: each.half_width for name, each in found.items() if each.count > 1},
        peak_memory_bytes=max((result.memory.peak_bytes for result in results), default=0),
        switches=_mean([result.scheduling.switches for result in results]),
        threads=max((result.scheduling.threads_peak for result in results), default=0),
        pollution_misses=_mean(polluted) if polluted else None,
        cpu_used=(100.0 - ledger.get("idle", 100.0)) / 100.0,
        cpu_ns_per_task=busy / completed if completed else 0.0,
        ledger=ledger,
        completed=completed,
        refused=sum(_refused(result) for result in results),
        notes=(*errors, *dict.fromkeys(note for result in results for note in _notes(result)), *told),
        limits=limits,
        digests=tuple(result.digest for result in results),
        simulate_seconds=sum(result.simulate_seconds for result in results),
    )


def _half_width(found: Interval) -> float | None:
    return found.half_width if found.count > 1 else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _completed(result: SimulateResult) -> int:
    if result.loads:
        return sum(load.completed for load in result.loads)
    return result.tasks.count if result.tasks else 0


def _throughput(result: SimulateResult) -> float:
    if result.loads:
        return sum(load.throughput_per_s for load in result.loads)
    return _completed(result) / (result.makespan_ns / 1e9) if result.makespan_ns else 0.0


def _latency(result: SimulateResult) -> Latency:
    """That of the requests, or of all tasks where there are none or of several kinds."""
    if len(result.loads) == 1:
        return result.loads[0].latency
    none = Latency(count=0, mean_ns=0.0, p50_ns=0.0, p90_ns=0.0, p99_ns=0.0, p999_ns=0.0, max_ns=0.0)
    return result.tasks or none


def _refused(result: SimulateResult) -> int:
    refused = sum(load.refused for load in result.loads)
    if not result.loads and result.runtime is not None:
        refused = result.runtime.tasks_refused
    return max(refused, result.scheduling.threads_refused if not result.loads else refused)


def _ledger(results: Sequence[SimulateResult]) -> dict[str, float]:
    """Percent of all cpus' time, over all runs."""
    sums: dict[str, float] = {}
    for result in results:
        for account, time in result.ledger.items():
            sums[account] = sums.get(account, 0.0) + time
    total = sum(sums.values())
    return {account: 100.0 * time / total for account, time in sums.items()} if total else {}


def _notes(result: SimulateResult) -> list[str]:
    notes = []
    if result.deadlock:
        stuck = result.deadlock[0]
        notes.append(f"deadlock: {stuck.name or stuck.process} waits for {stuck.waits_for}")
    if (refused := _refused(result)) and not result.loads:
        notes.append(f"{refused:,} found no room")
    if result.scheduling.threads_refused:
        notes.append(f"the limit of threads was met {result.scheduling.threads_refused:,} times")
    return notes
