//! References in a row, on small machines.

use super::tests::{Entries, system};
use super::{Mapping, Outcome, Reference};
use crate::base::Rng;
use crate::memory::config::PageSize;
use crate::trace::AccessKind;
use serde_json::{Value, json};

/// References in a row against references one by one, causes included.
#[test]
fn references_in_a_row_are_what_they_are_one_by_one() {
    let caches = |policy: &str, second: Value, third: Value| {
        let mut caches = vec![json!({"name": "L1", "size": 1024, "ways": 4, "replacement": policy}), second];
        caches.extend(Some(third).filter(Value::is_object));
        caches
    };
    let shared = || json!({"name": "L2", "size": 8192, "ways": 8, "shared": true});
    let private = |inclusion: &str| json!({"name": "L2", "size": 2048, "ways": 4, "inclusion": inclusion});
    let plru = || json!({"name": "L2", "size": 2048, "ways": 4, "replacement": "tree-plru"});
    let third = || json!({"name": "L3", "size": 16384, "ways": 8, "shared": true});
    // Whether some are hits in a row, and whether the second cache serves others.
    for (caches, has_hits, has_near) in [
        (caches("lru", shared(), Value::Null), true, false),
        (caches("tree-plru", shared(), Value::Null), false, false),
        (caches("lru", private("non-inclusive"), third()), true, true),
        (caches("lru", private("inclusive"), third()), true, true),
        (caches("lru", private("exclusive"), third()), true, false),
        (caches("lru", plru(), third()), true, true),
    ] {
        for (write_backs, tagged) in [(true, true), (false, false)] {
            let machine = json!({
                "cpus": 3,
                "present_write_backs": write_backs,
                "caches": caches,
                "tlbs": [
                    {"name": "L1 TLB", "entries": 4, "ways": 2, "asid_tagged": tagged},
                    {"name": "L2 TLB", "entries": 8, "ways": 4, "replacement": if tagged { "lru" } else { "tree-plru" }},
                ],
            });
            let (hits, near) = compare_rows(&machine);
            assert_eq!(hits > 1000, has_hits, "{hits} hits were taken in a row");
            assert_eq!(near > 1000, has_near, "{near} misses of {machine}");
        }
    }
}

/// Returns how many references were hits in a row, and how many missed the first cache and did not end one.
fn compare_rows(machine: &Value) -> (usize, usize) {
    let (mut single, mut rows) = (system(machine), system(machine));
    single.track_causes();
    rows.track_causes();
    let mut draws = Rng::stream(7, "test", 0);
    let (mut taken, mut near) = (0, 0);
    for round in 0..8_000 {
        let kind = [AccessKind::Read, AccessKind::Write, AccessKind::Fetch][draws.below(9) as usize % 3];
        let (cpu, asid) = (draws.below(3), draws.below(20) / 19);
        if draws.below(20) == 0 {
            let thread = draws.below(4) * 3 + cpu;
            single.set_thread(cpu, thread);
            rows.set_thread(cpu, thread);
        }
        let base = u64::from(draws.below(3)) << 14 | u64::from(draws.below(2) * cpu) << 16;
        let vaddrs: Vec<u64> = (0..=draws.below(12))
            .map(|_| base | u64::from(draws.below(2)) << 12 | u64::from(draws.below(5)) << 6)
            .collect();
        let reference = |vaddr| Reference { vaddr, bytes: 1, kind, cpu, asid, ip: 0 };
        let mapping = |vaddr| Mapping { paddr: vaddr, page_size: PageSize::Size4K, path: &Entries };
        let expected: Vec<Outcome> =
            vaddrs.iter().map(|&vaddr| single.access_mapped(&reference(vaddr), &mapping(vaddr)).unwrap()).collect();
        let mut outcomes = Vec::new();
        while outcomes.len() < vaddrs.len() {
            if let Some(mut hits) = rows.hits(cpu, asid, kind, PageSize::Size4K) {
                let start = outcomes.len();
                while let Some(&vaddr) = vaddrs.get(outcomes.len()) {
                    if hits.take(vaddr, vaddr) {
                        let translation_cycles = expected[outcomes.len()].translation_cycles;
                        let latency_cycles = hits.latency_cycles();
                        outcomes.push(Outcome { latency_cycles, translation_cycles, ..Outcome::default() });
                        taken += 1;
                    } else if let Some(outcome) = hits.take_near(vaddr, vaddr) {
                        near += usize::from(outcome.missed > 0);
                        outcomes.push(outcome);
                    } else {
                        break;
                    }
                }
                hits.end((outcomes.len() - start) as u64);
            }
            if let Some(&vaddr) = vaddrs.get(outcomes.len()) {
                outcomes.push(rows.access_searched(&reference(vaddr), &mapping(vaddr)).unwrap());
            }
        }
        assert_eq!(outcomes, expected, "round {round}");
        assert_eq!(single.missed_again(), rows.missed_again(), "round {round}");
    }
    assert_eq!(single.stats(), rows.stats());
    assert!(single.pollution_matrix().eq(rows.pollution_matrix()));
    (taken, near)
}
