"""Where tasks are at a time, whatever a task is under the model."""

import json
import subprocess
import sys

import pytest
import runq

MACHINE = runq.machines.load("sapphire-rapids").with_set("cpus=2")


@pytest.mark.parametrize("model", runq.models.names())
def test_who_runs_is_on_a_cpu_of_its_own_and_on_one_thread(model: str) -> None:
    r = runq.simulate("fork-join", MACHINE, model, tasks=20, work_us=500)
    seen = set()
    for part in range(1, 10):
        places = r.tasks_at(r.makespan_ns * part / 10)
        running = [place for place in places if place.state == "running"]
        assert len({place.cpu for place in running}) == len(running) <= 2
        assert len({place.thread for place in running}) == len(running)
        assert all(place.cpu is None for place in places if place.state != "running")
        seen |= {place.task for place in running}
    assert seen, "somebody is seen while it runs"
    assert seen <= set(range(20))


def test_a_task_is_followed_from_before_it_is_made_to_its_end() -> None:
    r = runq.simulate("sleepers", MACHINE, "go", tasks=3)
    assert r.where(2, 0.0) is None
    asleep = r.where(2, 50e6)
    assert asleep is not None
    assert (asleep.task, asleep.state, asleep.waits_for, asleep.thread) == (2, "waiting", "a time", None)
    assert r.where(3, 50e6) is None


def test_a_pool_waits_with_its_task() -> None:
    r = runq.simulate("sleepers", MACHINE, "thread-pool:2", tasks=3)
    places = {place.task: place for place in r.tasks_at(50e6)}
    assert [places[task].state for task in range(3)] == ["waiting", "waiting", "ready"]
    assert places[0].thread is not None
    assert places[0].thread != places[1].thread
    assert places[2].thread is None


def test_the_program_lists_tasks() -> None:
    command = [
        sys.executable,
        "-m",
        "runq.cli",
        "ps",
        "sleepers",
        "--model",
        "go",
        "--set",
        "tasks=2",
        "--at-ns",
        "5e7",
    ]
    done = subprocess.run([*command, "--tasks", "--json"], capture_output=True, text=True, timeout=60, check=True)
    assert [row["task"] for row in json.loads(done.stdout)] == [0, 1]
    assert (
        "a time" in subprocess.run([*command, "--tasks"], capture_output=True, text=True, timeout=60, check=True).stdout
    )


def test_a_task_may_touch_its_stack() -> None:
    touch = {"op": "touch", "region": "stack"}
    program = [{"op": "task", "stack": "4KiB", "child": [touch]}, {"op": "join"}]
    scenario = runq.Scenario(name="stack", processes=[runq.ProcessSpec("p", program)])
    assert runq.simulate(scenario, MACHINE, "go").log == ()
