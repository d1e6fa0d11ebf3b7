"""Hand-computed cases of the reference models: each says one rule of `docs/memory-model.md`."""

from collections import OrderedDict
from typing import Any

import pytest
from reference import replay
from reference.placement import OutOfMemoryError, permutation
from reference.replacement import make_policy
from reference.replay import NothingCountedError
from reference.rng import Stream, fnv1a64

L1 = {"name": "L1D", "size": 128, "ways": 2}  # one set of two lines
L2 = {"name": "L2", "size": 512, "ways": 8}  # one set of eight lines
R, W, F = "read", "write", "fetch"


def lines(*numbers: int, kind: str = R, thread: int = 0, ip: int = 0) -> list[tuple[int, int, str, int, int]]:
    return [(64 * number, 1, kind, thread, ip) for number in numbers]


def run(accesses: list[Any], *caches: dict[str, Any], machine: dict[str, Any] | None = None, **options: Any) -> Any:
    result = replay(accesses, {"caches": list(caches), **(machine or {})}, **options)
    result["levels"] = dict(result["levels"])
    result["tlbs"] = dict(result["tlbs"])
    return result


def counters(result: dict[str, Any], level: str, *names: str) -> list[int]:
    return [result["levels"][level][name] for name in names]


def victims(name: str, ways: int, touches: list[int], count: int = 1, index: int = 0) -> list[int]:
    """Fills all ways in order, touches some, then takes victims and fills their ways."""
    policy = make_policy(name, 4, ways, Stream(0, "cache.victim", 0))
    for way in range(ways):
        policy.fill(index, way)
    for way in touches:
        policy.touch(index, way)
    taken = []
    for _ in range(count):
        taken.append(policy.victim(index))
        policy.fill(index, taken[-1])
    return taken


def test_random_numbers_are_splitmix64() -> None:
    stream = Stream(0, "", 0)
    stream.state = 0
    assert [stream.next_u64() for _ in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_names_are_hashed_by_fnv1a() -> None:
    assert [fnv1a64(name) for name in ("", "a", "foobar")] == [
        0xCBF29CE484222325,
        0xAF63DC4C8601EC8C,
        0x85944171F73967E8,
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 16, 17, 100, 1024])
def test_random_placement_is_a_permutation(n: int) -> None:
    shuffle = permutation(n, 7, 12)
    assert sorted(shuffle(i) for i in range(n)) == list(range(n))


@pytest.mark.parametrize(
    ("name", "touches", "expected"),
    [
        ("lru", [0, 2], [1, 3, 0, 2]),
        ("mru", [0, 2], [2, 2, 2, 2]),
        ("lip", [0, 2], [3, 3, 3, 3]),
        ("fifo", [0, 2], [0, 1, 2, 3]),
        ("tree-plru", [0, 2], [1, 3, 0, 2]),
        ("bit-plru", [0, 2], [1, 0, 2, 3]),
        ("qlru", [0, 2], [1, 3, 0, 2]),
        ("srrip", [0, 2], [1, 3, 1, 3]),
        ("brrip", [0, 2], [1, 1, 1, 1]),
    ],
)
def test_policy_names_its_victims(name: str, touches: list[int], expected: list[int]) -> None:
    assert victims(name, 4, touches, count=4) == expected


def test_tree_plru_of_three_ways_never_goes_where_there_are_none() -> None:
    assert victims("tree-plru", 3, [], count=5) == [0, 2, 1, 2, 0]


def test_brrip_inserts_every_32nd_line_as_srrip_does() -> None:
    policy = make_policy("brrip", 1, 32, Stream(0, "cache.victim", 0))
    for way in range(32):
        policy.fill(0, way)
    for way in range(31):
        policy.touch(0, way)
    assert policy.victim(0) == 31
    policy.touch(0, 31)
    policy.fill(0, 5)
    assert policy.victim(0) == 5


