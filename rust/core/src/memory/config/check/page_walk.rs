//! The rules of page walks through the caches.

use super::{LINES_MAX, check_latency, check_ways};
use crate::base::ConfigError;
use crate::memory::config::{Inclusion, MachineConfig, PageWalkConfig, Placement, StructureCacheConfig};

/// Holds the rules of a machine's page walks, if it has any.
pub(super) fn check(machine: &MachineConfig) -> Result<(), ConfigError> {
    let Some(walk) = &machine.page_walk else { return Ok(()) };
    check_levels("page_walk.levels", walk.levels)?;
    check_latency("page_walk.start_cycles", walk.start_cycles)?;
    check_first_cache(machine, walk)?;
    check_caches("page_walk.structure_caches", &walk.structure_caches, walk.levels, machine.cpus)?;
    check_nesting(machine, walk)?;
    if machine.placement == Placement::Identity {
        let rule = "must be contiguous or random with page_walk, whose tables need places";
        return Err(ConfigError::new("placement", rule, machine.placement));
    }
    Ok(())
}

fn check_levels(path: &str, levels: u32) -> Result<(), ConfigError> {
    if (4..=5).contains(&levels) { Ok(()) } else { Err(ConfigError::new(path, "must be 4 or 5", levels)) }
}

/// It is on the data path, and what it gives away has a level to go to.
fn check_first_cache(machine: &MachineConfig, walk: &PageWalkConfig) -> Result<(), ConfigError> {
    let Some(name) = &walk.first_cache else { return Ok(()) };
    let path: Vec<&str> = machine
        .caches
        .iter()
        .filter(|cache| cache.stream_kind().takes_data() && cache.inclusion != Inclusion::Exclusive)
        .map(|cache| cache.name.as_str())
        .collect();
    if path.contains(&name.as_str()) {
        return Ok(());
    }
    let rule = format!("must name a cache of the data path that is not exclusive ({})", path.join(", "));
    Err(ConfigError::new("page_walk.first_cache", rule, format!("{name:?}")))
}

/// The host's fields have a host.
fn check_nesting(machine: &MachineConfig, walk: &PageWalkConfig) -> Result<(), ConfigError> {
    check_levels("page_walk.host_levels", walk.host_levels)?;
    let caches = &walk.host_structure_caches;
    if walk.host_page_size.is_none() {
        let rule = "must not be given without host_page_size";
        if walk.nested_tlb_entries > 0 {
            return Err(ConfigError::new("page_walk.nested_tlb_entries", rule, walk.nested_tlb_entries));
        }
        if !caches.is_empty() {
            return Err(ConfigError::new("page_walk.host_structure_caches", rule, format!("{} of them", caches.len())));
        }
        return Ok(());
    }
    check_entries(
        "page_walk.nested_tlb_entries",
        walk.nested_tlb_entries,
        walk.nested_tlb_entries.max(1),
        machine.cpus,
    )?;
    check_caches("page_walk.host_structure_caches", caches, walk.host_levels, machine.cpus)
}

fn check_caches(path: &str, caches: &[StructureCacheConfig], levels: u32, cpus: u32) -> Result<(), ConfigError> {
    for (index, cache) in caches.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if !(2..=levels).contains(&cache.level) {
            let rule = format!("must be between 2 and {levels}, for the leaves of level 1 point to no table");
            return Err(ConfigError::new(format!("{path}.level"), rule, cache.level));
        }
        if caches[..index].iter().any(|earlier| earlier.level == cache.level) {
            return Err(ConfigError::new(format!("{path}.level"), "must not be named twice", cache.level));
        }
        check_ways(&format!("{path}.ways"), cache.ways(), Some(u64::from(cache.entries)))?;
        check_entries(&format!("{path}.entries"), cache.entries, cache.ways(), cpus)?;
    }
    Ok(())
}

/// The sets must be a power of two.
fn check_entries(path: &str, entries: u32, ways: u32, cpus: u32) -> Result<(), ConfigError> {
    let is_whole = entries == 0 || (entries.is_multiple_of(ways) && (entries / ways).is_power_of_two());
    if !is_whole {
        return Err(ConfigError::new(path, format!("must be ways ({ways}) times a power of two"), entries));
    }
    if u64::from(entries) > LINES_MAX / u64::from(cpus) {
        return Err(ConfigError::new(path, format!("must be at most {LINES_MAX} over all cpus"), entries));
    }
    Ok(())
}
