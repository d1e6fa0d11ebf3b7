//! Small machines whose counters are worked out by hand. A letter of a trace is an access to a line: `r3`, `w3`, `f3`.

use super::{Mapping, MemorySystem, OutOfMemory, Outcome, PageRange, Reference};
use crate::base::Rng;
use crate::memory::causes::Causes;
use crate::memory::config::{MachineConfig, PageSize};
use crate::memory::page_walk::TablePath;
use crate::memory::stats::{LevelStats, PageWalkStats};
use crate::trace::AccessKind;
use serde_json::{Value, json};

pub(super) fn system(machine: &Value) -> MemorySystem {
    let machine = MachineConfig::from_value(machine.clone()).unwrap();
    machine.check().unwrap();
    MemorySystem::new(&machine, &[], true, 0)
}

/// A machine of one cpu whose caches have one set of some ways each, and what else is said of them.
fn one_cpu(caches: &[(u32, Value)]) -> MemorySystem {
    system(&json!({"caches": levels(caches)}))
}

fn levels(caches: &[(u32, Value)]) -> Vec<Value> {
    let level = |(index, (ways, rest)): (usize, &(u32, Value))| {
        let mut cache = json!({"name": format!("L{}", index + 1), "size": ways * 64, "ways": ways});
        cache.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        cache
    };
    caches.iter().enumerate().map(level).collect()
}

/// A reference to the first bytes of a line.
fn refer(system: &mut MemorySystem, cpu: u32, access: &str, offset: u64) -> Outcome {
    let (kind, line) = access.split_at(1);
    let kind = match kind {
        "r" => AccessKind::Read,
        "w" => AccessKind::Write,
        _ => AccessKind::Fetch,
    };
    let vaddr = line.parse::<u64>().unwrap() * 64 + offset;
    system.access(&Reference { vaddr, bytes: 4, kind, cpu, asid: 0, ip: 9 }).unwrap()
}

fn run(system: &mut MemorySystem, trace: &str) -> Vec<Outcome> {
    trace.split(' ').map(|access| refer(system, 0, access, 0)).collect()
}

fn latencies(system: &mut MemorySystem, trace: &str) -> Vec<u64> {
    run(system, trace).iter().map(|outcome| outcome.latency_cycles).collect()
}

fn level(system: &MemorySystem, level: usize) -> LevelStats {
    system.stats().levels[0][level]
}

const PLAIN: fn() -> Value = || json!({});

#[test]
fn latency_is_that_of_the_place_where_the_line_is() {
    let mut s = one_cpu(&[(1, PLAIN()), (2, PLAIN()), (4, PLAIN())]);
    assert_eq!(latencies(&mut s, "r1 r1 r2 r1 r3 r2 r4 r1"), [200, 4, 200, 14, 200, 50, 200, 50]);
    assert_eq!(run(&mut s, "r1 r9").iter().map(|outcome| outcome.missed).collect::<Vec<_>>(), [0, 0b111]);
}

#[test]
fn victim_is_written_back_after_the_demand_fill() {
    let mut s = one_cpu(&[(1, PLAIN()), (2, PLAIN())]);
    // The write-back of 1 makes it more recent in L2 than 2, which the demand brought just before.
    run(&mut s, "w1 r2 r3 r1");
    let l2 = level(&s, 1);
    assert_eq!((l2.reads, l2.writes, l2.misses), (3, 1, 3));
    assert_eq!((l2.write_backs_in, l2.write_back_misses, l2.write_backs), (1, 0, 0));
}

#[test]
fn store_makes_a_line_dirty_in_the_first_level_alone() {
    let mut s = one_cpu(&[(1, PLAIN()), (1, PLAIN())]);
    run(&mut s, "w1 r2");
    // L2 lost line 1 to line 2 while it was clean there; its write-back misses, and takes the place of line 2.
    let l2 = level(&s, 1);
    assert_eq!((l2.write_backs_in, l2.write_back_misses, l2.write_backs), (1, 1, 0));
    run(&mut s, "r3");
    assert_eq!(level(&s, 1).write_backs, 1);
}

