"""Cost of the first touch of a page, by what has to be done for it."""

from collections.abc import Callable, Sequence
from typing import Any

from runq.machine import Machine
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import fork, measure, op, predict_each, run, wait

__all__ = ["EXPERIMENT"]

_PATTERNS = {"sequential": "sequential", "random": "chase"}
_UNITS = {"4k": 4096, "2m": 2 << 20}
_TOUCHES_MAX = 1 << 24
_MEASURE = "touch"
# Longer than the other side takes.
_LATER = op("sleep", ns=10**12)

_Program = list[dict[str, Any]]


class CowFaults:
    """Time of one touch, by kind of fault: fresh page, zero page, copy, reuse, huge page.

    Each event is a program of a few ops; the time is that of all its touches by their number. A child's reads of pages
    that it shares fault on nothing: they are replayed as a chase through memory that the kernel has just cleared.
    """

    file = "cow_faults.csv"
    columns = (
        Column("event", is_number=False),
        Column("page_size", is_number=False),
        Column("order", is_number=False),
        Column("touches"),
    )
    metric = "per_touch_ns"
    unit = "ns"
    measured = ("per_touch_ns_min", "per_touch_ns_median")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    event, page_size, order, touches = str(row["event"]), str(row["page_size"]), str(row["order"]), row["touches"]
    if order not in _PATTERNS or page_size not in _UNITS:
        return Prediction(None, f"page_size {page_size}, order {order} is not known")
    if not isinstance(touches, int) or not 0 < touches <= _TOUCHES_MAX:
        return Prediction(None, f"touches must be 1 to {_TOUCHES_MAX}")
    if event == "child_read_after_fork" and page_size == "4k":
        return Prediction(_shared_read_ns(touches, order, machine, seed))
    # Touches of every 4 KiB of huge pages, or one of each page.
    unit = 4096 if event.endswith("every_4k") else _UNITS[page_size]
    make = _SMALL.get(event) if page_size == "4k" else _HUGE.get(event)
    if make is None:
        return Prediction(None, f"event {event} is not known")
    touch = op("touch", region="memory", unit=unit, pattern=_PATTERNS[order])
    fill = op("touch", region="memory", unit=_UNITS[page_size])
    is_shared = event.startswith("shmem_")
    region = {"region": "memory", "size": touches * unit} | ({"shared": True} if is_shared else {})
    program = [op("mmap", **region, **({"page_size": "2MiB"} if page_size == "2m" else {})), *make(fill, touch)]
    return Prediction((run(program, machine, seed)[_MEASURE].total_ns) / touches)


def _measured(touch: dict[str, Any]) -> dict[str, Any]:
    return measure(_MEASURE, touch)


def _read(touch: dict[str, Any]) -> dict[str, Any]:
    return touch | {"access": "read"}


def _protect(permissions: str) -> dict[str, Any]:
    return op("mprotect", region="memory", permissions=permissions)


def _first(fill: dict[str, Any], touch: dict[str, Any]) -> _Program:
    return [_measured(touch)]


def _zero_page(fill: dict[str, Any], touch: dict[str, Any]) -> _Program:
    return [_measured(_read(touch))]


def _after_zero_page(fill: dict[str, Any], touch: dict[str, Any]) -> _Program:
    return [_read(fill), _measured(touch)]


def _no_fault(fill: dict[str, Any], touch: dict[str, Any]) -> _Program:
    return [fill, _measured(touch)]


def _after_mprotect(fill: dict[str, Any], touch: dict[str, Any]) -> _Program:
    return [fill, _protect("r"), _protect("rw"), _measured(touch)]


def _child_first(fill: dict[str, Any], touch: dict[str, Any]) -> _Program:
    return [fill, fork(_measured(touch)), wait]


def _parent_first(fill: dict[str, Any], touch: dict[str, Any]) -> _Program:
    return [fill, fork(_LATER), _measured(touch), op("kill"), wait]


def _parent_after_exit(fill: dict[str, Any], touch: dict[str, Any]) -> _Program:
    return [fill, fork(), wait, _measured(touch)]


def _child_after_parent(fill: dict[str, Any], touch: dict[str, Any]) -> _Program:
    return [fill, fork(_LATER, _measured(touch)), fill, wait]


_SMALL: dict[str, Callable[[dict[str, Any], dict[str, Any]], _Program]] = {
    "first_touch_write": _first,
    "no_fault_write": _no_fault,
    "first_touch_read_zero_page": _zero_page,
    "write_after_zero_page": _after_zero_page,
    "write_after_mprotect_roundtrip": _after_mprotect,
    "cow_child_writes_first": _child_first,
    "cow_parent_writes_first": _parent_first,
    "reuse_parent_after_child_exit": _parent_after_exit,
    "reuse_child_after_parent_copied": _child_after_parent,
    "shmem_first_touch_write": _first,
    # The child maps what its parent has made.
    "shmem_map_existing_page_write": _child_first,
}

_HUGE: dict[str, Callable[[dict[str, Any], dict[str, Any]], _Program]] = {
    "thp_first_touch_write": _first,
    "thp_cow_child_first_write_in_each_2m": _child_first,
    "thp_cow_child_write_every_4k": _child_first,
    "thp_cow_parent_write_every_4k": _parent_first,
    "thp_reuse_parent_after_child_exit": _parent_after_exit,
}


def _shared_read_ns(touches: int, order: str, machine: Machine, seed: int) -> float:
    """A read of one line in each page, after the kernel has cleared all of them through the caches."""
    import numpy as np

    from runq.replay import replay

    pages = np.arange(touches, dtype=np.uint64) * np.uint64(4096)
    cleared = np.arange(touches * 64, dtype=np.uint64) * np.uint64(64) | np.uint64(1 << 63)
    reads = pages if order == "sequential" else np.random.Generator(np.random.PCG64(seed)).permutation(pages)
    result = replay(np.concatenate([cleared, reads]), machine, warmup=len(cleared), dependent=True, seed=seed)
    return result.latency_cycles / touches * 1000 / machine.frequency_mhz


EXPERIMENT: Experiment = CowFaults()
