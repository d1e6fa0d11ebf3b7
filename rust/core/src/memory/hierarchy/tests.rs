//! Small machines whose counters are worked out by hand. A letter of a trace is an access to a line: `r3`, `w3`, `f3`.

use super::{MemorySystem, OutOfMemory, Outcome, PageRange, Reference};
use crate::memory::config::{MachineConfig, PageSize};
use crate::memory::stats::LevelStats;
use crate::trace::AccessKind;
use serde_json::{Value, json};

fn system(machine: &Value) -> MemorySystem {
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
