"""Channels: queues in memory against the step-by-step reference, and laws of pipes and queues under every model."""

from collections import Counter
from typing import Any

import pytest
import runq
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.channels import ChannelsOnOneCpu
from reference.threads import NEVER
from test_locks_reference import PRICES
from test_threads_reference import MACHINE, picos

Op = dict[str, Any]
NAMES = ("a", "b", "c")
COSTS = st.fixed_dictionaries({name: st.sampled_from([0, 1, 7, 100, 1234]) for name in PRICES})
TWO_CPUS = runq.machines.load("granite-rapids-vm").with_set("cpus=2")


def send(channel: str = "a") -> Op:
    return {"op": "send", "channel": channel}


def recv(channel: str = "a") -> Op:
    return {"op": "recv", "channel": channel}


def compute(ns: float) -> Op:
    return {"op": "compute", "ns": ns}


def repeat(times: int, *body: Op) -> Op:
    return {"op": "repeat", "times": times, "body": list(body)}


def run(
    programs: list[list[Op]],
    how: str = "thread",
    *,
    cpus: int = 2,
    model: str | None = None,
    races: bool = False,
    **channels: Any,
) -> runq.SimulateResult:
    made = [{"op": how, "child": program} for program in programs]
    specs = {name: runq.ChannelSpec(**spec) for name, spec in channels.items()}
    scenario = runq.Scenario(
        name="channels", processes=[runq.ProcessSpec("p", [*made, {"op": "join"}])], channels=specs
    )
    return runq.simulate(scenario, TWO_CPUS.with_set(f"cpus={cpus}"), model, races=races)


OPS = st.one_of(
    st.sampled_from(NAMES).map(send),
    st.sampled_from(NAMES).map(recv),
    st.sampled_from([0, 40, 333, 5000]).map(compute),
    st.sampled_from([0, 500]).map(lambda ns: {"op": "sleep", "ns": ns}),
)


@given(
    st.lists(st.lists(OPS, max_size=8), min_size=1, max_size=4),
    st.fixed_dictionaries({name: st.sampled_from([0, 1, 3]) for name in NAMES}),
    COSTS,
    st.sampled_from([None, 50, 333, 2000]),
)
@settings(max_examples=300)
def test_queues_do_on_one_cpu_what_the_reference_does(
    programs: list[list[Op]], capacities: dict[str, int], costs: dict[str, int], slice_ns: int | None
) -> None:
    program = [*({"op": "thread", "child": child} for child in programs), {"op": "join"}]
    prices = {name: 1000 * cost for name, cost in costs.items()} | {"asids": 6, "wake": 53_000}
    reference = ChannelsOnOneCpu(prices, [(0, program)], capacities, NEVER if slice_ns is None else 1000 * slice_ns)
    reference.play()
    assume(not reference.is_tied)
    used = {op["channel"] for child in programs for op in child if "channel" in op}
    changes = [f"kernel.{path}={costs[name]}" for name, path in PRICES.items()]
    scenario = {
        "name": "random",
        "processes": [{"name": "p", "program": program}],
        "channels": {name: {"kind": "queue", "capacity": capacities[name]} for name in used},
        "kernel": {"scheduler": "fifo" if slice_ns is None else {"round-robin": {"time_slice_us": slice_ns / 1000}}},
    }
    machine = MACHINE.with_set(*changes, "kernel.switch.wake_ns=50", "kernel.switch.dequeue_ns=3")
    r = runq.simulate(runq.Scenario.from_dict(scenario), machine)
    for name in ("created", "first_run", "ended"):
        expected = [getattr(thread, name) for thread in reference.threads]
        assert picos(getattr(r.threads, f"{name}_ns")) == expected, name
    assert {name: round(1000 * time) for name, time in r.ledger.items() if time} == +reference.ledger
    for name, channel in r.channels.items():
        expected = reference.channels[name]
        assert (channel.sent, channel.received, channel.length) == (expected.sent, expected.received, expected.length)
        for times, sum_ in (
            (channel.send_wait, expected.waited_to_send),
            (channel.receive_wait, expected.waited_to_receive),
        ):
            assert abs(times.mean_ns * times.count * 1000 - sum_) < 0.5 + 1e-9 * sum_
    assert {row.thread for row in r.deadlock} == {thread.number for thread in reference.threads if thread.waits_for}


