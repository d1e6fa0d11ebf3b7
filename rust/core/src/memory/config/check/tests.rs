//! Each rule by a machine that breaks it and nothing else.

use super::RegionRef;
use crate::memory::config::{MachineConfig, PageSize, Size};
use serde_json::{Value, json};

/// A valid machine with one value changed or added.
fn machine(changes: &[(&str, Value)]) -> MachineConfig {
    let mut tree = json!({
        "cpus": 1,
        "caches": [
            {"name": "L1I", "size": "32KiB", "ways": 8},
            {"name": "L1D", "size": "48KiB", "ways": 12},
            {"name": "L2", "size": "1.25MiB", "ways": 20},
            {"name": "L3", "size": "8MiB", "ways": 16, "shared": true},
        ],
        "tlbs": [
            {"name": "L1 dTLB", "entries": 96, "ways": 96},
            {"name": "STLB", "entries": 1536, "ways": 12, "page_sizes": ["4KiB", "2MiB"]},
        ],
    });
    for (pointer, value) in changes {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        tree.pointer_mut(parent).unwrap()[field] = value.clone();
    }
    MachineConfig::from_value(tree).unwrap()
}

#[track_caller]
fn refused(changes: &[(&str, Value)], message: &str) {
    assert_eq!(machine(changes).check().unwrap_err().to_string(), message);
}

#[track_caller]
fn accepted(changes: &[(&str, Value)]) {
    machine(changes).check().unwrap();
}

#[test]
fn sizes_that_are_no_power_of_two_are_taken_if_the_sets_are() {
    accepted(&[]);
    accepted(&[("/caches/2/size", json!("1.875MiB")), ("/caches/2/ways", json!(15))]);
}

#[test]
fn line_size_is_a_power_of_two_within_bounds() {
    for (value, shown) in [(json!(0), "0B"), (json!(48), "48B"), (json!(2), "2B"), (json!("8KiB"), "8KiB")] {
        let message = format!("caches[0].line_size: must be a power of two from 4 to 4096 bytes, got {shown}");
        refused(&[("/caches/0/line_size", value)], &message);
    }
}

#[test]
fn ways_are_at_most_32_but_for_one_set() {
    let rule = "must be between 1 and 32 (any number up to 4194304 with one set)";
    for ways in [0, 33, 1_000_000_000] {
        refused(&[("/caches/1/ways", json!(ways))], &format!("caches[1].ways: {rule}, got {ways}"));
    }
    accepted(&[("/caches/1/ways", json!(768))]);
    let one_set = [("/caches/3/ways", json!(1 << 22)), ("/caches/3/size", json!("256MiB"))];
    accepted(&one_set);
    let beyond = [("/caches/3/ways", json!(1 << 23)), ("/caches/3/size", json!("512MiB"))];
    refused(&beyond, &format!("caches[3].ways: {rule}, got 8388608"));
}

#[test]
fn sets_of_a_cache_are_a_power_of_two() {
    refused(
        &[("/caches/1/ways", json!(16))],
        "caches[1].size: must be ways * line_size times a power of two (16 * 64B = 1KiB, times 48 here), got 48KiB",
    );
    refused(
        &[("/caches/1/ways", json!(13))],
        "caches[1].size: must be ways * line_size times a power of two (13 * 64B = 832B, which does not divide it), \
         got 48KiB",
    );
    refused(
        &[("/caches/1/size", json!(0))],
        "caches[1].size: must be ways * line_size times a power of two (12 * 64B = 768B, times 0 here), got 0B",
    );
}

