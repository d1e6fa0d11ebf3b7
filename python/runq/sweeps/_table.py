"""The table of a sweep: one row a point, its axes and its metrics. It reads its store as it is asked."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runq.sweeps import _export
from runq.sweeps._analysis import Best, Effect, Frontier, best, pareto, sensitivity
from runq.sweeps._columns import HEAD, TAIL, axis_columns, loaded
from runq.sweeps._metrics import ordered
from runq.sweeps._statistics import Interval, interval
from runq.sweeps._store import Store, SweepRecord
from runq.sweeps._target import zero_of

__all__ = ["SweepTable", "replicates", "resolve"]

_UNIT = re.compile(r"_(ns|us|ms|s|bytes|cycles|per_s)$")


class SweepTable:
    """Rows in the order of the points.

    `print(table)` shows the first rows. `table["makespan_ns"]` is a column. Names may be cut at the front, and the unit
    left out, if one column fits.

    Attributes:
        axes: the axes.
        metrics: what was kept of the results.
        columns: all columns: `point`, `replicate`, the axes, `seed`, `status`, `error`, `attempts`, the metrics.
    """

    def __init__(self, store: Store, record: SweepRecord, temporary: str | None = None) -> None:
        self._store, self._record = store, record
        # Ends with the table, and so does a temporary folder.
        self._finalizer = weakref.finalize(self, _close, store, temporary)
        self.axes: list[str] = record.axes
        found = {column.name: column for column in store.columns(record.id) if column.kinds}
        self.metrics: list[str] = ordered(list(found), record.metrics)
        self.columns: list[str] = [*HEAD, *self.axes, *(name for name in TAIL if name not in self.axes), *self.metrics]
        stored = dict(zip(self.axes, axis_columns(self.axes), strict=True))
        self._stored = {name: name for name in (*HEAD, *TAIL)} | stored | {name: found[name].stored for name in found}
        self._kinds = {name: found[name].kinds for name in found}
        self._zero = tuple(name for name in self.metrics if name.startswith(zero_of(record.target)))

    def __len__(self) -> int:
        """How many points have a row, failed ones included."""
        done, failed = self._store.counts(self._record.id)
        return done + failed

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows as dicts, read as they are asked for."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows())

    def __getitem__(self, name: str) -> list[Any]:
        """A column as a list."""
        return [row[0] for row in self.rows([self.resolve(name)])]

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[tuple[Any, ...]]:
        """Rows as tuples of some columns, all by default."""
        names = self.columns if columns is None else list(columns)
        stored = [self._stored[name] for name in names]
        decoded = [place for place, name in enumerate(names) if name in self.axes]
        zero = [place for place, name in enumerate(names) if name in self._zero]
        wanted = [*stored, "status"]
        for row in self._store.select(self._record.id, wanted, "WHERE status != 'pending'"):
            values = list(row[:-1])
            for place in decoded:
                values[place] = loaded(values[place])
            for place in zero:
                if values[place] is None and row[-1] == "done":
                    values[place] = 0
            yield tuple(values)

    def resolve(self, name: str) -> str:
        """The column of that name, or the one whose path ends so."""
        return resolve(name, self.columns)

    def digest(self) -> str:
        """32 hexadecimal digits over the table as CSV: equal for equal results, whatever ran them."""
        digest = hashlib.blake2b(digest_size=16)
        for line in _export.csv_lines(self.columns, self.rows()):
            digest.update(line.encode())
        return digest.hexdigest()

    def count(self, status: str = "done") -> int:
        """How many points are `done` or `failed`."""
        return dict(zip(("done", "failed"), self._store.counts(self._record.id), strict=True))[status]

    def failed(self) -> list[dict[str, Any]]:
        """The rows of points that failed: `error` says why."""
        return [row for row in self if row["status"] == "failed"]

    def replicates(self, metric: str) -> Iterator[tuple[int, list[float]]]:
        """The number of each point, and a metric over its replicates that are done."""
        return replicates(self._store, self._record.id, self.resolve(metric))

    def intervals(self, metric: str, confidence: float = 0.95) -> list[dict[str, Any]]:
        """The mean of a metric over the replicates of each point, with its confidence interval (Student's t).

        One dict a point: its axes, `mean`, `low`, `high`, `replicates`.
        """
        name = self.resolve(metric)
        rows = []
        for values, found in self._means(name, confidence):
            bounds = {"mean": found.mean, "low": found.low, "high": found.high, "replicates": found.count}
            rows.append(dict(zip(self.axes, values, strict=True)) | bounds)
        return rows

    def pareto(self, *metrics: str, maximise: Sequence[str] = ()) -> Frontier:
        """Points that no other point beats in all of some metrics, by their means over replicates.

        Less is better, but for those that `maximise` names. One dict a point: its number, axes and the metrics, in the
        order of the first metric.
        """
        names = [self.resolve(metric) for metric in (*metrics, *(name for name in maximise if name not in metrics))]
        return pareto(self._mean_rows(names), names, {self.resolve(name) for name in maximise})

    def best(self, metric: str, count: int = 1, *, largest: bool = False) -> Best:
        """The points whose mean of a metric is least, or largest: their number, axes and the metric."""
        name = self.resolve(metric)
        return best(self._mean_rows([name]), name, count, largest=largest)

    def sensitivity(self, metric: str) -> list[Effect]:
        """How much of a metric's variance each axis explains by itself, largest first.

        The measure is the first-order index: the variance, over the values of an axis, of the mean of the metric at
        that value, as a share of its variance over all points. On a full grid the shares sum to 1 if the axes do not
        interact and nothing is random; what is missing to 1 is interaction and chance. Beside it the main effect: the
        largest difference between two such means, and where they are.
        """
        name = self.resolve(metric)
        rows = self.rows([*self.axes, "status", name])
        done = ((row[:-2], row[-1]) for row in rows if row[-2] == "done" and isinstance(row[-1], (int, float)))
        return sensitivity(done, self.axes)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """Comma-separated values: written to a file, or returned."""
        lines = _export.csv_lines(self.columns, self.rows())
        return _export.to_file(path, lines)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """A list of one object a row: written to a file, or returned."""
        return _export.to_file(path, _export.json_lines(self.columns, self.rows()))

    def to_arrow(self) -> Any:
        """A table of pyarrow, which must be installed."""
        return _export.arrow_table(self)

    def to_arrow_file(self, path: str | os.PathLike[str]) -> None:
        """An Arrow file, a piece at a time. Needs pyarrow."""
        _export.write_arrow(self, os.fspath(path))

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """A Parquet file, a piece at a time. Needs pyarrow."""
        _export.write_parquet(self, os.fspath(path))

    def to_pandas(self) -> Any:
        """A data frame of pandas, which must be installed."""
        return _export.pandas_frame(self)

    def to_polars(self) -> Any:
        """A data frame of polars, which must be installed."""
        return _export.polars_frame(self)

    def to_xarray(self) -> Any:
        """A dataset of xarray, which must be installed: axes are dimensions, and `replicate` if there are several."""
        return _export.xarray_dataset(self)

    def kinds(self, name: str) -> int:
        """The kinds of a metric's values: 1 whole numbers, 2 others, 4 texts, added up."""
        return self._kinds[name]

    def close(self) -> None:
        """Closes the store. What was read stays."""
        self._finalizer()

    def __repr__(self) -> str:
        done, failed = self._store.counts(self._record.id)
        return f"<SweepTable of {done} points done, {failed} failed, {len(self.metrics)} metrics>"

    def __str__(self) -> str:
        from runq.sweeps._show import sweep_text

        return sweep_text(self)

    def _repr_html_(self) -> str:
        from runq.sweeps._show import sweep_html

        return sweep_html(self)

    def _means(self, name: str, confidence: float) -> Iterator[tuple[tuple[Any, ...], Interval]]:
        for _, group in itertools.groupby(self.rows(["point", "status", name, *self.axes]), key=_first):
            rows = list(group)
            values = [row[2] for row in rows if row[1] == "done" and isinstance(row[2], (int, float))]
            if values:
                yield rows[0][3:], interval(values, confidence)

    def _mean_rows(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Points with their axes and the means of some metrics; those without one are left out."""
        for number, group in itertools.groupby(self.rows(["point", "status", *self.axes, *names]), key=_first):
            rows = list(group)
            means = {}
            for place, name in enumerate(names, start=2 + len(self.axes)):
                values = [row[place] for row in rows if row[1] == "done" and isinstance(row[place], (int, float))]
                if values:
                    means[name] = values[0] if len(values) == 1 else interval(values).mean
            if len(means) == len(names):
                yield {"point": number, **dict(zip(self.axes, rows[0][2:], strict=False)), **means}


def resolve(name: str, columns: Sequence[str]) -> str:
    """The column of that name, or the one whose path ends so, with or without its unit."""
    if name in columns:
        return name
    ends = [column for column in columns if column.endswith((f".{name}", f"_{name}"))]
    if not ends:
        without = ((column, _UNIT.sub("", column)) for column in columns)
        ends = [column for column, rest in without if rest == name or rest.endswith((f".{name}", f"_{name}"))]
    if len(ends) == 1:
        return ends[0]
    which = f"is the end of {', '.join(ends)}" if ends else f"the columns are {', '.join(columns)}"
    raise KeyError(f"{name!r}: {which}")


def replicates(store: Store, sweep: int, metric: str) -> Iterator[tuple[int, list[float]]]:
    """The number of each point, and a metric over its replicates that are done."""
    stored = next(column.stored for column in store.columns(sweep) if column.name == metric)
    rows = store.select(sweep, ["point", "status", stored])
    for number, group in itertools.groupby(rows, key=_first):
        yield number, [row[2] for row in group if row[1] == "done" and isinstance(row[2], (int, float))]


def _close(store: Store, temporary: str | None) -> None:
    store.close()
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)


_first: Callable[[tuple[Any, ...]], Any] = lambda row: row[0]  # noqa: E731
