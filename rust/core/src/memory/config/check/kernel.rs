//! The rules of the kernel.

use super::check_range;
use crate::base::ConfigError;
use crate::memory::config::{KernelConfig, Size};

/// Processes at a time: Linux' largest `pid_max`.
pub const PROCESSES_MAX: u32 = 1 << 22;

/// Threads at a time: tables are kept by their number.
pub const THREADS_MAX: u32 = 1 << 24;

/// Address spaces that a TLB may tell apart.
const ASIDS_MAX: u32 = 1 << 16;

/// The largest piece of the kernel's data that one path goes through.
const FOOTPRINT_MAX: u64 = 32 << 10;

/// The largest stack or swap.
const SPACE_MAX: u64 = 1 << 40;

/// Holds the rules that types do not.
pub(super) fn check(kernel: &KernelConfig) -> Result<(), ConfigError> {
    check_range("kernel.processes_max", kernel.processes_max, 2, PROCESSES_MAX)?;
    check_range("kernel.page_table_levels", kernel.page_table_levels, 4, 5)?;
    check_space("kernel.stack_limit", kernel.stack_limit, 16 << 10)?;
    check_space("kernel.swap_size", kernel.swap_size, 0)?;
    check_range("kernel.threads_max", kernel.threads_max, 2, THREADS_MAX)?;
    check_range("kernel.switch.asids", kernel.switch.asids, 0, ASIDS_MAX)?;
    check_range("kernel.footprint.mlp", kernel.footprint.mlp, 1, 256)?;
    let footprint = &kernel.footprint;
    let sizes = [("cpu", footprint.cpu), ("thread", footprint.thread), ("space", footprint.space)];
    for (name, size) in sizes.into_iter().chain([("syscall", footprint.syscall)]) {
        if size.bytes() > FOOTPRINT_MAX {
            let path = format!("kernel.footprint.{name}");
            return Err(ConfigError::new(path, "must be at most 32KiB", size));
        }
    }
    if (1..1_000_000).contains(&kernel.timer.tick_ns.0) {
        return Err(ConfigError::new(
            "kernel.timer.tick_ns",
            "must be 0 or at least 1000",
            kernel.timer.tick_ns.nanos(),
        ));
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
