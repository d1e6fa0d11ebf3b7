"""Time and memory of many tasks that sleep for 100 ms, under runtimes."""

from collections.abc import Sequence

from runq.machine import Machine
from runq.simulate import simulate
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import predict_each

__all__ = ["EXPERIMENT"]

_CPUS = 2


class Sleepers:
    """A program makes so many tasks that sleep for 100 ms, and waits for all of them, on two cpus.

    `wall` is the time in all, `memory` the most that was in use. `java` is that of a warm virtual machine. Predicted
    from the costs of single steps of the runtimes and from what a task holds.
    """

    file = "sleepers.csv"
    columns = (
        Column("runtime", is_number=False),
        Column("tasks"),
        Column("measure", is_number=False),
        Column("unit", is_number=False),
    )
    metric = "value"
    unit = "{unit}"
    measured = ("value",)

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    if row["measure"] not in ("wall", "memory"):
        return Prediction(None, f"measure {row['measure']} is not known")
    two = machine.with_set(f"cpus={max(_CPUS, machine.cpus)}")
    result = simulate("sleepers", two, str(row["runtime"]), seed=seed, tasks=int(row["tasks"]))
    if row["measure"] == "wall":
        return Prediction(result.makespan_ns / 1e6)
    return Prediction(result.memory.peak_bytes / 1e6)


EXPERIMENT: Experiment = Sleepers()
