"""Jobs that the core runs."""

from __future__ import annotations

from typing import Any

from runq import _core
from runq.sweeps._target import Row, Rows

__all__ = ["NativeJob", "rows_of"]


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


def rows_of(schemas: list[list[str]], rows: list[tuple[Any, ...]]) -> Rows:
    """What the core hands back, with names."""
    return Rows([tuple(names) for names in schemas], [Row(*row) for row in rows])
