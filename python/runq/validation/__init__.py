"""Predictions beside measurements: each row of a measured file is simulated from the machine's parameters alone.

Experiments are one file each behind `Experiment`; their measured files are package data (`runq/data/measured`, with a
README that says what they are).
"""

from collections.abc import Callable
from importlib import import_module
from os import PathLike
from pathlib import Path

from runq.errors import ConfigError
from runq.machine import Machine
from runq.replay import load_machine
from runq.simulate import DEFAULT_MACHINE
from runq.validation._experiment import Experiment
from runq.validation._measured import read_rows
from runq.validation.result import ValidationResult, ValidationRow

__all__ = ["ValidationResult", "ValidationRow", "experiment", "measured_path", "names", "summary", "validate"]

_NAMES = (
    "backoff",
    "blocking-syscalls",
    "channel",
    "contention",
    "cow-faults",
    "ctx-direct",
    "fork",
    "fork-join",
    "fork-scattered",
    "lat-mem",
    "li-ding-shen",
    "mutex",
    "oversubscription",
    "race",
    "redis-bgsave",
    "ring",
    "sleepers",
    "slices",
    "syscalls",
    "tlb",
)

_FOLDER = Path(__file__).parent.parent / "data" / "measured"


def names() -> list[str]:
    """The experiments, sorted.

    >>> import runq
    >>> "ring" in runq.validation.names()
    True
    """
    return list(_NAMES)


def experiment(name: str) -> Experiment:
    """The experiment of that name."""
    if name not in _NAMES:
        raise ConfigError("experiment", f"must be one of {', '.join(_NAMES)}", repr(name))
    found: Experiment = import_module(f"runq.validation.{name.replace('-', '_')}").EXPERIMENT
    return found


def summary(name: str) -> str:
    """What an experiment measures, in one line."""
    return (experiment(name).__doc__ or "").strip().split("\n")[0]


def measured_path(name: str) -> Path:
    """The measured file of an experiment that comes with runq."""
    return _FOLDER / experiment(name).file


def validate(
    name: str,
    machine: Machine | str | PathLike[str] | None = None,
    *,
    measured: str | PathLike[str] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> ValidationResult:
    """Simulates each row of a measured file and sets the prediction beside it.

    Args:
        name: an experiment of `runq.validation.names()`.
        machine: a `Machine`, the name of one that comes with runq, or the path of a TOML file; by default
            `granite-rapids-vm`, on which the files that come with runq were measured.
        measured: a CSV file with the columns of the one that comes with runq, and any rows of that kind.
        seed: seed of everything random.
        progress: called with rows done and rows in all.

    Raises:
        ConfigError: there is no such experiment, or the file is not one of it.

    >>> import runq
    >>> r = runq.validate("fork-scattered")
    >>> r.median_error < 0.1
    True
    """
    chosen = experiment(name)
    machine = load_machine(DEFAULT_MACHINE if machine is None else machine)
    path = measured_path(name) if measured is None else Path(measured)
    rows = read_rows(path, chosen)
    tell = progress or (lambda done, total: None)
    predictions = chosen.predict([row.parameters for row in rows], machine, seed, tell)
    return ValidationResult(
        experiment=name,
        machine=machine,
        file=str(path) if measured is not None else path.name,
        seed=seed,
        rows=tuple(
            ValidationRow.of(row, chosen, prediction) for row, prediction in zip(rows, predictions, strict=True)
        ),
    )