def test_drrip_followers_take_the_policy_whose_leaders_miss_less() -> None:
    policy: Any = make_policy("drrip", 64, 2, Stream(0, "cache.victim", 0))
    policy.stride = 4  # so that sets 1 and 3 follow
    policy.fill(1, 0)
    assert policy.rrpv[1] == [2, 3]
    policy.fill(0, 0)
    assert policy.psel == 512
    policy.fill(1, 0)
    assert policy.rrpv[1] == [3, 3]


def test_lru_counts_equal_an_ordered_dict() -> None:
    stream = Stream(3, "test", 0)
    numbers = [stream.next_u64() % 24 for _ in range(3000)]
    sets: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(4)]
    misses = 0
    for number in numbers:
        lru = sets[number % 4]
        if number not in lru:
            misses += 1
            if len(lru) == 3:
                lru.popitem(last=False)
        lru[number] = None
        lru.move_to_end(number)
    result = run(lines(*numbers), {"name": "L1D", "size": 3 * 4 * 64, "ways": 3})
    assert counters(result, "L1D", "misses") == [misses]


def test_access_is_cut_at_lines() -> None:
    result = run([(60, 70, R, 0, 0)], L1)
    assert (result["accesses"], result["levels"]["L1D"]["reads"]) == (3, 3)


def test_bytes_past_the_last_address_are_left_out() -> None:
    assert run([(2**63 - 1, 100, R, 0, 0)], L1)["accesses"] == 1


def test_fetches_of_a_data_only_machine_are_ignored_up_to_the_last_counted_access() -> None:
    trace = lines(0, kind=F) + lines(1) + lines(0, kind=F) + lines(2) + lines(0, 1, 2, kind=F)
    assert run(trace, L1, limit=2)["ignored_fetches"] == 2
    assert run(trace, L1)["ignored_fetches"] == 5


def test_skip_drops_and_warmup_simulates() -> None:
    trace = lines(0, 1, 0, 1)
    assert counters(run(trace, L1, skip=2), "L1D", "reads", "misses") == [2, 2]
    assert counters(run(trace, L1, warmup=2), "L1D", "reads", "misses") == [2, 0]


def test_nothing_to_count_is_an_error() -> None:
    with pytest.raises(NothingCountedError):
        run(lines(0, 1), L1, skip=1, warmup=1)


def test_dirty_victim_is_presented_after_the_fill() -> None:
    result = run(lines(0, kind=W) + lines(1, 2), L1, L2)
    assert counters(result, "L1D", "write_backs", "misses") == [1, 3]
    assert counters(result, "L2", "write_backs_in", "write_back_misses", "writes", "reads") == [1, 0, 1, 2]


def test_victim_that_is_not_presented_is_still_counted() -> None:
    result = run(lines(0, kind=W) + lines(1, 2), L1, L2, machine={"present_write_backs": False})
    assert counters(result, "L1D", "write_backs") == [1]
    assert counters(result, "L2", "write_backs_in") == [0]


def test_write_back_that_misses_fills_without_asking_further() -> None:
    small = {"name": "L2", "size": 64, "ways": 1}
    result = run(lines(0, kind=W) + lines(1, 2), L1, small, {"name": "L3", "size": 512, "ways": 8})
    assert counters(result, "L2", "write_back_misses", "write_backs") == [1, 0]
    assert counters(result, "L3", "reads", "writes", "write_backs_in") == [2, 1, 0]


def test_write_through_sends_every_store_on_and_leaves_no_dirty_line() -> None:
    through = L1 | {"write_policy": "write-through"}
    result = run(lines(0, 0, 1, 2, kind=W), through, L2)
    assert counters(result, "L1D", "writes", "write_misses", "write_throughs", "write_backs") == [4, 3, 4, 0]
    assert counters(result, "L2", "writes", "write_misses") == [3 + 4, 3]


def test_store_that_is_not_allocated_costs_the_level_that_sends_it() -> None:
    result = run(lines(0, 0, kind=W), L1 | {"write_allocate": False}, L2)
    assert counters(result, "L1D", "write_misses", "write_throughs") == [2, 0]
    assert counters(result, "L2", "writes", "write_misses") == [2, 1]
    assert result["latency_cycles"] == 8


