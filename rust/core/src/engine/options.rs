//! What is said beside machine and scenario.

use serde::{Deserialize, Serialize};

/// What is said beside machine and scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunOptions {
    /// Of all random numbers.
    pub seed: u64,
    /// Whether misses are told apart by cause, where memory is simulated. Changes no other number.
    pub causes: bool,
    /// Whether races are looked for. Changes no other number.
    pub races: bool,
    /// Events of tasks that are kept, the first ones; none if 0. Changes no number.
    pub event_log_max: u32,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { seed: 0, causes: true, races: false, event_log_max: 0 }
    }
}
