//! Replays a raw trace that lies in memory and prints references a second: the inner loop of `benches/`.
//!
//! `cargo run --release --example replay_speed -- TRACE.u64 MACHINE.json [RUNS] [OPTIONS.json]`

use runq_core::memory::MachineConfig;
use runq_core::replay::{Replay, ReplayOptions};
use runq_core::trace::BatchRef;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let (Some(trace), Some(machine)) = (arguments.get(1), arguments.get(2)) else {
        return Err("usage: replay_speed TRACE.u64 MACHINE.json [RUNS] [OPTIONS.json]".into());
    };
    let runs: usize = arguments.get(3).map_or(Ok(5), |runs| runs.parse())?;
    let bytes = std::fs::read(trace)?;
    let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|&word| u64::from_le_bytes(word)).collect();
    drop(bytes);
    let machine = MachineConfig::from_json(&std::fs::read_to_string(machine)?)?;
    let options: ReplayOptions = match arguments.get(4) {
        Some(path) => serde_json::from_str(&std::fs::read_to_string(path)?)?,
        None => ReplayOptions::default(),
    };
    let mut rates = Vec::new();
    for run in 0..runs {
        let start = Instant::now();
        let mut replay = Replay::new(&machine, &options)?;
        replay.feed(BatchRef::from_words(&words))?;
        let result = replay.finish()?;
        rates.push(words.len() as f64 / start.elapsed().as_secs_f64() / 1e6);
        if run == 0 {
            for (name, level) in &result.levels {
                println!(
                    "{name}: {} misses, {} write-backs, {} (+{}) in",
                    level.misses, level.write_backs, level.write_backs_in, level.write_back_misses
                );
            }
            for (name, tlb) in &result.tlbs {
                println!("{name}: {} lookups, {} misses", tlb.lookups, tlb.misses);
            }
            println!("cycles {} digest {} engine {}", result.cycles, result.digest, result.engine);
        }
    }
    rates.sort_by(f64::total_cmp);
    println!("{:.1} M references/s, median of {runs} (best {:.1})", rates[runs / 2], rates[runs - 1]);
    Ok(())
}
