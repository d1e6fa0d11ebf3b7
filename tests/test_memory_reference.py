"""The simulator against the slow reference models: all counters of random small machines and traces."""

from typing import Any

import pytest
from comparison import actual_outcome, assert_equal_outcomes, expected_outcome
from hypothesis import given
from hypothesis import strategies as st
from simulator import batch_refuses
from strategies import FEW_LINES, POLICIES, PREFETCHERS, Case, cases, noise

ONE_CPU: dict[str, Any] = {"cpus": [1], "is_threaded": False}


def assert_simulator_equals_reference(case: Case, chunk: int = 0) -> None:
    """All engines that take the case count what the reference counts, and have one digest."""
    expected = expected_outcome(case)
    engines = ["general", "auto"] if batch_refuses(case.machine, case.options) else ["general", "auto", "batch"]
    digests = set()
    for engine in engines:
        actual = actual_outcome(case, engine=engine, chunk=chunk)
        assert_equal_outcomes(expected, actual, but=("engine", "digest"), note=f"engine {engine}")
        digests.add(actual.get("digest"))
    assert len(digests) == 1


@pytest.mark.parametrize("policy", POLICIES)
@given(data=st.data())
def test_replacement_policy_counts_as_the_reference(policy: str, data: st.DataObject) -> None:
    limits = ONE_CPU | {"cache_counts": [1, 2], "tlb_counts": [0, 1], "prefetchers": ["none"], "is_apart": False}
    assert_simulator_equals_reference(data.draw(cases(**limits, policies=[policy])))


@given(cases(**ONE_CPU, bases=FEW_LINES, cache_counts=[2, 3, 5], tlb_counts=[0], prefetchers=["none"], is_apart=False))
def test_write_policies_and_inclusion_count_as_the_reference(case: Case) -> None:
    assert_simulator_equals_reference(case)


@pytest.mark.parametrize("prefetcher", PREFETCHERS[1:])
@given(data=st.data())
def test_prefetcher_counts_as_the_reference(prefetcher: str, data: st.DataObject) -> None:
    limits = {
        "bases": FEW_LINES,
        "cpus": [1, 1, 2],
        "tlb_counts": [0],
        "policies": ["lru", "random"],
        "is_apart": False,
    }
    assert_simulator_equals_reference(data.draw(cases(**limits, prefetchers=[prefetcher])))


@given(cases(cpus=[1, 1, 2], cache_counts=[0, 1], tlb_counts=[1, 2, 3], prefetchers=["none"]))
def test_tlbs_and_placement_count_as_the_reference(case: Case) -> None:
    assert_simulator_equals_reference(case)


@given(
    cases(
        cpus=[1, 1, 2], cache_counts=[0, 1, 2, 3], tlb_counts=[1, 2], walks=[True], placements=["contiguous", "random"]
    )
)
def test_page_walks_through_the_caches_count_as_the_reference(case: Case) -> None:
    assert_simulator_equals_reference(case)


@given(cases(cpus=[2, 3, 64], bases=[0], cache_counts=[1, 2, 3, 5], tlb_counts=[0], prefetchers=["none"]))
def test_coherence_counts_as_the_reference(case: Case) -> None:
    assert_simulator_equals_reference(case)


@given(cases(cpus=[2, 3], bases=FEW_LINES, cache_counts=[2, 3], tlb_counts=[0]))
def test_prefetch_under_coherence_counts_as_the_reference(case: Case) -> None:
    assert_simulator_equals_reference(case)


@given(cases(), st.sampled_from([0, 1, 3, 64]))
def test_everything_together_counts_as_the_reference(case: Case, chunk: int) -> None:
    assert_simulator_equals_reference(case, chunk)


@given(cases(**ONE_CPU, prefetchers=["none"], is_apart=False, is_plain=True), st.integers(1, 50))
def test_fast_engine_counts_as_the_reference_where_it_is_at_home(case: Case, chunk: int) -> None:
    assert_simulator_equals_reference(case, chunk)


WALKING: dict[str, Any] = {"tlb_counts": [1, 2, 3], "walks": [True], "placements": ["contiguous", "random"]}


@given(cases(**ONE_CPU, **WALKING, prefetchers=["none"], is_apart=False, is_plain=True), st.integers(0, 50))
def test_fast_engine_walks_tables_as_the_reference(case: Case, chunk: int) -> None:
    assert_simulator_equals_reference(case, chunk)


