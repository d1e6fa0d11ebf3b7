"""Scenarios whose tasks an execution model runs: under every model, as files, and what each of them shows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import runq

PROGRAM = [sys.executable, "-m", "runq.cli"]
CPUS = 4
SMALL: dict[str, dict[str, Any]] = {
    "blocking-syscalls": {"tasks": 30, "block_ms": 5.0},
    "cpu-hogs": {"hogs": 6, "hog_ms": 30.0, "small": 3, "turns": 4},
    "fork-join": {"tasks": 200},
    "pipeline": {"stages": 3, "items": 100, "capacity": 4},
    "sleepers": {"tasks": 100, "sleep_ms": 5.0},
    "web-service": {"requests": 100, "cold_data": "64KiB"},
}
TASKS = {"blocking-syscalls": 30, "cpu-hogs": 9, "fork-join": 200, "pipeline": 3, "sleepers": 100, "web-service": 100}

# These have no programs.
SERVICES = ("cache-stampede", "retry-storm")

# Of scenarios without tasks.
SHORT: dict[str, dict[str, Any]] = {
    "false-sharing": {"times": 50},
    "fork-latency": {"resident": "4MiB"},
    "lock-contention": {"operations": 100},
    "priority-inversion": {"middle_ms": 10.0},
    "producer-consumer": {"items": 50},
    "shared-counter": {"times": 100},
    "scheduler-zoo": {"duration_ms": 5.0},
    "snapshot": {"keys": 2000, "duration_ms": 5.0},
    "timer-ticks": {"duration_ms": 5.0},
}


@pytest.fixture(scope="module")
def machine() -> runq.Machine:
    return runq.machines.load("sapphire-rapids").with_set(f"cpus={CPUS}")


def shown(*arguments: str) -> str:
    command = [*PROGRAM, "scenarios", "show", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def outcome(machine: runq.Machine, model: str, name: str, **parameters: Any) -> dict[str, Any]:
    return runq.simulate(name, machine, model, **parameters).outcome


@pytest.mark.parametrize("model", runq.models.names())
@pytest.mark.parametrize("name", SMALL)
def test_all_tasks_come_to_their_end_under_every_model(name: str, model: str, machine: runq.Machine) -> None:
    r = runq.simulate(name, machine, model, **SMALL[name])
    assert r.deadlock == ()
    assert r.tasks is not None
    assert r.tasks.count == TASKS[name]
    assert sum(r.ledger.values()) == pytest.approx(CPUS * r.makespan_ns)


@pytest.mark.parametrize("name", [name for name in runq.scenarios.names() if name not in SERVICES])
def test_a_scenario_is_a_file_that_compare_takes(name: str, tmp_path: Path) -> None:
    small = SMALL.get(name, SHORT.get(name, {}))
    changes = [part for key, value in small.items() for part in ("--set", f"scenario.{key}={value}")]
    path = tmp_path / "mine.toml"
    path.write_text(shown(name, *changes))
    models = ["thread-per-task", "go"]
    of_file = runq.compare(None, path, models, repeat=1)
    of_name = runq.compare(None, runq.scenarios.load(name, **small), models, repeat=1)
    assert [row.model for row in of_file.models] == models
    assert of_file.scenario == name
    assert [row.digests for row in of_file.models] == [row.digests for row in of_name.models]


@pytest.mark.parametrize("change", ["model=go", "model.go.workers=2"])
def test_a_file_may_name_its_model(change: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(shown("fork-join", "--set", "scenario.tasks=50", "--set", f"scenario.{change}"))
    r = runq.simulate(path)
    assert r.runtime is not None
    assert (r.runtime.model, r.runtime.workers) == ("go", 2 if "workers" in change else 1)
    # What is asked for goes first.
    other = runq.simulate(path, None, "tokio").runtime
    assert other is not None
    assert other.model == "tokio"


def test_one_loop_makes_blocking_calls_one_after_the_other(machine: runq.Machine) -> None:
    small = SMALL["blocking-syscalls"]
    loop = outcome(machine, "event-loop", "blocking-syscalls", **small)
    assert loop["wall_ms"] == pytest.approx(150, rel=0.01)
    assert loop["threads"] == 1
    assert loop["calls_at_a_time"] == pytest.approx(1, rel=0.01)
    pool = outcome(machine, "thread-pool:10", "blocking-syscalls", **small)
    assert pool["wall_ms"] == pytest.approx(15, rel=0.05)


def test_where_calls_are_handed_off_there_is_a_thread_for_each(machine: runq.Machine) -> None:
    found = outcome(machine, "go", "blocking-syscalls", tasks=200)
    assert found["threads"] >= 200
    assert found["hand_offs"] >= 200 - CPUS
    assert 100 < found["wall_ms"] < 150


def test_small_tasks_starve_where_nothing_takes_the_cpu_from_hogs(machine: runq.Machine) -> None:
    waits = {model: outcome(machine, model, "cpu-hogs") for model in ("thread-per-task", "event-loop", "tokio", "go")}
    assert waits["event-loop"]["wait_ms_max"] == pytest.approx(16 * 200, rel=0.01)
    assert waits["tokio"]["wait_ms_max"] > 200
    assert waits["tokio"]["slice_ms"] == 200
    # Some slices of hogs in line before it, and no whole hog.
    assert 10 < waits["go"]["wait_ms_max"] < 200
    assert 10 < waits["go"]["slice_ms"] < 22
    assert waits["thread-per-task"]["slice_ms"] < 10


def test_hogs_that_leave_a_cpu_free_disturb_nobody(machine: runq.Machine) -> None:
    assert outcome(machine, "go", "cpu-hogs", hogs=CPUS - 1, small=1)["wait_ms_max"] < 0.2


@pytest.mark.parametrize("shape", ["flat", "tree"])
def test_cpus_share_the_work_of_tasks(shape: str, machine: runq.Machine) -> None:
    for model in ("event-loop-per-cpu", "go", "tokio", "java"):
        found = outcome(machine, model, "fork-join", shape=shape, depth=10, tasks=1000, work_us=100)
        assert 0.9 * CPUS < found["speed_up"] <= CPUS
        assert 0 < found["overhead_ns_per_task"] < 10_000
    alone = outcome(machine, "event-loop", "fork-join", shape=shape, depth=6, tasks=100, work_us=100)
    assert 0.9 < alone["speed_up"] < 1


def test_a_tree_has_the_tasks_of_its_depth(machine: runq.Machine) -> None:
    r = runq.simulate("fork-join", machine, "go", shape="tree", depth=5, work_us=1)
    assert r.outcome["tasks_ended"] == 2**6 - 2
    assert r.ledger["user"] == pytest.approx(2**5 * 1000)


def test_a_pool_whose_threads_wait_for_their_own_tasks_stands_still(machine: runq.Machine) -> None:
    r = runq.simulate("fork-join", machine, "thread-pool:4", shape="tree", depth=6)
    assert r.deadlock
    assert r.outcome["speed_up"] is None
    r = runq.simulate("pipeline", machine, "thread-pool:2", **SMALL["pipeline"])
    assert r.deadlock
    assert r.outcome["items_per_s"] is None


def test_longer_channels_keep_more_stages_at_work(machine: runq.Machine) -> None:
    at_work = [
        outcome(machine, "go", "pipeline", items=2000, capacity=capacity)["stages_at_a_time"] for capacity in (1, 8, 64)
    ]
    assert 1 < at_work[0] < at_work[1] < at_work[2] <= 4


def test_one_stage_has_no_channel_and_equal_stages_all_work(machine: runq.Machine) -> None:
    alone = outcome(machine, "tokio", "pipeline", stages=1, items=1000, work="constant")
    assert alone["items_per_s"] == pytest.approx(1e5, rel=0.02)
    equal = outcome(machine, "thread-per-task", "pipeline", items=1000, work_us=50, work="constant")
    assert equal["stages_at_a_time"] > 3.8