#[test]
fn write_backs_that_are_not_presented_are_counted_where_they_leave() {
    let mut s = system(&json!({"present_write_backs": false, "caches": levels(&[(1, PLAIN()), (2, PLAIN())])}));
    run(&mut s, "w1 r2 r3 r4");
    assert_eq!(level(&s, 0).write_backs, 1);
    assert_eq!((level(&s, 1).write_backs_in, level(&s, 1).write_backs), (0, 0));
}

#[test]
fn victim_of_an_inclusive_level_takes_dirty_copies_along() {
    let mut s = one_cpu(&[(2, PLAIN()), (2, json!({"inclusion": "inclusive"}))]);
    // L1 keeps 1 by its hits, L2 sees none of them.
    run(&mut s, "w1 r2 r1 r3");
    let l2 = level(&s, 1);
    assert_eq!((l2.back_invalidations, l2.write_backs, l2.write_backs_in), (1, 1, 0));
    assert_eq!(run(&mut s, "r2 r1").iter().map(|outcome| outcome.missed).collect::<Vec<_>>(), [0, 0b11]);
}

#[test]
fn victim_of_an_inclusive_level_with_longer_lines_takes_several_copies() {
    let l2 = json!({"inclusion": "inclusive", "line_size": 128, "size": 128});
    let mut s = one_cpu(&[(4, PLAIN()), (1, l2)]);
    run(&mut s, "r2 r3 r4");
    assert_eq!(level(&s, 1).back_invalidations, 2);
}

#[test]
fn exclusive_level_swaps_lines_with_the_one_inside() {
    let mut s = one_cpu(&[(1, PLAIN()), (2, json!({"inclusion": "exclusive"}))]);
    assert_eq!(latencies(&mut s, "w1 r2 r1 r2"), [200, 200, 14, 14]);
    let l2 = level(&s, 1);
    assert_eq!((l2.reads, l2.writes, l2.misses, l2.victims_in, l2.write_backs_in), (3, 1, 2, 3, 0));
    // Line 1 went out and came back dirty, so it leaves L1 dirty for the second time.
    assert_eq!(level(&s, 0).write_backs, 2);
}

#[test]
fn clean_victims_reach_an_exclusive_level_whatever_is_presented() {
    let caches = levels(&[(1, PLAIN()), (2, json!({"inclusion": "exclusive"}))]);
    let mut s = system(&json!({"present_write_backs": false, "caches": caches}));
    assert_eq!(latencies(&mut s, "r1 r2 r1"), [200, 200, 14]);
    assert_eq!(level(&s, 1).victims_in, 2);
}

#[test]
fn write_through_level_sends_every_store_on_and_stays_clean() {
    let mut s = one_cpu(&[(2, json!({"write_policy": "write-through"})), (2, PLAIN())]);
    assert_eq!(latencies(&mut s, "w1 w1 r2 r3"), [200, 4, 200, 200]);
    assert_eq!((level(&s, 0).write_throughs, level(&s, 0).write_backs), (2, 0));
    // The fill for the first store, and both stores.
    let l2 = level(&s, 1);
    assert_eq!((l2.writes, l2.write_misses, l2.write_backs), (3, 1, 1));
}

#[test]
fn level_that_does_not_allocate_sends_a_store_that_misses_on() {
    let mut s = one_cpu(&[(2, json!({"write_allocate": false})), (2, PLAIN())]);
    let outcomes = run(&mut s, "w1 r1 w1");
    assert_eq!(outcomes.iter().map(|outcome| outcome.latency_cycles).collect::<Vec<_>>(), [4, 14, 4]);
    assert_eq!(outcomes[0].missed, 0b11);
    assert_eq!((level(&s, 0).write_misses, level(&s, 0).write_throughs), (1, 0));
    assert_eq!((level(&s, 1).writes, level(&s, 1).reads), (1, 1));
}

