//! One pass over a trace for many caches: options as JSON in, columns out.

use crate::errors::{Failure, internal};
use crate::pump::Pump;
use crate::reader::About;
use crate::source::Source;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use runq_core::memory::config::{from_tree, tree_from_json};
use runq_core::replay::one_pass::{AssociativityPass, Counts, CurvePass, OnePassError};
use runq_core::trace::BatchRef;
use serde_json::json;

/// Columns of 64-bit words in native byte order, and the rest as JSON.
type Columns<'py> = (Bound<'py, PyDict>, String);

/// Misses of LRU or FIFO caches of many numbers of sets and ways.
#[pyfunction]
#[pyo3(signature = (source, options, *, format = None, name = "stream", progress = None))]
pub fn all_associativity<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    options: &str,
    format: Option<&str>,
    name: &str,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Columns<'py>> {
    let options = from_tree("all_associativity", tree_from_json("all_associativity", options).map_err(Failure::from)?)
        .map_err(Failure::from)?;
    let mut pump = Pump::new(py, progress);
    let mut pass = pump.work(|| Ok(AssociativityPass::new(&options)?))?;
    let (about, read_seconds) = drain(&mut pump, Source::new(source, format, name)?, |batch| pass.feed(batch))?;
    let result = pump.work(|| Ok(pass.finish()?))?;
    let columns = columns(py, &[("sets", &result.sets), ("ways", &result.ways), ("misses", &result.misses)])?;
    Ok((columns, rest(result.counts, 0, &pump, read_seconds, about)))
}

/// Misses of fully associative LRU caches of every size.
#[pyfunction]
#[pyo3(signature = (source, options, *, format = None, name = "stream", progress = None))]
pub fn miss_ratio_curve<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    options: &str,
    format: Option<&str>,
    name: &str,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Columns<'py>> {
    let options = from_tree("miss_ratio_curve", tree_from_json("miss_ratio_curve", options).map_err(Failure::from)?)
        .map_err(Failure::from)?;
    let mut pump = Pump::new(py, progress);
    let mut pass = pump.work(|| Ok(CurvePass::new(&options)?))?;
    let (about, read_seconds) = drain(&mut pump, Source::new(source, format, name)?, |batch| pass.feed(batch))?;
    let (counts, curve) = pump.work(|| Ok(pass.finish()?))?;
    let columns = columns(py, &[("lines", &curve.lines), ("misses", &curve.misses), ("errors", &curve.errors)])?;
    Ok((columns, rest(counts, curve.distinct, &pump, read_seconds, about)))
}

/// Feeds a trace to a pass.
fn drain<'py>(
    pump: &mut Pump<'py>,
    source: Source<'py>,
    mut feed: impl FnMut(BatchRef<'_>) -> Result<(), OnePassError> + Send,
) -> PyResult<(About, f64)> {
    let mut about = None;
    let read_seconds = source.drain(
        pump,
        |_, found| {
            about = Some(found);
            Ok(())
        },
        |pump, batch, at| {
            pump.feed(batch, at, |slice| {
                feed(slice)?;
                Ok(true)
            })
        },
    )?;
    Ok((about.ok_or_else(|| internal("the trace was not opened"))?, read_seconds))
}

fn columns<'py>(py: Python<'py>, columns: &[(&str, &[u64])]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, column) in columns {
        let bytes = PyBytes::new_with(py, 8 * column.len(), |bytes| {
            for (bytes, word) in bytes.chunks_exact_mut(8).zip(*column) {
                bytes.copy_from_slice(&word.to_ne_bytes());
            }
            Ok(())
        })?;
        dict.set_item(*name, bytes)?;
    }
    Ok(dict)
}

fn rest(counts: Counts, distinct: u64, pump: &Pump<'_>, read_seconds: f64, about: About) -> String {
    json!({
        "accesses": counts.accesses,
        "references": counts.references,
        "ignored": counts.ignored,
        "distinct": distinct,
        "simulate_seconds": pump.seconds(),
        "read_seconds": read_seconds,
        "format": about.format.map(|format| format.to_string()),
        "compression": about.compression.map(|compression| compression.to_string()),
    })
    .to_string()
}
