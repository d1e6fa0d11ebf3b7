//! What is asked of a replay, and its rules.

use crate::base::ConfigError;
use crate::memory::MachineConfig;
use crate::memory::config::{PageSize, RegionRef, Size};
use serde::{Deserialize, Serialize};

/// Which address spaces threads live in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressSpaces {
    /// All threads share one.
    #[default]
    Shared,
    /// Every thread has its own; its id is the asid.
    PerThread,
}

/// Which simulator runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The fast one where it can do all that is asked for.
    #[default]
    Auto,
    /// Reference by reference: can do everything.
    General,
    /// Level by level over chunks; an error where it cannot do what is asked for.
    Batch,
}

/// A named range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// What it is called in results.
    pub name: String,
    /// First address.
    pub start: Size,
    /// First address after it.
    pub end: Size,
    /// Page size inside it, if not the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
}

/// What to do with the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayOptions {
    /// Accesses to drop at the start.
    pub skip: u64,
    /// Accesses to simulate without counting, after those.
    pub warmup: u64,
    /// Accesses to count at most; all if absent.
    pub limit: Option<u64>,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether every access waits for the one before.
    pub dependent: bool,
    /// Which address spaces threads live in.
    pub address_spaces: AddressSpaces,
    /// Statistics by thread.
    pub by_thread: bool,
    /// Statistics of that many instruction addresses.
    pub by_ip: u32,
    /// Statistics by range of addresses.
    pub regions: Vec<Region>,
    /// Which simulator runs; results are equal.
    pub engine: Engine,
}

impl ReplayOptions {
    /// Holds the rules of the options against the machine.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn check(&self, machine: &MachineConfig) -> Result<(), ConfigError> {
        let regions: Vec<RegionRef<'_>> = self
            .regions
            .iter()
            .map(|r| RegionRef { name: &r.name, start: r.start, end: r.end, page_size: r.page_size })
            .collect();
        machine.check_regions(&regions)?;
        let Some(dropped) = self.skip.checked_add(self.warmup) else {
            return Err(ConfigError::new("replay.warmup", "skip + warmup must be below 2^64", self.warmup));
        };
        match self.limit {
            Some(0) => Err(ConfigError::new("replay.limit", "must be at least 1", 0)),
            Some(limit) if dropped.checked_add(limit).is_none() => {
                Err(ConfigError::new("replay.limit", "skip + warmup + limit must be below 2^64", limit))
            }
            _ => Ok(()),
        }
    }

    /// Why these options need the general engine, or `None` if they do not.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        let refusals = [
            (self.by_thread, "statistics by thread"),
            (self.by_ip > 0, "statistics by instruction address"),
            (!self.regions.is_empty(), "regions"),
            (self.address_spaces != AddressSpaces::Shared, "an address space for each thread"),
        ];
        refusals.into_iter().find(|&(asked, _)| asked).map(|(_, what)| what)
    }
}
