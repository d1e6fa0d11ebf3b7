"""Sweeps: a verb of runq at many points, none run twice and none lost.

`Sweep` is the sweep, `SweepTable` what it comes to. Axes are lists; `linear`, `log`, `zipped` and `points` make others.
"""

from typing import TYPE_CHECKING, Any

from runq.sweeps._analysis import Effect
from runq.sweeps._engine import Chunk, Engine, Finished, LocalEngine
from runq.sweeps._file import load_sweep
from runq.sweeps._repeat import Until, until
from runq.sweeps._space import Axes, linear, log, points, zipped
from runq.sweeps._statistics import Interval, interval
from runq.sweeps._sweep import Sweep
from runq.sweeps._table import SweepTable

if TYPE_CHECKING:
    from runq.sweeps._dask import DaskEngine

__all__ = [
    "Axes",
    "Chunk",
    "DaskEngine",
    "Effect",
    "Engine",
    "Finished",
    "Interval",
    "LocalEngine",
    "Sweep",
    "SweepTable",
    "Until",
    "interval",
    "linear",
    "load_sweep",
    "log",
    "points",
    "until",
    "zipped",
]


def __getattr__(name: str) -> Any:
    # Dask is imported when it is used.
    if name != "DaskEngine":
        raise AttributeError(f"module 'runq.sweeps' has no attribute {name!r}")
    from runq.sweeps._dask import DaskEngine

    return DaskEngine
