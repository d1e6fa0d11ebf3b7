"""The threads of a simulation as columns: a million of them are arrays, not objects."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runq import _core

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CAUSES", "Threads"]

CAUSES = ("compulsory", "capacity", "replaced", "reordered", "migration", "coherence")

_TIMES = ("created", "first_run", "ended", "run", "wait")
_COUNTS = ("pid", "nice", "cpu", "switches_voluntary", "switches_involuntary", "migrations")


class Threads:
    """All threads that ever were, in the order in which they were made. Columns are NumPy arrays of shape (threads,).

    Times are float64 in ns from the start, NaN where something has not happened. `len(threads)` is their number.

    Attributes:
        pid: the process, int64.
        nice: the nice value, int64.
        cpu: where it ran last, int64; 255 if it never did.
        switches_voluntary: how often it left a cpu to wait, or gave way, int64.
        switches_involuntary: how often it had to leave, int64.
        migrations: how often it began on another cpu than it had run on, int64.
        created_ns, first_run_ns, ended_ns: when it was made, ran first, ended.
        run_ns: how long it ran, its system calls and interrupts included.
        wait_ns: how long it could have run and did not.
    """

    def __init__(self, columns: Mapping[str, bytes]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns["pid"]) // 8

    def __getattr__(self, name: str) -> "NDArray[Any]":
        if name in _COUNTS:
            return self._words(name)
        stem = name.removesuffix("_ns")
        if stem in _TIMES and stem != name:
            return self._times(stem)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def response_ns(self) -> "NDArray[np.float64]":
        """From being made to the first run."""
        response: NDArray[np.float64] = self.first_run_ns - self.created_ns
        return response

    @property
    def turnaround_ns(self) -> "NDArray[np.float64]":
        """From being made to the end."""
        turnaround: NDArray[np.float64] = self.ended_ns - self.created_ns
        return turnaround

    @cached_property
    def misses(self) -> "dict[str, NDArray[np.int64]]":
        """By cause: misses of all caches. Empty where memory was not simulated, or causes were not told apart."""
        return {cause: self._words(f"misses.{cause}") for cause in CAUSES if f"misses.{cause}" in self._columns}

    @cached_property
    def stall_ns(self) -> "dict[str, NDArray[np.float64]]":
        """By cause: how long caches were waited for."""
        return {cause: self._times(f"stall.{cause}") for cause in CAUSES if f"stall.{cause}" in self._columns}

    def to_dict(self) -> dict[str, list[Any]]:
        """All columns as lists; None where something has not happened."""
        tree = {name: getattr(self, name).tolist() for name in _COUNTS}
        for name in ("created_ns", "first_run_ns", "ended_ns", "response_ns", "turnaround_ns", "run_ns", "wait_ns"):
            tree[name] = [None if value != value else value for value in getattr(self, name).tolist()]
        tree |= {f"misses_{cause}": column.tolist() for cause, column in self.misses.items()}
        return tree | {f"stall_{cause}_ns": column.tolist() for cause, column in self.stall_ns.items()}

    def to_arrow(self) -> "Threads":
        """The threads themselves: anything that takes `__arrow_c_stream__` reads them, times in whole ns."""
        return self

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        columns: list[tuple[str, list[int | None] | list[str]]] = []
        for name, values in self.to_dict().items():
            columns.append((name, [None if value is None else round(value) for value in values]))
        return _core.arrow_stream(columns)

    def __repr__(self) -> str:
        return f"<Threads: {len(self):,}>"

    def _words(self, name: str) -> "NDArray[np.int64]":
        import numpy as np

        return np.frombuffer(self._columns[name], dtype=np.int64)

    def _times(self, name: str) -> "NDArray[np.float64]":
        import numpy as np

        picos = np.frombuffer(self._columns[name], dtype=np.int64)
        return np.where(picos < 0, np.nan, picos / 1e3)
