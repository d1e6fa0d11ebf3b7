//! The rules of one TLB.

use super::{LINES_MAX, check_latency, check_name, check_replacement, check_ways};
use crate::base::ConfigError;
use crate::memory::config::TlbConfig;

/// Holds the rules that need no other TLB.
pub(super) fn check(tlb: &TlbConfig, path: &str, cpus: u32) -> Result<(), ConfigError> {
    check_name(&format!("{path}.name"), &tlb.name)?;
    check_geometry(tlb, path, cpus)?;
    check_replacement(&format!("{path}.replacement"), tlb.replacement, tlb.ways)?;
    if let Some(cycles) = tlb.hit_cycles {
        check_latency(&format!("{path}.hit_cycles"), cycles)?;
    }
    if tlb.page_sizes.is_empty() {
        return Err(ConfigError::new(format!("{path}.page_sizes"), "must name at least one page size", "[]"));
    }
    for (index, size) in tlb.page_sizes.iter().enumerate() {
        if tlb.page_sizes[..index].contains(size) {
            return Err(ConfigError::new(format!("{path}.page_sizes[{index}]"), "must not be named twice", size));
        }
    }
    Ok(())
}

/// The sets must be a power of two.
fn check_geometry(tlb: &TlbConfig, path: &str, cpus: u32) -> Result<(), ConfigError> {
    check_ways(&format!("{path}.ways"), tlb.ways, Some(u64::from(tlb.entries)))?;
    let sets = tlb.entries / tlb.ways;
    if !tlb.entries.is_multiple_of(tlb.ways) || !sets.is_power_of_two() {
        let rule = format!("must be ways ({}) times a power of two", tlb.ways);
        return Err(ConfigError::new(format!("{path}.entries"), rule, tlb.entries));
    }
    let copies = if tlb.shared { 1 } else { u64::from(cpus) };
    if u64::from(tlb.entries) > LINES_MAX / copies {
        let rule = format!("must be at most {LINES_MAX} over all cpus");
        return Err(ConfigError::new(format!("{path}.entries"), rule, tlb.entries));
    }
    Ok(())
}