#[test]
fn second_miss_of_a_store_at_the_same_level_is_told_apart() {
    let l1 = json!({"write_policy": "write-through"});
    let mut s = one_cpu(&[(1, l1), (1, json!({"inclusion": "exclusive"}))]);
    assert_eq!(run(&mut s, "w1")[0].missed, 0b11);
    assert_eq!(s.missed_again(), [1]);
    assert_eq!(level(&s, 1).write_misses, 2);
    run(&mut s, "r1");
    assert_eq!(s.missed_again(), [0_u8; 0]);
}

#[test]
fn prefetched_line_that_is_on_its_way_costs_the_rest_of_it() {
    let mut s = one_cpu(&[(4, json!({"prefetcher": "next-line"})), (8, PLAIN())]);
    // The first use of line 10, at clock 200, sets line 11 on its way; the reference to it comes 4 cycles later.
    assert_eq!(latencies(&mut s, "r9 r10 r11"), [200, 4, 196]);
    let l1 = level(&s, 0);
    assert_eq!((l1.prefetches_issued, l1.prefetches_useful, l1.prefetches_late), (3, 2, 1));
    assert_eq!((level(&s, 1).prefetch_reads, level(&s, 1).prefetch_misses), (3, 3));
}

#[test]
fn prefetch_stays_in_its_page() {
    let mut s = one_cpu(&[(8, json!({"prefetcher": "next-line", "prefetch_degree": 4}))]);
    run(&mut s, "r62");
    assert_eq!(level(&s, 0).prefetches_issued, 1);
}

#[test]
fn miss_on_a_line_that_a_prefetch_evicted_is_pollution() {
    let mut s = one_cpu(&[(3, json!({"prefetcher": "next-line"}))]);
    run(&mut s, "r40 r1 r40");
    assert_eq!(level(&s, 0).prefetches_polluting, 1);
}

/// Two cpus with a private cache of two lines and a shared one of eight.
fn two_cpus() -> MemorySystem {
    system(&json!({"cpus": 2, "caches": levels(&[(2, PLAIN()), (8, json!({"shared": true}))])}))
}

fn by_cpu(system: &mut MemorySystem, trace: &[(u32, &str)]) -> Vec<u64> {
    trace.iter().map(|&(cpu, access)| refer(system, cpu, access, u64::from(cpu) * 8).latency_cycles).collect()
}

#[test]
fn store_to_a_shared_line_is_an_upgrade_and_takes_the_copy_away() {
    let mut s = two_cpus();
    let trace = [(0, "r1"), (1, "r1"), (0, "w1"), (0, "w1"), (1, "r1")];
    assert_eq!(by_cpu(&mut s, &trace), [200, 14, 104, 4, 100]);
    let coherence = s.stats().coherence;
    assert_eq!((coherence.upgrades, coherence.invalidations, coherence.transfers), (1, 1, 1));
    // Cpu 1 touched other bytes than the store.
    assert_eq!((coherence.true_sharing_misses, coherence.false_sharing_misses), (0, 1));
}

#[test]
fn transfer_for_a_load_leaves_the_owner_clean_and_writes_back() {
    let mut s = two_cpus();
    assert_eq!(by_cpu(&mut s, &[(0, "w1"), (1, "r1"), (0, "r2"), (0, "r3")]), [200, 100, 200, 200]);
    let stats = s.stats();
    let shared = stats.levels[0][1];
    assert_eq!((shared.write_backs_in, shared.reads, shared.writes), (1, 2, 1));
    assert_eq!(stats.levels[0][0].write_backs, 0);
    assert_eq!(stats.levels[1][0].read_misses, 1);
    assert_eq!(stats.levels[1][1], LevelStats::default());
}

#[test]
fn line_that_left_by_itself_is_no_coherence_miss() {
    let mut s = two_cpus();
    by_cpu(&mut s, &[(0, "r1"), (0, "r2"), (0, "r3"), (1, "w1"), (0, "r1")]);
    let coherence = s.stats().coherence;
    assert_eq!((coherence.invalidations, coherence.transfers), (0, 1));
    assert_eq!((coherence.true_sharing_misses, coherence.false_sharing_misses), (0, 0));
}