#[test]
fn lines_over_all_cpus_are_bounded() {
    let rule = "must be at most 67108864 lines over all cpus";
    accepted(&[("/caches/3/size", json!("4GiB"))]);
    refused(&[("/caches/3/size", json!("8GiB"))], &format!("caches[3].size: {rule}, got 8GiB"));
    let private = [("/caches/2/size", json!("80MiB")), ("/cpus", json!(64))];
    refused(&private, &format!("caches[2].size: {rule}, got 80MiB"));
    let huge = [("/caches/3/size", json!(1u64 << 63)), ("/caches/3/line_size", json!(4096))];
    refused(&huge, &format!("caches[3].size: {rule}, got 8388608TiB"));
}

#[test]
fn policies_with_a_state_for_each_way_stop_at_32_ways() {
    for policy in ["lru", "fifo", "random", "lip", "mru"] {
        accepted(&[("/tlbs/0/replacement", json!(policy))]);
    }
    for policy in ["tree-plru", "bit-plru", "qlru", "srrip", "brrip", "drrip"] {
        let rule = "must be lru, fifo, random, lip or mru above 32 ways";
        refused(&[("/tlbs/0/replacement", json!(policy))], &format!("tlbs[0].replacement: {rule}, got {policy}"));
        accepted(&[("/caches/0/replacement", json!(policy)), ("/tlbs/1/replacement", json!(policy))]);
    }
    refused(
        &[("/caches/1/ways", json!(768)), ("/caches/1/replacement", json!("srrip"))],
        "caches[1].replacement: must be lru, fifo, random, lip or mru above 32 ways, got srrip",
    );
}

#[test]
fn numbers_of_the_machine_have_bounds() {
    for (field, value, rule) in [
        ("cpus", 0, "must be between 1 and 64"),
        ("cpus", 65, "must be between 1 and 64"),
        ("mlp", 0, "must be between 1 and 1024"),
        ("mlp", 1025, "must be between 1 and 1024"),
        ("frequency_mhz", 0, "must be between 1 and 1000000"),
        ("memory_latency_cycles", 1_000_000_001, "must be between 0 and 1000000000"),
        ("transfer_cycles", 1_000_000_001, "must be between 0 and 1000000000"),
        ("page_walk_cycles", 1_000_000_001, "must be between 0 and 1000000000"),
    ] {
        refused(&[(&format!("/{field}"), json!(value))], &format!("{field}: {rule}, got {value}"));
    }
    accepted(&[("/cpus", json!(64)), ("/mlp", json!(1024)), ("/memory_latency_cycles", json!(1_000_000_000))]);
}

#[test]
fn latencies_of_levels_have_bounds() {
    let rule = "must be between 0 and 1000000000, got 1000000001";
    refused(&[("/caches/0/latency_cycles", json!(1_000_000_001))], &format!("caches[0].latency_cycles: {rule}"));
    refused(&[("/tlbs/1/hit_cycles", json!(1_000_000_001))], &format!("tlbs[1].hit_cycles: {rule}"));
}

#[test]
fn memory_size_is_a_number_of_whole_pages() {
    let rule = "must be a multiple of the page size (4KiB) up to 4096TiB";
    for (value, shown) in [(json!(0), "0B"), (json!(4097), "4097B"), (json!("8192TiB"), "8192TiB")] {
        refused(&[("/memory_size", value)], &format!("memory_size: {rule}, got {shown}"));
    }
    accepted(&[("/memory_size", json!("12KiB"))]);
    accepted(&[("/memory_size", json!("4096TiB"))]);
    refused(
        &[("/memory_size", json!("1MiB")), ("/page_size", json!("2MiB"))],
        "memory_size: must be a multiple of the page size (2MiB) up to 4096TiB, got 1MiB",
    );
}

#[test]
fn machine_has_a_cache_or_a_tlb() {
    accepted(&[("/caches", json!([]))]);
    accepted(&[("/tlbs", json!([]))]);
    refused(
        &[("/caches", json!([])), ("/tlbs", json!([]))],
        "caches: must hold at least one cache if tlbs is empty too, got []",
    );
}

