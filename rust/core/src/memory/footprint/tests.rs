use super::*;
use crate::base::Rng;
use serde_json::json;

fn machine(cpus: u32) -> MachineConfig {
    let machine = json!({
        "cpus": cpus, "placement": "contiguous",
        "caches": [
            {"name": "L1D", "size": "32KiB", "ways": 8},
            {"name": "L2", "size": "256KiB", "ways": 8},
            {"name": "L3", "size": "4MiB", "ways": 16, "shared": true},
        ],
        "tlbs": [{"name": "L1 dTLB", "entries": 64, "ways": 4}, {"name": "STLB", "entries": 1024, "ways": 8}],
    });
    MachineConfig::from_value(machine).unwrap()
}

fn cycle(lines: u64) -> Profile {
    Profile { pattern: Pattern::Sequential, is_dependent: true, ..Profile::new(lines, 64) }
}

fn sum(misses: &ByCause) -> f64 {
    misses.iter().sum()
}

const PATTERNS: [Pattern; 6] = [
    Pattern::Sequential,
    Pattern::Strided(3),
    Pattern::Chase,
    Pattern::Uniform,
    Pattern::Zipf(0.9),
    Pattern::Hot { fraction: 0.1, probability: 0.9 },
];

#[test]
fn undisturbed_set_that_fits_pays_its_lines_once() {
    let mut footprint = Footprint::new(&machine(1)).unwrap();
    let set = footprint.add_set(&cycle(256)).unwrap();
    let first = footprint.run(0, set, 256);
    assert_eq!(sum(&first.misses[0]), 256.0);
    assert_eq!(first.misses[2][Cause::Compulsory as usize], 256.0);
    for accesses in [256, 100, 1000, 77] {
        let cost = footprint.run(0, set, accesses);
        assert_eq!(sum(&cost.misses[0]), 0.0);
        assert_eq!(cost.cycles(), accesses * 4);
    }
}

#[test]
fn cycle_larger_than_a_cache_misses_it_always() {
    let mut footprint = Footprint::new(&machine(1)).unwrap();
    let set = footprint.add_set(&cycle(1024)).unwrap();
    footprint.run(0, set, 10_000);
    let cost = footprint.run(0, set, 5000);
    assert_eq!((sum(&cost.misses[0]), sum(&cost.misses[1])), (5000.0, 0.0));
    assert_eq!(cost.misses[0][Cause::Capacity as usize], 5000.0);
    assert_eq!(cost.user_cycles + cost.stall_cycles[Cause::Capacity as usize], 5000 * 14);
}

#[test]
fn survivors_are_those_of_agarwal() {
    // 4 own lines a set of 8 ways; e others a set.
    for others in 0..10 {
        let mut footprint = Footprint::new(&machine(1)).unwrap();
        let own = footprint.add_set(&cycle(4 * 64)).unwrap();
        footprint.run(0, own, 4 * 64);
        if others > 0 {
            let intruder = footprint.add_set(&cycle(others * 64)).unwrap();
            footprint.run(0, intruder, others * 64);
        }
        let cost = footprint.run(0, own, 4 * 64);
        let survivors = 4.min(8 - others.min(8)) * 64;
        let replaced = cost.misses[0][Cause::Replaced as usize];
        assert_eq!(replaced, (256 - survivors) as f64, "{others}");
        let all = if others > 4 { 256.0 } else { 0.0 };
        assert_eq!(sum(&cost.misses[0]), all, "the rest is reordered: {others}");
    }
}

#[test]
fn never_more_misses_than_accesses_and_outwards_fewer() {
    for pattern in PATTERNS {
        let mut footprint = Footprint::new(&machine(2)).unwrap();
        let profile = |lines| Profile { pattern, ..Profile::new(lines, 64) };
        let sets: Vec<_> = [10, 300, 700, 5000, 100_000].map(|n| footprint.add_set(&profile(n)).unwrap()).into();
        for turn in 0..200u64 {
            let accesses = 1 + turn * turn * 37 % 9000;
            let set = sets[(turn * 7 % 5) as usize];
            let cost = footprint.run((turn / 3 % 2) as usize, set, accesses);
            let misses = cost.misses.map(|misses| sum(&misses));
            assert!(misses[0] <= accesses as f64 * (1.0 + 1e-9), "{pattern:?} {misses:?} {accesses}");
            assert!(misses[0] >= misses[1] - 1e-6 && misses[1] >= misses[2] - 1e-6, "{pattern:?} {misses:?}");
            assert!(cost.misses.iter().flatten().all(|&misses| misses >= 0.0), "{pattern:?} {cost:?}");
            assert!(cost.walks <= accesses as f64 * (1.0 + 1e-9), "{pattern:?}");
        }
    }
}

