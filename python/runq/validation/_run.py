"""Short ways to write programs and to run them."""

from typing import Any

from runq.machine import Machine
from runq.scenario import ProcessSpec, Scenario
from runq.simulate import simulate
from runq.simulate_result import SimulateResult

__all__ = ["exit_op", "fork", "measure", "op", "run", "wait"]


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
    """Runs one process."""
    return simulate(Scenario(name="validation", processes=[ProcessSpec("test", program)]), machine, seed=seed)
