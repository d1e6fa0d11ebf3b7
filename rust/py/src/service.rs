//! Calls between services: JSON in, JSON and columns out.

use crate::errors::Failure;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use runq_core::memory::config::{from_tree, tree_from_json};
use runq_core::service::contention::{Contention, ContentionConfig};
use runq_core::service::{ServiceConfig, Simulation};
use std::time::{Duration, Instant};

/// Events between two looks at signals: some 10 ms.
const EVENTS_PER_SLICE: u64 = 1 << 16;

/// How often progress is told.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// Runs of clients that fight for one row: when each run ended, in picoseconds, and its writes, both as 64-bit words.
#[pyfunction]
pub fn service_contention<'py>(
    py: Python<'py>,
    config: &str,
    runs: u32,
    seed: u64,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let config: ContentionConfig =
        from_tree("contention", tree_from_json("contention", config).map_err(Failure::from)?).map_err(Failure::from)?;
    let case = Contention::new(config, seed).map_err(Failure::from)?;
    let (mut elapsed, mut calls) = (Vec::new(), Vec::new());
    for index in 0..u64::from(runs) {
        let run = py.detach(|| case.run(index));
        elapsed.extend_from_slice(&run.elapsed.0.to_ne_bytes());
        calls.extend_from_slice(&run.calls.to_ne_bytes());
        py.check_signals()?;
    }
    Ok((PyBytes::new(py, &elapsed), PyBytes::new(py, &calls)))
}

/// Runs clients, a cache and a dependency. Returns JSON, and seconds in the simulator. `progress` is called with
/// simulated ns and events so far.
#[pyfunction]
#[pyo3(signature = (config, seed, *, progress = None))]
pub fn service_simulate(
    py: Python<'_>,
    config: &str,
    seed: u64,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<(String, f64)> {
    let start = Instant::now();
    let config = ServiceConfig::from_json(config).map_err(Failure::from)?;
    let mut simulation = Simulation::new(config, seed).map_err(Failure::from)?;
    let mut told = Instant::now();
    while !py.detach(|| simulation.advance(EVENTS_PER_SLICE)).map_err(Failure::Service)? {
        py.check_signals()?;
        if let Some(progress) = &progress
            && told.elapsed() >= PROGRESS_PERIOD
        {
            progress.call1((simulation.now().nanos(), simulation.events()))?;
            told = Instant::now();
        }
    }
    let result = py.detach(|| simulation.finish().to_string());
    Ok((result, start.elapsed().as_secs_f64()))
}
