"""What a result says of itself: calls that stop a loop, tasks that starve others, more load than is answered."""

from typing import Any

import pytest
import runq
from task_programs import JOIN, PLAIN, block, compute, repeat, run, sleep, task

SERVED = {"poisson": {"rate_per_s": 20_000}}


def serve(arrivals: dict[str, Any], request_ns: float, **load: Any) -> dict[str, Any]:
    return {"op": "serve", "load": {"arrivals": arrivals, **load}, "request": [compute(request_ns)]}


@pytest.mark.parametrize(
    ("model", "note"),
    [
        ("event-loop", "10 blocking calls stopped everybody: there is one thread for all tasks"),
        ("event-loop-per-cpu", "10 blocking calls each kept one of 2 threads from all other tasks"),
        ("tokio", "10 blocking calls each kept one of 2 threads from all other tasks"),
        ("java", "10 blocking calls each kept one of 2 threads from all other tasks"),
    ],
)
def test_a_call_that_blocks_a_loop_is_told(model: str, note: str) -> None:
    assert run([repeat(10, task(block(1e6))), JOIN], model=model, cpus=2).notes == [note]


@pytest.mark.parametrize("model", ["go", "java-21", "thread-pool", "thread-per-task", "process-per-task"])
def test_a_call_that_blocks_others_in_no_way_is_not_told(model: str) -> None:
    assert run([repeat(10, task(block(1e6))), JOIN], model=model, cpus=2).notes == []


@pytest.mark.parametrize("model", ["tokio", "java", "event-loop"])
def test_a_task_that_never_stops_is_told_as_starvation(model: str) -> None:
    hog = task(repeat(1000, compute(1e6)))
    [cut] = run([hog, repeat(3, task(compute(10))), JOIN], model=model, cpus=1, until_ns=300e6).notes
    assert cut.startswith("starvation: 3 of ")
    assert cut.endswith(" tasks never ran, since others did not give way")
    quick = task(repeat(300, compute(10), sleep(1e6)))
    [whole] = run([quick, task(sleep(50e6), repeat(1000, compute(1e6))), JOIN], model=model, cpus=1).notes
    assert whole.startswith("starvation: a task that could run waited 9")


@pytest.mark.parametrize("model", ["go", "tokio", "java", "event-loop", "event-loop-per-cpu"])
def test_who_has_the_cpu_alone_starves_nobody(model: str) -> None:
    hog = repeat(1000, compute(1e6))
    nobody = serve({"recorded": {"times_ns": []}}, 1e3, requests=10)
    for program in ([nobody], [hog, nobody], [task(hog), JOIN]):
        for until_ns in (None, 300e6):
            assert run(program, model=model, cpus=2, until_ns=until_ns).notes == []


def test_who_makes_tasks_give_way_starves_nobody() -> None:
    hog = task(repeat(1000, compute(1e6)))
    quick = task(repeat(300, compute(10), sleep(1e6)))
    for model in ("go", "thread-pool", "thread-per-task"):
        assert run([quick, hog, JOIN], model=model, cpus=1).notes == []


@pytest.mark.parametrize("model", ["go", "thread-per-task", "event-loop", "thread-pool:8"])
def test_more_load_than_is_answered_is_told_as_overload(model: str) -> None:
    program = [serve(SERVED, 100e3, requests=2000)]
    [note] = run(program, model=runq.models.load(model), cpus=1).notes
    assert note.startswith("overload: requests come at 20,000/s and are answered at 9,")
    assert run([serve(SERVED, 20e3, requests=2000)], model=runq.models.load(model), cpus=1).notes == []


def test_requests_that_take_long_are_no_overload() -> None:
    for wait in (sleep(1e9), sleep({"exponential": {"mean_ns": 1e9}})):
        op = {"op": "serve", "load": {"arrivals": SERVED, "requests": 2000}, "request": [wait]}
        assert run([op], model="go", cpus=1).notes == []


def test_requests_that_find_no_room_are_told_as_overload() -> None:
    result = run([serve(SERVED, 100e3, requests=2000, in_flight_max=10)], model="go", cpus=1)
    assert result.notes == [f"overload: {result.loads[0].refused:,} of 2,000 requests found no room"]
    assert result.notes[0] in str(result)
    assert result.to_dict()["notes"] == result.notes


@pytest.mark.parametrize("model", ["go", "thread-pool", "thread-per-task"])
def test_more_memory_than_there_is_is_told(model: str) -> None:
    machine = PLAIN.with_set("memory_size=1MiB")
    program = [repeat(1000, task(sleep(1e6))), JOIN]
    [note] = run(program, model=model, machine=machine).notes
    assert note.startswith("memory: ")
    assert note.endswith(" MB were in use, and the machine has 1.0 MB")
    assert run(program, model=model).notes == []


def test_a_comparison_says_it_of_each_model() -> None:
    table = runq.compare("sapphire-rapids", "blocking-syscalls", ["event-loop", "go"], repeat=2, tasks=20)
    assert table["event-loop"].notes == ("20 blocking calls stopped everybody: there is one thread for all tasks",)
    assert table["go"].notes == ()
    assert "event-loop: 20 blocking calls stopped everybody" in str(table)