#[test]
fn levels_are_bounded_in_number() {
    let caches: Vec<_> = (0..33).map(|i| json!({"name": format!("C{i}x"), "size": "4KiB", "ways": 1})).collect();
    refused(&[("/caches", json!(caches))], "caches: must hold at most 32 levels, got 33");
}

#[test]
fn names_are_unique_and_printable() {
    refused(
        &[("/caches/3/name", json!("L2"))],
        "caches[3].name: must be unique among caches and tlbs (caches[2] has it), got \"L2\"",
    );
    refused(
        &[("/tlbs/1/name", json!("L2"))],
        "tlbs[1].name: must be unique among caches and tlbs (caches[2] has it), got \"L2\"",
    );
    let rule = "must have 1 to 64 printable characters";
    refused(&[("/caches/0/name", json!(" "))], &format!("caches[0].name: {rule}, got \" \""));
    refused(&[("/tlbs/0/name", json!("a\n"))], &format!("tlbs[0].name: {rule}, got \"a\\n\""));
    let long = "x".repeat(65);
    refused(&[("/name", json!(long))], &format!("name: {rule}, got \"{}\"...", &long[..64]));
}

#[test]
fn private_cache_cannot_follow_a_shared_one() {
    refused(
        &[("/caches/1/shared", json!(true)), ("/caches/2/shared", json!(true)), ("/caches/3/shared", json!(false))],
        "caches[3].shared: must be true after a shared cache (caches[1]), got false",
    );
}

#[test]
fn split_cache_cannot_follow_a_unified_one() {
    refused(
        &[("/caches/3/name", json!("last level shared"))],
        "caches[3].kind: must be unified after a unified cache (caches[2]), got data",
    );
    accepted(&[("/caches/3/name", json!("last level shared")), ("/caches/3/kind", json!("unified"))]);
}

#[test]
fn exclusive_level_has_a_level_inside() {
    let rule = "must not be exclusive at the first level of the data path, which has no level inside";
    refused(&[("/caches/1/inclusion", json!("exclusive"))], &format!("caches[1].inclusion: {rule}, got exclusive"));
    let rule = "must not be exclusive at the first level of the instruction path, which has no level inside";
    refused(&[("/caches/0/inclusion", json!("exclusive"))], &format!("caches[0].inclusion: {rule}, got exclusive"));
    accepted(&[("/caches/2/inclusion", json!("exclusive")), ("/caches/3/inclusion", json!("exclusive"))]);
}

#[test]
fn exclusive_level_has_no_prefetcher() {
    refused(
        &[("/caches/3/inclusion", json!("exclusive")), ("/caches/3/prefetcher", json!("stream"))],
        "caches[3].prefetcher: must be none at an exclusive level, which is filled by victims alone, got stream",
    );
}

#[test]
fn prefetch_degree_has_bounds() {
    for degree in [0, 17] {
        let message = format!("caches[0].prefetch_degree: must be between 1 and 16, got {degree}");
        refused(&[("/caches/0/prefetch_degree", json!(degree))], &message);
    }
}

#[test]
fn lines_do_not_get_shorter_outwards() {
    accepted(&[("/caches/2/line_size", json!(128)), ("/caches/3/line_size", json!(128))]);
    accepted(&[("/caches/0/line_size", json!(32))]);
    refused(
        &[("/caches/2/line_size", json!(128))],
        "caches[3].line_size: must not be less than that of the level inside it (caches[2]: 128B), got 64B",
    );
    refused(
        &[("/caches/0/line_size", json!(128))],
        "caches[2].line_size: must not be less than that of the level inside it (caches[0]: 128B), got 64B",
    );
}

#[test]
fn lines_are_equal_inside_an_exclusive_level() {
    refused(
        &[("/caches/3/line_size", json!(128)), ("/caches/3/inclusion", json!("exclusive"))],
        "caches[3].line_size: must equal that of the levels inside an exclusive one (caches[2]: 64B), got 128B",
    );
    refused(
        &[("/caches/1/line_size", json!(32)), ("/caches/3/inclusion", json!("exclusive"))],
        "caches[1].line_size: must equal that of the exclusive level outside (caches[3]: 64B), got 32B",
    );
}