def test_exclusive_level_gives_its_line_away_with_the_dirty_bit() -> None:
    exclusive = L2 | {"inclusion": "exclusive"}
    result = run(lines(0, kind=W) + lines(1, 2, 0, 1, 2), L1, exclusive)
    assert counters(result, "L2", "reads", "writes", "misses", "victims_in") == [5, 1, 3, 4]
    assert counters(result, "L1D", "write_backs") == [2]  # line 0 leaves dirty twice
    assert result["latency_cycles"] == 3 * 200 + 3 * 14


def test_inclusive_victim_takes_the_copies_inside_along() -> None:
    one = {"name": "L2", "size": 64, "ways": 1, "inclusion": "inclusive"}
    result = run(lines(0, kind=W) + lines(1, 0), L1, one)
    assert counters(result, "L2", "back_invalidations", "write_backs", "misses") == [2, 1, 3]
    assert counters(result, "L1D", "misses", "write_backs") == [3, 0]


def test_inclusive_victim_of_long_lines_takes_each_short_line_inside() -> None:
    long = {"name": "L2", "size": 128, "ways": 1, "line_size": 128, "inclusion": "inclusive"}
    result = run(lines(0, 1, 2), L1, long)
    assert counters(result, "L2", "back_invalidations", "read_misses") == [2, 2]


def test_split_first_level_keeps_fetches_and_data_apart() -> None:
    result = run(lines(0, kind=F) + lines(0), {"name": "L1I", "size": 128, "ways": 2}, L1, L2)
    assert counters(result, "L1I", "reads", "misses") == counters(result, "L1D", "reads", "misses") == [1, 1]
    assert counters(result, "L2", "reads", "misses") == [2, 1]


def test_next_line_prefetch_is_useful_and_late() -> None:
    result = run(lines(0, 1), L2 | {"prefetcher": "next-line"}, machine={"mlp": 2})
    names = ("prefetches_issued", "prefetches_useful", "prefetches_late", "misses")
    assert counters(result, "L2", *names) == [2, 1, 1, 1]
    assert result["latency_cycles"] == 200 + (200 - 100)  # half of its way lies behind it when it is asked for
    waiting = run(lines(0, 1), L2 | {"prefetcher": "next-line"}, dependent=True)
    assert counters(waiting, "L2", *names) == [2, 1, 0, 1]


def test_prefetch_stays_within_its_page() -> None:
    result = run(lines(63), L2 | {"prefetcher": "next-line", "prefetch_degree": 4})
    assert counters(result, "L2", "prefetches_issued") == [0]


def test_prefetch_pollutes_when_what_it_evicted_is_asked_for() -> None:
    result = run(lines(0, 8, 1), L1 | {"prefetcher": "next-line"})
    assert counters(result, "L1D", "misses", "prefetches_polluting") == [3, 1]


def test_stride_prefetcher_starts_at_the_fourth_access_of_one_instruction() -> None:
    stride = L2 | {"prefetcher": "stride", "size": 64 * 64, "ways": 16}
    assert counters(run(lines(0, 3, 6, ip=9), stride), "L2", "prefetches_issued") == [0]
    assert counters(run(lines(0, 3, 6, 9, ip=9), stride), "L2", "prefetches_issued") == [1]
    assert counters(run(lines(0, 3, 6, 9, 12, ip=9), stride), "L2", "prefetches_useful", "misses") == [1, 4]
    assert counters(run(lines(0, 3, 6, 9, ip=0), stride), "L2", "prefetches_issued") == [0]


def test_stream_prefetcher_follows_a_falling_run() -> None:
    stream = L2 | {"prefetcher": "stream", "prefetch_degree": 2}
    assert counters(run(lines(9, 8, 7), stream), "L2", "prefetches_issued", "misses") == [2, 3]


def test_prefetch_asks_the_next_level_apart_from_demand() -> None:
    result = run(lines(1, 0), L1 | {"prefetcher": "next-line"}, L2)
    assert counters(result, "L2", "prefetch_reads", "prefetch_misses", "reads") == [2, 1, 2]