@pytest.mark.parametrize("host", [None, "4KiB"])
def test_fast_engine_cuts_chunks_of_many_reads(host: str | None) -> None:
    # Every reference walks, so that a chunk has more reads than go through the caches at a time.
    tlb = {"name": "L1 dTLB", "entries": 1, "ways": 1}
    caches = [{"name": "L1D", "size": 512, "ways": 2}, {"name": "L2", "size": 4096, "ways": 4}]
    trace = [
        ((7 * place % 301) << 21 | place % 64 << 6, 8, "write" if place % 3 else "read", 0, 0) for place in range(5000)
    ]
    for first in ("L1D", "L2"):
        walk = {"levels": 5, "first_cache": first} | ({"host_page_size": host, "host_levels": 5} if host else {})
        machine = {"placement": "random", "tlbs": [tlb], "caches": caches, "page_walk": walk}
        assert_simulator_equals_reference(Case(trace, machine, {}))


def test_reads_of_walks_enter_behind_many_levels_full_of_dirty_lines() -> None:
    caches = [{"name": f"L{level}", "size": 64, "ways": 1} for level in range(1, 25)]
    tlb = {"name": "L1 dTLB", "entries": 1, "ways": 1}
    machine = {"placement": "random", "tlbs": [tlb], "caches": caches, "page_walk": {"first_cache": "L24"}}
    trace = [((place * 5 % 97) << 12, 8, "write", 0, 0) for place in range(9000)]
    assert_simulator_equals_reference(Case(trace, machine, {}))


@given(cases(), st.integers(1, 100), st.sampled_from(["auto", "general"]))
def test_cutting_a_trace_changes_no_bit_of_the_result(case: Case, chunk: int, engine: str) -> None:
    assert actual_outcome(case, engine=engine, chunk=chunk) == actual_outcome(case, engine=engine)


@given(st.sampled_from([128, 256]), st.integers(1, 3), st.integers(0, 2**32), st.integers(1, 4000))
def test_sets_that_follow_a_duel_count_as_the_reference(sets: int, ways: int, seed: int, length: int) -> None:
    # Fewer than 128 sets all lead, so that only large caches have followers.
    cache = {"name": "L1", "size": 64 * sets * ways, "ways": ways, "replacement": "drrip"}
    trace = noise(seed, length, footprint=16 * sets, bases=[0], is_threaded=False)
    assert_simulator_equals_reference(Case(trace, {"caches": [cache]}, {}))


def test_tlb_counts_the_pages_that_it_does_not_hold() -> None:
    machine = {"tlbs": [{"name": "L1 dTLB", "entries": 2, "ways": 2}]}
    trace = [(4096 * page, 1, "read", 0, 0) for page in (5, 5, 6, 5, 7, 6)]
    assert_simulator_equals_reference(Case(trace, machine, {}))


def test_reference_that_no_tlb_takes_is_translated_for_free() -> None:
    machine = {"tlbs": [{"name": "L1 iTLB", "entries": 1, "ways": 1}]}
    assert_simulator_equals_reference(Case([(0, 1, "read", 0, 0)], machine, {}))


def test_group_counts_both_misses_of_a_store_that_is_written_through_to_an_exclusive_level() -> None:
    first = {"name": "L1", "size": 64, "ways": 1, "write_policy": "write-through"}
    machine = {"caches": [first, {"name": "L2", "size": 64, "ways": 1, "inclusion": "exclusive"}]}
    assert_simulator_equals_reference(Case([(0, 1, "write", 0, 0)], machine, {"by_thread": True}))


def test_store_sent_on_beside_a_transfer_asks_all_shared_levels() -> None:
    line = {"size": 64, "ways": 1}
    private = {"name": "L1", **line, "write_policy": "write-through"}
    machine = {"cpus": 2, "caches": [private, *({"name": name, **line, "shared": True} for name in ("L2", "L3"))]}
    # Cpu 1 takes line 3 from cpu 0; its store goes on to L2, which has lost the line and asks L3 for it.
    trace = [(192, 1, "write", 0, 0), (0, 1, "read", 1, 0), (192, 1, "write", 1, 0)]
    assert_simulator_equals_reference(Case(trace, machine, {}))
