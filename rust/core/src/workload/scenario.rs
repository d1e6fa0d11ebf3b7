//! A scenario: processes with their programs, and what the kernel is to do differently.

use super::op::Op;
use crate::base::{ConfigError, Picos};
use crate::kernel::KernelOptions;
use serde::{Deserialize, Serialize};

/// How exactly memory is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// Faults and calls cost what they cost; an access is a hit of the first cache.
    #[default]
    None,
    /// Every access goes through TLBs, page walks and caches.
    Addresses,
}

/// One process at the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// Its name.
    pub name: String,
    /// What it does.
    pub program: Vec<Op>,
    /// When it starts.
    #[serde(default)]
    pub start_ns: Picos,
}

/// A set of processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What results call it.
    pub name: String,
    /// Who runs.
    pub processes: Vec<ProcessSpec>,
    /// What the kernel does differently.
    #[serde(default)]
    pub kernel: KernelOptions,
    /// How exactly memory is simulated.
    #[serde(default)]
    pub memory: Fidelity,
    /// When the run ends, if not by itself.
    #[serde(default)]
    pub until_ns: Option<Picos>,
}

impl Scenario {
    /// Reads a scenario written as JSON.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path and the value.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let tree = crate::memory::config::tree_from_json("scenario", text)?;
        let scenario: Self = crate::memory::config::from_tree("scenario", tree)?;
        if scenario.processes.is_empty() {
            return Err(ConfigError::new("processes", "must hold at least one process", "[]"));
        }
        scenario.kernel.check()?;
        Ok(scenario)
    }
}
