//! Running scenarios.

use crate::errors::{Failure, internal};
use crate::schedule_policy::{Failed, PyPolicy};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use runq_core::base::{ConfigError, Picos};
use runq_core::engine::{EventColumns, EventKind, Run, RunError, RunOptions, ThreadColumns};
use runq_core::memory::config::{from_tree, tree_from_json};
use runq_core::memory::{Cause, MachineConfig};
use runq_core::sched::Scheduler;
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
    /// Columns of all threads: words in native byte order, times in ps, negative for what has not happened.
    threads: Py<PyDict>,
    /// Columns of events, if they were kept: times in ps, -1 for none; with them what their codes stand for.
    events: Option<Py<PyDict>>,
    /// Seconds spent in the simulator.
    simulate_seconds: f64,
}

/// Runs a scenario on a machine to its end. `progress` is called with simulated ns and events so far.
///
/// `policy` is an object with the methods of `runq.sched.Policy` that schedules instead of the scenario's own policy.
#[pyfunction]
#[pyo3(signature = (machine, scenario, options, *, policy = None, progress = None))]
pub fn simulate<'py>(
    py: Python<'py>,
    machine: &str,
    scenario: &str,
    options: &str,
    policy: Option<Bound<'py, PyAny>>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Simulated> {
    let start = Instant::now();
    let failed = Failed::default();
    let mut run = match &policy {
        None => py.detach(|| new_run(machine, scenario, options, None))?,
        Some(policy) => {
            let mut queue = |_| Box::new(PyPolicy::new(policy.clone().unbind(), &failed)) as Box<dyn Scheduler + Send>;
            new_run(machine, scenario, options, Some(&mut queue))?
        }
    };
    drive(py, &mut run, Picos::NEVER, progress.as_ref(), &failed)?;
    let result = py.detach(|| run.finish());
    let seconds = start.elapsed().as_secs_f64();
    Ok(Simulated {
        result: serde_json::to_string(&result.0).map_err(|error| internal(&error.to_string()))?,
        threads: columns(py, &result.1)?,
        events: result.2.map(|events| event_columns(py, &events)).transpose()?,
        simulate_seconds: seconds,
    })
}

fn columns(py: Python<'_>, threads: &ThreadColumns) -> PyResult<Py<PyDict>> {
    let columns = PyDict::new(py);
    let times = |column: &[u64]| words(py, column.iter().map(|&time| i64::try_from(time).unwrap_or(-1)));
    for (name, column) in [
        ("created", &threads.created),
        ("first_run", &threads.first_run),
        ("ended", &threads.ended),
        ("run", &threads.run),
        ("wait", &threads.wait),
    ] {
        columns.set_item(name, times(column)?)?;
    }
    for (name, column) in [
        ("pid", &threads.pid),
        ("switches_voluntary", &threads.switches_voluntary),
        ("switches_involuntary", &threads.switches_involuntary),
        ("migrations", &threads.migrations),
    ] {
        columns.set_item(name, words(py, column.iter().map(|&count| count.into()))?)?;
    }
    columns.set_item("nice", words(py, threads.nice.iter().map(|&nice| nice.into()))?)?;
    columns.set_item("cpu", words(py, threads.cpu.iter().map(|&cpu| cpu.into()))?)?;
    for (cause, (misses, stalls)) in Cause::ALL.into_iter().zip(threads.misses.iter().zip(&threads.stalls)) {
        let misses = words(py, misses.iter().map(|&count| i64::try_from(count).unwrap_or(i64::MAX)))?;
        columns.set_item(format!("misses.{cause}"), misses)?;
        columns.set_item(format!("stall.{cause}"), times(stalls)?)?;
    }
    Ok(columns.unbind())
}

