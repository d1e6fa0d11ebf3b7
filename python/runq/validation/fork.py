"""Latency of fork, vfork, clone, posix_spawn and pthread_create by resident memory."""

from collections.abc import Sequence
from typing import Any

from runq.machine import Machine
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import NotRun, exit_op, fork, measure, op, run, wait

__all__ = ["EXPERIMENT"]

_PAGE_SIZES = {"4k": "4KiB", "2m": "2MiB"}
_OPS = (
    "fork_first",
    "fork",
    "fork_after_rewrite",
    "vfork_exit",
    "posix_spawn_true",
    "clone_vm",
    "pthread_create",
    "fork_exec_true",
)
_RESIDENT_MB_MAX = 1 << 20
_REPEATS = 3


class Fork:
    """Time of the call that makes a process or thread, by resident memory, page size and state.

    One run has all rows of one size, in the order of the measured program: it fills its memory, forks (`fork_first`),
    forks again (`fork`: clean), writes all and forks (`fork_after_rewrite`: dirtied), then goes through the other
    calls; at the end it forks children that run another program (`fork_exec_true`).
    """

    file = "fork.csv"
    columns = (Column("op", is_number=False), Column("page_size", is_number=False), Column("resident_mb"))
    metric = "call_us"
    unit = "us"
    measured = ("call_us_min", "call_us_median")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a size."""
        known: dict[tuple[object, object], dict[str, float]] = {}
        predictions = []
        for done, row in enumerate(rows):
            tell(done, len(rows))
            problem = _problem(row)
            if problem:
                predictions.append(Prediction(None, problem))
                continue
            size = (row["page_size"], row["resident_mb"])
            try:
                if size not in known:
                    known[size] = _times_ns(str(row["page_size"]), float(row["resident_mb"]), machine, seed)
                predictions.append(Prediction(known[size][str(row["op"])] / 1000))
            except NotRun as reason:
                predictions.append(Prediction(None, str(reason)))
        return predictions


def _problem(row: Parameters) -> str:
    if row["op"] not in _OPS:
        return f"op {row['op']} is not known"
    if row["page_size"] not in _PAGE_SIZES:
        return f"page_size {row['page_size']} is not known"
    resident = row["resident_mb"]
    return "" if not isinstance(resident, str) and resident <= _RESIDENT_MB_MAX else "resident_mb is too large"


def _times_ns(page_size: str, resident_mb: float, machine: Machine, seed: int) -> dict[str, float]:
    """The least time of each call, in ns."""
    size = round(resident_mb * (1 << 20))
    # Every 4 KiB, also of huge pages: what does not fill one, or finds none free, has small ones.
    fill = [op("touch", region="heap")] if size else []
    program = [op("mmap", region="heap", size=size, page_size=_PAGE_SIZES[page_size])] if size else []
    forks: list[str] = []

    def forked(name: str, *child: dict[str, Any]) -> list[dict[str, Any]]:
        forks.append(name)
        return [fork(*child), wait]

    program += [*fill, *forked("fork_first"), *forked("fork"), *fill, *forked("fork_after_rewrite")]
    calls = {
        "vfork_exit": op("vfork", child=[exit_op]),
        "posix_spawn_true": op("spawn", name="true", program=[exit_op]),
        "clone_vm": op("clone_vm", child=[exit_op]),
        "pthread_create": op("thread", child=[]),
    }
    for name, call in calls.items():
        program.append(op("repeat", times=_REPEATS, body=[measure(name, call), op("wait_children"), op("join")]))
    for _ in range(_REPEATS):
        program += forked("fork_exec_true", op("exec", name="true", program=[exit_op]))
    result = run(program, machine, seed)
    times = {name: result[name].min_ns or 0.0 for name in calls}
    for name, record in zip(forks, result.forks, strict=True):
        times[name] = min(record.time_ns, times.get(name, record.time_ns))
    return times


EXPERIMENT: Experiment = Fork()
