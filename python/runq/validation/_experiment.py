"""What an experiment offers: which columns its file has, and a prediction for each row."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from runq.machine import Machine

__all__ = ["Experiment", "Parameters", "Prediction", "Tell"]

# A row's columns that say what was measured: numbers where they are, else texts.
Parameters = Mapping[str, int | float | str]

# Called with rows done and rows in all.
Tell = Callable[[int, int], object]


class Prediction(msgspec.Struct, frozen=True):
    """What the simulation says of a row, in its unit; or why it says nothing."""

    predicted: float | None
    note: str = ""


class Column(NamedTuple):
    """A column, whether it holds numbers, and whether these may be below zero."""

    name: str
    is_number: bool = True
    is_signed: bool = False


class Experiment(Protocol):
    """One experiment. Its docstring says what is measured and how it is simulated.

    One whose file has several metrics a row names them with their units in `units`: each is a row of its own, with the
    parameters `measure` and `unit`.
    """

    @property
    def file(self) -> str:
        """Its measured file among those that come with runq."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that say what was measured."""

    @property
    def metric(self) -> str:
        """What was measured."""

    @property
    def unit(self) -> str:
        """Of the metric; a column's name in braces where rows differ."""

    @property
    def measured(self) -> tuple[str, ...]:
        """Columns of the metric, best first: the least of several runs, then their median."""

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """The prediction for each row."""
