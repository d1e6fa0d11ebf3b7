//! A scenario: processes with their programs, and what the kernel is to do differently.

use super::channels::ChannelSpec;
use super::code::Attributes;
use super::locks::LockSpec;
use super::op::Op;
use super::sharing::VariableSpec;
use crate::base::{ConfigError, Picos};
use crate::kernel::KernelOptions;
use crate::runtime::Model;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How exactly memory is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// Faults and calls cost what they cost; an access is a hit of the first cache.
    #[default]
    None,
    /// Every access goes through TLBs, page walks and caches.
    Addresses,
    /// Working sets and what of them survives: a switch or a run of accesses costs the same whatever its length.
    Footprint,
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
    /// How many there are of it.
    #[serde(default = "one")]
    pub copies: u32,
    /// From -20, first, to 19.
    #[serde(default)]
    pub nice: Option<i32>,
    /// Its tickets in a lottery.
    #[serde(default)]
    pub tickets: Option<u32>,
    /// How urgent it is: smaller goes first.
    #[serde(default)]
    pub priority: Option<u32>,
    /// The cpus that it may run on.
    #[serde(default)]
    pub affinity: Option<Vec<u32>>,
}

impl ProcessSpec {
    /// What a scheduler is told of its first thread.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn attributes(&self, path: &str) -> Result<Attributes, ConfigError> {
        super::compile::attributes(path, self.nice, self.tickets, self.priority, self.affinity.as_deref())
    }
}

fn one() -> u32 {
    1
}

/// A set of processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What results call it.
    pub name: String,
    /// Who runs.
    pub processes: Vec<ProcessSpec>,
    /// Shared variables by name. Those that are not here begin at 0, each on a line of its own.
    #[serde(default)]
    pub variables: BTreeMap<String, VariableSpec>,
    /// What the kernel does differently.
    #[serde(default)]
    pub kernel: KernelOptions,
    /// Locks by their names; those that are not here are as they are used.
    #[serde(default)]
    pub locks: BTreeMap<String, LockSpec>,
    /// Channels by their names; those that are not here are pipes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<String, ChannelSpec>,
    /// What programs call, by name: stations as services have them, which the engine reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependencies: BTreeMap<String, Value>,
    /// How exactly memory is simulated.
    #[serde(default)]
    pub memory: Fidelity,
    /// What tasks are; threads if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// When the run ends, if not by itself.
    #[serde(default)]
    pub until_ns: Option<Picos>,
    /// Events after which the run is an error.
    #[serde(default = "events_max", skip_serializing_if = "is_events_max")]
    pub events_max: u64,
}

/// Some ten minutes of simulation, or a few times that.
const EVENTS_MAX: u64 = 10_000_000_000;

fn events_max() -> u64 {
    EVENTS_MAX
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_events_max(events: &u64) -> bool {
    *events == EVENTS_MAX
}

impl Scenario {
    /// Reads a scenario written as JSON.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path and the value.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let mut tree = crate::memory::config::tree_from_json("scenario", text)?;
        let model = tree.as_object_mut().and_then(|table| table.remove("model")).filter(|model| !model.is_null());
        let mut scenario: Self = crate::memory::config::from_tree("scenario", tree)?;
        scenario.model = model.map(|model| Model::from_value("model", model)).transpose()?;
        if scenario.processes.is_empty() {
            return Err(ConfigError::new("processes", "must hold at least one process", "[]"));
        }
        if scenario.events_max == 0 {
            return Err(ConfigError::new("events_max", "must be at least 1", "0"));
        }
        scenario.kernel.check()?;
        Ok(scenario)
    }
}
