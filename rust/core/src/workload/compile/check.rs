//! Rules of names, sizes and numbers in ops.

use crate::base::{ConfigError, Picos};
use crate::memory::config::Size;
use crate::vm::address_space::Permissions;
use crate::workload::code::{Attributes, Range};
use crate::workload::op::Part;

/// The most tickets.
const SHARE_MAX: u32 = 1 << 24;

/// The most cpus of a machine.
const CPUS_MAX: u32 = 64;

/// The largest region: that of user space.
pub(super) const REGION_MAX: u64 = 1 << 47;

/// Checks what a scheduler is to be told of a thread.
///
/// # Errors
/// The first rule that is broken, with its path and the value.
pub(in crate::workload) fn attributes(
    path: &str,
    nice: Option<i32>,
    tickets: Option<u32>,
    priority: Option<u32>,
    affinity: Option<&[u32]>,
) -> Result<Attributes, ConfigError> {
    if let Some(nice) = nice.filter(|nice| !(-20..=19).contains(nice)) {
        return Err(ConfigError::new(format!("{path}.nice"), "must be -20 to 19", nice));
    }
    if let Some(tickets) = tickets.filter(|tickets| !(1..=SHARE_MAX).contains(tickets)) {
        return Err(ConfigError::new(format!("{path}.tickets"), "must be 1 to 2^24", tickets));
    }
    let mut mask = 0;
    for cpu in affinity.unwrap_or_default() {
        if *cpu >= CPUS_MAX {
            return Err(ConfigError::new(format!("{path}.affinity"), "must name cpus below 64", cpu));
        }
        mask |= 1_u64 << cpu;
    }
    if affinity.is_some() && mask == 0 {
        return Err(ConfigError::new(format!("{path}.affinity"), "must name at least one cpu", "[]"));
    }
    Ok(Attributes {
        nice: nice.map(|nice| i8::try_from(nice).expect("a nice value")),
        tickets,
        priority,
        affinity: affinity.map(|_| mask),
    })
}

pub(super) fn check_region(path: &str, name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        let rule = "must have a name of 1 to 64 printable characters";
        return Err(ConfigError::new(path, rule, format!("{name:?}")));
    }
    Ok(())
}

pub(super) fn check_size(path: &str, size: Size) -> Result<(), ConfigError> {
    if !(1..=REGION_MAX).contains(&size.bytes()) {
        return Err(ConfigError::new(path, "must be 1B to 128TiB", size));
    }
    Ok(())
}

pub(super) fn permissions_of(path: &str, text: &str) -> Result<Permissions, ConfigError> {
    let wrong = || ConfigError::new(format!("{path}.permissions"), "must be made of the letters r, w, x and -", text);
    Permissions::parse(text).ok_or_else(wrong)
}

pub(super) fn range(path: &str, part: &Part) -> Result<Range, ConfigError> {
    check_region(path, &part.region)?;
    if let Some(size) = part.size {
        check_size(&format!("{path}.size"), size)?;
    }
    Ok(Range { region: part.region.clone(), offset: part.offset.bytes(), size: part.size.map(Size::bytes) })
}

pub(super) fn check_deadline(path: &str, time: Picos) -> Result<(), ConfigError> {
    if time == Picos::ZERO {
        return Err(ConfigError::new(path, "must be above 0", 0));
    }
    Ok(())
}