#[test]
fn coherent_private_lines_are_equal() {
    let changes = [("/caches/1/line_size", json!(32)), ("/cpus", json!(2))];
    refused(&changes, "caches[1].line_size: must be equal in all private caches under mesi (caches[0]: 64B), got 32B");
    accepted(&changes[..1]);
    accepted(&[changes[0].clone(), changes[1].clone(), ("/coherence", json!("none"))]);
    accepted(&[("/caches/3/line_size", json!(128)), ("/cpus", json!(2))]);
}

#[test]
fn sets_of_a_tlb_are_a_power_of_two() {
    refused(&[("/tlbs/1/entries", json!(1500))], "tlbs[1].entries: must be ways (12) times a power of two, got 1500");
    refused(&[("/tlbs/1/ways", json!(8))], "tlbs[1].entries: must be ways (8) times a power of two, got 1536");
    refused(&[("/tlbs/1/entries", json!(0))], "tlbs[1].entries: must be ways (12) times a power of two, got 0");
    let rule = "must be between 1 and 32 (any number up to 4194304 with one set)";
    refused(&[("/tlbs/1/ways", json!(48))], &format!("tlbs[1].ways: {rule}, got 48"));
    refused(&[("/tlbs/1/ways", json!(0))], &format!("tlbs[1].ways: {rule}, got 0"));
    let huge = [("/tlbs/1/ways", json!(1)), ("/tlbs/1/entries", json!(1u32 << 31))];
    refused(&huge, "tlbs[1].entries: must be at most 67108864 over all cpus, got 2147483648");
}

#[test]
fn page_sizes_of_a_tlb_are_some_and_different() {
    refused(&[("/tlbs/0/page_sizes", json!([]))], "tlbs[0].page_sizes: must name at least one page size, got []");
    refused(
        &[("/tlbs/0/page_sizes", json!(["2MiB", "4KiB", "2MiB"]))],
        "tlbs[0].page_sizes[2]: must not be named twice, got 2MiB",
    );
}

fn region<'a>(name: &'a str, start: u64, end: u64, page_size: Option<PageSize>) -> RegionRef<'a> {
    RegionRef { name, start: Size::from_bytes(start), end: Size::from_bytes(end), page_size }
}

