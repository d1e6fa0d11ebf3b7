"""Programs of tasks, and runs of them under execution models."""

from collections.abc import Mapping
from typing import Any

import pytest
import runq
from hypothesis import strategies as st
from runq.simulate_parts import Runtime

Op = dict[str, Any]
Program = list[Op]

MODELS = runq.models.names()
# Those whose tasks the kernel knows nothing of, beside pools.
RUNTIMES = [name for name in MODELS if name not in ("process-per-task", "thread-per-task")]

# A machine without ticks.
PLAIN = runq.machines.load("granite-rapids-vm").with_set("kernel.timer.tick_ns=0")

JOIN: Op = {"op": "join"}
GIVE_WAY: Op = {"op": "yield_now"}
WAIT_CHILDREN: Op = {"op": "wait_children"}


def compute(nanoseconds: Any) -> Op:
    return {"op": "compute", "ns": nanoseconds}


def sleep(nanoseconds: Any) -> Op:
    return {"op": "sleep", "ns": nanoseconds}


def io(nanoseconds: Any) -> Op:
    return {"op": "io", "ns": nanoseconds}


def block(nanoseconds: Any) -> Op:
    return {"op": "block", "ns": nanoseconds}


def task(*child: Op, **fields: Any) -> Op:
    return {"op": "task", "child": list(child), **fields}


def repeat(times: int, *body: Op) -> Op:
    return {"op": "repeat", "times": times, "body": list(body)}


def serve(*request: Op, arrivals: Mapping[str, Any] | None = None, **load: Any) -> Op:
    when = {"poisson": {"rate_per_s": 100_000}} if arrivals is None else arrivals
    return {"op": "serve", "load": {"arrivals": when, **load}, "request": list(request)}


def scenario_of(*programs: Program, until_ns: float | None = None) -> runq.Scenario:
    processes = [runq.ProcessSpec(f"p{place}", program) for place, program in enumerate(programs)]
    return runq.Scenario(name="tasks", processes=processes, until_ns=until_ns)


def run(
    *programs: Program,
    model: runq.models.Model | str | Mapping[str, Any] | None,
    cpus: int = 2,
    machine: runq.Machine = PLAIN,
    until_ns: float | None = None,
    seed: int = 1,
) -> runq.SimulateResult:
    """Runs programs, a process each, and holds the law of the ledger."""
    scenario = scenario_of(*programs, until_ns=until_ns)
    r = runq.simulate(scenario, machine.with_set(f"cpus={cpus}"), model, seed=seed)
    assert sum(r.ledger.values()) == pytest.approx(cpus * r.makespan_ns, abs=1e-2)
    return r


def programs(depth: int) -> st.SearchStrategy[Program]:
    """Programs whose tasks have tasks of their own up to a depth, and wait for them. They may wait for ever."""
    times = st.one_of(st.integers(0, 40), st.integers(0, 20_000))
    names = st.sampled_from(["a", "b"])
    # A region that is locked has no other waits in it, so that it ends.
    locked = st.tuples(names, times).map(
        lambda pair: {
            "op": "repeat",
            "times": 1,
            "body": [{"op": "lock", "lock": pair[0]}, compute(pair[1]), {"op": "unlock", "lock": pair[0]}],
        }
    )
    ops = st.one_of(
        times.map(compute),
        times.map(sleep),
        times.map(io),
        times.map(block),
        st.just(GIVE_WAY),
        st.just(JOIN),
        names.map(lambda name: {"op": "acquire", "semaphore": name}),
        names.map(lambda name: {"op": "release", "semaphore": name}),
        names.map(lambda name: {"op": "send", "channel": name, "bytes": 20_000}),
        names.map(lambda name: {"op": "recv", "channel": name}),
        locked,
    )
    if depth:
        ops = st.one_of(ops, programs(depth - 1).map(lambda child: task(*child, JOIN)))
    return st.lists(ops, max_size=7)


def runtime_of(r: runq.SimulateResult) -> Runtime:
    """What the runtime of a run did."""
    assert r.runtime is not None, "the model has a runtime"
    return r.runtime
