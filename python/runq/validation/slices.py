"""Shares and slices of threads that compute, by nice values and numbers."""

import re
from collections.abc import Sequence

import numpy as np

from runq.machine import Machine
from runq.scenario import ProcessSpec, Scenario
from runq.simulate import simulate
from runq.simulate_result import SimulateResult
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import op

__all__ = ["EXPERIMENT"]

_NICE = re.compile(r"nice (-?\d+)/(-?\d+)")
_COMPETITORS = re.compile(r"(\d+) competitors?")
_DURATION_NS = 10_000_000_000
_CPUS = 2

# Goroutines that compute, on one P.
_GO = "go"


class Slices:
    """Shares of a cpu, lengths of slices and of waits in between, of threads that compute.

    `nice A/B`: two threads of these nice values on one cpu: the share of the first, how long it runs at a time, and how
    long the other does. `N competitors`: how long a thread waits between two slices while N others compute too. `go`:
    slices of goroutines on one P.
    """

    file = "slices.csv"
    columns = (Column("case", is_number=False), Column("measure", is_number=False), Column("unit", is_number=False))
    metric = "value"
    unit = "{unit}"
    measured = ("value",)

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a case."""
        results: dict[str, SimulateResult] = {}
        predictions = []
        for done, row in enumerate(rows):
            tell(done, len(rows))
            case = str(row["case"])
            if case == _GO:
                predictions.append(_go_slice(machine, seed))
                continue
            nices = _nices(case)
            if nices is None:
                predictions.append(Prediction(None, f"case {case} is not known"))
                continue
            if case not in results:
                results[case] = _run(nices, machine, seed)
            predictions.append(_read(str(row["measure"]), results[case]))
        return predictions


def _go_slice(machine: Machine, seed: int) -> Prediction:
    """How long a goroutine runs at a time that shares one P: until the monitor sees the same turn twice."""
    hog = [op("repeat", times=1 << 60, body=[op("compute", ns=1e9)])]
    program = [op("task", child=hog), op("task", child=hog), op("join")]
    scenario = Scenario(name="validation", processes=[ProcessSpec("hogs", program)], until_ns=_DURATION_NS)
    result = simulate(scenario, machine.with_set(f"cpus={max(_CPUS, machine.cpus)}"), "go:1", seed=seed)
    preemptions = result.runtime.preemptions if result.runtime else 0
    return Prediction(_DURATION_NS / preemptions / 1e6 if preemptions else None, "" if preemptions else "nobody stops")


def _nices(case: str) -> list[int] | None:
    if found := _NICE.fullmatch(case):
        return [int(found[1]), int(found[2])]
    if found := _COMPETITORS.fullmatch(case):
        return [0] * (1 + int(found[1]))
    return None


def _run(nices: list[int], machine: Machine, seed: int) -> SimulateResult:
    body = [op("repeat", times=1 << 60, body=[op("compute", ns=1e9)])]
    processes = [ProcessSpec("hog", body, nice=nice, affinity=(0,)) for nice in nices]
    scenario = Scenario(name="validation", processes=processes, until_ns=_DURATION_NS)
    return simulate(scenario, machine.with_set(f"cpus={max(_CPUS, machine.cpus)}"), seed=seed)


def _read(measure: str, result: SimulateResult) -> Prediction:
    threads = result.threads
    slices = np.maximum(1, threads.switches_involuntary)
    lengths = threads.run_ns / slices / 1e6
    if measure == "share":
        return Prediction(float(100 * threads.run_ns[0] / threads.run_ns.sum()))
    if measure == "slice":
        return Prediction(float(lengths[0]))
    if measure == "slice of the other":
        return Prediction(float(lengths[1]))
    if measure == "wait":
        return Prediction(float(threads.wait_ns[0] / slices[0] / 1e6))
    return Prediction(None, f"measure {measure} is not known")


EXPERIMENT: Experiment = Slices()
