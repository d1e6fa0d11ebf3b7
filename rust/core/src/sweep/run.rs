//! One point: made ready, run, and its metrics taken.

use super::identity::Digest;
use super::job::Job;
use super::metrics::{Cell, Names};
use super::point::{Chunk, Point};
use super::ready::{Ready, Work};
use crate::base::Picos;
use crate::engine::{Run, RunOptions};
use crate::replay::{Replay, ReplayResult};
use crate::service::Simulation;
use serde_json::{Map, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

/// Events between two looks at whether to stop: some milliseconds.
const EVENTS_PER_SLICE: u64 = 1 << 15;

/// Accesses between two looks at whether to stop.
const ACCESSES_PER_SLICE: usize = 1 << 17;

/// How often a point that panics is tried.
const TRIES_MAX: u32 = 2;

/// What became of a point.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The names of its metrics, their values, and the whole result if the job asks for it.
    Done(Names, Vec<Cell>, Option<String>),
    /// A rule that it breaks, or why it does not come to its end.
    Failed(String),
    /// A broken invariant of the simulator, met at every try.
    Panicked(String),
    /// The caller gave up.
    Stopped,
}

/// What a point came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is, if its configuration could be read.
    pub identity: Option<Digest>,
    /// What became of it.
    pub outcome: Outcome,
    /// How often it was tried.
    pub tries: u32,
}

impl Job {
    /// Runs a point.
    pub fn run(&self, chunk: &Chunk, point: &Point, stop: &AtomicBool) -> Row {
        if stop.load(Ordering::Relaxed) {
            return Row { identity: None, outcome: Outcome::Stopped, tries: 0 };
        }
        let ready = match Ready::new(self, chunk, point) {
            Ok(ready) => ready,
            Err(error) => return Row { identity: None, outcome: Outcome::Failed(error.to_string()), tries: 1 },
        };
        let (outcome, tries) = guarded(|| self.outcome(&ready, point.seed, stop));
        Row { identity: Some(ready.identity), outcome, tries }
    }

    /// What a point is, without running it.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn identity(&self, chunk: &Chunk, point: &Point) -> Result<Digest, crate::base::ConfigError> {
        Ready::new(self, chunk, point).map(|ready| ready.identity)
    }

    fn outcome(&self, ready: &Ready, seed: u64, stop: &AtomicBool) -> Outcome {
        match self.simulate(ready, seed, stop) {
            Ok(None) => Outcome::Stopped,
            Ok(Some(tree)) => {
                let (names, cells) = self.metrics(&tree);
                Outcome::Done(names, cells, self.tree.then(|| tree.to_string()))
            }
            Err(error) => Outcome::Failed(error),
        }
    }

    /// The metrics of a result, with the names of the last row where they are the same.
    fn metrics(&self, tree: &Value) -> (Names, Vec<Cell>) {
        let known = Names::clone(&self.names.lock().unwrap_or_else(PoisonError::into_inner));
        let (names, cells) = self.selection.take(tree, &known);
        if !Names::ptr_eq(&names, &known) {
            *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Names::clone(&names);
        }
        (names, cells)
    }

    /// The result as a tree; `None` if stopped.
    fn simulate(&self, ready: &Ready, seed: u64, stop: &AtomicBool) -> Result<Option<Value>, String> {
        let is_stopped = || stop.load(Ordering::Relaxed);
        match &ready.work {
            Work::Simulate(machine, scenario) => {
                let (machine, scenario) = (machine.value.clone(), scenario.value.clone());
                let mut run = Run::new(machine, scenario, &RunOptions { seed, ..RunOptions::default() })
                    .map_err(|error| error.to_string())?;
                while !run.advance(EVENTS_PER_SLICE, Picos::NEVER).map_err(|error| error.to_string())? {
                    if is_stopped() {
                        return Ok(None);
                    }
                }
                Ok(Some(run.finish().0))
            }
            Work::Service(service) => {
                let mut run = Simulation::new(service.value.clone(), seed).map_err(|error| error.to_string())?;
                while !run.advance(EVENTS_PER_SLICE).map_err(|error| error.to_string())? {
                    if is_stopped() {
                        return Ok(None);
                    }
                }
                Ok(Some(run.finish()))
            }
            Work::Replay(machine, options) => {
                let trace = self.trace.as_ref().expect("a replay has a trace").batch.as_ref();
                let mut replay = Replay::new(&machine.value, options).map_err(|error| error.to_string())?;
                for start in (0..trace.len()).step_by(ACCESSES_PER_SLICE) {
                    if is_stopped() {
                        return Ok(None);
                    }
                    let slice = trace.slice(start, trace.len().min(start + ACCESSES_PER_SLICE));
                    if !replay.feed(slice).map_err(|error| error.to_string())? {
                        break;
                    }
                }
                replay.finish().map(|result| Some(named(&result))).map_err(|error| error.to_string())
            }
        }
    }
}

/// A replay's result with levels and TLBs by their names, as users see it.
fn named(result: &ReplayResult) -> Value {
    let mut tree = serde_json::to_value(result).expect("a result is made of what JSON has");
    for field in ["levels", "tlbs"] {
        let Some(Value::Array(pairs)) = tree.get_mut(field).map(Value::take) else { continue };
        let entry = |pair: Value| match pair {
            Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
                Ok([Value::String(name), counters]) => Some((name, counters)),
                _ => None,
            },
            _ => None,
        };
        tree[field] = Value::Object(pairs.into_iter().filter_map(entry).collect::<Map<_, _>>());
    }
    tree
}

/// Does `work` until it returns instead of panicking, and says how often it tried.
fn guarded(work: impl Fn() -> Outcome) -> (Outcome, u32) {
    let mut message = String::new();
    for tries in 1..=TRIES_MAX {
        match catch_unwind(AssertUnwindSafe(&work)) {
            Ok(outcome) => return (outcome, tries),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned();
            }
        }
    }
    (Outcome::Panicked(message), TRIES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell as Counter;

    #[test]
    fn a_point_that_panics_is_tried_twice_and_given_up() {
        let count = Counter::new(0);
        let work = || {
            count.set(count.get() + 1);
            panic!("frame {} is lost", 7)
        };
        assert_eq!(guarded(work), (Outcome::Panicked("frame 7 is lost".into()), 2));
        assert_eq!(count.get(), 2);
    }

    #[test]
    fn a_point_that_panics_once_is_done() {
        let count = Counter::new(0);
        let work = || {
            count.set(count.get() + 1);
            assert!(count.get() > 1, "the first time");
            Outcome::Stopped
        };
        assert_eq!(guarded(work), (Outcome::Stopped, 2));
    }
}