fn event_columns(py: Python<'_>, events: &EventColumns) -> PyResult<Py<PyDict>> {
    let columns = PyDict::new(py);
    let bytes = |column: &[i32]| -> Vec<u8> { column.iter().flat_map(|value| value.to_ne_bytes()).collect() };
    let at: Vec<u8> = events.at.iter().flat_map(|time| time.to_ne_bytes()).collect();
    columns.set_item("at", PyBytes::new(py, &at))?;
    columns.set_item("kind", PyBytes::new(py, &bytes(&events.kind)))?;
    columns.set_item("waits_for", PyBytes::new(py, &bytes(&events.waits_for)))?;
    for (name, column) in EventColumns::NUMBERS.into_iter().zip(&events.numbers) {
        columns.set_item(name, PyBytes::new(py, &bytes(column)))?;
    }
    columns.set_item("kinds", EventKind::NAMES)?;
    columns.set_item("texts", &events.texts)?;
    columns.set_item("dropped", events.dropped)?;
    Ok(columns.unbind())
}

/// A column in native byte order.
fn words(py: Python<'_>, column: impl ExactSizeIterator<Item = i64>) -> PyResult<Bound<'_, PyBytes>> {
    PyBytes::new_with(py, column.len() * size_of::<i64>(), |bytes| {
        for (place, word) in bytes.chunks_exact_mut(size_of::<i64>()).zip(column) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        Ok(())
    })
}

/// All processes of a scenario at a time, ended ones included, as JSON.
#[pyfunction]
pub fn processes_at(py: Python<'_>, machine: &str, scenario: &str, options: &str, at_ns: f64) -> PyResult<String> {
    let at = Picos::from_nanos_f64(at_ns)
        .ok_or_else(|| Failure::from(ConfigError::new("at_ns", "must be 0 to 1e14", at_ns)))?;
    let mut run = py.detach(|| new_run(machine, scenario, options, None))?;
    drive(py, &mut run, at, None, &Failed::default())?;
    run.catch_up_to(at);
    let kernel = run.kernel();
    let mut processes: Vec<_> = kernel.reaped().iter().chain(kernel.processes()).collect();
    processes.sort_by_key(|process| process.pid);
    Ok(Value::Array(processes.into_iter().map(|process| kernel.row(process)).collect()).to_string())
}

/// The tasks of a scenario at a time, or the one of that number, as JSON.
#[pyfunction]
#[pyo3(signature = (machine, scenario, options, at_ns, task = None))]
pub fn tasks_at(
    py: Python<'_>,
    machine: &str,
    scenario: &str,
    options: &str,
    at_ns: f64,
    task: Option<u32>,
) -> PyResult<String> {
    let at = Picos::from_nanos_f64(at_ns)
        .ok_or_else(|| Failure::from(ConfigError::new("at_ns", "must be 0 to 1e14", at_ns)))?;
    let mut run = py.detach(|| new_run(machine, scenario, options, None))?;
    drive(py, &mut run, at, None, &Failed::default())?;
    run.catch_up_to(at);
    Ok(Value::Array(run.task_rows(task, at)).to_string())
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

fn new_run(
    machine: &str,
    scenario: &str,
    options: &str,
    queue: Option<&mut dyn FnMut(u64) -> Box<dyn Scheduler + Send>>,
) -> Result<Run, Failure> {
    let machine = MachineConfig::from_json(machine)?;
    let scenario = Scenario::from_json(scenario)?;
    let options: RunOptions = from_tree("options", tree_from_json("options", options)?)?;
    Run::under(machine, scenario, &options, queue).map_err(|error| match error {
        RunError::Config(error) => Failure::Config(error),
        other => Failure::Run(other),
    })
}

fn drive(
    py: Python<'_>,
    run: &mut Run,
    until: Picos,
    progress: Option<&Bound<'_, PyAny>>,
    failed: &Failed,
) -> PyResult<()> {
    let mut told = Instant::now();
    loop {
        let outcome = py.detach(|| run.advance(EVENTS_PER_SLICE, until));
        // What a policy in Python raised comes before what it led to.
        if let Some(error) = failed.take() {
            return Err(error);
        }
        if outcome.map_err(Failure::Run)? {
            return Ok(());
        }
        py.check_signals()?;
        if let Some(progress) = progress
            && told.elapsed() >= PROGRESS_PERIOD
        {
            progress.call1((run.now().nanos(), run.events()))?;
            told = Instant::now();
        }
    }
}
