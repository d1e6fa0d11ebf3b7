//! Reading, checking and changing machines, as JSON on both sides.

use crate::errors::{Failure, internal};
use pyo3::prelude::*;
use runq_core::memory::MachineConfig;
use runq_core::memory::config::{apply_set, tree_from_json};

/// Checks a machine written as JSON and returns it with every default filled in.
#[pyfunction]
pub fn machine_check(machine: &str) -> PyResult<String> {
    let machine = MachineConfig::from_json(machine).map_err(Failure::from)?;
    to_json(&machine)
}

/// Checks a machine and returns it with the kinds and latencies written out that it leaves open.
#[pyfunction]
pub fn machine_resolve(machine: &str) -> PyResult<String> {
    let machine = MachineConfig::from_json(machine).map_err(Failure::from)?;
    to_json(&machine.resolved())
}

/// Applies assignments such as `caches.L1D.ways=16` to a machine, checks it and returns it.
///
/// The machine's own types must be right before the assignments, its rules only after them.
#[pyfunction]
pub fn machine_set(machine: &str, assignments: Vec<String>) -> PyResult<String> {
    let machine = set_all(machine, &assignments)?;
    to_json(&machine)
}

fn set_all(machine: &str, assignments: &[String]) -> Result<MachineConfig, Failure> {
    let machine = MachineConfig::from_value(tree_from_json("machine", machine)?)?;
    // Written out again the tree has every field, so that a path may lead through one that was left at its default.
    let mut tree = serde_json::to_value(&machine).expect("a machine is made of what JSON has");
    for assignment in assignments {
        apply_set(&mut tree, assignment)?;
    }
    let machine = MachineConfig::from_value(tree)?;
    machine.check()?;
    Ok(machine)
}

fn to_json(machine: &MachineConfig) -> PyResult<String> {
    serde_json::to_string(machine).map_err(|error| internal(&error.to_string()))
}
