"""Cost of a hop in a ring of tasks on one cpu, each of which touches some pages."""

from collections.abc import Sequence

from runq.machine import Machine
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import predict_each
from runq.validation._switching import switching

__all__ = ["EXPERIMENT"]

_PAGES_MAX = 1 << 16
_TASKS_MAX = 512
# A line further in each page, so that the lines do not all fall into one set.
_UNIT = 4096 + 64
_ROUNDS = 60


class Ring:
    """Time a hop of a ring of processes or threads that wake one another by futexes and touch one line of each page.

    Each access waits for the one before. `own` pages are of each task, `shared` ones of all. From seven processes on,
    Linux' six identifiers of address spaces are too few, and every hop loses its translations.
    """

    file = "ctx_ring_dependent.csv"
    columns = (
        Column("tasks", is_number=False),
        Column("pages", is_number=False),
        Column("n_tasks"),
        Column("pages_per_task"),
    )
    metric = "ns_per_hop"
    unit = "ns"
    measured = ("ns_per_hop_median", "ns_per_hop_min")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    tasks, pages = row["n_tasks"], row["pages_per_task"]
    if row["tasks"] not in ("processes", "threads") or row["pages"] not in ("own", "shared"):
        return Prediction(None, f"{row['tasks']} with {row['pages']} pages are not known")
    if not isinstance(tasks, int) or not isinstance(pages, int) or not 1 < tasks <= _TASKS_MAX or pages > _PAGES_MAX:
        return Prediction(None, f"n_tasks must be 2 to {_TASKS_MAX}, and pages_per_task up to {_PAGES_MAX}")
    outcome = switching(
        machine,
        seed,
        kind=row["tasks"],
        sharing=row["pages"],
        pattern="chase",
        array=pages * _UNIT,
        unit=_UNIT,
        tasks=tasks,
        via="futex",
        rounds=_ROUNDS,
        passes=1,
    )
    return Prediction(outcome["total_per_switch_ns"])


EXPERIMENT: Experiment = Ring()
