"""Final counts of two threads that count a million each without a lock, over many trials."""

import random
import statistics
from collections.abc import Sequence

import msgspec

from runq.machine import Machine
from runq.scenario import KernelChoices
from runq.scenarios import shared_counter
from runq.simulate import simulate
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import predict_each

__all__ = ["EXPERIMENT"]

_TRIALS = 200
_TIMES = 1_000_000
_CPUS = 2

# Slices end with the tick that they are in, as was measured (slices.csv). The policy's own numbers let a new thread run
# on for 0.7 ms, and half as many trials would lose their half.
_SCHEDULER = {"eevdf": {"base_slice_us": 100}}

# Counts that are near the half, as a share of it.
_NEAR = 0.1


class Race:
    """Final counts of `count++` by two threads without a lock, on one cpu or on two.

    `split` is a load, an addition and a store, `plain` one instruction. `median` is that of all trials in millions,
    `exact` how many lost nothing, `half` how many lost half or nearly so. Each trial begins at its own time in the
    period of the timer, drawn from the seed. A slice ends with the tick that it is in.
    """

    file = "race.csv"
    columns = (
        Column("how", is_number=False),
        Column("cpus"),
        Column("measure", is_number=False),
        Column("unit", is_number=False),
    )
    metric = "value"
    unit = "{unit}"
    measured = ("value",)

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """All trials of a case once."""
        machine = machine.with_set(f"cpus={max(_CPUS, machine.cpus)}")
        counts: dict[tuple[str, int], list[int]] = {}

        def predict(row: Parameters) -> Prediction:
            how, cpus = str(row["how"]), row["cpus"]
            if how not in ("plain", "split") or cpus not in (1, 2):
                return Prediction(None, f"{how} on {cpus} cpus is not known")
            case = how, int(cpus)
            if case not in counts:
                counts[case] = _trials(*case, machine, seed)
            return _read(str(row["measure"]), counts[case])

        return predict_each(rows, tell, predict)


def _trials(how: str, cpus: int, machine: Machine, seed: int) -> list[int]:
    draws = random.Random(seed)
    period = machine.kernel.timer.tick_ns
    counts = []
    for trial in range(_TRIALS):
        start = draws.random() * period
        parameters = shared_counter.Parameters(
            times=_TIMES, how="split" if how == "split" else "plain", cpus=cpus, start_ns=start
        )
        scenario = msgspec.structs.replace(
            shared_counter.build(parameters), kernel=KernelChoices(scheduler=dict(_SCHEDULER))
        )
        result = simulate(scenario, machine, seed=seed + trial)
        counts.append(result.variables["count"])
    return counts


def _read(measure: str, counts: list[int]) -> Prediction:
    if measure == "median":
        return Prediction(statistics.median(counts) / 1e6)
    if measure == "exact":
        return Prediction(100 * sum(count == 2 * _TIMES for count in counts) / len(counts))
    if measure == "half":
        near = [count for count in counts if abs(count - _TIMES) <= _NEAR * _TIMES]
        return Prediction(100 * len(near) / len(counts))
    return Prediction(None, f"measure {measure} is not known")


EXPERIMENT: Experiment = Race()
