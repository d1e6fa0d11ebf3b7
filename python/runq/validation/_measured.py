"""Reading measured files."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from runq.errors import ConfigError
from runq.validation._experiment import Column, Experiment

__all__ = ["Row", "read_rows"]


class Row(NamedTuple):
    """What was measured, and how much it was."""

    parameters: dict[str, int | float | str]
    measured: float


def read_rows(path: Path, experiment: Experiment) -> list[Row]:
    """The rows of a file; an error names the file, the line and the column."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            header = reader.fieldnames or []
            units: dict[str, str] = getattr(experiment, "units", {})
            metrics = [name for name in units if name in header] or [_metric(path, experiment, header)]
            rows = []
            for cells in reader:
                place = f"{path}: line {reader.line_num}"
                for metric in metrics:
                    row = _row(place, cells, experiment, metric)
                    if metric in units:
                        row.parameters.update(measure=metric, unit=units[metric])
                    rows.append(row)
            return rows
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(str(path), f"must be a CSV file ({error})", path.name) from None


def _metric(path: Path, experiment: Experiment, header: Sequence[str]) -> str:
    """The column of the metric; all others must be there too."""
    missing = [column.name for column in experiment.columns if column.name not in header]
    metric = next((name for name in experiment.measured if name in header), None)
    if missing or metric is None:
        wanted = [*(column.name for column in experiment.columns), " or ".join(experiment.measured)]
        raise ConfigError(str(path), f"must have the columns {', '.join(wanted)}", ", ".join(header) or "none")
    return metric


def _row(place: str, cells: dict[str, str | None], experiment: Experiment, metric: str) -> Row:
    if None in cells or None in cells.values():
        raise ConfigError(place, "must have as many cells as there are columns", repr(list(cells.values()))[:80])
    parameters = {column.name: _cell(place, column, cells) for column in experiment.columns}
    is_signed = getattr(experiment, "is_signed", False)
    measured = _cell(place, Column(metric, is_signed=is_signed), cells)
    assert isinstance(measured, (int, float)), "it was read as a number"
    return Row(parameters, float(measured))


def _cell(place: str, column: Column, cells: dict[str, str | None]) -> int | float | str:
    text = (cells[column.name] or "").strip()
    if not column.is_number:
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (number < 0 and not column.is_signed):
        rule = "must be a number" if column.is_signed else "must be a number from 0 on"
        raise ConfigError(f"{place}: {column.name}", rule, repr(text))
    return int(number) if number.is_integer() else number
