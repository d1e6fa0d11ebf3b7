//! Why a reference missed: the causes of misses, told apart by who used a line, and who took it away.
//!
//! `docs/memory-model.md` defines them. Pollution is what others do to a thread's lines while it does not run: lines that
//! they replace, and lines that they make older, so that the thread itself replaces them later (Liu & Solihin, PACT 2008).
//! All of this only watches: no cache behaves otherwise for it.

mod cause;
mod departures;
mod matrix;
mod residence;
mod threads;
mod tracking;
mod usage;
mod uses;

pub use cause::{Cause, Causes};
pub(super) use residence::{Departure, Gone};
pub(super) use tracking::Tracking;
pub(super) use usage::Use;
pub(super) use uses::{Departed, Uses};

/// The thread that stands for the kernel.
pub const KERNEL: u32 = u32::MAX;
