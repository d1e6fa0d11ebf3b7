"""Tables for other programs: CSV and JSON by the standard library, the rest by what is installed."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runq.errors import SweepError

if TYPE_CHECKING:
    from runq.sweeps._table import SweepTable

__all__ = [
    "arrow_table",
    "csv_lines",
    "json_lines",
    "pandas_frame",
    "polars_frame",
    "to_file",
    "write_arrow",
    "write_parquet",
    "xarray_dataset",
]

# Rows that are in memory at a time.
_ROWS = 1 << 14

# Lines of text that are written at a time.
_LINES = 256

_INT, _FLOAT, _TEXT = 1, 2, 4


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of comma-separated values, the first with the names. What is absent is empty, tables and lists are JSON."""
    rest = itertools.chain([columns], rows)
    while some := list(itertools.islice(rest, _LINES)):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows([_cell(value) for value in row] for row in some)
        yield buffer.getvalue()


def json_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A list of objects, a row a line."""
    start = "["
    for row in rows:
        yield f"{start}{json.dumps(dict(zip(columns, row, strict=True)))}"
        start = ",\n"
    yield "[]\n" if start == "[" else "]\n"


def to_file(path: str | os.PathLike[str] | None, pieces: Iterable[str]) -> str | None:
    """Writes pieces to a file (`-` is standard output), or returns them as one text."""
    if path is None:
        return "".join(pieces)
    if path == "-":
        for piece in pieces:
            sys.stdout.write(piece)
        return None
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
    except OSError as error:
        # A disk that is full does not say whose file it was.
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    return None


def arrow_table(table: SweepTable) -> Any:
    """An Arrow table."""
    pyarrow = _module("pyarrow", "to_arrow")
    return pyarrow.Table.from_batches(list(_batches(table, pyarrow)), schema=_schema(table, pyarrow))


def write_arrow(table: SweepTable, path: str) -> None:
    """An Arrow file."""
    pyarrow = _module("pyarrow", "an Arrow file")
    with pyarrow.OSFile(path, "wb") as file, pyarrow.ipc.new_file(file, _schema(table, pyarrow)) as writer:
        for batch in _batches(table, pyarrow):
            writer.write_batch(batch)


def write_parquet(table: SweepTable, path: str) -> None:
    """A Parquet file."""
    pyarrow = _module("pyarrow", "a Parquet file")
    parquet = _module("pyarrow.parquet", "a Parquet file")
    with parquet.ParquetWriter(path, _schema(table, pyarrow)) as writer:
        for batch in _batches(table, pyarrow):
            writer.write_batch(batch)


def pandas_frame(table: SweepTable) -> Any:
    """A data frame of pandas."""
    return _module("pandas", "to_pandas").DataFrame(_columns(table))


def polars_frame(table: SweepTable) -> Any:
    """A data frame of polars."""
    polars = _module("polars", "to_polars")
    return polars.DataFrame(
        {name: polars.Series(name, values, strict=False) for name, values in _columns(table).items()}
    )


def xarray_dataset(table: SweepTable) -> Any:
    """A dataset of xarray, the axes as dimensions."""
    xarray = _module("xarray", "to_xarray")
    import numpy as np

    columns = _columns(table)
    dimensions = [*table.axes, *(["replicate"] if len(set(columns["replicate"])) > 1 else [])]
    coordinates: dict[str, list[Any]] = {}
    places: dict[str, list[int]] = {}
    for name in dimensions:
        known: dict[str, int] = {}
        places[name] = [known.setdefault(json.dumps(value), len(known)) for value in columns[name]]
        coordinates[name] = [_label(json.loads(key)) for key in known]
    shape = tuple(len(coordinates[name]) for name in dimensions)
    index = tuple(np.array(places[name], dtype=np.intp) for name in dimensions)
    data = {}
    for name in (*(name for name in ("seed", "status") if name not in dimensions), *table.metrics):
        is_number = name != "status" and (name == "seed" or not table.kinds(name) & _TEXT)
        whole: Any = np.full(shape, np.nan if is_number else None, dtype=np.float64 if is_number else object)
        values = columns[name]
        whole[index] = np.array([np.nan if value is None else value for value in values]) if is_number else values
        data[name] = (dimensions, whole)
    return xarray.Dataset(data, coords=coordinates)


def _columns(table: SweepTable) -> dict[str, list[Any]]:
    lists: list[list[Any]] = [[] for _ in table.columns]
    for row in table.rows():
        for values, value in zip(lists, row, strict=True):
            values.append(value)
    return dict(zip(table.columns, lists, strict=True))


def _batches(table: SweepTable, pyarrow: Any) -> Iterator[Any]:
    schema = _schema(table, pyarrow)
    rows = table.rows()
    while some := list(itertools.islice(rows, _ROWS)):
        arrays = []
        for place, field in enumerate(schema):
            values = [row[place] for row in some]
            if pyarrow.types.is_string(field.type):
                values = [
                    value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)
                    for value in values
                ]
            arrays.append(pyarrow.array(values, field.type))
        yield pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def _schema(table: SweepTable, pyarrow: Any) -> Any:
    fixed = {"point": _INT, "replicate": _INT, "seed": _INT, "status": _TEXT, "error": _TEXT, "attempts": _INT}
    kinds = fixed | _axis_kinds(table) | {name: table.kinds(name) for name in table.metrics}

    def type_of(kind: int) -> Any:
        if kind == 8:
            return pyarrow.bool_()
        if kind & _TEXT:
            return pyarrow.string()
        return pyarrow.float64() if kind & _FLOAT else pyarrow.int64()

    return pyarrow.schema([(name, type_of(kinds[name])) for name in table.columns])


def _axis_kinds(table: SweepTable) -> dict[str, int]:
    """Of each axis: 8 if all values are true or false, numbers if all are, else texts."""
    kinds = dict.fromkeys(table.axes, 0)
    for row in table.rows(table.axes):
        for name, value in zip(table.axes, row, strict=True):
            of_type = {bool: 8, int: _INT, float: _FLOAT}.get(type(value), _TEXT)
            kinds[name] |= of_type if value is not None else 0
    return {name: kind if kind in (8, 1, 2, 3) else _TEXT for name, kind in kinds.items()}


def _cell(value: Any) -> Any:
    """A value as a text has it."""
    kind = type(value)
    # The writer of lines gives numbers the digits that JSON gives them.
    if kind is int or kind is float or kind is str:
        return value
    return "" if value is None else json.dumps(value, sort_keys=True)


def _label(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) else json.dumps(value, sort_keys=True)


def _module(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise SweepError(f"{what} needs {package}: pip install {package}") from None
