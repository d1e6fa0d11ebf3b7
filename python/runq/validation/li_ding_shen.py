"""Cost of a switch after which an array has to come back (Li, Ding & Shen, ExpCS 2007)."""

from collections.abc import Sequence

from runq.machine import Machine
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import predict_each
from runq.validation._switching import switching

__all__ = ["EXPERIMENT"]

_KINDS = {
    "processes_separate": ("processes", "own"),
    "threads_separate": ("threads", "own"),
    "threads_shared": ("threads", "shared"),
}
_PATTERNS = {"seq_read": "sequential", "rand_read": "chase"}
_ARRAY_KB_MAX = 4096
_LINES = 1 << 18


class LiDingShen:
    """Cost of a switch of two tasks on one cpu that go through an array each and wake one another by a pipe.

    It is the time of a turn beyond that of one pass through the array that nobody disturbs. Arrays above 4 MiB are not
    predicted: the measured ones are good to an order of magnitude.
    """

    file = "ctx_li_ding_shen.csv"
    columns = (
        Column("tasks_arrays", is_number=False),
        Column("pattern", is_number=False),
        Column("array_kb"),
    )
    metric = "cost_per_switch_ns"
    unit = "ns"
    measured = ("cost_per_switch_ns_median", "cost_per_switch_ns_min")
    is_signed = True

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    kind, pattern, size = _KINDS.get(str(row["tasks_arrays"])), _PATTERNS.get(str(row["pattern"])), row["array_kb"]
    if kind is None or pattern is None or isinstance(size, str):
        return Prediction(None, f"{row['tasks_arrays']} of {row['pattern']} is not known")
    if size > _ARRAY_KB_MAX:
        return Prediction(None, f"arrays above {_ARRAY_KB_MAX} KiB were measured to an order of magnitude")
    rounds = min(200, max(4, _LINES // max(1, round(size * 16))))
    outcome = switching(
        machine,
        seed,
        kind=kind[0],
        sharing=kind[1],
        pattern=pattern,
        array=round(size * 1024),
        rounds=rounds,
        passes=4,
    )
    return Prediction(outcome["cost_per_switch_ns"])


EXPERIMENT: Experiment = LiDingShen()
