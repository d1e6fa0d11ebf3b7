"""Predictions beside measurements, as a value."""

from collections.abc import Sequence
from typing import Any, Self

import msgspec

from runq._table import table
from runq.machine import Machine
from runq.validation._experiment import Experiment, Prediction
from runq.validation._measured import Row

__all__ = ["ValidationResult", "ValidationRow", "percentile"]


class ValidationRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row.

    Attributes:
        parameters: what was measured.
        metric: which number of it.
        unit: of that number.
        measured: the number.
        predicted: that of the simulation; None where it makes none.
        error: their difference by the measured one; None without a prediction, or where 0 or less was measured.
        note: why there is no prediction.
    """

    parameters: dict[str, int | float | str]
    metric: str
    unit: str
    measured: float
    predicted: float | None
    error: float | None
    note: str = ""

    @classmethod
    def of(cls, row: Row, experiment: Experiment, prediction: Prediction) -> Self:
        """A row with its prediction."""
        predicted = prediction.predicted
        error = abs(predicted - row.measured) / row.measured if predicted is not None and row.measured > 0 else None
        return cls(
            parameters=row.parameters,
            metric=experiment.metric,
            unit=experiment.unit.format_map(row.parameters),
            measured=row.measured,
            predicted=predicted,
            error=error,
            note=prediction.note or ("measured below zero: noise of a difference" if row.measured < 0 else ""),
        )


class ValidationResult(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """All rows of an experiment; `print(r)` is a table.

    Attributes:
        experiment: its name.
        machine: that the predictions are of.
        file: where the measurements are from.
        seed: of everything random.
        rows: in the order of the file.
    """

    experiment: str
    machine: Machine
    file: str
    seed: int
    rows: tuple[ValidationRow, ...]

    @property
    def errors(self) -> list[float]:
        """The errors of the rows that have one."""
        return [row.error for row in self.rows if row.error is not None]

    @property
    def median_error(self) -> float | None:
        """The median of the errors; None without one."""
        return percentile(self.errors, 50)

    @property
    def p90_error(self) -> float | None:
        """Their 90th percentile, with linear interpolation as NumPy's; None without one."""
        return percentile(self.errors, 90)

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists and numbers: what `--json` prints."""
        return {
            "experiment": self.experiment,
            "machine": self.machine.name,
            "file": self.file,
            "seed": self.seed,
            "rows": [_row_tree(row) for row in self.rows],
            "median_error": self.median_error,
            "p90_error": self.p90_error,
        }

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return msgspec.json.encode(self.to_dict()).decode()

    def __str__(self) -> str:
        return _text(self)

    def __repr__(self) -> str:
        return f"<ValidationResult of {self.experiment} on {self.machine.name}: {_percent(self.median_error)} median>"


def percentile(values: Sequence[float], percent: float) -> float | None:
    """A percentile with linear interpolation; None of nothing.

    >>> percentile([3.0, 1.0, 2.0], 50), percentile([0.0, 1.0], 90), percentile([], 50)
    (2.0, 0.9, None)
    """
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _row_tree(row: ValidationRow) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(row)
    return tree if row.note else {key: value for key, value in tree.items() if key != "note"}


def _text(result: ValidationResult) -> str:
    columns = list(result.rows[0].parameters) if result.rows else []
    units = {row.unit for row in result.rows}
    unit = f" {units.pop()}" if len(units) == 1 else ""
    rows = [
        [
            *(str(value) for value in row.parameters.values()),
            "" if unit else row.unit,
            f"{row.measured:,.6g}",
            "" if row.predicted is None else f"{row.predicted:,.6g}",
            _percent(row.error) if row.error is not None else "",
            row.note,
        ]
        for row in result.rows
    ]
    header = (*columns, "unit", f"measured{unit}", f"predicted{unit}", "error", "note")
    metric = f", {result.rows[0].metric}" if result.rows else ""
    counted = len(result.errors)
    return "\n\n".join(
        [
            f"{result.experiment} on {result.machine.name}, measured in {result.file}{metric}",
            table(header, rows),
            f"{counted:,} of {len(result.rows):,} rows have an error: "
            f"median {_percent(result.median_error)}, 90th percentile {_percent(result.p90_error)}",
        ]
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