#[track_caller]
fn region_refused(changes: &[(&str, Value)], regions: &[RegionRef<'_>], message: &str) {
    assert_eq!(machine(changes).check_regions(regions).unwrap_err().to_string(), message);
}

#[test]
fn regions_are_ranges_with_names_of_their_own() {
    let heap = region("heap", 4096, 8192, None);
    machine(&[]).check_regions(&[heap, region("top", 8192, 1 << 63, Some(PageSize::Size2M))]).unwrap();
    region_refused(
        &[],
        &[heap, region("x", 8192, 8192, None)],
        "regions[1].end: must be above start (0x2000) and at most 2^63, got 0x2000",
    );
    region_refused(
        &[],
        &[region("x", 0, (1 << 63) + 1, None)],
        "regions[0].end: must be above start (0x0) and at most 2^63, got 0x8000000000000001",
    );
    let rule = "must be unique and not \"other\", which is the rest of memory";
    region_refused(&[], &[heap, heap], &format!("regions[1].name: {rule}, got \"heap\""));
    region_refused(&[], &[region("other", 0, 1, None)], &format!("regions[0].name: {rule}, got \"other\""));
}

#[test]
fn random_placement_has_pages_of_one_size() {
    let huge = region("huge", 0, 4096, Some(PageSize::Size2M));
    let random = [("/placement", json!("random"))];
    region_refused(
        &random,
        &[huge],
        "regions[0].page_size: must be the machine's page size (4KiB) with random placement, got 2MiB",
    );
    machine(&random).check_regions(&[region("same", 0, 4096, Some(PageSize::Size4K))]).unwrap();
    machine(&[("/placement", json!("contiguous"))]).check_regions(&[huge]).unwrap();
}

/// A machine whose walks read tables.
fn walking(fields: &Value) -> [(&'static str, Value); 2] {
    [("/placement", json!("random")), ("/page_walk", fields.clone())]
}

#[test]
fn walks_start_at_a_cache_of_the_data_path() {
    for first in ["L1D", "L2", "L3"] {
        accepted(&walking(&json!({"first_cache": first})));
    }
    let rule = "must name a cache of the data path that is not exclusive";
    let message = format!("page_walk.first_cache: {rule} (L1D, L2, L3), got \"L1I\"");
    refused(&walking(&json!({"first_cache": "L1I"})), &message);
    let [placement, walk] = walking(&json!({"first_cache": "L2"}));
    let message = format!("page_walk.first_cache: {rule} (L1D, L3), got \"L2\"");
    refused(&[placement, walk, ("/caches/2/inclusion", json!("exclusive"))], &message);
}

#[test]
fn tables_need_places_and_whole_pages_of_the_host() {
    let message = "placement: must be contiguous or random with page_walk, whose tables need places, got identity";
    refused(&[("/page_walk", json!({}))], message);
    let [placement, walk] = walking(&json!({"host_page_size": "2MiB"}));
    let message = "memory_size: must be a multiple of the page size (2MiB) up to 4096TiB, got 1MiB";
    refused(&[placement, walk, ("/memory_size", json!("1MiB"))], message);
}

#[test]
fn structure_caches_are_of_levels_that_point_to_tables_and_have_whole_sets() {
    let cache = |level: u32, entries: u32, ways: u32| json!({"level": level, "entries": entries, "ways": ways});
    accepted(&walking(&json!({"levels": 5, "structure_caches": [cache(5, 100, 100), cache(2, 64, 4)]})));
    for (caches, message) in [
        (
            json!([cache(5, 4, 4)]),
            "[0].level: must be between 2 and 4, for the leaves of level 1 point to no table, got 5",
        ),
        (json!([cache(2, 4, 4), cache(2, 8, 8)]), "[1].level: must not be named twice, got 2"),
        (json!([cache(2, 0, 0)]), "[0].ways: must be between 1 and 32 (any number up to 4194304 with one set), got 0"),
        (json!([cache(2, 12, 4)]), "[0].entries: must be ways (4) times a power of two, got 12"),
    ] {
        let message = format!("page_walk.structure_caches{message}");
        refused(&walking(&json!({"structure_caches": caches})), &message);
    }
}

#[test]
fn host_has_its_fields_for_itself() {
    let message = "page_walk.nested_tlb_entries: must not be given without host_page_size, got 3";
    refused(&walking(&json!({"nested_tlb_entries": 3})), message);
    let caches = json!([{"level": 2, "entries": 4}]);
    let message = "page_walk.host_structure_caches: must not be given without host_page_size, got 1 of them";
    refused(&walking(&json!({"host_structure_caches": caches})), message);
    accepted(&walking(&json!({"host_page_size": "1GiB", "nested_tlb_entries": 3, "host_structure_caches": caches})));
    refused(&walking(&json!({"host_levels": 6})), "page_walk.host_levels: must be 4 or 5, got 6");
}

#[test]
fn guest_pages_may_have_several_sizes_at_random_if_the_host_has_one() {
    let region = |page| RegionRef { name: "r", start: Size::from_bytes(0), end: Size::from_bytes(1), page_size: page };
    let regions = [region(Some(PageSize::Size2M))];
    assert!(machine(&walking(&json!({}))).check_regions(&regions).is_err());
    machine(&walking(&json!({"host_page_size": "4KiB"}))).check_regions(&regions).unwrap();
}
