"""Speed-up of work that is cut into tasks, over doing it in one piece."""

from collections.abc import Sequence
from typing import Any

from runq.machine import Machine
from runq.scenario import ProcessSpec, Scenario
from runq.simulate import simulate
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import op, predict_each

__all__ = ["EXPERIMENT", "tree"]

_CPUS = 2


class ForkJoin:
    """A program makes tasks that compute for a while each, and waits for all of them.

    `workers` is how many run at a time. The speed-up is the work of all tasks by the time that it took. A row whose
    `tasks` is `tree:D` is a binary tree of depth D: each task makes two and waits for them, and its leaves compute.
    """

    file = "fork_join.csv"
    columns = (
        Column("runtime", is_number=False),
        Column("workers"),
        Column("tasks", is_number=False),
        Column("work_us"),
    )
    metric = "speedup"
    unit = ""
    measured = ("speedup",)

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    work = [op("compute", ns=1e3 * float(row["work_us"]))]
    kind, colon, depth = str(row["tasks"]).partition(":")
    if colon and kind == "tree" and depth.isdecimal() and int(depth) <= 20:
        program, count = tree(int(depth), work), 1 << int(depth)
    elif not colon and kind.isdecimal():
        program = [op("repeat", times=int(kind), body=[op("task", child=work)]), op("join")]
        count = int(kind)
    else:
        return Prediction(None, f"tasks {row['tasks']} is not a number and not a tree")
    scenario = Scenario(name="validation", processes=[ProcessSpec("program", program)])
    two = machine.with_set(f"cpus={max(_CPUS, machine.cpus)}")
    result = simulate(scenario, two, f"{row['runtime']}:{int(row['workers'])}", seed=seed)
    return Prediction(1e3 * float(row["work_us"]) * count / result.makespan_ns)


def tree(depth: int, leaf: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A program that makes two tasks of depth one less and waits for them; `leaf` at depth 0."""
    program = leaf
    for _ in range(depth):
        program = [op("task", child=program), op("task", child=program), op("join")]
    return program


EXPERIMENT: Experiment = ForkJoin()
