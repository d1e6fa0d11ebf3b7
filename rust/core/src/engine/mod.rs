//! Runs scenarios: programs on the kernel, on one clock.
//!
//! Cpus advance in order of their local time. A cpu runs ahead of the others only within a window, so that what they do to
//! one another happens in order of time up to that window; with one busy cpu there is nothing to wait for. Every picosecond
//! of every cpu goes to one account of its ledger, idle time included.
//!
//! Leaves out: schedulers beyond first come, first served with a time slice, threads of their own, and the kernel's own
//! footprint in caches.

mod addresses;
mod cpu;
mod execute;
mod measure;
mod result;
mod run;
mod task;
#[cfg(test)]
mod tests;

pub use measure::{ForkRecord, Measure};
pub use result::RunResult;
pub use run::{Run, RunError, RunOptions};
