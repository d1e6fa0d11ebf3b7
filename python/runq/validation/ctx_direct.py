"""Cost of a switch with nothing in between, by what makes it happen."""

from collections.abc import Sequence

from runq.machine import Machine
from runq.scenario import ProcessSpec, Scenario
from runq.simulate import simulate
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import measure, op, predict_each

__all__ = ["EXPERIMENT"]

_ROUNDS = 2000
_KINDS = {"one_core": ((0,), (0,)), "two_cores": ((0,), (1,))}


class CtxDirect:
    """Time a switch of two tasks that wake one another by a pipe or a futex, or give way by sched_yield.

    `processes` and `threads`, on one cpu or on two; `single` rows are the calls without a switch. Two rounds of waiting
    are one round of the program, and a run begins when both tasks are there.
    """

    file = "ctx_direct.csv"
    columns = (
        Column("test", is_number=False),
        Column("tasks", is_number=False),
        Column("placement", is_number=False),
    )
    metric = "ns_per_switch"
    unit = "ns"
    measured = ("ns_per_switch_median", "ns_per_switch_min")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(
            rows,
            tell,
            lambda row: _predict(str(row["test"]), str(row["tasks"]), str(row["placement"]), machine, seed),
        )


def _predict(test: str, tasks: str, placement: str, machine: Machine, seed: int) -> Prediction:
    if placement not in _KINDS:
        return Prediction(None, f"placement {placement} is not known")
    calls = {
        "pipe_self_write_read": [op("send", channel="own"), op("recv", channel="own")],
        "sched_yield_alone": [op("yield_now")],
        "futex_wake_nobody": [op("syscall", ns=machine.kernel.sync.futex_wake_ns)],
        "futex_wait_mismatch": [op("syscall", ns=machine.kernel.sync.futex_wait_ns)],
    }
    if tasks == "single":
        if test not in calls:
            return Prediction(None, f"test {test} is not known")
        program = [measure("turns", op("repeat", times=_ROUNDS, body=calls[test]))]
        return _turns([ProcessSpec("single", program)], _ROUNDS, machine, seed)
    if test not in ("pipe", "futex", "sched_yield") or tasks not in ("processes", "threads"):
        return Prediction(None, f"test {test} of {tasks} is not known")
    first, second = _KINDS[placement]
    other = [op("release", semaphore="ready"), op("repeat", times=_ROUNDS, body=_turn(test, 1)[::-1])]
    own = [
        op("acquire", semaphore="ready"),
        measure("turns", op("repeat", times=_ROUNDS, body=_turn(test, 0))),
    ]
    if tasks == "processes":
        specs = [ProcessSpec("first", own, affinity=first), ProcessSpec("second", other, affinity=second)]
    else:
        program = [op("thread", child=other, affinity=list(second)), *own, op("join")]
        specs = [ProcessSpec("both", program, affinity=first)]
    return _turns(specs, 2 * _ROUNDS, machine, seed)


def _turn(test: str, task: int) -> list[dict[str, object]]:
    if test == "sched_yield":
        return [op("yield_now")]
    if test == "futex":
        return [op("release", semaphore=f"turn {1 - task}"), op("acquire", semaphore=f"turn {task}")]
    return [op("send", channel=f"turn {1 - task}"), op("recv", channel=f"turn {task}")]


def _turns(processes: list[ProcessSpec], turns: int, machine: Machine, seed: int) -> Prediction:
    scenario = Scenario(name="validation", processes=processes, memory="addresses")
    cpus = max(2, machine.cpus)
    result = simulate(scenario, machine.with_set(f"cpus={cpus}"), seed=seed)
    return Prediction(result["turns"].total_ns / turns)


EXPERIMENT: Experiment = CtxDirect()
