"""Tasks of a runtime in system calls that block their threads."""

from collections.abc import Sequence

from runq.machine import Machine
from runq.scenario import ProcessSpec, Scenario
from runq.simulate import simulate
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import op, predict_each

__all__ = ["EXPERIMENT"]

_CPUS = 2
_CALL_NS = 1e8


class BlockingSyscalls:
    """So many tasks, each in a raw system call of 100 ms, on two cpus.

    `wall` is the time in all, `threads` how many the runtime made. Predicted from how its monitor goes about it: it
    sleeps 20 us and what Linux lets a sleep take longer, is woken by an interrupt, and takes a slot away when it sees
    the same call twice.
    """

    file = "blocking_syscalls.csv"
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
    body = [op("task", child=[op("block", ns=_CALL_NS)])]
    program = [op("repeat", times=int(row["tasks"]), body=body), op("join")]
    scenario = Scenario(name="validation", processes=[ProcessSpec("program", program)])
    two = machine.with_set(f"cpus={max(_CPUS, machine.cpus)}")
    result = simulate(scenario, two, str(row["runtime"]), seed=seed)
    if row["measure"] == "wall":
        return Prediction(result.makespan_ns / 1e6)
    if row["measure"] == "threads":
        threads = result.runtime.threads if result.runtime else result.scheduling.threads_peak
        return Prediction(float(threads))
    return Prediction(None, f"measure {row['measure']} is not known")


EXPERIMENT: Experiment = BlockingSyscalls()
