//! Why a scenario cannot be run, or not to its end.

use crate::base::{ConfigError, Picos};
use crate::kernel::{KernelError, Pid};

/// A scenario that cannot be run, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The scenario or the machine breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel cannot start.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// It goes on for too long.
    #[error("{name} runs for more than {} s of simulated time", Picos::RUN_MAX.nanos() / 1e9)]
    Time {
        /// The scenario.
        name: String,
    },
    /// It takes too many steps.
    #[error("{name} takes more than {events} events, and is at {at} by then; `events_max` allows more")]
    Events {
        /// The scenario.
        name: String,
        /// The limit.
        events: u64,
        /// How far it is.
        at: Picos,
    },
    /// The policy leaves threads waiting.
    #[error("the policy picks nobody at {at}, though {waiting} wait")]
    Stuck {
        /// When.
        at: Picos,
        /// How many wait.
        waiting: u64,
    },
    /// The machine is a guest, and its host has no memory left.
    #[error("the host has no memory left for the guest: {} frames are in use", .0.frames)]
    Host(crate::memory::OutOfMemory),
    /// A program names what is not there.
    #[error("process {pid} ({name}): {problem}")]
    Program {
        /// The process.
        pid: Pid,
        /// What it runs.
        name: String,
        /// What is wrong.
        problem: String,
    },
}
