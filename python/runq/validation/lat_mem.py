"""Latency of a dependent pointer chase by the size of what it goes through."""

from collections.abc import Sequence

from runq.machine import Machine
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import predict_each

__all__ = ["EXPERIMENT"]

_LINE = 64
_SLOTS_MAX = 1 << 26


class LatMem:
    """Time an access of a dependent pointer chase through lines side by side, by working set.

    The chase is replayed on the machine: warmed up by whole cycles, counted over another one.
    """

    file = "lat_mem_ws_4k.csv"
    columns = (
        Column("page_size", is_number=False),
        Column("layout", is_number=False),
        Column("n_slots"),
        Column("span_bytes"),
    )
    metric = "ns_per_access"
    unit = "ns"
    measured = ("ns_per_access_min", "ns_per_access_median")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One replay a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    import numpy as np

    from runq.validation._chase import chase_ns

    if row["layout"] != "lines":
        return Prediction(None, f"layout {row['layout']} is not known")
    slots = row["n_slots"]
    if not isinstance(slots, int) or not 1 <= slots <= _SLOTS_MAX:
        return Prediction(None, f"n_slots must be 1 to {_SLOTS_MAX}")
    machine = with_page_size(machine, row)
    return Prediction(chase_ns(np.arange(slots, dtype=np.uint64) * np.uint64(_LINE), machine, seed))


def with_page_size(machine: Machine, row: Parameters) -> Machine:
    """The machine with the page size that a row asks for."""
    return machine.with_set("page_size=2MiB") if row["page_size"] == "2m" else machine


EXPERIMENT: Experiment = LatMem()
