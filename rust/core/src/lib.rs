//! `runq-core` simulates execution models: what processes, threads and runtimes cost on a given machine.
//!
//! It has no Python, no wall clock and no global state: a result is a pure function of configuration, input and seed.
//! The floors, each importing only from below: [`engine`] and [`replay`], [`workload`], [`kernel`], [`vm`], [`memory`] and [`trace`],
//! [`sched`], [`base`].

pub mod base;
pub mod engine;
pub mod kernel;
pub mod memory;
pub mod replay;
pub mod sched;
pub mod trace;
pub mod vm;
pub mod workload;
