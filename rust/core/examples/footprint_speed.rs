//! How many runs and switches a second the fidelity `footprint` makes: `footprint_speed [THREADS] [SWITCHES]`.
//!
//! Threads take turns on one cpu of a machine with three caches and two TLBs, each with a cycle, drawn or hot working set of
//! its own. The goal is 20 million on one 2.6 GHz cpu. The median of five passes counts.

use runq_core::memory::MachineConfig;
use runq_core::memory::footprint::{Footprint, Pattern, Profile};
use serde_json::json;
use std::time::Instant;

const PASSES: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let threads = numbers.first().copied().unwrap_or(1000);
    let switches = numbers.get(1).copied().unwrap_or(4_000_000);
    let machine = MachineConfig::from_value(json!({
        "placement": "random", "mlp": 10,
        "caches": [
            {"name": "L1D", "size": "48KiB", "ways": 12},
            {"name": "L2", "size": "2MiB", "ways": 16},
            {"name": "L3", "size": "64MiB", "ways": 16, "shared": true},
        ],
        "tlbs": [{"name": "dTLB", "entries": 64, "ways": 4}, {"name": "STLB", "entries": 2048, "ways": 16}],
    }))?;
    let patterns = [
        ("cycle", Pattern::Sequential),
        ("chase", Pattern::Chase),
        ("uniform", Pattern::Uniform),
        ("hot", Pattern::Hot { fraction: 0.1, probability: 0.9 }),
        ("zipf", Pattern::Zipf(0.9)),
    ];
    for (name, pattern) in patterns {
        let mut rates = Vec::new();
        let mut bytes = 0;
        for _ in 0..PASSES {
            let mut footprint = Footprint::new(&machine)?;
            let profile = |thread: usize| Profile { pattern, ..Profile::new(100 + 50 * (thread as u64 % 16), 64) };
            let sets: Vec<_> =
                (0..threads).map(|thread| footprint.add_set(&profile(thread))).collect::<Result<_, _>>()?;
            bytes = footprint.bytes_a_set();
            let start = Instant::now();
            let mut cycles = 0;
            for switch in 0..switches {
                cycles += footprint.run(0, sets[switch % threads], 500).cycles();
            }
            rates.push(switches as f64 / start.elapsed().as_secs_f64() / 1e6);
            assert!(cycles > 0);
        }
        rates.sort_by(f64::total_cmp);
        println!("{name}: {:.1} M runs and switches/s, {threads} threads of {bytes} bytes", rates[PASSES / 2]);
    }
    Ok(())
}
