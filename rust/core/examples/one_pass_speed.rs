//! Passes over a raw trace that lies in memory and prints accesses a second: the inner loops of `benches/`.
//!
//! `cargo run --release --example one_pass_speed -- TRACE.u64 [RUNS]`

use runq_core::memory::one_pass::{AllAssociativity, ExactCurve, Order, SampledCurve};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let trace = arguments.get(1).ok_or("usage: one_pass_speed TRACE.u64 [RUNS]")?;
    let runs: usize = arguments.get(2).map_or(Ok(5), |runs| runs.parse())?;
    let bytes = std::fs::read(trace)?;
    let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|&word| u64::from_le_bytes(word)).collect();
    drop(bytes);
    let set_bits: Vec<u32> = (6..=13).collect();
    for order in [Order::Lru, Order::Fifo].into_iter() {
        time(&format!("{order:?}, 64..8192 sets x 1..16 ways"), words.len(), runs, || {
            let mut pass = AllAssociativity::new(order, 6, &set_bits, 16, true);
            pass.feed(&words);
            pass.misses()[7][15]
        });
    }
    time("exact curve", words.len(), runs, || {
        let mut pass = ExactCurve::new(6);
        pass.feed(&words).expect("memory for the lines");
        pass.curve().distinct
    });
    time("curve sampled at 1 %", words.len(), runs, || {
        let mut pass = SampledCurve::new(6, (1 << 32) / 100, 0);
        pass.feed(&words).expect("memory for the lines");
        pass.curve().distinct
    });
    Ok(())
}

fn time(what: &str, accesses: usize, runs: usize, mut pass: impl FnMut() -> u64) {
    let mut rates = Vec::new();
    let mut count = 0;
    for _ in 0..runs {
        let start = Instant::now();
        count = pass();
        rates.push(accesses as f64 / start.elapsed().as_secs_f64() / 1e6);
    }
    rates.sort_by(f64::total_cmp);
    println!("{what}: {:.1} M accesses/s, median of {runs} (best {:.1}); {count}", rates[runs / 2], rates[runs - 1]);
}
