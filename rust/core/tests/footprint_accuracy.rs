//! The fidelity `footprint` against `addresses`, on a sample of what `examples/footprint_error.rs` measures.

mod footprint_support;

use footprint_support::{Outcome, case, quantile};

const CASES: u64 = 32;
const ACCESSES: u64 = 20_000;
const PLACEMENTS: u64 = 2;

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