def ends_of_network(programs: list[list[Op]], capacities: dict[str, int | None]) -> list[bool]:
    """Which programs come to their ends: no order of steps changes that where a channel has one of each side."""
    places, buffered = [0] * len(programs), Counter[str]()
    moved = True
    while moved:
        moved = False
        for index, program in enumerate(programs):
            if places[index] == len(program):
                continue
            op, channel = program[places[index]]["op"], program[places[index]].get("channel", "")
            capacity = capacities.get(channel)
            if op == "send" and capacity == 0:
                # It goes on together with the one that takes it.
                others = (
                    other
                    for other, its in enumerate(programs)
                    if places[other] < len(its) and its[places[other]] == recv(channel)
                )
                other = next(others, None)
                if other is None:
                    continue
                places[other] += 1
            elif op == "send":
                if capacity is not None and buffered[channel] >= capacity:
                    continue
                buffered[channel] += 1
            elif op == "recv":
                if not buffered[channel]:
                    continue
                buffered[channel] -= 1
            places[index] += 1
            moved = True
    return [place == len(program) for place, program in zip(places, programs, strict=True)]


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[list[Op]], dict[str, int | None]]:
    """Programs between which each channel leads from one to one."""
    count = draw(st.integers(2, 5))
    programs: list[list[Op]] = [[] for _ in range(count)]
    capacities: dict[str, int | None] = {}
    for index in range(draw(st.integers(1, 5))):
        ends = draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=2, unique=True))
        name = f"channel {index}"
        capacities[name] = draw(st.sampled_from([None, 0, 1, 2]))
        for end, op in zip(ends, (send, recv), strict=True):
            programs[end] += [op(name)] * draw(st.integers(0, 4))
    programs = [draw(st.permutations(program)) for program in programs]
    busy = [[compute(draw(st.integers(1, 9000))), op] for program in programs for op in program]
    pieces = iter(busy)
    return [[op for _ in program for op in next(pieces)] for program in programs], capacities


@given(
    networks(),
    st.sampled_from([None, "go", "tokio", "java", "java-21", "event-loop", "thread-pool"]),
    st.integers(1, 3),
)
@settings(max_examples=200)
def test_who_comes_to_an_end_depends_on_no_order(
    network: tuple[list[list[Op]], dict[str, int | None]], model: str | None, cpus: int
) -> None:
    """Kahn's networks: what each process reads is the same in any order, under any model; a lost message would show."""
    programs, capacities = network
    used = {op["channel"] for program in programs for op in program if "channel" in op}
    channels = {
        name: {"kind": "queue", "capacity": capacity}
        for name, capacity in capacities.items()
        if capacity is not None and name in used
    }
    only_ops = [[op for op in program if "channel" in op] for program in programs]
    expected = ends_of_network(only_ops, capacities)
    if model == "thread-pool":
        model = f"thread-pool:{len(programs)}"
    marked = [
        [*program, {"op": "measure", "name": f"end {index}", "body": []}] for index, program in enumerate(programs)
    ]
    r = run(marked, "task" if model else "thread", cpus=cpus, model=model, **channels)
    assert [r.measures[f"end {index}"].count == 1 for index in range(len(programs))] == expected
    assert bool(r.deadlock) == (not all(expected))
    for channel in r.channels.values():
        assert channel.sent - channel.received == channel.length


