//! The fidelity `footprint` against `addresses`, on a sample of what `examples/footprint_error.rs` measures.

mod footprint_support;

use footprint_support::{Outcome, case, quantile};
use runq_core::memory::footprint::{Footprint, Profile};
use runq_core::memory::{MachineConfig, MemorySystem, Reference};
use runq_core::trace::batch::AccessKind;
use serde_json::json;

const CASES: u64 = 32;
const ACCESSES: u64 = 20_000;
const PLACEMENTS: u64 = 2;
/// Places of pages differ much from one to the other.
const SEEDS: u64 = 40;

fn median(errors: impl Iterator<Item = f64>) -> f64 {
    let mut sizes: Vec<f64> = errors.map(f64::abs).collect();
    sizes.sort_by(f64::total_cmp);
    quantile(&sizes, 0.5)
}

#[test]
fn runs_and_switches_cost_what_they_do_access_by_access() {
    let outcomes: Vec<Outcome> = (1000..1000 + CASES).map(|seed| case(seed, ACCESSES, PLACEMENTS)).collect();
    let alone = median(outcomes.iter().map(Outcome::alone_error));
    assert!(alone <= 0.02, "a run alone: {alone}");
    let switch = median(outcomes.iter().filter_map(Outcome::switch_error));
    assert!(switch <= 0.15, "a switch: {switch}");
}

/// Cycles of five passes over 8 lines a set of a cache of 12 ways that duels, at random places, access by access and by the
/// working set.
fn passes(replacement: &str, seed: u64) -> [f64; 2] {
    let machine = json!({
        "placement": "random",
        "caches": [{"name": "L1", "size": 768 << 10, "ways": 12, "replacement": replacement}],
        "tlbs": [],
    });
    let config = MachineConfig::from_value(machine).expect("a machine that is right");
    let mut system = MemorySystem::new(&config, &[], false, seed);
    let mut model = Footprint::new(&config).expect("few levels");
    let lines = 8 << 10;
    let set = model.add_set(&Profile { is_dependent: true, ..Profile::new(lines, 64) }).expect("a good profile");
    let mut pass = || {
        let read = |line| Reference { vaddr: line * 64, bytes: 1, kind: AccessKind::Read, cpu: 0, asid: 0, ip: 0 };
        let cycles = |line| system.access(&read(line)).expect("memory is large").latency_cycles;
        [(0..lines).map(cycles).sum::<u64>() as f64, model.run(0, set, lines).cycles() as f64]
    };
    (0..10).for_each(|_| {
        pass();
    });
    (0..5).map(|_| pass()).fold([0.0; 2], |sum, pass| [sum[0] + pass[0], sum[1] + pass[1]])
}

/// Where some sets have more lines than ways, those that duel keep what has come first, and miss only the others.
#[test]
fn a_cache_that_duels_keeps_what_fits() {
    let sum = |replacement: &str| {
        (0..SEEDS).map(|seed| passes(replacement, seed)).fold([0.0; 2], |sum, one| [sum[0] + one[0], sum[1] + one[1]])
    };
    let ([exact, model], [exact_srrip, model_srrip]) = (sum("drrip"), sum("srrip"));
    assert!((model / exact - 1.0).abs() < 0.1, "{model} for {exact}");
    assert!(exact < 0.8 * exact_srrip && model < 0.8 * model_srrip, "{exact} {exact_srrip} {model} {model_srrip}");
}