#[test]
fn more_intruders_cost_no_less() {
    for pattern in PATTERNS {
        for accesses in [50, 400, 4000] {
            let mut last = 0;
            for intruder_lines in [0, 32, 128, 300, 600, 2000, 5000, 20_000, 200_000] {
                let mut footprint = Footprint::new(&machine(1)).unwrap();
                let own = Profile { pattern, is_dependent: true, ..Profile::new(400, 64) };
                let own = footprint.add_set(&own).unwrap();
                footprint.run(0, own, 40_000);
                if intruder_lines > 0 {
                    let intruder = footprint.add_set(&cycle(intruder_lines)).unwrap();
                    footprint.run(0, intruder, intruder_lines);
                }
                let cost = footprint.run(0, own, accesses).cycles();
                assert!(cost + 2 >= last, "{pattern:?} {accesses} {intruder_lines}: {cost} {last}");
                last = cost;
            }
        }
    }
}

#[test]
fn no_disturbance_costs_nothing_more() {
    for pattern in PATTERNS {
        let profile = Profile { pattern, is_dependent: true, ..Profile::new(700, 64) };
        let mut whole = Footprint::new(&machine(1)).unwrap();
        let set = whole.add_set(&profile).unwrap();
        whole.run(0, set, 100_000);
        let at_once = whole.clone().run(0, set, 7000).cycles();
        let parts: u64 = (0..10).map(|_| whole.run(0, set, 700).cycles()).sum();
        let difference = at_once.abs_diff(parts) as f64 / at_once as f64;
        assert!(difference < 0.01, "{pattern:?}: {at_once} {parts}");
    }
}

#[test]
fn flushed_tlb_is_as_a_cold_one() {
    let mut footprint = Footprint::new(&machine(1)).unwrap();
    let set = footprint.add_set(&cycle(640)).unwrap();
    assert_eq!(footprint.run(0, set, 640).walks, 10.0);
    assert_eq!(footprint.run(0, set, 640).walks, 0.0);
    footprint.flush_tlbs(0);
    assert_eq!(footprint.run(0, set, 640).walks, 10.0);
    footprint.forget_translations(0, set);
    assert_eq!(footprint.run(0, set, 640).walks, 10.0);
    assert_eq!(footprint.run(0, set, 640).walks, 0.0);
}

#[test]
fn another_cpu_has_nothing_in_its_own_caches() {
    let mut footprint = Footprint::new(&machine(2)).unwrap();
    let set = footprint.add_set(&cycle(256)).unwrap();
    footprint.run(0, set, 2560);
    let cost = footprint.run(1, set, 256);
    assert_eq!(cost.misses[0][Cause::Migration as usize], 256.0);
    assert_eq!(cost.misses[1][Cause::Migration as usize], 256.0);
    assert_eq!(sum(&cost.misses[2]), 0.0);
    assert_eq!(sum(&footprint.run(1, set, 256).misses[0]), 0.0);
}

#[test]
fn writes_come_from_the_cpu_that_made_them() {
    let mut footprint = Footprint::new(&machine(2)).unwrap();
    let set = footprint.add_shared_set(&Profile { is_write: true, ..cycle(256) }).unwrap();
    footprint.run(0, set, 256);
    let cost = footprint.run(1, set, 256);
    assert_eq!(cost.misses[0][Cause::Coherence as usize], 256.0);
    assert_eq!(cost.misses[2], [0.0; CAUSES]);
    let reads = footprint.add_shared_set(&cycle(256)).unwrap();
    footprint.run(0, reads, 256);
    footprint.run(1, reads, 256);
    assert_eq!(sum(&footprint.run(0, reads, 256).misses[0]), 0.0);
}