def test_tlb_counts_lookups_and_walks() -> None:
    tlbs = [{"name": "L1 dTLB", "entries": 2, "ways": 2}, {"name": "L2 TLB", "entries": 4, "ways": 4}]
    trace = [(4096 * page, 1, R, 0, 0) for page in (0, 1, 2, 0, 0)]
    result = run(trace, machine={"tlbs": tlbs})
    assert result["tlbs"] == {"L1 dTLB": {"lookups": 5, "misses": 4}, "L2 TLB": {"lookups": 4, "misses": 3}}
    assert result["page_walks"] == 3
    assert result["latency_cycles"] == 5 * 200 + 3 * (7 + 30) + 7


def test_page_size_that_no_tlb_holds_walks_every_time() -> None:
    tlbs = [{"name": "L1 dTLB", "entries": 2, "ways": 2}]
    result = run(lines(0, 0), L1, machine={"tlbs": tlbs, "page_size": "2MiB"})
    assert (result["page_walks"], result["tlbs"]["L1 dTLB"]["lookups"]) == (2, 0)


def test_untagged_tlb_forgets_when_the_address_space_changes() -> None:
    tlb = {"name": "TLB", "entries": 4, "ways": 4, "asid_tagged": False}
    trace = lines(0, thread=1) + lines(0, thread=2) + lines(0, thread=1)
    assert run(trace, machine={"tlbs": [tlb]}, address_spaces="per-thread")["page_walks"] == 3
    tagged = tlb | {"asid_tagged": True}
    assert run(trace, machine={"tlbs": [tagged]}, address_spaces="per-thread")["page_walks"] == 2


def walk(pages: list[int], **fields: Any) -> Any:
    tlb = {"name": "TLB", "entries": 1, "ways": 1, "hit_cycles": 3}
    machine = {"placement": "contiguous", "tlbs": [tlb], "page_walk": fields}
    cache = {"name": "L1D", "size": 8192, "ways": 128, "latency_cycles": 5}
    return run([(4096 * page, 1, R, 0, 0) for page in pages], cache, machine=machine)


def test_walk_reads_an_entry_of_each_level_and_pays_for_it() -> None:
    result = walk([0, 1], start_cycles=7)
    assert result["page_walk"]["reads_by_level"] == [2, 2, 2, 2]
    assert (result["page_walk"]["reads_served"], result["page_walk"]["reads_from_memory"]) == ([4], 4)
    assert result["page_walk"]["walk_cycles"] == 2 * 7 + 4 * 200 + 4 * 5
    assert result["latency_cycles"] == result["page_walk"]["walk_cycles"] + 2 * 3 + 2 * 200


def test_structure_cache_that_hits_lowest_says_where_to_go_on() -> None:
    caches = [{"level": 3, "entries": 4}, {"level": 2, "entries": 1}]
    result = walk([0, 512, 513, 0], structure_caches=caches)["page_walk"]
    assert result["reads_by_level"] == [4, 3, 1, 1]
    assert result["structure_caches"] == [{"lookups": 4, "hits": 3}, {"lookups": 4, "hits": 1}]


def test_nested_walk_reads_24_entries_and_the_nested_tlb_spares_the_host_s() -> None:
    result = walk([0], host_page_size="4KiB")["page_walk"]
    assert (result["reads"], result["reads_by_level"], result["host_reads_by_level"]) == (24, [1] * 4, [5] * 4)
    result = walk([0, 1], host_page_size="4KiB", nested_tlb_entries=8)["page_walk"]
    assert (result["host_walks"], result["nested_tlb"]) == (6, {"lookups": 10, "hits": 4})


def test_contiguous_placement_puts_pages_side_by_side() -> None:
    long = {"name": "L1D", "size": 8192, "ways": 1, "line_size": 8192}
    trace = [(4096 * page, 1, R, 0, 0) for page in (7, 100)]
    assert counters(run(trace, long, machine={"placement": "contiguous"}), "L1D", "misses") == [1]


