"""Laws that hold whatever the trace: checked on the simulator alone, so also on traces too long for the references."""

import itertools
from typing import Any

import pytest
from comparison import assert_equal_outcomes
from hypothesis import assume, given
from hypothesis import strategies as st
from reference.machine import complete
from runq.errors import ReplayError
from simulator import Access, level, simulate
from strategies import FEW_LINES, POLICIES, Case, caches, cases, traces

COUNTED = ("levels", "per_cpu", "tlbs", "page_walks", "page_walk", "coherence", "accesses", "latency_cycles")
SMALL = st.sampled_from([1, 2, 4, 8])

long_traces = traces(max_length=1000)
data_traces = long_traces.map(lambda trace: [access for access in trace if access[2] != "fetch"]).filter(len)


def cache(name: str, sets: int, ways: int, **fields: Any) -> dict[str, Any]:
    return {"name": name, "size": 64 * sets * ways, "ways": ways, **fields}


def misses(trace: list[Access], first: dict[str, Any], **fields: Any) -> int:
    return level(simulate(trace, {"caches": [first], **fields}), first["name"])["misses"]


@given(long_traces, SMALL, st.integers(1, 6), st.integers(1, 6))
def test_lru_cache_with_more_ways_never_misses_more(trace: list[Access], sets: int, ways: int, more: int) -> None:
    assert misses(trace, cache("L1", sets, ways + more)) <= misses(trace, cache("L1", sets, ways))


@given(long_traces, st.integers(1, 6), st.integers(1, 6))
def test_lru_tlb_with_more_entries_never_misses_more(trace: list[Access], entries: int, more: int) -> None:
    few, many = ({"name": "TLB", "entries": ways, "ways": ways} for ways in (entries, entries + more))
    assert simulate(trace, {"tlbs": [many]})["page_walks"] <= simulate(trace, {"tlbs": [few]})["page_walks"]