#[test]
fn as_many_accesses_fit_as_run_says() {
    for pattern in PATTERNS {
        let mut footprint = Footprint::new(&machine(1)).unwrap();
        let profile = Profile { pattern, is_dependent: true, ..Profile::new(3000, 64) };
        let set = footprint.add_set(&profile).unwrap();
        for cycles in [1, 100, 5000, 123_456, 9_000_000] {
            let fitting = footprint.within(0, set, cycles);
            let cost = footprint.clone().run(0, set, fitting).cycles();
            assert!(fitting == 1 || cost <= cycles + 1, "{pattern:?} {cycles}: {cost}");
            let more = footprint.clone().run(0, set, fitting + 2 + fitting / 16).cycles();
            assert!(more > cycles, "{pattern:?} {cycles}: {fitting} {cost} {more}");
            footprint.run(0, set, fitting);
        }
    }
}

#[test]
fn handles_are_used_again_and_nothing_is_left() {
    let mut footprint = Footprint::new(&machine(1)).unwrap();
    let set = footprint.add_set(&cycle(256)).unwrap();
    footprint.run(0, set, 256);
    footprint.drop_set(set);
    let again = footprint.add_set(&cycle(256)).unwrap();
    assert_eq!(set, again);
    assert_eq!(footprint.run(0, again, 256).misses[0][Cause::Compulsory as usize], 256.0);
}

#[test]
fn too_deep_a_machine_is_refused() {
    let caches: Vec<_> = (0..5).map(|n| json!({"name": format!("L{n}"), "size": "4KiB", "ways": 4})).collect();
    let machine = MachineConfig::from_value(json!({"caches": caches})).unwrap();
    let error = Footprint::new(&machine).unwrap_err().to_string();
    assert_eq!(error, "caches: must have at most 4 levels on the path of data at this fidelity, got 5");
}

#[test]
fn small_state() {
    assert_eq!(size_of::<Place>(), 24);
}

#[test]
fn the_short_way_does_what_the_long_way_does() {
    for cpus in [1, 2] {
        let mut footprint = Footprint::new(&machine(cpus)).unwrap();
        let mut long = footprint.clone();
        let mut rng = Rng::stream(1, "test", 0);
        let mut sets = Vec::new();
        for (pattern, lines) in PATTERNS.into_iter().zip([20, 300, 60, 40, 500].into_iter().cycle()) {
            for (is_write, is_physical, is_shared) in [(false, false, false), (true, true, false), (true, false, true)]
            {
                let profile = Profile { pattern, is_write, is_physical, is_dependent: lines < 50, ..cycle(lines) };
                let add = |footprint: &mut Footprint| {
                    if is_shared { footprint.add_shared_set(&profile) } else { footprint.add_set(&profile) }.unwrap()
                };
                sets.push(add(&mut footprint));
                assert_eq!(add(&mut long), sets[sets.len() - 1]);
            }
        }
        let mut hits = 0;
        for turn in 0..20_000 {
            // Few sets for some time, so that they stay.
            let few = 1 + turn / 500 % sets.len();
            let set = sets[rng.below(u32::try_from(few).unwrap()) as usize];
            let cpu = rng.below(cpus) as usize;
            let accesses = u64::from(1 + rng.below(700));
            let short = footprint.run_hits(cpu, set, accesses);
            hits += u32::from(short.is_some());
            let cost = long.run_long(cpu, set, accesses);
            let cost_here = match short {
                Some(Hits { user_cycles, walk_cycles }) => Cost { user_cycles, walk_cycles, ..Cost::default() },
                None => footprint.run_long(cpu, set, accesses),
            };
            assert_eq!(cost_here, cost, "{turn}");
            if turn % 1000 == 999 {
                footprint.flush_tlbs(cpu);
                long.flush_tlbs(cpu);
            }
        }
        assert!(hits > 1000, "{hits}");
        assert_eq!(format!("{:?}", footprint.places), format!("{:?}", long.places));
        assert_eq!(format!("{:?}", footprint.recencies), format!("{:?}", long.recencies));
        assert_eq!(format!("{:?}", footprint.carries), format!("{:?}", long.carries));
    }
}
