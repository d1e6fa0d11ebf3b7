//! `runq-core` simulates execution models: what processes, threads and runtimes cost on a given machine.
//!
//! It has no Python, no wall clock and no global state: a result is a pure function of configuration, input and seed.
//! The floors, each importing only from below: [`sweep`], [`engine`] and [`replay`], [`workload`], [`runtime`], [`kernel`], [`vm`], [`memory`] and [`trace`],
//! [`sched`], [`base`].

pub mod base;
pub mod engine;
pub mod kernel;
pub mod memory;
pub mod replay;
pub mod runtime;
pub mod sched;
pub mod service;
pub mod sweep;
pub mod trace;
pub mod vm;
pub mod workload;

/// The version of what is simulated: one more whenever a result changes for the same configuration, input and seed.
/// Results that are kept say of which version they are.
pub const MODEL_VERSION: u32 = 1;
