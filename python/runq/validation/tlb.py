"""Cost of translation: one line in each of N pages against as many lines side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runq.machine import Machine
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import predict_each
from runq.validation.lat_mem import with_page_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EXPERIMENT"]

_LINE = 64
_PAGE = 4096
_HUGE_PAGE = 2 << 20
_SLOTS_MAX = 1 << 24


class TlbOnly:
    """Time an access of a pointer chase through one line in each of N pages, and through as many lines side by side.

    `spread` has a line in each page of 4 KiB, `huge1` one in each page of 2 MiB, `dense` has them side by side. Which
    line of its page it is goes round, as does the page within a huge one, so that sets of caches and TLBs fill evenly.
    """

    file = "tlb_only.csv"
    columns = (Column("page_size", is_number=False), Column("layout", is_number=False), Column("n_slots"))
    metric = "ns_per_access"
    unit = "ns"
    measured = ("ns_per_access_min", "ns_per_access_median")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One replay a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    from runq.validation._chase import chase_ns

    slots = row["n_slots"]
    if not isinstance(slots, int) or not 1 <= slots <= _SLOTS_MAX:
        return Prediction(None, f"n_slots must be 1 to {_SLOTS_MAX}")
    addresses = _addresses(str(row["layout"]), slots)
    if addresses is None:
        return Prediction(None, f"layout {row['layout']} is not known")
    return Prediction(chase_ns(addresses, with_page_size(machine, row), seed))


def _addresses(layout: str, slots: int) -> "NDArray[np.uint64] | None":
    import numpy as np

    index = np.arange(slots, dtype=np.uint64)
    strides = {"dense": _LINE, "spread": _PAGE, "huge1": _HUGE_PAGE}
    if layout not in strides:
        return None
    addresses: NDArray[np.uint64] = index * np.uint64(strides[layout])
    if layout != "dense":
        addresses += index * np.uint64(_LINE) % np.uint64(_PAGE)
    if layout == "huge1":
        addresses += index * np.uint64(_PAGE) % np.uint64(_HUGE_PAGE)
    return addresses


EXPERIMENT: Experiment = TlbOnly()
