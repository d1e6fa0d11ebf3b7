"""Philosophers around a table, a fork between any two, who need both to eat: if all have taken one, nobody ever eats.

If each takes the left fork first, all may have one and wait for the other: a cycle, which is told. Taking forks in one
order for all, or every other philosopher in the other order, makes a cycle impossible (Dijkstra, 1971; OSTEP, ch. 31).
"""

from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import KernelChoices, LockSpec, ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        philosophers: how many.
        order: who takes which fork first: `left-first` all the left one, `ordered` all the one with the lower number,
            `odd-even` every other one the right one.
        think_us: between two meals.
        reach_us: from the first fork to the second.
        eat_us: with both.
        meals: of each.
    """

    philosophers: int = 5
    order: Literal["left-first", "ordered", "odd-even"] = "left-first"
    think_us: float = 100
    reach_us: float = 10
    eat_us: float = 100
    meals: int = 10


def build(parameters: Parameters) -> Scenario:
    """One process with a thread for each philosopher."""
    count = parameters.philosophers
    if count < 2:
        raise ConfigError("scenario.philosophers", "must be at least 2", str(count))

    def philosopher(number: int) -> dict[str, Any]:
        forks = [number, (number + 1) % count]
        if parameters.order == "ordered":
            forks.sort()
        elif parameters.order == "odd-even" and number % 2:
            forks.reverse()
        first, second = (f"fork {fork}" for fork in forks)
        eat = [
            {"op": "lock", "lock": first},
            {"op": "sleep", "ns": 1000 * parameters.reach_us},
            {"op": "lock", "lock": second},
            {"op": "sleep", "ns": 1000 * parameters.eat_us},
            {"op": "unlock", "lock": second},
            {"op": "unlock", "lock": first},
        ]
        day = [{"op": "sleep", "ns": 1000 * parameters.think_us}, {"op": "measure", "name": "meal", "body": eat}]
        child = [{"op": "repeat", "times": parameters.meals, "body": day}]
        return {"op": "thread", "name": f"philosopher {number}", "child": child}

    return Scenario(
        name="dining-philosophers",
        processes=[ProcessSpec("table", [*map(philosopher, range(count)), {"op": "join"}])],
        locks={f"fork {number}": LockSpec() for number in range(count)},
        kernel=KernelChoices(),
    )


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Meals, how long they took, and who waits for whom for ever."""
    meal = result.measures["meal"]
    return {
        "meals": meal.count,
        "is_deadlocked": bool(result.deadlock),
        "meal_ns_median": meal.median_ns,
        "meal_ns_max": meal.max_ns,
        "cycle": [f"{row.name} waits for {row.waits_for}" for row in result.deadlock if row.holds],
    }
