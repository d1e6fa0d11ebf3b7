"""Latency of fork by the order in which memory was first touched."""

from collections.abc import Sequence

from runq.machine import Machine
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import fork, op, predict_each, run, wait

__all__ = ["EXPERIMENT"]

_PATTERNS = {"address": "sequential", "random": "chase"}
_STATES = ("clean", "re-dirtied")
_RESIDENT_MB_MAX = 1 << 20


class ForkScattered:
    """Time of fork after memory was first touched in order of address or at random, and perhaps written again."""

    file = "fork_scattered.csv"
    columns = (
        Column("first_touch_order", is_number=False),
        Column("state", is_number=False),
        Column("resident_mb"),
    )
    metric = "fork_ms"
    unit = "ms"
    measured = ("fork_ms_min", "fork_ms_median")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    order, state, resident = row["first_touch_order"], row["state"], row["resident_mb"]
    if order not in _PATTERNS:
        return Prediction(None, f"first_touch_order {order} is not known")
    if state not in _STATES:
        return Prediction(None, f"state {state} is not known")
    if isinstance(resident, str) or not 0 < resident <= _RESIDENT_MB_MAX:
        return Prediction(None, f"resident_mb must be up to {_RESIDENT_MB_MAX}")
    write = op("touch", region="heap")
    program = [
        op("mmap", region="heap", size=round(resident * (1 << 20))),
        write | {"pattern": _PATTERNS[str(order)]},
        *(fork(), wait),
        *([write] if state == "re-dirtied" else []),
        *(fork(), wait),
    ]
    return Prediction(run(program, machine, seed).forks[-1].time_ns / 1e6)


EXPERIMENT: Experiment = ForkScattered()
