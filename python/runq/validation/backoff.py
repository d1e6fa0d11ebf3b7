"""Backoff with and without jitter at one row, beside the simulator that AWS published."""

from collections.abc import Sequence

from runq.machine import Machine
from runq.services import Backoff, Contention, Strategy, contend
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell

__all__ = ["EXPERIMENT", "interval"]

# What the published simulator calls them.
_STRATEGIES: dict[str, Strategy] = {
    "None": "none",
    "Exponential": "exponential",
    "FullJitter": "full-jitter",
    "EqualJitter": "equal-jitter",
    "Decorr": "decorrelated",
}

# A mean of the published simulator is one of so many runs; here it is one of as many.
_RUNS = 100

# Two means of as many runs lie so many standard errors of their difference apart in 95 of 100 cases.
_QUANTILE = 1.96


class BackoffContention:
    """Clients that write one row under an optimistic lock: when the last is done, and how many writes it took.

    `mean_time` is in ms, both are means of 100 runs. By the spread of the runs here 95 of 100 such means lie within an
    interval around the prediction: `interval` tells it.
    """

    file = "backoff.csv"
    columns = (Column("clients"), Column("Algorithm", is_number=False))
    metric = "mean of 100 runs"
    unit = "{unit}"
    units = {"mean_time": "ms", "mean_calls": "calls"}  # noqa: RUF012 - a protocol's constant
    measured = ("mean_time", "mean_calls")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One set of runs for each number of clients and strategy. The machine does not matter."""
        done: dict[tuple[int, str], Contention] = {}
        predictions = []
        for number, row in enumerate(rows):
            tell(number, len(rows))
            case = (int(row["clients"]), str(row["Algorithm"]))
            strategy = _STRATEGIES.get(case[1])
            if strategy is None:
                predictions.append(Prediction(None, f"algorithm {case[1]} is not known"))
                continue
            if case not in done:
                backoff = Backoff(strategy=strategy, base_ns=5e6, cap_ns=2e9)
                done[case] = contend(clients=case[0], backoff=backoff, runs=_RUNS, seed=seed)
            predictions.append(Prediction(interval(done[case], str(row["measure"]))[0]))
        return predictions


def interval(runs: Contention, measure: str) -> tuple[float, float]:
    """The mean of a measure, and half of the width within which another mean of 100 runs lies in 95 of 100 cases."""
    values = runs.elapsed_ns / 1e6 if measure == "mean_time" else runs.calls.astype(float)
    variance_of_mean = float(values.var(ddof=1)) / len(values)
    return float(values.mean()), _QUANTILE * (variance_of_mean + variance_of_mean * len(values) / 100) ** 0.5


EXPERIMENT: Experiment = BackoffContention()
