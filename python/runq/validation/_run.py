"""Short ways to write programs and to run them."""

from collections.abc import Callable, Sequence
from typing import Any

from runq.errors import SimulationError
from runq.machine import Machine
from runq.scenario import ProcessSpec, Scenario
from runq.simulate import simulate
from runq.simulate_result import SimulateResult
from runq.validation._experiment import Parameters, Prediction, Tell

__all__ = ["NotRun", "exit_op", "fork", "measure", "op", "predict_each", "run", "wait"]


class NotRun(Exception):  # noqa: N818 - it is caught and told as a note
    """A row that the machine cannot run to its end; says why."""


def predict_each(
    rows: Sequence[Parameters], tell: Tell, predict: Callable[[Parameters], Prediction]
) -> list[Prediction]:
    """One prediction after the other, told as they come; a row that cannot be run is told why."""
    predictions = []
    for done, row in enumerate(rows):
        tell(done, len(rows))
        try:
            predictions.append(predict(row))
        except NotRun as reason:
            predictions.append(Prediction(None, str(reason)))
    return predictions


def op(name: str, /, **fields: Any) -> dict[str, Any]:
    """An op."""
    return {"op": name, **fields}


def fork(*child: dict[str, Any]) -> dict[str, Any]:
    """A fork whose child does something and exits."""
    return op("fork", child=[*child, op("exit")])


def measure(name: str, *body: dict[str, Any]) -> dict[str, Any]:
    """A measured body."""
    return op("measure", name=name, body=list(body))


wait = op("wait_child")
exit_op = op("exit")


def run(program: list[dict[str, Any]], machine: Machine, seed: int) -> SimulateResult:
    """Runs one process. Raises `NotRun` if it is ended before its end."""
    try:
        result = simulate(Scenario(name="validation", processes=[ProcessSpec("test", program)]), machine, seed=seed)
    except SimulationError as error:
        raise NotRun(str(error)) from None
    if result.log:
        raise NotRun(result.log[0].text)
    return result
