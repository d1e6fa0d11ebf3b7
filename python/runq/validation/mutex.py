"""Operations a second of threads that share a mutex, by what they do inside and outside of it."""

from collections.abc import Sequence
from typing import Any, Literal

from runq.machine import Machine
from runq.scenario import LockSpec, ProcessSpec, Scenario
from runq.simulate import simulate
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import op, predict_each

__all__ = ["EXPERIMENT"]

_CPUS = 2
_DURATION_NS = 300_000_000

# Work is never equal to the nanosecond. Threads that are exactly alike would fall into step and never meet.
_DEVIATION = 0.01


# By runtime: its kind of mutex, the op that makes who takes it, and the model.
_KINDS: dict[str, tuple[Literal["barging", "go"], str, str | None]] = {
    "pthread": ("barging", "thread", None),
    "go": ("go", "task", "go"),
}


class Mutex:
    """Threads take a mutex, compute, give it back and compute, on two cpus.

    `pthread`: a barging mutex on a futex. `go`: goroutines and a sync.Mutex. Predicted from the prices of the mutex, of
    futex calls and of wake-ups on another cpu, over 0.3 s of simulated time. What threads do is drawn around its mean,
    with a deviation of 1 %.
    """

    file = "mutex.csv"
    columns = (Column("runtime", is_number=False), Column("inside_us"), Column("outside_us"), Column("threads"))
    metric = "ops_per_s"
    unit = "ops/s"
    measured = ("ops_per_s",)

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    runtime = str(row["runtime"])
    if runtime not in _KINDS:
        return Prediction(None, f"runtime {runtime} is not known")
    kind, maker, model = _KINDS[runtime]
    threads = int(row["threads"])
    if threads < 1:
        return Prediction(None, f"{threads} threads do nothing")
    inside, outside = (1000 * float(row[name]) for name in ("inside_us", "outside_us"))
    body = [op("lock", lock="mutex"), _work(inside), op("unlock", lock="mutex"), _work(outside)]
    child = [op("repeat", times=1 << 60, body=body)]
    program = [*(op(maker, child=child) for _ in range(threads)), op("join")]
    scenario = Scenario(
        name="validation",
        processes=[ProcessSpec("program", program)],
        locks={"mutex": LockSpec(kind=kind)},
        until_ns=_DURATION_NS,
    )
    result = simulate(scenario, machine.with_set(f"cpus={max(_CPUS, machine.cpus)}"), model, seed=seed)
    return Prediction(1e9 * result.locks["mutex"].acquisitions / _DURATION_NS)


def _work(ns: float) -> dict[str, Any]:
    return op("compute", ns={"normal": {"mean_ns": ns, "sd_ns": _DEVIATION * ns}} if ns > 0 else 0)


EXPERIMENT: Experiment = Mutex()