@given(long_traces)
def test_cache_that_holds_everything_misses_each_line_once(trace: list[Access]) -> None:
    last = (1 << 63) - 1
    ends = [(address, min(address + max(size, 1) - 1, last)) for address, size, *_ in trace]
    lines = {line for start, end in ends for line in range(start // 64, end // 64 + 1)}
    assert misses(trace, cache("L1", 1, 1 << 16)) == len(lines)


@pytest.mark.parametrize("policy", POLICIES)
@given(trace=long_traces, sets=SMALL)
def test_with_one_way_every_policy_is_the_same(policy: str, trace: list[Access], sets: int) -> None:
    assert misses(trace, cache("L1", sets, 1, replacement=policy)) == misses(trace, cache("L1", sets, 1))


@given(long_traces, SMALL, SMALL)
def test_level_that_invalidates_nothing_inside_is_not_felt_there(trace: list[Access], ways: int, sets: int) -> None:
    inner = cache("L1", 2, ways)
    outer = cache("L2", 2 * sets, 32, inclusion="inclusive")
    result = simulate(trace, {"caches": [inner, outer]})
    assume(level(result, "L2")["back_invalidations"] == 0)
    assert level(result, "L1") == level(simulate(trace, {"caches": [inner]}), "L1")


@given(long_traces, st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL), st.sampled_from(POLICIES))
def test_write_back_to_an_inclusive_level_always_hits(
    trace: list[Access], inner: tuple[int, int], outer: tuple[int, int], policy: str
) -> None:
    machine = {"caches": [cache("L1", *inner), cache("L2", *outer, inclusion="inclusive", replacement=policy)]}
    assert level(simulate(trace, machine), "L2")["write_back_misses"] == 0


@given(long_traces, SMALL, SMALL, SMALL)
def test_exclusive_lru_levels_are_together_one_lru_cache(
    trace: list[Access], sets: int, inner: int, outer: int
) -> None:
    machine = {"caches": [cache("L1", sets, inner), cache("L2", sets, outer, inclusion="exclusive")]}
    assert level(simulate(trace, machine), "L2")["misses"] == misses(trace, cache("L1", sets, inner + outer))


@given(
    long_traces,
    caches(layout=["", "", ""], first_shared=1, one_line_size=False, prefetchers=["none"]),
    st.sampled_from([1, 3]),
)
def test_next_level_is_asked_for_what_misses_inside(
    trace: list[Access], levels: list[dict[str, Any]], cpus: int
) -> None:
    for each in levels:
        each |= {"write_policy": "write-back", "write_allocate": True}
    result = simulate(trace, {"cpus": cpus, "coherence": "none", "caches": levels})
    counters = [counters for _, counters in result["levels"]]
    for config, inner, outer in zip(levels[1:], counters, counters[1:], strict=False):
        assert (outer["reads"], outer["writes"]) == (inner["read_misses"], inner["write_misses"])
        if config["inclusion"] != "exclusive":
            assert outer["write_backs_in"] == inner["write_backs"]


@given(cases(max_length=1000, tlb_counts=[1, 2], placements=["contiguous", "random"], walks=[True]))
def test_reads_of_page_walks_add_up(case: Case) -> None:
    result = whole(case)
    walk, levels = result["page_walk"], [counters for _, counters in result["levels"]]
    assert walk["walks"] == result["page_walks"]
    assert walk["reads"] == sum(walk["reads_by_level"]) + sum(walk["host_reads_by_level"])
    assert walk["reads"] == sum(walk["reads_served"]) + walk["reads_from_memory"] + walk["reads_from_other_cpus"]
    assert walk["walk_cycles"] <= result["latency_cycles"]
    data = [place for place, each in enumerate(complete(case.machine)["caches"]) if each["kind"] != "instruction"]
    first = case.machine["page_walk"].get("first_cache")
    names = [name for name, _ in result["levels"]]
    asked = [levels[place] for place in data if first is None or place >= names.index(first)]
    assert not asked or asked[0]["walk_reads"] == walk["reads"]
    for inner, outer in itertools.pairwise(asked):
        assert outer["walk_reads"] == inner["walk_read_misses"]


@given(cases(max_length=1000, tlb_counts=[1, 2], placements=["contiguous", "random"], walks=[True]))
def test_walks_change_no_tlb(case: Case) -> None:
    host = case.machine["page_walk"].get("host_page_size")
    assume(host in (None, "1GiB"))
    plain = case._replace(machine={name: value for name, value in case.machine.items() if name != "page_walk"})
    in_use = {each.get("page_size") for each in case.options["regions"]} - {None, case.machine["page_size"]}
    assume(not in_use or case.machine["placement"] != "random")
    assert whole(case)["tlbs"] == whole(plain)["tlbs"]


@given(cases(max_length=1000))
def test_parts_add_up_to_the_whole(case: Case) -> None:
    result = whole(case, by_thread=True, by_ip=1 << 20)
    if first := first_levels(case.machine):
        assert result["accesses"] == sum(level(result, name)[kind] for name in first for kind in ("reads", "writes"))
    for groups in (result["threads"], result["ips"], *([result["regions"]] if result["regions"] else [])):
        assert sum(group["references"] for group in groups) == result["accesses"]
        assert sum(group["latency_cycles"] for group in groups) == result["latency_cycles"]
        assert sum(group["page_walks"] for group in groups) == result["page_walks"]
        by_level = [sum(counts) for counts in zip(*(group["misses"] for group in groups), strict=True)]
        assert by_level == [counters["misses"] for _, counters in result["levels"]]
        for group in groups:
            assert group["references"] == group["reads"] + group["writes"] + group["fetches"]


def first_levels(machine: dict[str, Any]) -> set[str]:
    """The first cache for data and the first for fetches."""
    caches = complete(machine)["caches"]
    of_fetches = [each["name"] for each in caches if each["kind"] == "instruction"]
    return {*of_fetches[:1], *[each["name"] for each in caches if each["name"] not in of_fetches][:1]}


def whole(case: Case, **options: Any) -> dict[str, Any]:
    """The result of a case with nothing cut off and memory for all of it; gives up what has no access to count."""
    machine = case.machine | {"memory_size": 1 << 50}
    options = {**case.options, "skip": 0, "warmup": 0, "limit": None, **options}
    try:
        return simulate(case.accesses, machine, **options)
    except ReplayError:
        assume(False)
        raise


@given(cases(max_length=1000, is_apart=False), st.integers(1, 999))
def test_warm_up_and_the_counted_part_add_up_to_the_whole(case: Case, per_mille: int) -> None:
    full = whole(case)
    warmup = (len(case.accesses) - full["ignored_fetches"]) * per_mille // 1000
    assume(warmup > 0)
    parts = [whole(case, limit=warmup), whole(case, warmup=warmup)]
    assert_equal_outcomes(counted(full), add(*(counted(part) for part in parts)))


def counted(result: dict[str, Any]) -> dict[str, Any]:
    return {key: dict(result[key]) if key in ("levels", "tlbs") else result[key] for key in COUNTED}


def add(one: Any, other: Any) -> Any:
    if isinstance(one, dict):
        return {key: add(one[key], other[key]) for key in one}
    if isinstance(one, list):
        return [add(*pair) for pair in zip(one, other, strict=True)]
    if one is None:
        return None
    return one + other


@given(cases(max_length=1000), st.integers(1, 1500))
def test_digest_is_that_of_every_chunking_and_every_run(case: Case, chunk: int) -> None:
    full = whole(case)
    assert whole(case) == full
    assert whole(case, chunk=chunk) == full


@given(
    cases(max_length=1000, policies=[policy for policy in POLICIES if policy != "random"]), st.integers(1, 2**64 - 1)
)
def test_seed_is_for_what_is_random_alone(case: Case, seed: int) -> None:
    case.machine["placement"] = "contiguous" if case.machine["placement"] == "random" else case.machine["placement"]
    assert_equal_outcomes(whole(case, seed=0), whole(case, seed=seed), but=("digest",))


# The entries of page tables move by other distances.
@given(cases(max_length=1000, bases=FEW_LINES, is_apart=False, walks=[False]))
def test_moving_all_addresses_by_whole_pages_changes_nothing(case: Case) -> None:
    moved = [(address + (1 << 40), *rest) for address, *rest in case.accesses]
    assert_equal_outcomes(whole(case), whole(case._replace(accesses=moved)))


@given(data_traces, st.tuples(SMALL, SMALL), st.booleans())
def test_write_through_level_sends_on_all_stores_and_no_line(
    trace: list[Access], shape: tuple[int, int], allocates: bool
) -> None:
    first = cache("L1D", *shape, write_policy="write-through", write_allocate=allocates)
    counters = level(simulate(trace, {"caches": [first, cache("L2", 8, 4)]}), "L1D")
    assert counters["write_throughs"] == counters["writes"]
    assert counters["write_backs"] == 0


@given(traces(bases=FEW_LINES, max_length=1000), st.tuples(SMALL, SMALL), st.sampled_from(["lru", "srrip", "drrip"]))
def test_cpus_that_share_nothing_do_not_feel_each_other(
    trace: list[Access], shape: tuple[int, int], policy: str
) -> None:
    own = [(address + (thread % 3 << 40), size, kind, thread, ip) for address, size, kind, thread, ip in trace]
    private = [cache("L1", *shape, replacement=policy), cache("L2", 4, 4)]
    result = simulate(own, {"cpus": 3, "caches": private})
    assert set(result["coherence"].values()) == {0}
    for cpu in range(3):
        if mine := [access for access in own if access[3] % 3 == cpu]:
            alone = simulate(mine, {"caches": private})
            assert result["per_cpu"][cpu] == [counters for _, counters in alone["levels"]]


@given(cases(max_length=1000, cpus=[2, 3], bases=FEW_LINES, tlb_counts=[0]))
def test_coherence_counters_keep_their_order(case: Case) -> None:
    coherence = whole(case)["coherence"]
    sharing_misses = coherence["true_sharing_misses"] + coherence["false_sharing_misses"]
    assert sharing_misses <= coherence["invalidations"]
    assert coherence["upgrades"] <= coherence["invalidations"]
