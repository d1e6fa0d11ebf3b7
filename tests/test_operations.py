"""Tokio's budget of operations: 128 that could wait and do not, and then a task gives way."""

from typing import Any

import pytest
import runq
from task_programs import JOIN, PLAIN, Op, Program, compute, repeat, scenario_of, sleep, task

Model = str | dict[str, Any]


def ready(times: int) -> Op:
    """Operations that could wait and do not: each finds what it asks for."""
    return repeat(times, {"op": "release", "semaphore": "own"}, {"op": "acquire", "semaphore": "own"})


def log(program: Program, model: Model = "tokio:1") -> list[tuple[str, int]]:
    r = runq.simulate(scenario_of([*program, JOIN]), PLAIN.with_set("cpus=1"), model, seed=1, events=True)
    assert r.events is not None
    return [
        (kind, number)
        for kind, number in zip(r.events.kind.tolist(), r.events.task.tolist(), strict=True)
        if number >= 0 and kind in ("start", "run", "park", "yield", "end")
    ]


@pytest.mark.parametrize(("times", "yields"), [(128, 0), (129, 1), (256, 1), (257, 2), (300, 2)])
def test_the_129th_operation_of_a_poll_gives_way(times: int, yields: int) -> None:
    told = log([task(ready(times)), task(compute(10))])
    assert told.count(("yield", 0)) == yields
    if yields:
        assert told[:4] == [("start", 0), ("yield", 0), ("start", 1), ("end", 1)], "others have their turn"


@pytest.mark.parametrize(("times", "yields"), [(127, 0), (128, 1), (255, 1), (256, 2)])
def test_what_was_waited_for_is_the_first_operation_of_the_next_poll(times: int, yields: int) -> None:
    told = log([task(sleep(10_000), ready(times))])
    assert told.count(("yield", 0)) == yields


@pytest.mark.parametrize(("spent", "order"), [(126, [0, 1, 2]), (127, [0, 2, 1])])
def test_a_task_in_the_lifo_slot_shares_the_budget_of_the_one_before_it(spent: int, order: list[int]) -> None:
    start: Op = {"op": "acquire", "semaphore": "start"}
    # The first operation of its turn is what it waited for.
    first = task(start, ready(spent), {"op": "release", "semaphore": "go"})
    waits = task({"op": "acquire", "semaphore": "go"}, compute(5))
    other, in_slot = task(start, compute(7)), task(start)
    # The last that it wakes is in the slot; the others queue in order.
    starter = task(sleep(100_000), repeat(3, {"op": "release", "semaphore": "start"}))
    told = log([first, waits, other, in_slot, starter])
    ends = [number for kind, number in told if kind == "end"]
    assert ends == [4, 3, *order], "with nothing left, what it woke goes behind others"


def test_others_have_no_budget_unless_they_are_given_one() -> None:
    program = [task(ready(1000)), task(compute(10))]
    for model in ("go:1", "java:1", "event-loop", "work-stealing:1"):
        assert ("yield", 0) not in log(program, model)
    budget = {"work-stealing": {"workers": 1, "operations_max": 100}}
    assert log(program, budget).count(("yield", 0)) == 9
    with pytest.raises(runq.ConfigError, match=r"model\.tokio\.operations_max: must be at least 1, got 0"):
        log(program, {"tokio": {"operations_max": 0}})
