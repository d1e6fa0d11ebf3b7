//! Running scenarios.

use crate::errors::{Failure, internal};
use pyo3::prelude::*;
use runq_core::base::{ConfigError, Picos};
use runq_core::engine::{Run, RunError, RunOptions};
use runq_core::memory::MachineConfig;
use runq_core::memory::config::{from_tree, tree_from_json};
use runq_core::vm::swap::{SwapPolicy, reference_string};
use runq_core::workload::Scenario;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Events between two looks at signals: some 5 ms.
const EVENTS_PER_SLICE: u64 = 1 << 15;

/// How often progress is told.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// What a simulation gives back.
#[pyclass(frozen, get_all, module = "runq._core")]
pub struct Simulated {
    /// The result, as JSON.
    result: String,
    /// Seconds spent in the simulator.
    simulate_seconds: f64,
}

/// Runs a scenario on a machine to its end. `progress` is called with simulated ns and events so far.
#[pyfunction]
#[pyo3(signature = (machine, scenario, options, *, progress = None))]
pub fn simulate<'py>(
    py: Python<'py>,
    machine: &str,
    scenario: &str,
    options: &str,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Simulated> {
    let start = Instant::now();
    let mut run = py.detach(|| new_run(machine, scenario, options))?;
    drive(py, &mut run, Picos::NEVER, progress.as_ref())?;
    let result = py.detach(|| run.finish());
    Ok(Simulated {
        result: serde_json::to_string(&result.0).map_err(|error| internal(&error.to_string()))?,
        simulate_seconds: start.elapsed().as_secs_f64(),
    })
}

/// All processes of a scenario at a time, ended ones included, as JSON.
#[pyfunction]
pub fn processes_at(py: Python<'_>, machine: &str, scenario: &str, options: &str, at_ns: f64) -> PyResult<String> {
    let at = Picos::from_nanos_f64(at_ns)
        .ok_or_else(|| Failure::from(ConfigError::new("at_ns", "must be 0 to 1e14", at_ns)))?;
    let mut run = py.detach(|| new_run(machine, scenario, options))?;
    drive(py, &mut run, at, None)?;
    let kernel = run.kernel();
    let mut processes: Vec<_> = kernel.reaped().iter().chain(kernel.processes()).collect();
    processes.sort_by_key(|process| process.pid);
    Ok(Value::Array(processes.into_iter().map(|process| kernel.row(process)).collect()).to_string())
}

/// Page replacement on a reference string: frames, hits and faults for each number of frames.
#[pyfunction]
pub fn page_replacement(
    py: Python<'_>,
    pages: Vec<u64>,
    frames: Vec<u64>,
    policy: &str,
    seed: u64,
) -> PyResult<Vec<(u64, u64, u64)>> {
    let policy: SwapPolicy = from_tree("policy", policy.into()).map_err(Failure::from)?;
    if let Some(zero) = frames.iter().position(|&count| count == 0) {
        return Err(Failure::from(ConfigError::new(format!("frames[{zero}]"), "must be at least 1", 0)).into());
    }
    let mut rows = Vec::new();
    for count in frames {
        py.check_signals()?;
        let outcome = py.detach(|| reference_string::run(&pages, count, policy, seed));
        rows.push((count, outcome.hits, outcome.faults));
    }
    Ok(rows)
}

fn new_run(machine: &str, scenario: &str, options: &str) -> Result<Run, Failure> {
    let machine = MachineConfig::from_json(machine)?;
    let scenario = Scenario::from_json(scenario)?;
    let options: RunOptions = from_tree("options", tree_from_json("options", options)?)?;
    Run::new(machine, scenario, options.seed).map_err(|error| match error {
        RunError::Config(error) => Failure::Config(error),
        other => Failure::Run(other),
    })
}

fn drive(py: Python<'_>, run: &mut Run, until: Picos, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let mut told = Instant::now();
    while !py.detach(|| run.advance(EVENTS_PER_SLICE, until)).map_err(Failure::Run)? {
        py.check_signals()?;
        if let Some(progress) = progress
            && told.elapsed() >= PROGRESS_PERIOD
        {
            progress.call1((run.now().nanos(), run.events()))?;
            told = Instant::now();
        }
    }
    Ok(())
}
