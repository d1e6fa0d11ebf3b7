"""Shared variables: every value, time and transfer against the reference, the laws of lost updates, and bad input."""

from typing import Any

import pytest
import runq
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference import shared_variables as reference

PLAIN = runq.machines.load("granite-rapids-vm").with_set("kernel.timer.tick_ns=0", "kernel.switch.wake_remote_ns=0")
HOWS = ["plain", "split", "atomic", "compare-exchange"]
VARIABLES = {"x": ("shared", 0), "y": ("shared", 7), "z": ("z", 0)}


def increment(variable: str, times: int, **fields: Any) -> dict[str, Any]:
    return {"op": "increment", "variable": variable, "times": times, **fields}


def machine_of(prices: reference.Prices, cpus: int) -> runq.Machine:
    """A machine of 1 GHz on which nothing but accesses takes time."""
    names = ("add", "compare_exchange", "increment", "forward", "load", "store", "commit", "hold")
    return PLAIN.with_set(
        f"cpus={cpus}",
        "frequency_mhz=1000",
        f"transfer_cycles={prices.transfer // 1000}",
        *(f"atomics.{name}_ns={getattr(prices, name) / 1000}" for name in names),
        f"atomics.store_buffer={prices.store_buffer}",
        f"atomics.load_buffer={prices.load_buffer}",
    )


def simulate(
    programs: list[list[dict[str, Any]]], machine: runq.Machine, starts: list[int] | None = None, seed: int = 0
) -> runq.SimulateResult:
    """Each program in a process of its own, measured, on a cpu of its own."""
    processes = [
        runq.ProcessSpec(
            f"p{cpu}",
            [{"op": "measure", "name": f"p{cpu}", "body": program}],
            start_ns=starts[cpu] if starts else 0,
            affinity=[cpu],
        )
        for cpu, program in enumerate(programs)
    ]
    variables = {name: {"line": line, "initial": initial} for name, (line, initial) in VARIABLES.items()}
    tree = {"name": "shared", "processes": [], "variables": variables}
    scenario = runq.Scenario(name="shared", processes=processes, variables=runq.Scenario.from_dict(tree).variables)
    return runq.simulate(scenario, machine, seed=seed)


def ops() -> st.SearchStrategy[dict[str, Any]]:
    variables = st.sampled_from(list(VARIABLES))
    times = st.one_of(st.integers(0, 3), st.integers(0, 60))
    work = st.one_of(st.just(0), st.integers(0, 40))
    counts = {"times": times, "work_ns": work}
    return st.one_of(
        st.fixed_dictionaries(
            {"op": st.just("increment"), "variable": variables, "how": st.sampled_from(HOWS), **counts}
        ),
        st.fixed_dictionaries({"op": st.just("load"), "variable": variables, **counts}),
        st.fixed_dictionaries({"op": st.just("store"), "variable": variables, "value": st.integers(-9, 9), **counts}),
        st.fixed_dictionaries({"op": st.just("store"), "variable": variables}),
        st.fixed_dictionaries({"op": st.just("add"), "value": st.integers(-9, 9)}),
        st.just({"op": "fence"}),
        st.fixed_dictionaries({"op": st.just("compute"), "ns": st.integers(0, 200)}),
    )


PRICES = st.builds(
    reference.Prices,
    add=st.integers(1, 9000),
    compare_exchange=st.integers(1, 15_000),
    increment=st.integers(1, 3000),
    forward=st.integers(1, 3000),
    load=st.integers(1, 1000),
    store=st.integers(1, 1000),
    commit=st.integers(0, 9000),
    hold=st.integers(0, 30_000),
    store_buffer=st.sampled_from([1, 2, 3, 64]),
    load_buffer=st.sampled_from([0, 1, 40]),
    transfer=st.integers(1, 90).map(lambda cycles: 1000 * cycles),
    cycle=st.just(1000),
)


