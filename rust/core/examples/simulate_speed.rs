//! How long a scenario takes: `simulate_speed MACHINE.json SCENARIO.json RUNS`.

use runq_core::base::Picos;
use runq_core::engine::Run;
use runq_core::memory::MachineConfig;
use runq_core::workload::Scenario;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "simulate_speed MACHINE.json SCENARIO.json RUNS";
    let machine = MachineConfig::from_json(&std::fs::read_to_string(arguments.next().ok_or(usage)?)?)?;
    let scenario = Scenario::from_json(&std::fs::read_to_string(arguments.next().ok_or(usage)?)?)?;
    let runs: u32 = arguments.next().ok_or(usage)?.parse()?;
    for _ in 0..runs {
        let start = Instant::now();
        let mut run = Run::new(machine.clone(), scenario.clone(), 0)?;
        while !run.advance(1 << 15, Picos::NEVER)? {}
        let events = run.events();
        let digest = run.finish().0["digest"].clone();
        println!("{:.3} s, {events} events, digest {digest}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
