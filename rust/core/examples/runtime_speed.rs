//! How many tasks a second go through the queues of runtimes: `runtime_speed [TASKS]`.
//!
//! `local` lets the task that runs wake another, which then runs: a push and a next on one slot, with so many others
//! queued. `shared` wakes from outside. `stolen` lets eight slots run what one of them wakes. Medians of five.

use runq_core::kernel::Tid;
use runq_core::runtime::{Discipline, Push, RuntimeConfig, Slot};
use std::time::Instant;

const NAMES: [&str; 6] = ["fifo", "per-slot", "work-stealing", "go", "tokio", "java"];
const QUEUED: [u32; 2] = [100, 1_000_000];

fn runtime(name: &str, slots: u16, queued: u32) -> Box<dyn Discipline> {
    let config = RuntimeConfig::from_value("runtime", name.into()).expect("a runtime");
    let mut runtime = config.discipline(slots, 0);
    for _ in 0..slots {
        runtime.claim(None);
    }
    for task in 0..queued {
        runtime.push(Tid(task), Some(Slot(0)), Push::Woken);
    }
    runtime
}

/// Pushes by somebody, each followed by a task of slot 0.
fn pairs(name: &str, queued: u32, by: Option<Slot>, tasks: u32) -> f64 {
    let mut runtime = runtime(name, 1, queued);
    let mut runs = runtime.next(Slot(0)).task;
    let start = Instant::now();
    for _ in 0..tasks {
        runtime.push(runs.expect("somebody waits"), by, Push::Woken);
        runs = runtime.next(Slot(0)).task;
    }
    f64::from(tasks) / start.elapsed().as_secs_f64()
}

/// Slots in turn run what slot 0 wakes.
fn stolen(name: &str, tasks: u32) -> f64 {
    const SLOTS: u16 = 8;
    let mut runtime = runtime(name, SLOTS, 0);
    let start = Instant::now();
    let mut done = 0;
    while done < tasks {
        for task in 0..64 {
            runtime.push(Tid(task), Some(Slot(0)), Push::Woken);
        }
        while runtime.queued() > 0 {
            for slot in 0..SLOTS {
                done += u32::from(runtime.next(Slot(slot)).task.is_some());
            }
        }
    }
    f64::from(done) / start.elapsed().as_secs_f64()
}

fn median(mut rate: impl FnMut() -> f64) -> f64 {
    let mut rates: Vec<f64> = (0..5).map(|_| rate()).collect();
    rates.sort_by(f64::total_cmp);
    rates[2] / 1e6
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tasks = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    println!("{:<14} {:>8} {:>10} {:>10} {:>10}", "runtime", "queued", "local M/s", "shared M/s", "stolen M/s");
    for name in NAMES {
        for queued in QUEUED {
            let local = median(|| pairs(name, queued, Some(Slot(0)), tasks));
            let shared = median(|| pairs(name, queued, None, tasks));
            let stolen = median(|| stolen(name, tasks));
            println!("{name:<14} {queued:>8} {local:>10.1} {shared:>10.1} {stolen:>10.1}");
        }
    }
    Ok(())
}
