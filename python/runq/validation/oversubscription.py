"""Work of more threads than cpus, each with a working set of its own."""

from collections.abc import Sequence
from typing import Literal

from runq.machine import Machine
from runq.scenarios import oversubscription
from runq.simulate import simulate
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import predict_each

__all__ = ["EXPERIMENT"]

_LINES_MAX = 1 << 40
_THREADS_MAX = 1 << 14
_CPUS = 2


class Oversubscription:
    """Lines that threads on two cpus read and write a second, each going through a working set of its own.

    `slice` rows run until their slices end, `yield` rows give way after each pass. Simulated by working sets
    (`footprint`): each row does the whole of the work that was measured.
    """

    file = "oversubscription.csv"
    columns = (
        Column("mode", is_number=False),
        Column("pattern", is_number=False),
        Column("working_set_kb_per_thread"),
        Column("threads"),
        Column("total_line_rmw"),
    )
    metric = "million_rmw_per_s"
    unit = "M/s"
    measured = ("million_rmw_per_s_median", "million_rmw_per_s_min")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    mode, pattern = row["mode"], row["pattern"]
    if mode not in ("slice", "yield") or pattern not in ("random", "sequential"):
        return Prediction(None, f"mode {mode} with pattern {pattern} is not known")
    turns: Literal["slice", "yield"] = "slice" if mode == "slice" else "yield"
    order: Literal["random", "sequential"] = "random" if pattern == "random" else "sequential"
    size, threads, total = row["working_set_kb_per_thread"], row["threads"], row["total_line_rmw"]
    if not isinstance(size, int) or not isinstance(threads, int) or not isinstance(total, int):
        return Prediction(None, "sizes, threads and totals must be whole numbers")
    if not (size >= 1 and 1 <= threads <= _THREADS_MAX and 1 <= total <= _LINES_MAX):
        return Prediction(None, "sizes, threads or totals are out of range")
    passes = max(1, round(total / (size * 16 * threads)))
    chosen = oversubscription.Parameters(
        threads=threads, working_set=size * 1024, pattern=order, passes=passes, turns=turns
    )
    result = simulate(oversubscription.build(chosen), machine.with_set(f"cpus={max(_CPUS, machine.cpus)}"), seed=seed)
    return Prediction(oversubscription.outcome(chosen, result)["million_lines_per_s"])


EXPERIMENT: Experiment = Oversubscription()