#[test]
fn prefetch_leaves_a_line_alone_that_another_cpu_owns() {
    let l1 = json!({"prefetcher": "next-line"});
    let mut s = system(&json!({"cpus": 2, "caches": levels(&[(8, l1), (8, json!({"shared": true}))])}));
    // Lines 5 and 6 are brought to cpu 0; cpu 1 may prefetch neither on its way.
    by_cpu(&mut s, &[(0, "r5"), (1, "r4"), (1, "r9")]);
    let stats = s.stats();
    assert_eq!((stats.levels[0][0].prefetches_issued, stats.levels[1][0].prefetches_issued), (1, 1));
}

#[test]
fn incoherent_cpus_do_not_see_one_another() {
    let caches = levels(&[(2, PLAIN()), (8, json!({"shared": true}))]);
    let mut s = system(&json!({"cpus": 2, "coherence": "none", "caches": caches}));
    assert_eq!(by_cpu(&mut s, &[(0, "w1"), (1, "w1"), (0, "w1")]), [200, 14, 4]);
    assert_eq!(s.stats().coherence.invalidations, 0);
}

#[test]
fn fetches_go_through_caches_of_their_own() {
    let caches = levels(&[(1, json!({"name": "L1I"})), (1, json!({"name": "L1D"})), (4, PLAIN())]);
    let mut s = system(&json!({"caches": caches}));
    assert_eq!(latencies(&mut s, "f1 r1 f1 r1 r2"), [200, 14, 4, 4, 200]);
    assert_eq!(s.stats().fetches, 2);
    assert_eq!((level(&s, 0).reads, level(&s, 1).reads, level(&s, 2).reads), (2, 3, 3));
}

#[test]
fn pages_have_the_size_of_their_range_and_memory_ends() {
    let machine = json!({
        "placement": "contiguous", "memory_size": "4MiB", "page_walk_cycles": 30,
        "tlbs": [{"name": "T", "entries": 4, "ways": 4, "page_sizes": ["4KiB", "2MiB"]}],
    });
    let machine = MachineConfig::from_value(machine).unwrap();
    let range = PageRange { start: 0, end: 4 << 20, page_size: PageSize::Size2M };
    let mut s = MemorySystem::new(&machine, &[range], true, 0);
    let mut load = |vaddr| {
        s.access(&Reference { vaddr, bytes: 1, kind: AccessKind::Read, cpu: 0, asid: 0, ip: 0 })
            .map(|outcome| outcome.walked)
    };
    assert_eq!(
        (load(5), load((2 << 20) - 1), load(8 << 20), load((8 << 20) + 1)),
        (Ok(true), Ok(false), Ok(true), Ok(false))
    );
    assert_eq!(load(2 << 20), Err(OutOfMemory { frames: 513 }));
    assert_eq!(s.stats().page_walks, 3);
}

/// A machine of 4 KiB pages in ascending frames, with one entry in its TLB.
fn walking(page_walk: &Value) -> MemorySystem {
    system(&json!({
        "placement": "contiguous",
        "memory_latency_cycles": 100,
        "page_walk": page_walk,
        "caches": levels(&[(8, json!({"latency_cycles": 5}))]),
        "tlbs": [{"name": "TLB", "entries": 1, "ways": 1, "hit_cycles": 3}],
    }))
}

fn walks(system: &MemorySystem) -> PageWalkStats {
    system.stats().walks.unwrap()
}

#[test]
fn walk_reads_an_entry_of_each_level_through_the_caches() {
    let mut system = walking(&json!({"start_cycles": 7}));
    // Four entries and the line come from memory; the next page's leaf is beside the first one's.
    assert_eq!(refer(&mut system, 0, "r0", 0).latency_cycles, 3 + 7 + 4 * 100 + 100);
    assert_eq!(refer(&mut system, 0, "r0", 0).latency_cycles, 3 + 5);
    assert_eq!(refer(&mut system, 0, "r64", 0).latency_cycles, 3 + 7 + 4 * 5 + 100);
    let walks = walks(&system);
    assert_eq!((walks.walks, walks.reads, walks.reads_by_level), (2, 8, vec![2; 4]));
    assert_eq!((walks.reads_served, walks.reads_from_memory, walks.walk_cycles), (vec![4], 4, 2 * 7 + 420));
    let level = level(&system, 0);
    assert_eq!((level.walk_reads, level.walk_read_misses, level.reads, level.read_misses), (8, 4, 3, 2));
}

