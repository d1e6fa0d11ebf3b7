//! Runs scenarios: programs on the kernel, on one clock.
//!
//! Cpus advance in order of their local time. A cpu runs ahead of the others only within a window, so that what they do to
//! one another happens in order of time up to that window; with one busy cpu there is nothing to wait for. Every picosecond
//! of every cpu goes to one account of its ledger, idle time included.
//!
//! A cpu that computes does nothing that others could see: it stands still until the computation ends, a tick comes or
//! somebody wakes a thread there, and is brought up to that time then.

mod addresses;
mod asids;
mod books;
mod calls;
mod channels;
mod cpu;
mod dispatch;
mod error;
mod event_log;
mod execute;
mod footprints;
mod hit_row;
mod latency;
mod lines;
mod loads;
mod locks;
mod measure;
mod options;
mod outcome;
mod overlap;
mod ownership;
mod prepare;
mod queues;
mod races;
mod regions;
mod result;
mod run;
mod settle;
mod share;
mod switch;
mod sync;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod threads;
mod touch;
mod turns;
mod words;

pub use error::RunError;
pub use event_log::{EventColumns, EventKind};
pub use measure::{ForkRecord, Measure};
pub use options::RunOptions;
pub use outcome::ThreadColumns;
pub use result::RunResult;
pub use run::Run;
