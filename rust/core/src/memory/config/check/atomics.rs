//! The rules of accesses to shared words.

use super::check_range;
use crate::base::{ConfigError, Picos};
use crate::memory::config::AtomicsConfig;

/// Entries of a buffer.
const BUFFER_MAX: u32 = 4096;

/// The longest that an access may take, in ns.
const ACCESS_MAX: Picos = Picos::from_nanos(1_000_000);

/// Holds the rules that types do not.
pub(super) fn check(atomics: &AtomicsConfig) -> Result<(), ConfigError> {
    check_range("atomics.store_buffer", atomics.store_buffer, 1, BUFFER_MAX)?;
    check_range("atomics.load_buffer", atomics.load_buffer, 0, BUFFER_MAX)?;
    let AtomicsConfig { add_ns, compare_exchange_ns, increment_ns, forward_ns, load_ns, store_ns, .. } = *atomics;
    // An access that takes no time at all would let a loop go on for ever within one instant.
    let accesses = [
        ("add_ns", add_ns),
        ("compare_exchange_ns", compare_exchange_ns),
        ("increment_ns", increment_ns),
        ("forward_ns", forward_ns),
        ("load_ns", load_ns),
        ("store_ns", store_ns),
    ];
    let times = [("commit_ns", atomics.commit_ns), ("hold_ns", atomics.hold_ns)];
    for (name, time) in accesses {
        if time == Picos::ZERO || time > ACCESS_MAX {
            let path = format!("atomics.{name}");
            return Err(ConfigError::new(path, "must be above 0 and at most 1000000", time.nanos()));
        }
    }
    for (name, time) in times {
        if time > ACCESS_MAX {
            return Err(ConfigError::new(format!("atomics.{name}"), "must be at most 1000000", time.nanos()));
        }
    }
    Ok(())
}
