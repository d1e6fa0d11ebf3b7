//! The rules of the kernel.

use super::check_range;
use crate::base::{ConfigError, Picos};
use crate::memory::config::{KernelConfig, Size};

/// Processes at a time: Linux' largest `pid_max`.
pub const PROCESSES_MAX: u32 = 1 << 22;

/// The largest stack or swap.
const SPACE_MAX: u64 = 1 << 40;

/// Holds the rules that types do not.
pub(super) fn check(kernel: &KernelConfig) -> Result<(), ConfigError> {
    check_range("kernel.processes_max", kernel.processes_max, 2, PROCESSES_MAX)?;
    check_range("kernel.page_table_levels", kernel.page_table_levels, 4, 5)?;
    check_space("kernel.stack_limit", kernel.stack_limit, 16 << 10)?;
    check_space("kernel.swap_size", kernel.swap_size, 0)?;
    if kernel.time_slice_ns == Picos::ZERO {
        return Err(ConfigError::new("kernel.time_slice_ns", "must be above 0", 0));
    }
    Ok(())
}

fn check_space(path: &str, size: Size, min: u64) -> Result<(), ConfigError> {
    let bytes = size.bytes();
    if !bytes.is_multiple_of(4096) || !(min..=SPACE_MAX).contains(&bytes) {
        let rule = format!("must be a multiple of 4KiB from {} to 1TiB", Size::from_bytes(min));
        return Err(ConfigError::new(path, rule, size));
    }
    Ok(())
}
