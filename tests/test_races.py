"""Races: silent where everything is ordered, and a true pair wherever it is not."""

import json
import subprocess
import sys
from typing import Any

import pytest
import runq
from hypothesis import given, settings
from hypothesis import strategies as st

MACHINE = runq.machines.load("granite-rapids-vm").with_set("cpus=2", "kernel.timer.tick_ns=20000")
VARIABLES = ("x", "y")

Program = list[dict[str, Any]]


def access(kind: str, variable: str = "x") -> dict[str, Any]:
    if kind in ("load", "store"):
        return {"op": kind, "variable": variable}
    return {"op": "increment", "variable": variable, "how": kind}


def run(program: Program, seed: int = 0) -> runq.SimulateResult:
    scenario = runq.Scenario(name="races", processes=[runq.ProcessSpec("p", program)])
    return runq.simulate(scenario, MACHINE, seed=seed, races=True)


def threads(*children: Program) -> Program:
    return [
        *({"op": "thread", "name": f"t{index}", "child": child} for index, child in enumerate(children)),
        {"op": "join"},
    ]


def locked(*body: dict[str, Any]) -> Program:
    return [{"op": "lock", "lock": "m"}, *body, {"op": "unlock", "lock": "m"}]


def pairs(result: runq.SimulateResult) -> list[tuple[str, str, str]]:
    assert result.races is not None
    return [(race.variable, race.first.op, race.second.op) for race in result.races.told]


KINDS = st.sampled_from(["load", "store", "plain", "split"])
WORK = st.integers(0, 3000).map(lambda ns: {"op": "compute", "ns": ns})
GUARDED = st.lists(st.builds(access, KINDS, st.sampled_from(VARIABLES)), min_size=1, max_size=3)


def guarded_program() -> st.SearchStrategy[Program]:
    """Accesses under the lock, computation and atomic accesses to another variable outside."""
    outside = st.sampled_from(["atomic", "compare-exchange"]).map(lambda how: [access(how, "z")])
    piece = st.one_of(GUARDED.map(lambda body: locked(*body)), WORK.map(lambda op: [op]), outside)
    return st.lists(piece, max_size=5).map(lambda pieces: [op for piece in pieces for op in piece])


@given(st.lists(guarded_program(), min_size=2, max_size=4), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_locked_programs_have_no_race(programs: list[Program], seed: int) -> None:
    before = [access("store", name) for name in VARIABLES]
    after = [access("load", name) for name in (*VARIABLES, "z")]
    result = run([*before, *threads(*programs), *after], seed)
    assert pairs(result) == []
    assert not result.deadlock


@given(
    st.lists(guarded_program(), min_size=2, max_size=4),
    st.sampled_from(["store", "plain", "split"]),
    st.sampled_from(["load", "store", "plain", "split", "atomic"]),
    st.integers(0, 5),
)
@settings(max_examples=100, deadline=None)
def test_planted_race_is_named(programs: list[Program], first: str, second: str, seed: int) -> None:
    # At the very beginning of both, nothing can have ordered the two threads.
    planted = [[access(first, "secret"), *programs[0]], [access(second, "secret"), *programs[1]], *programs[2:]]
    assert pairs(run(threads(*planted), seed)) == [
        ("secret", *sorted(f"processes[0].program[{index}].child[0]" for index in (0, 1)))
    ] or pairs(run(threads(*planted), seed)) == [
        ("secret", *sorted((f"processes[0].program[{index}].child[0]" for index in (0, 1)), reverse=True))
    ]


def flag(give: dict[str, Any], take: dict[str, Any]) -> Program:
    """One writes and gives a sign, the other waits for it and reads."""
    return threads([access("store"), give], [take, access("load")])


SIGNS = {
    "semaphore": ({"op": "release", "semaphore": "s"}, {"op": "acquire", "semaphore": "s"}),
    "pipe": ({"op": "send", "channel": "c"}, {"op": "recv", "channel": "c"}),
    "atomic": (access("atomic", "flag"), {"op": "spin_until", "variable": "flag", "value": 1}),
    "atomic store": (
        {"op": "store", "variable": "flag", "value": 1, "atomic": True},
        {"op": "spin_until", "variable": "flag", "value": 1},
    ),
}


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("wait_ns", [0, 100_000])
@pytest.mark.parametrize("who", [0, 1])
def test_signs_order_what_is_around_them(sign: str, wait_ns: int, who: int) -> None:
    program = flag(*SIGNS[sign])
    program[who]["child"] = [{"op": "compute", "ns": wait_ns}, *program[who]["child"]]
    assert pairs(run(program)) == []


def test_sign_after_the_read_orders_nothing() -> None:
    give, take = SIGNS["semaphore"]
    assert pairs(run(threads([access("store"), give], [access("load"), take]))) != []


def test_join_and_creation_order() -> None:
    child = {"op": "thread", "name": "t", "child": [access("plain")]}
    assert pairs(run([access("plain"), child, {"op": "join", "name": "t"}, access("plain")])) == []
    assert pairs(run([child, access("plain"), {"op": "join", "name": "t"}])) != []
    late = [child, {"op": "sleep", "ns": 1e6}, {"op": "join", "name": "t"}, access("plain")]
    assert pairs(run(late)) == []
    assert pairs(run([{"op": "fork", "child": [access("plain")]}, {"op": "wait_child"}, access("plain")])) == []
    assert pairs(run([{"op": "fork", "child": [access("plain")]}, access("plain"), {"op": "wait_child"}])) != []


def test_barrier_orders_its_phases() -> None:
    meet = {"op": "barrier", "barrier": "b", "parties": 2}
    assert pairs(run(threads([access("store"), meet], [meet, access("load")]))) == []
    assert pairs(run(threads([access("store"), meet], [access("load"), meet]))) != []


def test_readers_of_a_lock_race_if_they_write() -> None:
    def under(op: str, body: dict[str, Any]) -> Program:
        return [{"op": op, "lock": "rw"}, body, {"op": "unlock", "lock": "rw"}]

    write, read = access("store"), access("load")
    assert pairs(run(threads(under("write_lock", write), under("read_lock", read), under("write_lock", write)))) == []
    assert pairs(run(threads(under("read_lock", write), under("read_lock", read)))) != []


def test_races_are_counted_once_a_pair_and_change_nothing_else() -> None:
    body = [{"op": "repeat", "times": 50, "body": [access("plain"), {"op": "compute", "ns": 200}]}]
    program = threads(body, body)
    result = run(program)
    assert result.races is not None
    assert (result.races.pairs, len(result.races.told)) == (1, 1) or result.races.pairs == 3
    scenario = runq.Scenario(name="races", processes=[runq.ProcessSpec("p", program)])
    plain = runq.simulate(scenario, MACHINE)
    assert plain.races is None
    assert plain.digest == result.digest


def test_program_tells_both_sides_of_a_race() -> None:
    command = [sys.executable, "-m", "runq.cli", "simulate", "shared-counter", "--set", "machine.cpus=2"]
    command += ["--set", "scenario.times=100", "--races"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "races: 1" in told
    assert "counter 0" in told
    assert "counter 1" in told
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["races"]["told"][0]["variable"] == "count"
