"""Cost of mprotect, munmap and exit by size."""

import re
from collections.abc import Sequence

from runq.machine import Machine
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import exit_op, measure, op, predict_each, run, wait

__all__ = ["EXPERIMENT"]

_PAGE_SIZES = {"4k": "4KiB", "2m": "2MiB"}
_MEMORY = re.compile(r"(\d+)MB_(4k|2m)")
_PAGES = re.compile(r"(\d+)_page(s?)_(?:1_thread|2_threads_other_(sleeping|spinning)(?:_cpu1)?)")
_MEMORY_MB_MAX = 1 << 20
_PAGES_MAX = 1 << 24
_NS = {"ns_per_call": 1.0, "ns": 1.0, "us": 1e3, "ms": 1e6}
_LATER = 10**12


class Syscalls:
    """Time of a pair of mprotect calls, of munmap of resident memory, and from exit until the parent has waited.

    Other rows of the file (signals, timers, slices) are of other mechanisms and are not predicted.
    """

    file = "syscalls.csv"
    columns = (Column("test", is_number=False), Column("parameter", is_number=False), Column("unit", is_number=False))
    metric = "time"
    unit = "{unit}"
    measured = ("min", "median")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(
            rows,
            tell,
            lambda row: _predict(str(row["test"]), str(row["parameter"]), str(row["unit"]), machine, seed),
        )


def _predict(test: str, parameter: str, unit: str, machine: Machine, seed: int) -> Prediction:
    if unit not in _NS:
        return Prediction(None, f"unit {unit} is not known")
    if test in ("munmap_resident", "exit_to_waitpid"):
        memory = _MEMORY.fullmatch(parameter)
        if not memory or int(memory[1]) > _MEMORY_MB_MAX:
            return Prediction(None, f"parameter {parameter} is not known")
        size, page_size = int(memory[1]) << 20, _PAGE_SIZES[memory[2]]
        time = (_munmap_ns if test == "munmap_resident" else _exit_ns)(size, page_size, machine, seed)
    elif test in ("mprotect_pair", "mprotect_pair_and_touch"):
        pages = _PAGES.fullmatch(parameter)
        if not pages or not 1 <= int(pages[1]) <= _PAGES_MAX:
            return Prediction(None, f"parameter {parameter} is not known")
        other = pages[3] or ""
        # Of `1_page` they are in the midst of a region, of `8_pages` a region of their own.
        is_inner = not pages[2]
        time = _mprotect_ns(int(pages[1]), is_inner, other, test.endswith("touch"), machine, seed)
    else:
        return Prediction(None, "not predicted: no memory management")
    return Prediction(time / _NS[unit])


def _fill(size: int, page_size: str) -> list[dict[str, object]]:
    if size == 0:
        return []
    return [op("mmap", region="memory", size=size, page_size=page_size), op("touch", region="memory")]


def _munmap_ns(size: int, page_size: str, machine: Machine, seed: int) -> float:
    if size == 0:
        return 0.0
    program = [*_fill(size, page_size), measure("munmap", op("munmap", region="memory"))]
    return run(program, machine, seed)["munmap"].total_ns


def _exit_ns(size: int, page_size: str, machine: Machine, seed: int) -> float:
    """From the child's call of exit to the end of the parent's wait, which then has nothing else to do."""
    program = [op("fork", child=[*_fill(size, page_size), exit_op]), wait, exit_op]
    result = run(program, machine, seed)
    parent, child = (process.ended_at_ns or 0.0 for process in result.processes[1:])
    return parent - child


def _mprotect_ns(pages: int, is_inner: bool, other: str, touches: bool, machine: Machine, seed: int) -> float:
    """A pair of calls: to read-only and back."""
    margin = 1 if is_inner else 0
    part = {"region": "memory", "offset": 4096 * margin, "size": 4096 * pages}
    pair = [op("mprotect", permissions=permissions, **part) for permissions in ("r", "rw")]
    pair += [op("touch", **part)] if touches else []
    thread = {"sleeping": op("sleep", ns=_LATER), "spinning": op("compute", ns=_LATER)}
    program = [
        *_fill(4096 * (pages + 2 * margin), "4KiB"),
        *([op("thread", child=[thread[other]]), op("sleep", ns=10_000)] if other else []),
        op("repeat", times=9, body=[measure("pair", *pair)]),
        *([op("kill"), wait] if other else []),
    ]
    machine = machine.with_set("cpus=2") if other == "spinning" else machine
    return run(program, machine, seed)["pair"].median_ns or 0.0


EXPERIMENT: Experiment = Syscalls()
