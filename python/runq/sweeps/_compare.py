"""Sweeps over execution models: what `runq.compare` tells of a model, at every point and for each model.

A model is an axis, the last one: each of its rows is one run of one model, and a repeat one more row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from runq._compare import COMPARED, ModelRow, chosen_machine, row_of
from runq._simulate_notes import notes_of
from runq.errors import ConfigError
from runq.models import Model, load_all, plain
from runq.simulate_parts import Latency, Load, LogLine, Memory, Misses, Runtime, Scheduling, Stuck
from runq.simulate_result import SimulateResult
from runq.sweeps import _simulate
from runq.sweeps._metrics import matches
from runq.sweeps._native import NativeJob, native_job
from runq.sweeps._target import Point, Rows

__all__ = ["Target"]

_QUANTILES = ("mean", "p50", "p90", "p99", "p999")


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    """Of a result, what comparisons are made of."""

    makespan_ns: float
    ledger: dict[str, float]
    scheduling: Scheduling
    memory: Memory
    deadlock: list[Stuck] = []
    misses: Misses | None = None
    tasks: Latency | None = None
    loads: list[Load] = []
    runtime: Runtime | None = None
    log: list[LogLine] = []
    digest: str
    simulate_seconds: float = 0.0


_RESULT = msgspec.json.Decoder(_Result)


class Target(_simulate.Target):
    """Scenarios on machines under models. Axes are those of `simulate`."""

    verb = "compare"
    metrics = (
        "throughput_per_s",
        "latency_mean_ns",
        "latency_p50_ns",
        "latency_p90_ns",
        "latency_p99_ns",
        "latency_p999_ns",
        "peak_memory_bytes",
        "switches",
        "threads",
        "pollution_misses",
        "cpu_used",
        "cpu_ns_per_task",
        "ledger",
        "completed",
        "refused",
        "note",
        "digest",
    )
    zero = ("ledger.",)

    def __init__(
        self,
        machine: object = None,
        scenario: object = "web-service",
        models: Sequence[Model | str | Mapping[str, Any]] | None = None,
        **values: Any,
    ) -> None:
        super().__init__(scenario, chosen_machine(cast(Any, machine)), **values)
        self._models = None if models is None else load_all(models)

    def axes(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """The axis of models, if it is not there already."""
        if "model" in names:
            if self._models is not None:
                raise ConfigError("models", "must be left out where model is an axis", repr(list(self._models)))
            return {}
        return {"model": [plain(model) for model in self._models or load_all(COMPARED)]}

    def job(self) -> NativeJob:
        """What the core needs beside chunks: it gives the whole result, of which the metrics are made here."""
        return native_job("simulate", self.paths(), [f"compare.{path}" for path in self._metrics], tree=True)

    def finish(self, points: Sequence[Point], rows: Rows) -> Rows:
        """Makes the metrics."""
        schemas: dict[tuple[str, ...], int] = {}
        finished = []
        for row in rows.rows:
            kept: dict[str, Any] = {}
            if row.error is None and row.tree is not None:
                found = _metrics(_RESULT.decode(row.tree))
                kept = {name: found[name] for name in found if any(matches(path, name) for path in self._metrics)}
                kept |= {"tree": row.tree} if "tree" in self._metrics else {}
            schema = schemas.setdefault(tuple(kept), len(schemas))
            finished.append(row._replace(schema=schema, values=tuple(kept.values()), tree=None))
        return Rows(list(schemas), finished)


def _metrics(result: _Result) -> dict[str, Any]:
    """What a comparison tells of one run, by name."""
    told = notes_of(cast(SimulateResult, result), ())
    row: ModelRow = row_of("", [cast(SimulateResult, result)], told=told)
    return {
        "throughput_per_s": row.throughput_per_s,
        **{f"latency_{name}_ns": row.latency_ns[name] for name in _QUANTILES},
        "peak_memory_bytes": row.peak_memory_bytes,
        "switches": int(row.switches),
        "threads": row.threads,
        "pollution_misses": None if row.pollution_misses is None else int(row.pollution_misses),
        "cpu_used": row.cpu_used,
        "cpu_ns_per_task": row.cpu_ns_per_task,
        **{f"ledger.{account}": percent for account, percent in row.ledger.items()},
        "completed": row.completed,
        "refused": row.refused,
        "note": "; ".join(row.notes),
        "digest": result.digest,
    }
