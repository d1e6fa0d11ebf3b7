//! Calls between services: JSON in, columns and JSON out.

use crate::errors::Failure;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use runq_core::memory::config::{from_tree, tree_from_json};
use runq_core::service::contention::{Contention, ContentionConfig};

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