#[test]
fn structure_cache_spares_the_reads_above_it() {
    let caches = json!([{"level": 2, "entries": 2}, {"level": 4, "entries": 1}]);
    let mut system = walking(&json!({"structure_caches": caches}));
    for access in ["r0", "r64", "r32768", "r128"] {
        refer(&mut system, 0, access, 0);
    }
    let walks = walks(&system);
    assert_eq!(walks.reads_by_level, [4, 2, 2, 1]);
    let counts: Vec<_> = walks.structure_caches.iter().map(|cache| (cache.lookups, cache.hits)).collect();
    assert_eq!(counts, [(4, 2), (4, 3)]);
}

#[test]
fn nested_walk_over_four_and_four_levels_reads_24_entries() {
    for (host_page, reads) in [("4KiB", 24), ("2MiB", 19), ("1GiB", 14)] {
        let mut system = walking(&json!({"host_page_size": host_page}));
        refer(&mut system, 0, "r0", 0);
        let walks = walks(&system);
        assert_eq!((walks.reads, walks.reads_by_level.iter().sum::<u64>(), walks.host_walks), (reads, 4, 5));
    }
}

#[test]
fn large_page_on_a_host_with_small_ones_takes_small_entries() {
    let mut system = system(&json!({
        "placement": "random", "page_size": "2MiB", "page_walk": {"host_page_size": "4KiB", "nested_tlb_entries": 8},
        "tlbs": [{"name": "TLB", "entries": 8, "ways": 8}],
    }));
    let walked: Vec<bool> = [0, 1, 64, 64].map(|line| refer(&mut system, 0, &format!("r{line}"), 0).walked).into();
    assert_eq!(walked, [true, false, true, false]);
    // Three tables, two data pages: what the second walk asks of the tables, the nested TLB knows.
    let walks = walks(&system);
    assert_eq!((walks.reads_by_level, walks.host_walks), (vec![0, 2, 2, 2], 5));
    assert_eq!((walks.nested_tlb.lookups, walks.nested_tlb.hits), (8, 3));
}

#[test]
fn structure_caches_without_tags_are_emptied_by_a_switch() {
    for (tagged, reads) in [(true, 4 + 4 + 1), (false, 4 + 4 + 4)] {
        let mut system = walking(&json!({"asid_tagged": tagged, "structure_caches": [{"level": 2, "entries": 8}]}));
        for asid in [0, 1, 0] {
            let reference = Reference { vaddr: 0, bytes: 4, kind: AccessKind::Read, cpu: 0, asid, ip: 0 };
            system.access(&reference).unwrap();
        }
        assert_eq!(walks(&system).reads, reads, "tagged: {tagged}");
    }
}

/// Entries of somebody's tables: those of level `n` are in page `n`.
pub(super) struct Entries;

impl TablePath for Entries {
    fn entry_paddr(&self, level: u32) -> u64 {
        u64::from(level) << 12 | 8
    }
}

#[test]
fn supplied_translation_is_walked_once_and_again_after_its_invalidation() {
    let mut system = walking(&json!({"structure_caches": [{"level": 2, "entries": 8}]}));
    let reference = Reference { vaddr: 1 << 12, bytes: 4, kind: AccessKind::Write, cpu: 0, asid: 3, ip: 0 };
    let mapping = Mapping { paddr: 9 << 12, page_size: PageSize::Size4K, path: &Entries };
    let reads = |system: &mut MemorySystem| {
        let before = walks(system).reads;
        system.access_mapped(&reference, &mapping).unwrap();
        walks(system).reads - before
    };
    assert_eq!([reads(&mut system), reads(&mut system)], [4, 0]);
    system.invalidate_page(0, 3, 0x5000, PageSize::Size4K);
    assert_eq!(reads(&mut system), 0);
    system.invalidate_page(0, 4, 0x1000, PageSize::Size4K);
    assert_eq!(reads(&mut system), 0);
    for page in [PageSize::Size4K, PageSize::Size2M] {
        system.invalidate_page(0, 3, 0x1fff, page);
        assert_eq!(reads(&mut system), 4);
    }
    system.invalidate_asid(0, 2);
    assert_eq!(reads(&mut system), 0);
    system.invalidate_asid(0, 3);
    assert_eq!(reads(&mut system), 4);
    system.invalidate_all(0);
    assert_eq!(reads(&mut system), 4);
}