@given(PRICES, st.lists(st.tuples(st.lists(ops(), max_size=5), st.integers(0, 100)), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_values_times_and_transfers_are_those_of_the_reference(
    prices: reference.Prices, threads: list[tuple[list[dict[str, Any]], int]]
) -> None:
    programs, starts = [program for program, _ in threads], [start for _, start in threads]
    expected = reference.simulate(prices, VARIABLES, programs, [1000 * start for start in starts])
    found = simulate(programs, machine_of(prices, len(programs)), starts)
    assert [round(1000 * found[f"p{cpu}"].max_ns) for cpu in range(len(programs))] == expected.took
    assert found.variables == expected.values
    assert found.line_transfers == {name: line.transfers for name, line in expected.lines.items()}


@given(PRICES, st.integers(1, 20), st.sampled_from(["x", "z"]), st.integers(0, 90))
@settings(max_examples=60, deadline=None)
def test_ping_pong_is_that_of_the_reference(prices: reference.Prices, rounds: int, other: str, start: int) -> None:
    def player(wait: int, then: int) -> list[dict[str, Any]]:
        spin = {"op": "spin_until", "variable": "x", "value": wait}
        return [
            spin,
            increment(other, 2) if other != "x" else {"op": "fence"},
            {"op": "store", "variable": "x", "value": then},
        ]

    programs = [player(0, 1) * rounds, player(1, 0) * rounds]
    expected = reference.simulate(prices, VARIABLES, programs, [0, 1000 * start])
    found = simulate(programs, machine_of(prices, 2), [0, start])
    assert [round(1000 * found[f"p{cpu}"].max_ns) for cpu in range(2)] == expected.took
    assert found.variables == expected.values


@given(st.sampled_from(HOWS), st.integers(1, 3000), st.integers(0, 60), st.integers(0, 9), st.integers(1, 2))
@example("split", 3000, 0, 0, 1)
@settings(max_examples=60, deadline=None)
def test_final_count_is_within_its_bounds(how: str, times: int, work: int, seed: int, cpus: int) -> None:
    count = increment("x", times, how=how, work_ns=work)
    machine = PLAIN.with_set(f"cpus={cpus}", "kernel.timer.tick_ns=1000")
    threads = [{"op": "thread", "child": [count]} for _ in range(2)]
    scenario = runq.Scenario(name="race", processes=[runq.ProcessSpec("p", [*threads, {"op": "join"}])])
    scenario = scenario.with_set('kernel.scheduler={"round-robin": {"time_slice_us": 3}}')
    result = runq.simulate(scenario, machine, seed=seed)
    if how in ("atomic", "compare-exchange") or (how == "plain" and cpus == 1):
        assert result.variables == {"x": 2 * times}
    else:
        assert min(2, 2 * times) <= result.variables["x"] <= 2 * times
    assert sum(result.ledger.values()) == pytest.approx(cpus * result.makespan_ns)


def test_split_increment_that_is_preempted_throws_the_others_away() -> None:
    lost = increment("x", 8000, how="split")
    threads = [{"op": "thread", "child": [lost]} for _ in range(2)]
    scenario = runq.Scenario(name="race", processes=[runq.ProcessSpec("p", [*threads, {"op": "join"}])])
    scenario = scenario.with_set('kernel.scheduler={"round-robin": {"time_slice_us": 2}}')
    assert runq.simulate(scenario, PLAIN.with_set("cpus=1")).variables["x"] < 12_000


def test_store_buffers_let_both_threads_read_the_old_value() -> None:
    def side(mine: str, other: str, out: str, *between: dict[str, Any]) -> list[dict[str, Any]]:
        store = {"op": "store", "variable": mine, "value": 1}
        both: list[dict[str, Any]] = [{"op": "load", "variable": name} for name in "ab"]
        # The second waits for the lines that the first has touched.
        wait = {"op": "compute", "ns": 1080 if mine == "a" else 1000}
        return [*both, wait, store, *between, {"op": "load", "variable": other}, {"op": "store", "variable": out}]

    def outcome(*between: dict[str, Any]) -> tuple[int, int]:
        programs = [side("a", "b", "r0", *between), side("b", "a", "r1", *between)]
        processes = [runq.ProcessSpec(f"p{cpu}", program, affinity=[cpu]) for cpu, program in enumerate(programs)]
        result = runq.simulate(runq.Scenario(name="dekker", processes=processes), PLAIN.with_set("cpus=2"))
        return result.variables["r0"], result.variables["r1"]

    assert outcome() == (0, 0)
    assert outcome({"op": "fence"}) != (0, 0)


def test_semaphore_makes_stores_visible() -> None:
    give = [{"op": "store", "variable": "x", "value": 5}, {"op": "release", "semaphore": "s"}]
    take = [{"op": "acquire", "semaphore": "s"}, {"op": "load", "variable": "x"}, {"op": "store", "variable": "seen"}]
    processes = [runq.ProcessSpec("give", give, affinity=[0]), runq.ProcessSpec("take", take, affinity=[1])]
    result = runq.simulate(runq.Scenario(name="hand-over", processes=processes), PLAIN.with_set("cpus=2"))
    assert result.variables["seen"] == 5


@pytest.mark.parametrize("memory", ["none", "addresses", "footprint"])
def test_waiting_for_lines_is_stall_in_every_fidelity(memory: str) -> None:
    programs = [[increment("x", 500, how="atomic")] for _ in range(2)]
    processes = [runq.ProcessSpec("p", program, affinity=[cpu]) for cpu, program in enumerate(programs)]
    scenario = runq.Scenario(name="atomics", processes=processes).with_set(f"memory={memory}")
    result = runq.simulate(scenario, PLAIN.with_set("cpus=2"))
    assert result.variables == {"x": 1000}
    assert result.ledger["stall"] > 10_000


@pytest.mark.parametrize(
    ("op", "message"),
    [
        ({"op": "increment", "variable": ""}, "processes[0].program[0].variable: must have a name"),
        ({"op": "increment", "variable": "x", "how": "magic"}, "processes[0].program[0].how"),
        ({"op": "load"}, "processes[0].program[0]"),
        ({"op": "store", "variable": "x", "value": 0.5}, "processes[0].program[0].value"),
        ({"op": "increment", "variable": "x", "times": -1}, "processes[0].program[0].times"),
        ({"op": "increment", "variable": "x", "work_ns": -1}, "processes[0].program[0].work_ns"),
    ],
)
def test_bad_access_is_an_error_with_its_path(op: dict[str, Any], message: str) -> None:
    with pytest.raises(runq.ConfigError) as caught:
        runq.simulate(runq.Scenario(name="bad", processes=[runq.ProcessSpec("p", [op])]), PLAIN)
    assert str(caught.value).startswith(message.split(":")[0].rsplit(".", 1)[0])


def test_declaration_is_checked() -> None:
    with pytest.raises(runq.ConfigError, match="variables"):
        runq.Scenario.from_dict({"name": "bad", "processes": [], "variables": {"x": {"lines": "a"}}})


def test_an_increment_under_a_lock_is_the_lock_and_the_increment() -> None:
    """`how = "locked"` does what lock, increment and unlock in a loop do, and loses nothing."""
    machine = runq.machines.load("granite-rapids-vm").with_set("cpus=2")

    def simulate(body: list[dict[str, Any]]) -> runq.SimulateResult:
        thread = {"op": "thread", "child": body}
        process = runq.ProcessSpec("p", [thread, thread, {"op": "join"}])
        return runq.simulate(runq.Scenario(name="locked", processes=[process]), machine)

    increment = {"op": "increment", "variable": "x"}
    spelt = [{"op": "lock", "lock": "x"}, increment, {"op": "unlock", "lock": "x"}, {"op": "compute", "ns": 30}]
    short = simulate([increment | {"how": "locked", "times": 500, "work_ns": 30}])
    assert short.digest == simulate([{"op": "repeat", "times": 500, "body": spelt}]).digest
    assert short.variables["x"] == short.locks["x"].acquisitions == 1000
    assert simulate([increment | {"how": "locked", "lock": "other"}]).locks["other"].acquisitions == 2
    with pytest.raises(runq.ConfigError, match=r"lock: must be absent but for how = locked"):
        simulate([increment | {"lock": "x"}])


@pytest.mark.parametrize("model", runq.models.names())
@pytest.mark.parametrize("how", ["atomic", "compare-exchange", "locked"])
@pytest.mark.parametrize("cpus", [1, 2, 3])
def test_increments_of_tasks_lose_and_make_nothing_whatever_the_program_begins_with(
    model: str, how: str, cpus: int
) -> None:
    own = increment("x", 50, how=how)
    tasks = {"op": "repeat", "times": 3, "body": [{"op": "task", "child": [own]}]}
    program = [increment("x", 10, how=how), tasks, {"op": "join"}]
    scenario = runq.Scenario(name="tasks", processes=[runq.ProcessSpec("p", program)])
    r = runq.simulate(scenario, PLAIN.with_set(f"cpus={cpus}"), model)
    assert r.variables["x"] == 160
