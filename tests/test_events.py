"""The event log: it changes nothing, says what the counters say, and where every task is can be rebuilt from it."""

import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import polars
import pyarrow
import pytest
import runq
from hypothesis import given, settings
from hypothesis import strategies as st
from runq.events import Events
from task_programs import (
    GIVE_WAY,
    JOIN,
    MODELS,
    PLAIN,
    RUNTIMES,
    Program,
    block,
    compute,
    io,
    programs,
    repeat,
    run,
    runtime_of,
    scenario_of,
    sleep,
    task,
)

Row = dict[str, Any]

# Longer than what a cpu does at once, such as a fork or the end of a process: so far around a time nothing happens.
QUIET_NS = {"process-per-task": 100_000.0}
QUIET_NS_USUAL = 15_000.0

MIXED: Program = [
    repeat(9, task(compute(450_000), sleep(900_000), compute(350_000), GIVE_WAY, io(600_000), compute(270_000))),
    repeat(4, task(block(1_400_000), compute(400_000), task(compute(700_000)), JOIN)),
    repeat(3, task({"op": "lock", "lock": "m"}, compute(290_000), {"op": "unlock", "lock": "m"})),
    JOIN,
]


def logged(program: Program, model: str, cpus: int = 2, limit: bool | int = True) -> runq.SimulateResult:
    return runq.simulate(scenario_of(program), PLAIN.with_set(f"cpus={cpus}"), model, seed=1, events=limit)


def events_of(r: runq.SimulateResult) -> Events:
    assert r.events is not None, "events were asked for"
    return r.events


def rows_of(events: Events) -> list[Row]:
    tree = events.to_dict()
    del tree["dropped"]
    return [dict(zip(tree, values, strict=True)) for values in zip(*tree.values(), strict=True)]


@settings(max_examples=60, deadline=None)
@given(program=programs(1), model=st.sampled_from(MODELS), cpus=st.integers(1, 3))
def test_the_log_changes_no_bit_of_a_run(program: Program, model: str, cpus: int) -> None:
    plain = runq.simulate(scenario_of(program), PLAIN.with_set(f"cpus={cpus}"), model, seed=1)
    assert plain.events is None
    for limit in (True, 3):
        r = logged(program, model, cpus, limit)
        assert r.digest == plain.digest
        assert r.makespan_ns == plain.makespan_ns


