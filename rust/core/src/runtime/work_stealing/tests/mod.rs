//! Small cases traced by hand against the specifications of Go, Tokio and Java, and laws over random calls.

use super::config::WorkStealingConfig;
use super::*;

mod go;
mod java;
mod laws;
mod tokio;

const A: Slot = Slot(0);
const B: Slot = Slot(1);
const C: Slot = Slot(2);

/// A runtime of which the first slots run.
fn running(config: &WorkStealingConfig, slots: u16, run: u16) -> WorkStealing {
    let mut runtime = WorkStealing::new(config, slots, 7);
    for slot in 0..run {
        assert_eq!(runtime.claim(None), Some(Slot(slot)));
    }
    runtime
}

/// Tasks of those numbers are woken by a slot, or from outside.
fn wake_all(runtime: &mut WorkStealing, by: Option<Slot>, tasks: impl IntoIterator<Item = u32>) {
    for task in tasks {
        runtime.push(Tid(task), by, Push::Woken);
    }
}

/// What a slot runs, one after the other, as long as it finds something without a search.
fn runs(runtime: &mut WorkStealing, slot: Slot, count: usize) -> Vec<u32> {
    (0..count).map_while(|_| runtime.next(slot).task.map(|task| task.0)).collect()
}
