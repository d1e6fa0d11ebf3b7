//! How long a scenario takes: `simulate_speed MACHINE.json SCENARIO.json RUNS`.
//!
//! With `cpus=N` in place of a scenario: N processes on so many cpus, whose accesses at the fidelity `addresses` mostly hit
//! the first caches and TLBs, and all of them share the last level.

use runq_core::base::Picos;
use runq_core::engine::{Run, RunOptions};
use runq_core::memory::MachineConfig;
use runq_core::workload::Scenario;
use serde_json::{Value, json};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "simulate_speed MACHINE.json (SCENARIO.json | cpus=N) RUNS";
    let mut machine = MachineConfig::from_json(&std::fs::read_to_string(arguments.next().ok_or(usage)?)?)?;
    let what = arguments.next().ok_or(usage)?;
    let scenario = match what.strip_prefix("cpus=") {
        Some(cpus) => {
            machine.cpus = cpus.parse()?;
            Scenario::from_json(&touches(machine.cpus).to_string())?
        }
        None => Scenario::from_json(&std::fs::read_to_string(&what)?)?,
    };
    let runs: u32 = arguments.next().ok_or(usage)?.parse()?;
    for _ in 0..runs {
        let start = Instant::now();
        let mut run = Run::new(machine.clone(), scenario.clone(), &RunOptions::default())?;
        while !run.advance(1 << 15, Picos::NEVER)? {}
        let events = run.events();
        let digest = run.finish().0["digest"].clone();
        let seconds = start.elapsed().as_secs_f64();
        let rate = events as f64 / seconds / 1e6;
        println!("{seconds:.3} s, {events} events, {rate:.2} M/s, digest {digest}");
    }
    Ok(())
}

/// As many processes as cpus, each with a megabyte of its own of which it uses a small part most.
fn touches(cpus: u32) -> Value {
    let program = json!([
        {"op": "mmap", "region": "data", "size": "1MiB"},
        {"op": "touch", "region": "data"},
        {"op": "repeat", "times": 4, "body": [
            {"op": "touch", "region": "data", "size": "32KiB", "unit": 8, "access": "read", "count": 100_000},
            {"op": "touch", "region": "data", "size": "32KiB", "unit": 8, "access": "read", "pattern": "uniform",
             "count": 100_000},
            {"op": "touch", "region": "data", "size": "64KiB", "unit": 64, "access": "write", "pattern": "uniform",
             "count": 100_000},
            {"op": "touch", "region": "data", "unit": 64, "access": "read", "pattern": "hot", "hot_fraction": 0.03,
             "hot_probability": 0.95, "count": 100_000},
        ]},
    ]);
    let process = |number| json!({"name": format!("p{number}"), "program": program});
    let processes: Vec<Value> = (0..cpus).map(process).collect();
    json!({"name": "touches", "memory": "addresses", "processes": processes})
}
