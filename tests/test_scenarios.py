"""Scenarios: what they are as values, those that come with runq, and the programs that run them."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import runq
from runq.scenarios.snapshot import size_class, value_slot_bytes

PROGRAM = [sys.executable, "-m", "runq.cli"]
FORK = [{"op": "fork", "child": [{"op": "exit"}]}, {"op": "wait_child"}]
SMALL = {
    "address-space": {},
    "blocking-syscalls": {"tasks": 20},
    "cache-stampede": {"duration_s": 20.0},
    "context-switch": {"array": "8KiB", "rounds": 3, "passes": 2},
    "cpu-hogs": {"hogs": 2, "hog_ms": 20.0, "small": 2, "turns": 3},
    "dining-philosophers": {},
    "false-sharing": {"times": 50},
    "fork-join": {"tasks": 50, "depth": 4},
    "fork-latency": {"resident": "4MiB"},
    "lock-contention": {"operations": 100},
    "oversubscription": {"threads": 3, "working_set": "4KiB", "passes": 3},
    "page-replacement": {},
    "pipeline": {"stages": 3, "items": 40, "capacity": 4},
    "priority-inversion": {"middle_ms": 10.0},
    "producer-consumer": {"items": 50},
    "retry-storm": {"duration_s": 20.0},
    "scheduler-zoo": {"duration_ms": 50.0},
    "shared-counter": {"times": 100},
    "sleepers": {"tasks": 50},
    "snapshot": {"keys": 2000, "duration_ms": 10.0},
    "timer-ticks": {"duration_ms": 20.0},
    "web-service": {"requests": 50, "cold_data": "64KiB"},
}


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)


def run_json(*arguments: str | Path) -> Any:
    done = run(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("runq: error: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def without_times(text: str) -> Any:
    tree = json.loads(text)
    assert tree.pop("simulate_seconds") >= 0
    return tree


def scenario_of(*ops: dict[str, Any], **fields: Any) -> runq.Scenario:
    return runq.Scenario(name="test", processes=[runq.ProcessSpec("test", ops)], **fields)


# Values


@pytest.mark.parametrize("name", runq.scenarios.names())
def test_a_scenario_survives_a_file(name: str, tmp_path: Path) -> None:
    scenario = runq.scenarios.load(name, **SMALL[name])
    path = tmp_path / "scenario.toml"
    path.write_text(scenario.to_toml())
    assert type(scenario).from_toml(path) == scenario
    assert type(scenario).from_dict(json.loads(scenario.to_json())) == scenario
    assert runq.simulate(path).digest == runq.simulate(scenario).digest == runq.simulate(name, **SMALL[name]).digest


@pytest.mark.parametrize("name", runq.scenarios.names())
def test_every_scenario_prints_what_it_is_about(name: str) -> None:
    result = runq.simulate(name, **SMALL[name])
    if name not in ("address-space", "page-replacement"):  # tables under titles of their own
        assert next(iter(result.outcome)).replace("_", " ") in str(result)


CUTS = ("processes[0].program=[]", "processes[0].copies=0", "until_ns=1", "until_ns=0", "duration_ns=1")


@pytest.mark.parametrize("name", runq.scenarios.names())
def test_a_scenario_that_is_cut_to_nothing_has_no_outcome_and_is_told(name: str) -> None:
    values = runq.scenarios.parameters(name, **SMALL[name])
    for cut in CUTS:
        try:
            scenario = runq.scenarios.load(name, **SMALL[name]).with_set(cut)
            result = runq.simulate(scenario)
        except runq.RunqError:
            continue
        outcome = runq.scenarios.outcome(name, values, result)
        assert json.loads(json.dumps(outcome)) is not None
        assert str(msgspec.structs.replace(result, outcome=outcome))


def test_choices_of_the_model_are_set_by_path(tmp_path: Path) -> None:
    chosen = runq.WorkStealing(workers=2, queues={"steal": "one"})
    digest = runq.simulate("fork-join", model=chosen, tasks=50).digest
    sets = ["--set", "model.workers=2", "--set", "model.queues.steal=one"]
    fork_join = ["fork-join", "--set", "tasks=50"]
    assert run_json("simulate", *fork_join, "--model", "work-stealing", *sets)["digest"] == digest
    path = tmp_path / "mine.toml"
    scenario = runq.scenarios.load("fork-join", tasks=50)
    assert isinstance(scenario, runq.Scenario)
    path.write_text(msgspec.structs.replace(scenario, model=runq.WorkStealing().to_dict()).to_toml())
    assert run_json("simulate", path, *sets)["digest"] == digest
    assert run_json("simulate", path, "--set", "model.work-stealing.workers=2")["runtime"]["workers"] == 2
    assert run("ps", path, *sets, "--at-ns", "1e6", "--tasks").stdout
    assert_refused(run("simulate", *fork_join, *sets), "model.workers: must be for a model, and none is given, got 2")
    assert_refused(run("simulate", "retry-storm", *sets), "model: must not be given for a service")
    assert_refused(run("compare", *fork_join, *sets), "model.workers: must be for one model")


def test_what_is_said_again_and_again_is_printed_once() -> None:
    machine = runq.machines.load("granite-rapids-vm").with_set("kernel.processes_max=10")
    r = runq.simulate("sleepers", machine, "process-per-task", tasks=100)
    assert str(r).count("the limit of 10 processes is reached") == 1
    assert f"the limit of 10 processes is reached ({len(r.log):,} times)" in str(r)


def test_a_program_without_an_end_is_an_error_after_events_max() -> None:
    assert_refused(run("simulate", "web-service", "--set", "events_max=1000"), "takes more than 1000 events, and is at")
    spins = [{"op": "repeat", "times": 1 << 60, "body": [{"op": "yield_now"}]}]
    scenario = runq.Scenario(name="endless", processes=[runq.ProcessSpec("p", spins)], events_max=100_000)
    with pytest.raises(runq.SimulationError, match=r"endless takes more than 100000 events.*`events_max` allows more"):
        runq.simulate(scenario)
    with pytest.raises(runq.ConfigError, match="events_max: must be at least 1, got 0"):
        runq.simulate(scenario.with_set("events_max=0"))


def test_a_file_without_an_end_is_refused() -> None:
    for arguments in (["simulate", "/dev/zero"], ["simulate", "sleepers", "--machine", "/dev/zero"]):
        assert_refused(run(*arguments), "/dev/zero: must be at most 64 MiB")


def test_any_text_survives_a_file(tmp_path: Path) -> None:
    odd = 'a "quote", a \\ and \x7f'
    scenario = runq.Scenario(name=odd, processes=[runq.ProcessSpec("p", [{"op": "measure", "name": odd, "body": []}])])
    path = tmp_path / "scenario.toml"
    path.write_text(scenario.to_toml())
    assert runq.Scenario.from_toml(path) == scenario


def test_a_scenario_is_changed_by_path() -> None:
    scenario = scenario_of(*FORK)
    changed = scenario.with_set("kernel.fork_policy=on-demand", "processes[0].name=server", "until_ns=5")
    assert changed.kernel.fork_policy == "on-demand"
    assert changed.processes[0].name == "server"
    assert changed.until_ns == 5
    assert scenario == scenario_of(*FORK)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"processes": []}, ["name"]),
        ({"name": "n", "processes": 3}, ["processes", "array"]),
        ({"name": "n", "processes": [], "kernel": {"placement": "odd"}}, ["kernel.placement", '"odd"']),
        ({"name": "n", "processes": [], "frames": 3}, ["unknown field", "frames"]),
        ({"name": "n", "processes": [{"name": "p", "program": [], "start_ns": "x"}]}, ["processes[0].start_ns"]),
    ],
)
def test_what_is_wrong_in_a_scenario_is_named(tree: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(runq.ConfigError) as caught:
        runq.Scenario.from_dict(tree)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("kernel.aslr", ["PATH=VALUE"]),
        ("processes[3].name=x", ["processes[3].name", "1 elements"]),
        ("kernel.aslr=perhaps", ["kernel.aslr", "bool"]),
        ("name.x=1", ["name.x"]),
    ],
)
def test_what_is_wrong_in_an_assignment_is_named(assignment: str, words: list[str]) -> None:
    with pytest.raises(runq.ConfigError) as caught:
        scenario_of(*FORK).with_set(assignment)
    for word in words:
        assert word in str(caught.value)


def test_an_op_that_is_wrong_is_named_with_its_path() -> None:
    with pytest.raises(runq.ConfigError, match=r"program\[1\].*op|touhc"):
        runq.simulate(scenario_of(FORK[0], {"op": "touhc"}))
    with pytest.raises(runq.ConfigError, match="processes"):
        runq.simulate(runq.Scenario(name="nobody", processes=[]))


def test_a_program_that_cannot_go_on_names_its_process() -> None:
    with pytest.raises(runq.SimulationError, match=r"test.*no region heap"):
        runq.simulate(scenario_of({"op": "touch", "region": "heap"}))


# Results


def test_equal_inputs_give_equal_results() -> None:
    first, second = (runq.simulate("snapshot", seed=3, **SMALL["snapshot"]) for _ in range(2))
    assert without_times(first.to_json()) == without_times(second.to_json())
    assert runq.simulate("snapshot", seed=4, **SMALL["snapshot"]).digest != first.digest


def test_the_ledger_holds_all_time() -> None:
    r = runq.simulate("address-space")
    assert sum(r.ledger.values()) == pytest.approx(r.makespan_ns)
    assert len(r.ledger_by_cpu) == 1


def test_a_result_is_a_table() -> None:
    r = runq.simulate("address-space")
    for word in ("address-space on granite-rapids-vm: 3 processes", "fork at", "cow copy", "time went to", r.digest):
        assert word in str(r)
    assert r.digest in repr(r)
    assert r["fork"].count == 1
    with pytest.raises(KeyError, match="the scenario measures"):
        r["nothing"]


def test_progress_is_told_and_may_stop_the_run() -> None:
    def stop(now_ns: float, events: int) -> None:
        assert now_ns >= 0
        assert events > 0
        raise ZeroDivisionError

    endless = scenario_of({"op": "repeat", "times": 10**12, "body": [{"op": "compute", "ns": 1}]})
    with pytest.raises(ZeroDivisionError):
        runq.simulate(endless, progress=stop)


def test_processes_are_shown_at_any_time() -> None:
    r = runq.simulate("address-space")
    fork = r.forks[0]
    before = r.ps(fork.at_ns - 1)
    after = r.ps(fork.at_ns + fork.time_ns)
    assert [process.pid for process in before] == [1, 2]
    assert [process.pid for process in after] == [1, 2, 3]
    assert after[2].parent == 2
    assert all(process.state == "terminated" for process in r.ps(1e12)[1:])


# Scenarios that come with runq


def test_fork_costs_what_its_entries_cost() -> None:
    costs = runq.machines.load("granite-rapids-vm").kernel.fork
    each = {"clean": costs.pte_clean_ns, "dirtied": costs.pte_dirtied_ns, "scattered": costs.pte_scattered_ns}
    for state, cost in each.items():
        r = runq.simulate("fork-latency", resident="64MiB", state=state)
        assert r.outcome["fork_ns_min"] == pytest.approx(costs.base_ns + 16384 * cost, rel=0.01)


def test_huge_pages_and_on_demand_fork_are_cheaper() -> None:
    times = [
        runq.simulate("fork-latency", resident="256MiB", **change).outcome["fork_ns_min"]
        for change in ({}, {"page_size": "2MiB"}, {"on_demand": True})
    ]
    assert times[0] > 10 * times[1]
    assert times[0] > 10 * times[2]


def test_what_does_not_fill_a_huge_page_has_small_ones() -> None:
    fork = runq.simulate("fork-latency", resident="5MiB", page_size="2MiB").forks[-1]
    assert (fork.huge_dirtied, fork.dirtied + fork.scattered) == (2, 256)


def test_fork_of_8_gib_is_quick_to_simulate() -> None:
    r = runq.simulate("fork-latency", resident="8GiB", state="clean", repeats=1)
    assert r.forks[-1].clean == 1 << 21
    assert r.simulate_seconds < 5


def pages_copied(**parameters: Any) -> int:
    copied: int = runq.simulate("snapshot", keys=100_000, duration_ms=200.0, **parameters).outcome["pages_copied"]
    return copied


def test_snapshot_copies_what_the_formula_says() -> None:
    """base + the sum over the pools of N (1 - (1-1/N)^k)."""
    writes, slot = 6000, value_slot_bytes(200)

    def dirty(pages: float) -> float:
        return pages * (1 - (1 - 1 / pages) ** writes)

    values, objects = 100_000 * slot / 4096, 100_000 * 32 / 4096
    expected = 105 + dirty(values) + dirty(objects)
    assert pages_copied(command="setrange") == pytest.approx(expected, rel=0.03)
    # A SET writes the whole value, which may cross into the next page, and the dictEntry.
    crossing = 1 + 199 / 4096
    values_set = values * (1 - (1 - 1 / values) ** (writes * crossing))
    assert pages_copied(command="set") == pytest.approx(105 + values_set + 2 * dirty(objects), rel=0.03)


def test_skew_saves_pages_only_where_hot_keys_are_neighbours() -> None:
    uniform = pages_copied(command="setrange")
    scattered = pages_copied(command="setrange", skew="hot-scattered")
    contiguous = pages_copied(command="setrange", skew="hot-contiguous")
    assert contiguous < scattered / 4 < uniform / 4
    assert pages_copied(command="setrange", skew="zipf") < uniform
    hashed = pages_copied(command="setrange", skew="hot-contiguous", memory_order="hash")
    assert hashed > 4 * contiguous


def test_the_default_snapshot_is_quick() -> None:
    begin = time.monotonic()
    r = runq.simulate("snapshot")
    assert time.monotonic() - begin < 2
    assert r.outcome["writes"] == 15_000
    assert r.outcome["peak_memory_bytes"] > r.outcome["bytes_copied"] > 0


def test_size_classes_are_those_of_jemalloc() -> None:
    classes = [8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280]
    assert sorted({size_class(count) for count in range(1, 1281)}) == classes
    assert all(size_class(count) >= count for count in range(1, 5000))
    assert (value_slot_bytes(200), value_slot_bytes(1000), value_slot_bytes(8)) == (224, 1024, 32)


def test_more_frames_may_mean_more_faults() -> None:
    outcome = runq.simulate("page-replacement").outcome
    assert outcome["faults"]["fifo"] == {"1": 12, "2": 12, "3": 9, "4": 10, "5": 5}
    assert {"policy": "fifo", "frames": [3, 4]} in outcome["anomalies"]
    assert not any(row["policy"] in ("lru", "opt") for row in outcome["anomalies"])


@pytest.mark.parametrize("pattern", ["uniform", "zipf", "hot", "loop"])
def test_the_best_policy_faults_least(pattern: str) -> None:
    outcome = runq.simulate("page-replacement", pages=[], pattern=pattern, references=3000, frames=[10, 50]).outcome
    for frames in ("10", "50"):
        assert min(row[frames] for row in outcome["faults"].values()) == outcome["faults"]["opt"][frames]


def test_page_replacement_of_a_reference_string() -> None:
    belady = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]
    rows = runq.page_replacement(belady, frames=[3, 4], policy="fifo")
    assert [(row.frames, row.hits, row.faults) for row in rows] == [(3, 3, 9), (4, 2, 10)]
    assert runq.page_replacement([], frames=[1])[0].faults == 0
    for wrong in ({"frames": [0]}, {"frames": [1], "policy": "best"}, {"frames": ["x"]}, {"frames": [-1]}):
        with pytest.raises(runq.ConfigError):
            runq.page_replacement(belady, **wrong)  # type: ignore[arg-type]


def test_the_tour_ends_one_child_alone() -> None:
    r = runq.simulate("address-space")
    ends = [process.end for process in r.processes[1:]]
    assert ends[:2] == ["exit 0", "exit 0"]
    assert ends[2] is not None
    assert ends[2].startswith("segmentation fault: write of 0x400000")
    assert len(r.log) == 1
    assert r.faults["cow_copy"] == 1


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("nothing", {}, ["scenario", "snapshot"]),
        ("snapshot", {"key": 3}, ["scenario.key", "keys"]),
        ("snapshot", {"keys": "many"}, ["keys", "int"]),
        ("snapshot", {"keys": 0}, ["scenario.keys"]),
        ("snapshot", {"skew": "odd"}, ["skew", '"odd"']),
        ("snapshot", {"duration_ms": 0}, ["scenario.duration_ms"]),
        ("fork-latency", {"resident": "large"}, ["scenario.resident", "64MiB"]),
        ("fork-latency", {"resident": 0}, ["scenario.resident"]),
        ("fork-latency", {"repeats": 0}, ["scenario.repeats"]),
        ("fork-join", {"tasks": 0}, ["scenario.tasks", "16777216"]),
        ("fork-join", {"depth": 21}, ["scenario.depth", "21"]),
        ("fork-join", {"shape": "ring"}, ["shape", '"ring"']),
        ("fork-join", {"work_us": -1}, ["scenario.work_us"]),
        ("blocking-syscalls", {"tasks": 0}, ["scenario.tasks"]),
        ("blocking-syscalls", {"block_ms": 0}, ["scenario.block_ms"]),
        ("cpu-hogs", {"hogs": 0}, ["scenario.hogs"]),
        ("cpu-hogs", {"burst_us": 0}, ["scenario.burst_us"]),
        ("pipeline", {"stages": 0}, ["scenario.stages"]),
        ("pipeline", {"capacity": 0}, ["scenario.capacity"]),
        ("pipeline", {"work_us": 0}, ["scenario.work_us"]),
        ("page-replacement", {"frames": []}, ["scenario.frames"]),
        ("page-replacement", {"pages": [-1]}, ["scenario.pages"]),
    ],
)
def test_parameters_that_are_wrong_are_named(name: str, parameters: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(runq.ConfigError) as caught:
        runq.simulate(name, **parameters)
    for word in words:
        assert word in str(caught.value)


def test_only_named_scenarios_have_parameters() -> None:
    with pytest.raises(runq.ConfigError, match=r"scenario\.keys"):
        runq.simulate(scenario_of(*FORK), keys=3)


# The program


def test_simulate_prints_the_json_of_the_api() -> None:
    arguments = ("--set", "scenario.resident=4MiB", "--set", "machine.kernel.fork.base_ns=1000", "--seed", "2")
    tree = run_json("simulate", "fork-latency", *arguments)
    machine = runq.machines.load("granite-rapids-vm").with_set("kernel.fork.base_ns=1000")
    expected = without_times(runq.simulate("fork-latency", machine, seed=2, resident="4MiB").to_json())
    assert tree.pop("simulate_seconds") >= 0
    assert tree == expected
    for key in ("makespan_ns", "ledger", "digest", "outcome"):
        assert key in tree


def test_simulate_takes_a_file_and_changes_it(tmp_path: Path) -> None:
    done = run("scenarios", "show", "fork-latency", "--set", "scenario.resident=4MiB")
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / "mine.toml"
    path.write_text(done.stdout)
    table = run("simulate", path)
    assert (table.returncode, table.stderr) == (0, "")
    assert "fork-latency on granite-rapids-vm" in table.stdout
    tree = run_json("simulate", path, "--set", "scenario.kernel.fork_policy=on-demand", "--machine", "golden")
    assert tree["machine"] == "golden"
    assert tree["forks"][0]["shared_tables"] > 0


def test_scenarios_are_listed() -> None:
    listed = run("scenarios")
    assert (listed.returncode, listed.stderr) == (0, "")
    for name in runq.scenarios.names():
        assert f"{name}: " in listed.stdout
    assert "scenario.value_bytes = 200" in listed.stdout
    assert sorted(run_json("scenarios")) == runq.scenarios.names()


def test_ps_shows_a_tree() -> None:
    done = run("ps", "address-space", "--at-ns", "1e9")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^1 +init.*\n {2}2 +parent", done.stdout, re.MULTILINE)
    rows = run_json("ps", "address-space", "--at-ns", "0")
    assert [row["pid"] for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["simulate", "nothing"], ["scenario", "fork-latency"]),
        (["simulate", "snapshot", "--set", "key=3"], ["scenario.key", "keys"]),
        (["simulate", "snapshot", "--set", "scenario.key=3"], ["scenario.key"]),
        (["simulate", "snapshot", "--set", "machine.kernel.forks=3"], ["kernel"]),
        (["simulate", "snapshot", "--machine", "none"], ["machine"]),
        (["simulate"], ["SCENARIO"]),
        (["ps", "address-space"], ["--at-ns"]),
        (["ps", "address-space", "--at-ns", "-1"], ["at_ns"]),
        (["scenarios", "show", "nothing"], ["scenario"]),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(arguments: list[str], words: list[str]) -> None:
    assert_refused(run(*arguments), *words)


@pytest.mark.parametrize("command", [["simulate"], ["scenarios"], ["scenarios", "show"], ["ps"], ["validate"]])
def test_help_has_examples(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout


def test_ctrl_c_ends_a_simulation(tmp_path: Path) -> None:
    endless = scenario_of({"op": "repeat", "times": 10**12, "body": [{"op": "compute", "ns": 1}]})
    path = tmp_path / "endless.toml"
    path.write_text(endless.to_toml())
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "simulate", str(path)], stdout=subprocess.PIPE, stderr=follower, stdin=subprocess.DEVNULL
    )
    # Progress says that it is at work.
    shown = b""
    while b"simulated" not in shown:
        shown += os.read(leader, 1000)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    for end in (leader, follower):
        os.close(end)
    if process.stdout:
        process.stdout.close()
