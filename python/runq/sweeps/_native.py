"""Jobs that the core runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from runq import _core
from runq.sweeps._target import Row, Rows

__all__ = ["NativeJob", "chunk_of", "native_job", "rows_of"]

# A point as the core takes it: which machine and which scenario of its chunk, its seed, a value for each path.
NativePoint = tuple[int, int, int, Sequence[Any]]


class NativeJob:
    """A job of the core: its description as JSON, and its trace."""

    def __init__(self, spec: str, trace: _core.SweepTrace | None = None) -> None:
        self.spec = spec
        self.trace = trace
        self._reader: _core.SweepPool | None = None

    def pool(self, threads: int) -> _core.SweepPool:
        """Threads that run its points."""
        return _core.SweepPool(self.spec, self.trace, threads)

    def run(self, chunk: bytes) -> Rows:
        """Runs a chunk in a thread of its own."""
        pool = self.pool(1)
        pool.submit(0, chunk)
        while (done := pool.wait(3600)) is None:
            pass
        _, schemas, rows = done
        return rows_of(schemas, rows)

    def identities(self, chunk: bytes) -> list[bytes | tuple[str, str, str]]:
        """What each point of a chunk is, or the path, rule and value of what is wrong with it."""
        if self._reader is None:
            self._reader = self.pool(1)
        return self._reader.identities(chunk)

    def __getstate__(self) -> tuple[str, dict[str, bytes] | None]:
        return self.spec, None if self.trace is None else self.trace.columns()

    def __setstate__(self, state: tuple[str, dict[str, bytes] | None]) -> None:
        self.spec, columns = state
        self.trace = None if columns is None else _core.SweepTrace.of_columns(columns)
        self._reader = None


def native_job(
    target: Literal["replay", "service", "simulate"],
    paths: Sequence[str],
    metrics: Sequence[str],
    *,
    tree: bool = False,
    options: Mapping[str, Any] | None = None,
    trace: _core.SweepTrace | None = None,
) -> NativeJob:
    """A job that changes what is at some paths and keeps some metrics.

    Metrics that name nothing in a result are those that Python adds: they tell its rows from those of other sweeps.
    """
    spec = {"target": target, "paths": list(paths), "metrics": list(metrics), "tree": tree}
    return NativeJob(json.dumps(spec if options is None else spec | {"options": dict(options)}), trace)


def chunk_of(points: Sequence[NativePoint], *, machines: Sequence[str] = (), scenarios: Sequence[str] = ()) -> bytes:
    """A chunk for the core: points, and the machines and scenarios as JSON that they begin with."""
    return msgspec.json.encode({"machines": machines, "scenarios": scenarios, "points": points})


def rows_of(schemas: list[list[str]], rows: list[tuple[Any, ...]]) -> Rows:
    """What the core hands back, with names."""
    return Rows([tuple(names) for names in schemas], [Row._make(row) for row in rows])