def test_more_pages_than_frames_are_out_of_memory() -> None:
    trace = [(4096 * page, 1, R, 0, 0) for page in (7, 100, 7, 8)]
    with pytest.raises(OutOfMemoryError, match="3"):
        run(trace, L1, machine={"placement": "contiguous", "memory_size": "8KiB"})


def test_large_page_takes_an_aligned_place() -> None:
    regions = [{"name": "huge", "start": 0x200000, "end": 0x400000, "page_size": "2MiB"}]
    trace = [(0, 1, R, 0, 0), (0x200000, 1, R, 0, 0)]
    machine = {"placement": "contiguous", "memory_size": 0x3FF000}
    with pytest.raises(OutOfMemoryError, match="1"):
        run(trace, L1, machine=machine, regions=regions)
    assert run(trace, L1, machine=machine | {"memory_size": 0x400000}, regions=regions)["accesses"] == 2


TWO = {"cpus": 2}


def test_store_invalidates_and_the_next_load_transfers() -> None:
    trace = lines(0, thread=0) + lines(0, thread=1, kind=W) + lines(0, thread=0)
    result = run(trace, L1, L2 | {"shared": True}, machine=TWO)
    assert result["coherence"] == {
        "invalidations": 1,
        "transfers": 1,
        "upgrades": 0,
        "true_sharing_misses": 1,
        "false_sharing_misses": 0,
    }
    assert counters(result, "L2", "reads", "writes", "write_backs_in") == [1, 1, 1]
    assert result["latency_cycles"] == 200 + 14 + 100


def test_store_to_a_shared_line_is_an_upgrade() -> None:
    trace = lines(0, thread=0) + lines(0, thread=1) + lines(0, thread=0, kind=W)
    result = run(trace, L1, machine=TWO)
    assert (result["coherence"]["upgrades"], result["coherence"]["invalidations"]) == (1, 1)
    assert result["latency_cycles"] == 200 + 200 + 4 + 100


def test_store_to_another_byte_makes_a_false_sharing_miss() -> None:
    trace = [(0, 4, R, 0, 0), (4, 4, W, 1, 0), (0, 4, R, 0, 0), (4, 4, W, 1, 0), (2, 4, R, 0, 0)]
    result = run(trace, L1, machine=TWO)
    assert result["coherence"]["false_sharing_misses"] == 1
    assert result["coherence"]["true_sharing_misses"] == 1


def test_prefetch_leaves_alone_what_another_cpu_has_alone() -> None:
    trace = lines(1, thread=1, kind=W) + lines(0, thread=0)
    result = run(trace, L1 | {"prefetcher": "next-line"}, machine=TWO)
    assert counters(result, "L1D", "prefetches_issued") == [1]  # cpu 1 asks for line 2; cpu 0 may not ask for 1


def test_private_levels_are_told_apart_by_cpu() -> None:
    result = run(lines(0, 1, thread=0) + lines(2, thread=1), L1, L2 | {"shared": True}, machine=TWO)
    assert [[level["reads"] for level in cpu] for cpu in result["per_cpu"]] == [[2], [1]]


def test_independent_accesses_overlap_and_dependent_ones_do_not() -> None:
    assert run(lines(0, 1, 2), L1, machine={"mlp": 7})["cycles"] == 86
    assert run(lines(0, 1, 2), L1, machine={"mlp": 1000})["cycles"] == 3
    assert run(lines(0, 1, 2), L1, machine={"mlp": 7}, dependent=True)["cycles"] == 600


def test_statistics_apart_add_up_by_thread_region_and_instruction() -> None:
    trace = [(0, 1, R, 10, 5), (0, 1, W, 9, 6), (4096, 1, R, 9, 5)]
    result = run(trace, L1, by_thread=True, by_ip=1, regions=[{"name": "low", "start": 0, "end": 64}])
    assert [(each["key"], each["references"], each["misses"]) for each in result["threads"]] == [
        ("9", 2, [1]),
        ("10", 1, [1]),
    ]
    assert [(each["key"], each["references"]) for each in result["regions"]] == [("low", 2), ("other", 1)]
    assert [(each["key"], each["latency_cycles"]) for each in result["ips"]] == [("0x5", 400)]
