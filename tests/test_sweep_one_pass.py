"""Sweeps over geometry are one pass, and nobody can tell by the table."""

from typing import Any

import numpy as np
import pytest
import runq
from hypothesis import given, settings
from hypothesis import strategies as st

LEVELS = [runq.Cache("L1D", size="1KiB", ways=2), runq.Cache("L2D", size="8KiB", ways=4)]

ACCESSES = st.lists(st.tuples(st.integers(0, 1 << 13), st.sampled_from([1, 4, 8, 64]), st.integers(0, 2)), max_size=200)


def passes(sweep: runq.Sweep) -> int:
    """How many passes the sweep makes."""
    sweep.target.prepare(iter(sweep.space))
    made = sweep.target._passes  # type: ignore[attr-defined]
    return 0 if made is None else len(made)


def replayed(sweep: runq.Sweep) -> str:
    """The digest of the table that replays give."""
    sweep.target.prepare = lambda values: None  # type: ignore[method-assign]
    sweep.target._passes = None  # type: ignore[attr-defined]
    return sweep.run(jobs=1).digest()


@settings(max_examples=25)
@given(
    ACCESSES,
    st.sampled_from(["lru", "fifo"]),
    st.sampled_from(["levels.L1D.misses", "levels.L2D.misses", "levels.*.misses"]),
)
def test_one_pass_gives_the_table_of_replays(accesses: list[tuple[int, int, int]], policy: str, metric: str) -> None:
    addresses, sizes, kinds = zip(*[(0, 1, 0), *accesses], strict=True)
    trace = {"address": np.array(addresses), "size": np.array(sizes), "kind": np.array(kinds)}
    machine = runq.Machine(caches=LEVELS, present_write_backs=False).with_set(
        f"caches.L1D.replacement={policy}", f"caches.L2D.replacement={policy}"
    )
    # 12 ways go with 48 lines alone: the others are failed rows either way.
    over = {
        "machine.caches.L1D.size": ["1KiB", "3KiB"],
        "machine.caches.L1D.ways": [1, 4, 12],
        "machine.caches.L2D.ways": [2, 8, 32],
        "seed": [1, 2],
    }
    sweep = runq.Sweep("replay", trace, machine, over=over, metrics=[metric])
    assert passes(sweep) > 0
    assert sweep.run(jobs=2).digest() == replayed(sweep)


def sweep_of(machine: Any = "golden", over: Any = None, **changes: Any) -> runq.Sweep:
    axes = {"machine.caches.L1D.ways": [1, 2, 4, 8]} if over is None else over
    options: dict[str, Any] = {"metrics": ["levels.L1D.misses"]} | changes
    return runq.Sweep("replay", np.arange(0, 1 << 16, 8, dtype=np.uint64), machine, over=axes, **options)


def test_a_machine_that_comes_with_runq_is_one_pass_for_its_first_cache() -> None:
    assert passes(sweep_of()) == 1
    # Lines of 32 bytes do not go with outer caches of 64: they are replayed.
    assert passes(sweep_of(over={"machine.caches.L1D.ways": [1, 2], "machine.caches.L1D.line_size": [32, 64]})) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": None},
        {"metrics": ["levels.L1D.misses", "cycles"]},
        {"warmup": 100},
        {"over": {"machine.caches.L1D.ways": [1, 2], "options.skip": [0, 10]}},
        {"over": {"machine.memory_latency_cycles": [100, 200]}},
        {"over": {"machine.caches.L1D.replacement": ["srrip", "brrip"], "machine.caches.L1D.ways": [1, 2]}},
        {"machine": runq.machines.load("golden").with_set("caches.L2.inclusion=inclusive")},
        {"machine": runq.machines.load("golden").with_set("caches.L1D.prefetcher=next-line")},
        {"machine": runq.machines.load("golden").with_set("placement=random")},
        {"metrics": ["levels.L2.misses"]},
    ],
)
def test_what_a_pass_cannot_count_is_replayed(changes: dict[str, Any]) -> None:
    sweep = sweep_of(**changes)
    assert passes(sweep) == 0
    assert sweep.run().count("failed") == 0
