//! What accesses to shared words cost a cpu. All times are in nanoseconds.
//!
//! A line that another cpu has takes `transfer_cycles` of the machine to come; these are the prices beside that. The
//! defaults are those of a server core of the 2020s, rounded; presets carry those of their cores.

use crate::base::Picos;
use serde::{Deserialize, Serialize};

/// Accesses to shared words: atomic ones, and plain ones through a store buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AtomicsConfig {
    /// An atomic read-modify-write in a loop, on a line that the cpu owns.
    pub add_ns: Picos,
    /// A load and the compare-exchange behind it in a loop, on a line that the cpu owns.
    pub compare_exchange_ns: Picos,
    /// A plain increment in a loop, one instruction.
    pub increment_ns: Picos,
    /// A load of what the cpu stored just before: load, add and store in a loop take it once a round.
    pub forward_ns: Picos,
    /// A load in a loop, from a line that the cpu has.
    pub load_ns: Picos,
    /// A store in a loop, into the store buffer.
    pub store_ns: Picos,
    /// How long a store stays in the buffer at least.
    pub commit_ns: Picos,
    /// How long a line stays at least where it came to.
    pub hold_ns: Picos,
    /// Entries of the store buffer; stores to one line in a row share one.
    pub store_buffer: u32,
    /// Loads that wait for a line together: entries of the load buffer.
    pub load_buffer: u32,
}

impl Default for AtomicsConfig {
    fn default() -> Self {
        Self {
            add_ns: Picos(5000),
            compare_exchange_ns: Picos(10_000),
            increment_ns: Picos(1400),
            forward_ns: Picos(1400),
            load_ns: Picos(300),
            store_ns: Picos(300),
            commit_ns: Picos(5000),
            hold_ns: Picos(10_000),
            store_buffer: 64,
            load_buffer: 128,
        }
    }
}
