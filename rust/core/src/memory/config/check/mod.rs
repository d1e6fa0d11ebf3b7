//! The rules of a machine.
//!
//! A rule is told as `path: rule, got value`. The first broken one is reported: fields of the machine, then each cache
//! by itself, then each TLB, shared words and the kernel, then what they must be to one another, then page walks.

mod atomics;
mod cache;
mod hierarchy;
mod kernel;
mod page_walk;
mod region;
mod tlb;

#[cfg(test)]
mod tests;

pub use region::RegionRef;

use super::{MachineConfig, PageSize, Placement, ReplacementKind};
use crate::base::ConfigError;
use std::fmt::Display;

/// Cpus of a machine.
pub const CPUS_MAX: u32 = 64;

/// Independent accesses in flight.
pub const MLP_MAX: u32 = 1024;

/// Any latency, in cycles: sums of 2^33 of them fit into 64 bits.
pub const LATENCY_CYCLES_MAX: u32 = 1_000_000_000;

/// Clock rate: a cycle is at least a picosecond.
pub const FREQUENCY_MHZ_MAX: u32 = 1_000_000;

/// Physical memory: the 52 bits of an x86-64 physical address.
pub const MEMORY_SIZE_BITS: u32 = 52;

/// Caches of a machine, and TLBs likewise.
pub const LEVELS_MAX: usize = 32;

/// Ways of a set where there is more than one set.
pub const WAYS_MAX: u32 = 32;

/// Ways where there is one set.
pub const WAYS_MAX_FULLY_ASSOCIATIVE: u32 = 1 << 22;

/// Lines of a cache, or entries of a TLB, over all cpus: bounds the memory that a simulator takes.
pub const LINES_MAX: u64 = 1 << 26;

/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 64;

impl MachineConfig {
    /// Holds every rule of `docs/memory-model.md` against this machine.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_fields()?;
        for (index, cache) in self.caches.iter().enumerate() {
            cache::check(cache, &format!("caches[{index}]"), self.cpus)?;
        }
        for (index, tlb) in self.tlbs.iter().enumerate() {
            tlb::check(tlb, &format!("tlbs[{index}]"), self.cpus)?;
        }
        atomics::check(&self.atomics)?;
        kernel::check(&self.kernel)?;
        hierarchy::check(self)?;
        page_walk::check(self)
    }

    /// The machine's own fields.
    fn check_fields(&self) -> Result<(), ConfigError> {
        check_name("name", &self.name)?;
        check_range("cpus", self.cpus, 1, CPUS_MAX)?;
        check_range("frequency_mhz", self.frequency_mhz, 1, FREQUENCY_MHZ_MAX)?;
        check_latency("memory_latency_cycles", self.memory_latency_cycles)?;
        check_latency("transfer_cycles", self.transfer_cycles)?;
        check_latency("page_walk_cycles", self.page_walk_cycles)?;
        check_range("mlp", self.mlp, 1, MLP_MAX)?;
        check_range("stream_mlp", self.stream_mlp, 0, MLP_MAX)?;
        self.check_memory_size()?;
        if self.caches.is_empty() && self.tlbs.is_empty() {
            return Err(ConfigError::new("caches", "must hold at least one cache if tlbs is empty too", "[]"));
        }
        for (path, levels) in [("caches", self.caches.len()), ("tlbs", self.tlbs.len())] {
            if levels > LEVELS_MAX {
                let rule = format!("must hold at most {LEVELS_MAX} levels");
                return Err(ConfigError::new(path, rule, levels));
            }
        }
        Ok(())
    }

    /// Physical memory must consist of whole pages.
    fn check_memory_size(&self) -> Result<(), ConfigError> {
        let page = self.physical_page_size();
        let bytes = self.memory_size.bytes();
        if bytes == 0 || bytes > 1 << MEMORY_SIZE_BITS || bytes.trailing_zeros() < page.bits() {
            let rule = format!("must be a multiple of the page size ({page}) up to 4096TiB");
            return Err(ConfigError::new("memory_size", rule, self.memory_size));
        }
        Ok(())
    }

    /// Whether pages of this size can be in use beside the machine's own.
    fn check_page_size(&self, path: &str, page: PageSize) -> Result<(), ConfigError> {
        if page == self.page_size {
            return Ok(());
        }
        let is_nested = self.page_walk.as_ref().is_some_and(|walk| walk.host_page_size.is_some());
        if self.placement == Placement::Random && !is_nested {
            let rule = format!("must be the machine's page size ({}) with random placement", self.page_size);
            return Err(ConfigError::new(path, rule, page));
        }
        Ok(())
    }
}

/// Names are shown in tables and written in paths.
fn check_name(path: &str, name: &str) -> Result<(), ConfigError> {
    let long = name.chars().count() > NAME_CHARS_MAX;
    if name.trim().is_empty() || long || name.chars().any(char::is_control) {
        let rule = format!("must have 1 to {NAME_CHARS_MAX} printable characters");
        let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
        return Err(ConfigError::new(path, rule, format!("{shown:?}{}", if long { "..." } else { "" })));
    }
    Ok(())
}

fn check_latency(path: &str, cycles: u32) -> Result<(), ConfigError> {
    check_range(path, cycles, 0, LATENCY_CYCLES_MAX)
}

fn check_range<T: PartialOrd + Display>(path: &str, value: T, min: T, max: T) -> Result<(), ConfigError> {
    if value < min || value > max {
        return Err(ConfigError::new(path, format!("must be between {min} and {max}"), value));
    }
    Ok(())
}

/// The number of ways that a set may have. `units` is how many lines or entries there are.
fn check_ways(path: &str, ways: u32, units: Option<u64>) -> Result<(), ConfigError> {
    let one_set = ways <= WAYS_MAX_FULLY_ASSOCIATIVE && units == Some(u64::from(ways));
    if ways == 0 || (ways > WAYS_MAX && !one_set) {
        let rule =
            format!("must be between 1 and {WAYS_MAX} (any number up to {WAYS_MAX_FULLY_ASSOCIATIVE} with one set)");
        return Err(ConfigError::new(path, rule, ways));
    }
    Ok(())
}

/// Policies that need a state of their own for each way stop at [`WAYS_MAX`].
fn check_replacement(path: &str, policy: ReplacementKind, ways: u32) -> Result<(), ConfigError> {
    use ReplacementKind::{Fifo, Lip, Lru, Mru, Random};
    if ways > WAYS_MAX && !matches!(policy, Lru | Fifo | Random | Lip | Mru) {
        let rule = format!("must be lru, fifo, random, lip or mru above {WAYS_MAX} ways");
        return Err(ConfigError::new(path, rule, policy));
    }
    Ok(())
}