@pytest.mark.parametrize("model", ["go", "tokio", "java"])
def test_a_queue_never_enters_the_kernel_under_user_tasks(model: str) -> None:
    """Ping-pong over two queues costs calls under threads, and none under tasks of a runtime."""
    ping = [repeat(1000, send("a"), recv("b"))]
    pong = [repeat(1000, recv("a"), send("b"))]
    queues = {name: {"kind": "queue"} for name in ("a", "b")}
    tasks = run([ping, pong], "task", cpus=1, model=f"{model}:1", **queues)
    threads = run([ping, pong], cpus=1, **queues)
    pipes = run([ping, pong], cpus=1)
    assert tasks.channels["a"].sent == threads.channels["a"].sent == pipes.channels["a"].sent == 1000
    assert tasks.ledger["syscall"] < threads.ledger["syscall"] / 10
    assert tasks.makespan_ns < threads.makespan_ns / 2 < pipes.makespan_ns


def test_messages_are_handed_over_in_the_order_of_waiting() -> None:
    late = [
        [{"op": "sleep", "ns": 1000 * (1 + index)}, recv(), {"op": "measure", "name": "got", "body": []}]
        for index in range(4)
    ]
    r = run(
        [*late, [compute(1e6), *[step for _ in range(4) for step in (send(), compute(100_000))]]],
        cpus=6,
        a={"kind": "queue"},
    )
    ended = r.threads.ended_ns[1:5].tolist()
    assert ended == sorted(ended)
    assert r.channels["a"].receive_wait.count == 4
    assert r.channels["a"].length_max == 0


def test_a_channel_orders_what_it_should() -> None:
    """A send is before its receive; without a ring the receive is before the end of the send too."""
    write = {"op": "store", "variable": "x", "value": 1}
    read = {"op": "load", "variable": "x"}
    for kind in ({"kind": "pipe"}, {"kind": "queue"}, {"kind": "queue", "capacity": 1}):
        r = run([[write, send()], [recv(), read]], races=True, a=kind)
        assert r.races is not None
        assert r.races.pairs == 0
    for capacity, pairs in ((0, 0), (1, 1)):
        r = run([[write, recv()], [send(), read]], races=True, a={"kind": "queue", "capacity": capacity})
        assert r.races is not None
        assert r.races.pairs == pairs
    # The second message needs the place of the first.
    r = run([[write, recv()], [send(), send(), read]], races=True, a={"kind": "queue", "capacity": 1})
    assert r.races is not None
    assert r.races.pairs == 0


def test_deadlock_at_a_channel_is_told() -> None:
    r = run([[send()]], a={"kind": "queue"})
    assert [row.waits_for for row in r.deadlock] == ["the threads that it made", "room in channel a"]
    r = run([[recv()]], a={"kind": "queue", "capacity": 3})
    assert r.deadlock[1].waits_for == "a message of channel a"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"a": {"capacity": 3}}, "channels.a.capacity: must be absent but for kind queue"),
        ({"b": {"kind": "queue"}}, "channels.b: must be a channel that a program uses"),
        ({"a": {"kind": "bus"}}, "channels"),
        ({"a": {"kind": "queue", "capacity": -1}}, "channels"),
        ({"a": {"kind": "queue", "capacity": 1 << 40}}, "channels"),
        ({"a": {"size": 1}}, "channels"),
    ],
)
def test_channels_that_cannot_be_are_refused_by_path(spec: dict[str, Any], text: str) -> None:
    tree = {"name": "bad", "processes": [{"name": "p", "program": [send()]}], "channels": spec}
    with pytest.raises(runq.ConfigError, match=text.replace(".", r"\.")):
        runq.simulate(runq.Scenario.from_dict(tree))


def test_channels_survive_a_file(tmp_path: Any) -> None:
    scenario = runq.Scenario(
        name="file",
        processes=[runq.ProcessSpec("p", [send("a b")])],
        channels={"a b": runq.ChannelSpec(kind="queue", capacity=2)},
    )
    (tmp_path / "file.toml").write_text(scenario.to_toml())
    assert runq.Scenario.from_toml(tmp_path / "file.toml") == scenario
