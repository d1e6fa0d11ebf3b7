"""The event log of a simulation as columns: what happened to tasks, and to the workers that run them."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runq import _core
from runq._table import table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EVENTS_MAX", "Events"]

# How many are kept if nothing else is said.
EVENTS_MAX = 1_000_000

_NUMBERS = ("task", "worker", "thread", "cpu", "by_task", "by_thread", "from_worker", "count")

_ROWS_SHOWN = 1_000


class Events:
    """What happened to tasks and workers, in order of time. Columns are NumPy arrays of shape (events,).

    Numbers are int32, -1 where there is none. `len(events)` is how many were kept, `print(events)` a table.

    Attributes:
        task: the task that it is about; -1 too for a program's first thread where that is a task.
        worker: the worker that has that task, or that it is about.
        thread: the thread that has the task or the worker, by its number in `result.threads`.
        cpu: the cpu that this thread was on.
        by_task: the task that did it, if it was another.
        by_thread: the thread that did it, if it was another.
        from_worker: for `steal`, the worker that tasks were taken from.
        count: for `steal`, how many.
        dropped: events that were not kept since there were more than were asked for: all later than those that were.
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns
        self.dropped: int = columns["dropped"]

    def __len__(self) -> int:
        return len(self._columns["at"]) // 8

    def __getattr__(self, name: str) -> "NDArray[np.int32]":
        if name in _NUMBERS:
            return self._codes(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def at_ns(self) -> "NDArray[np.float64]":
        """When each happened, in ns from the start, float64."""
        import numpy as np

        at: NDArray[np.float64] = np.frombuffer(self._columns["at"], dtype=np.int64) / 1e3
        return at

    @cached_property
    def kind(self) -> "NDArray[np.str_]":
        """What happened, by name: see `docs/runtimes.md`."""
        import numpy as np

        names: NDArray[np.str_] = np.array(self._columns["kinds"])
        return names[self._codes("kind")]

    @cached_property
    def waits_for(self) -> "NDArray[np.str_]":
        """For `park` and `block`, what the task waits for; else empty."""
        import numpy as np

        texts: NDArray[np.str_] = np.array([*self._columns["texts"], ""])
        return texts[self._codes("waits_for")]

    def to_dict(self) -> dict[str, Any]:
        """All columns as lists, None where there is nothing; and how many events were dropped."""
        tree: dict[str, Any] = {"at_ns": self.at_ns.tolist(), "kind": self.kind.tolist()}
        for name in _NUMBERS:
            tree[name] = [None if value < 0 else value for value in getattr(self, name).tolist()]
        return tree | {"waits_for": [text or None for text in self.waits_for.tolist()], "dropped": self.dropped}

    def to_arrow(self) -> "Events":
        """The events themselves: anything that takes `__arrow_c_stream__` reads them."""
        return self

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        columns: list[tuple[str, list[Any]]] = [("at_ns", self.at_ns.tolist()), ("kind", self.kind.tolist())]
        for name in _NUMBERS:
            columns.append((name, [None if value < 0 else value for value in getattr(self, name).tolist()]))
        return _core.arrow_stream([*columns, ("waits_for", self.waits_for.tolist())])

    def __str__(self) -> str:
        return _text(self)

    def __repr__(self) -> str:
        return f"<Events: {len(self):,}, {self.dropped:,} dropped>"

    def _codes(self, name: str) -> "NDArray[np.int32]":
        import numpy as np

        return np.frombuffer(self._columns[name], dtype=np.int32)


def _text(events: Events) -> str:
    """A table of the first events, a sentence a row for what is not a column of its own."""
    tree = events.to_dict()
    header = ("at", "event", "task", "worker", "thread", "cpu", "")
    rows = []
    for place in range(min(len(events), _ROWS_SHOWN)):
        row = {name: column[place] for name, column in tree.items() if name != "dropped"}
        numbers = ["-" if row[name] is None else str(row[name]) for name in ("task", "worker", "thread", "cpu")]
        rows.append((f"{row['at_ns']:,.3f} ns", row["kind"], *numbers, _remark(row)))
    parts = [table(header, rows)] if rows else ["no events"]
    if left := len(events) - len(rows):
        parts.append(f"{left:,} more events are not shown")
    if events.dropped:
        parts.append(f"{events.dropped:,} later events were not kept")
    return "\n".join(parts)


def _remark(row: Mapping[str, Any]) -> str:
    parts = []
    if row["waits_for"]:
        parts.append(f"for {row['waits_for']}")
    if row["from_worker"] is not None:
        parts.append(f"{row['count']} from worker {row['from_worker']}")
    if row["by_task"] is not None:
        parts.append(f"by task {row['by_task']}")
    elif row["by_thread"] is not None:
        parts.append(f"by thread {row['by_thread']}")
    return ", ".join(parts)
