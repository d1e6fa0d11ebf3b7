//! How far the fidelity `footprint` is from `addresses` on random machines and working sets:
//! `footprint_error [CASES] [ACCESSES] [PLACEMENTS]`. With `-v` every case is printed.

#[path = "../tests/footprint_support/mod.rs"]
mod footprint_support;

use footprint_support::{Outcome, case, quantile};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, numbers): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|text| text == "-v");
    let cases: u64 = numbers.first().map_or(Ok(300), |text| text.parse())?;
    let accesses: u64 = numbers.get(1).map_or(Ok(150_000), |text| text.parse())?;
    let placements: u64 = numbers.get(2).map_or(Ok(1), |text| text.parse())?;
    let outcomes: Vec<Outcome> = (0..cases).map(|seed| case(seed, accesses, placements)).collect();
    if !flags.is_empty() {
        for (seed, outcome) in outcomes.iter().enumerate() {
            let switch = outcome.switch_error().map_or("-".into(), |error| format!("{:+.1} %", 100.0 * error));
            println!(
                "{seed} {} | alone {:.0} {:+.1} % switch {:.0} {switch}",
                outcome.text,
                outcome.alone[0],
                100.0 * outcome.alone_error(),
                outcome.switch[0],
            );
        }
    }
    print("run alone", outcomes.iter().map(Outcome::alone_error).collect());
    print("switch", outcomes.iter().filter_map(Outcome::switch_error).collect());
    Ok(())
}

fn print(name: &str, errors: Vec<f64>) {
    let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let mut signed = errors;
    signed.sort_by(f64::total_cmp);
    println!(
        "{name}: error in the median {:.1} %, 90th percentile {:.1} %, signed median {:+.1} %, {} cases",
        100.0 * quantile(&sizes, 0.5),
        100.0 * quantile(&sizes, 0.9),
        100.0 * quantile(&signed, 0.5),
        sizes.len(),
    );
}