def places_at(rows: list[Row], at_ns: float, has_own_thread: bool) -> dict[int, Row]:
    """Where tasks are at a time, by what the log says up to there."""
    places: dict[int, Row] = {}
    for row in rows:
        if row["at_ns"] > at_ns:
            break
        number, kind = row["task"], row["kind"]
        if number is None:
            continue
        place = places.setdefault(number, {"state": "new", "worker": None, "thread": None, "cpu": None})
        if kind in ("start", "run"):
            place.update(state="running", worker=row["worker"], thread=row["thread"], cpu=row["cpu"])
        elif kind == "hand-off":
            place.update(worker=None)
        elif kind == "claim":
            place.update(worker=row["worker"])
        elif kind in ("block", "park"):
            place.update(state="waiting", cpu=None)
        elif kind in ("spawn", "unpark", "yield", "preempt", "requeue", "switch-out"):
            place.update(state="ready", cpu=None)
        elif kind == "end":
            del places[number]
        leaves = kind in ("park", "requeue", "preempt", "yield")
        if kind == "spawn" and has_own_thread:
            place.update(thread=row["thread"])
        if leaves and not has_own_thread:
            place.update(thread=None, worker=None)
    return places


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cpus", [1, 2])
def test_where_every_task_is_can_be_rebuilt_from_the_log(model: str, cpus: int) -> None:
    r = logged(MIXED, model, cpus)
    rows = rows_of(events_of(r))
    times = sorted({row["at_ns"] for row in rows})
    quiet = 2 * QUIET_NS.get(model, QUIET_NS_USUAL)
    gaps = [(after + before) / 2 for before, after in pairwise(times) if after - before > quiet]
    assert len(gaps) >= 8
    compared: Counter[str] = Counter()
    for at_ns in gaps[:: max(len(gaps) // 25, 1)]:
        rebuilt = places_at(rows, at_ns, model in ("process-per-task", "thread-per-task"))
        told = {place.task: place for place in r.tasks_at(at_ns)}
        assert rebuilt.keys() == told.keys()
        for number, place in told.items():
            row = {name: getattr(place, name) for name in ("state", "worker", "thread", "cpu")}
            assert rebuilt[number] == row, (number, at_ns)
            assert r.where(number, at_ns) == place
            compared[place.state] += 1
    assert min(compared[state] for state in ("running", "waiting")) > 0


@settings(max_examples=100, deadline=None)
@given(program=programs(1), model=st.sampled_from(RUNTIMES), cpus=st.integers(1, 3))
def test_the_log_says_what_the_counters_say(program: Program, model: str, cpus: int) -> None:
    r = logged([*program, task(compute(10)), JOIN], model, cpus)
    events, runtime = events_of(r), runtime_of(r)
    rows = rows_of(events)
    counts = Counter(row["kind"] for row in rows)
    steals = [row for row in rows if row["kind"] == "steal"]
    assert len(steals) == runtime.steals
    assert sum(row["count"] for row in steals) == runtime.stolen
    assert all(row["from_worker"] not in (None, row["worker"]) for row in steals)
    assert counts["hand-off"] == runtime.hand_offs
    assert counts["preempt"] == runtime.preemptions
    assert counts["refuse"] == runtime.tasks_refused
    has_first = runq.models.load(model).to_dict() and bool((events.task[events.kind == "start"] == -1).any())
    assert counts["spawn"] == runtime.tasks - has_first
    calls = [row for row in rows if row["kind"] == "block" and row["waits_for"] == "the end of a call"]
    assert len(calls) == runtime.blocking_calls or model == "thread-pool"


@settings(max_examples=100, deadline=None)
@given(program=programs(1), model=st.sampled_from(MODELS), cpus=st.integers(1, 3))
def test_the_life_of_a_task_is_in_order(program: Program, model: str, cpus: int) -> None:
    rows = rows_of(events_of(logged(program, model, cpus)))
    assert [row["at_ns"] for row in rows] == sorted(row["at_ns"] for row in rows)
    on_cpu: dict[int, int] = {}
    state: dict[int, str] = {}
    after = {
        "spawn": {None},
        "start": {"spawn"},
        "run": {"unpark", "yield", "preempt", "switch-out", "requeue"},
        "unpark": {"park", "block"},
        "end": {"spawn", "start", "run", "park", "block", "unpark", "yield", "preempt", "switch-out", "requeue"},
    }
    for row in rows:
        number, kind = row["task"], row["kind"]
        if number is None or kind in ("steal", "hand-off", "claim"):
            continue
        assert state.get(number) in after.get(kind, {"start", "run"}), (number, kind, state.get(number))
        state[number] = kind
        if kind in ("start", "run"):
            assert row["cpu"] not in on_cpu.values(), "one task a cpu"
            on_cpu[number] = row["cpu"]
        else:
            on_cpu.pop(number, None)


def test_one_loop_runs_two_tasks_as_traced_by_hand() -> None:
    program = [task(compute(5_000), sleep(50_000)), task(compute(7_000)), JOIN]
    rows = rows_of(events_of(logged(program, "event-loop", cpus=1)))
    told = [(row["kind"], row["task"], row["waits_for"]) for row in rows]
    assert told == [
        ("start", None, None),
        ("spawn", 0, None),
        ("spawn", 1, None),
        ("park", None, "the threads that it made"),
        ("start", 0, None),
        ("park", 0, "a time"),
        ("start", 1, None),
        ("end", 1, None),
        ("retire", None, None),
        ("claim", None, None),
        ("unpark", 0, None),
        ("run", 0, None),
        ("end", 0, None),
        ("unpark", None, None),
        ("run", None, None),
        ("end", None, None),
    ]
    unparked = [row for row in rows if row["kind"] == "unpark"]
    assert [(row["by_task"], row["by_thread"]) for row in unparked] == [(None, 0), (0, 0)]


def test_a_steal_tells_from_whom_and_how_many() -> None:
    model = {"work-stealing": {"workers": 2, "queues": {"steal": "half"}}}
    program = [task(repeat(8, task(compute(400_000))), compute(100_000), JOIN), JOIN]
    r = run(program, model=model, cpus=2)
    rows = rows_of(events_of(runq.simulate(r.scenario, r.config, model, seed=1, events=True)))
    first = next(row for row in rows if row["kind"] == "steal")
    maker = next(row for row in rows if row["kind"] == "start")
    assert (first["worker"], first["from_worker"]) == (1 - maker["worker"], maker["worker"])
    assert first["count"] == 4, "half of eight that were made while it woke"
    assert first["task"] == 4, "the newest of those taken runs"


def test_a_blocking_call_loses_its_worker_and_gets_it_back() -> None:
    program = [task(compute(9_000_000)), task(block(3_000_000), compute(10_000)), JOIN]
    rows = rows_of(events_of(logged(program, "go:1")))
    own = [row for row in rows if row["task"] == 1]
    kinds = ["spawn", "start", "block", "hand-off", "unpark", "run", "requeue", "run", "end"]
    assert [row["kind"] for row in own] == kinds
    (lost,) = (row for row in own if row["kind"] == "hand-off")
    assert (lost["worker"], lost["thread"]) == (0, own[1]["thread"])
    woken = next(row for row in rows if row["kind"] == "wake" and row["at_ns"] >= lost["at_ns"])
    assert woken["worker"] == 0
    assert woken["thread"] != lost["thread"]
    assert lost["by_thread"] == woken["by_thread"], "both are the monitor's doing"


def test_a_limit_keeps_the_first_events_and_counts_the_others() -> None:
    whole = events_of(logged(MIXED, "go"))
    assert whole.dropped == 0
    for limit in (1, 7, 50, len(whole), 10_000):
        part = events_of(logged(MIXED, "go", limit=limit))
        assert len(part) <= limit
        assert len(part) + part.dropped == len(whole)
        assert rows_of(part) == rows_of(whole)[: len(part)]
    assert len(events_of(logged(MIXED, "go", limit=50))) > 25


def test_events_are_columns_for_everybody() -> None:
    events = events_of(logged(MIXED, "tokio"))
    frame = polars.DataFrame(events)
    table = pyarrow.table(events.to_arrow())
    assert frame.height == table.num_rows == len(events)
    assert frame.filter(polars.col("kind") == "spawn").height == int((events.kind == "spawn").sum())
    assert table.column("task").null_count == int((events.task < 0).sum())
    assert events.at_ns.dtype == np.float64
    assert table.column_names[:3] == ["at_ns", "kind", "task"]


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runq.cli", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_program_tells_events_as_a_table_and_as_json() -> None:
    arguments = ["fork-join", "--model", "go:2", "--set", "tasks=4"]
    done = program(*arguments, "--events", "9")
    assert done.returncode == 0
    assert "for the threads that it made" in done.stdout
    assert "later events were not kept" in done.stdout
    tree = json.loads(program(*arguments, "--json", "--events").stdout)
    assert tree["events"]["kind"].count("spawn") == 4
    assert tree["events"]["dropped"] == 0
    assert "events" not in json.loads(program(*arguments, "--json").stdout)
    none = program(*arguments, "--events", "0").stdout
    assert "at  " not in none, "none is asked for"
    assert "digest" in none
    assert "events" not in json.loads(program(*arguments, "--json", "--events", "0").stdout)
    assert json.loads(program(*arguments, "--json", "--events", "2147483647").stdout)["events"] == tree["events"]


def test_what_cannot_be_kept_is_an_error() -> None:
    with pytest.raises(runq.ConfigError, match=r"events: must be 0 to 2\^31-1, or whether they are kept, got -1"):
        runq.simulate("fork-join", events=-1)
    with pytest.raises(runq.ConfigError, match=r"events: must not be given for a service"):
        runq.simulate("retry-storm", events=True)  # type: ignore[call-overload]
    for number in ("-1", "-5", "2147483648", "9" * 30, "-" + "9" * 30):
        for arguments in (["--events", number], [f"--events={number}"], ["--events", number, "--json"]):
            done = program("fork-join", *arguments)
            message = f"runq: error: Invalid value for '--events': {number} is not in the range 0<=x<=2147483647.\n"
            assert (done.returncode, done.stderr) == (2, message)
    assert program("fork-join", "--events", "-x").stderr == "runq: error: No such option '-x'.\n"
    assert program("retry-storm", "--events").returncode == 2