#[test]
fn supplied_translation_in_a_guest_is_backed_by_the_host() {
    let mut system = walking(&json!({"host_page_size": "4KiB"}));
    let reference = Reference { vaddr: 0, bytes: 4, kind: AccessKind::Read, cpu: 0, asid: 0, ip: 0 };
    let mapping = Mapping { paddr: 9 << 12, page_size: PageSize::Size4K, path: &Entries };
    assert!(system.access_mapped(&reference, &mapping).unwrap().walked);
    assert_eq!(walks(&system).reads, 24);
}

#[test]
fn access_of_the_kernel_is_not_translated_and_may_lie_beyond_memory() {
    let mut system = walking(&json!({"host_page_size": "4KiB"}));
    let beyond = 1 << 50;
    let first = system.access_physical(0, beyond, AccessKind::Write);
    let second = system.access_physical(0, beyond, AccessKind::Read);
    assert_eq!((first.latency_cycles, second.latency_cycles, first.translation_cycles), (100, 5, 0));
    let stats = system.stats();
    assert_eq!((stats.references, stats.tlbs[0].lookups, stats.page_walks), (2, 0, 0));
    assert_eq!((stats.levels[0][0].writes, stats.levels[0][0].reads), (1, 1));
}

#[test]
fn access_of_the_kernel_takes_part_in_coherence() {
    let mut s = two_cpus();
    assert_eq!(s.access_physical(0, 64, AccessKind::Write).latency_cycles, 200);
    assert_eq!(s.access_physical(1, 64, AccessKind::Read).latency_cycles, 100);
    assert_eq!(s.stats().coherence.transfers, 1);
}

/// The short way of a supplied translation against the long one: of one's own, where addresses are physical.
#[test]
fn supplied_translation_counts_as_an_own_one() {
    for policy in ["lru", "tree-plru"] {
        let machine = json!({
            "cpus": 3,
            "caches": [
                {"name": "L1", "size": 2048, "ways": 4, "replacement": policy},
                {"name": "L2", "size": 4096, "ways": 4, "inclusion": "inclusive"},
                {"name": "L3", "size": 8192, "ways": 8, "shared": true},
            ],
            "tlbs": [
                {"name": "L1 TLB", "entries": 4, "ways": 2, "page_sizes": ["4KiB", "2MiB"]},
                {"name": "L2 TLB", "entries": 8, "ways": 4},
            ],
        });
        let (mut own, mut supplied) = (system(&machine), system(&machine));
        supplied.track_causes();
        let mut draws = Rng::stream(5, "test", 0);
        for step in 0..40_000 {
            let kind = [AccessKind::Read, AccessKind::Write, AccessKind::Fetch][draws.below(3) as usize];
            let vaddr = u64::from(draws.below(12)) << 12 | u64::from(draws.below(6)) << 6;
            let (cpu, asid) = (draws.below(3), draws.below(8) / 7);
            let reference = Reference { vaddr, bytes: 8, kind, cpu, asid, ip: 0 };
            if draws.below(500) == 0 {
                own.invalidate_page(cpu, asid, vaddr, PageSize::Size4K);
                supplied.invalidate_page(cpu, asid, vaddr, PageSize::Size4K);
            }
            let mapping = Mapping { paddr: vaddr, page_size: PageSize::Size4K, path: &Entries };
            let outcome =
                Outcome { causes: Causes::default(), ..supplied.access_mapped(&reference, &mapping).unwrap() };
            assert_eq!(outcome, own.access(&reference).unwrap(), "step {step}: {reference:?}");
        }
        assert_eq!(own.stats(), supplied.stats());
    }
}
