"""What the experiments with tasks that take turns have in common."""

from typing import Any

from runq.machine import Machine
from runq.scenarios import context_switch
from runq.simulate import simulate

__all__ = ["switching"]


def switching(machine: Machine, seed: int, **parameters: Any) -> dict[str, Any]:
    """The outcome of the scenario `context-switch` on one cpu of the machine.

    The policy's slices are those of a machine of two cpus at least, as the measured one is.
    """
    chosen = context_switch.Parameters(**parameters)
    cpus = max(2, machine.cpus)
    scenario = context_switch.build(chosen).with_set(f'kernel.scheduler={{"eevdf": {{"machine_cpus": {cpus}}}}}')
    return context_switch.outcome(chosen, simulate(scenario, machine.with_set("cpus=1"), seed=seed))
