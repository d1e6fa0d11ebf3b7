//! What is in a trace, and writing it in another format.

use crate::errors::{Failure, internal};
use crate::pump::Pump;
use crate::reader::About;
use crate::source::Source;
use pyo3::prelude::*;
use runq_core::trace::{Columns, Compression, Format, TraceInfo, TraceWriter, create_path};
use serde_json::{Value, json};
use std::path::Path;

/// Counts what is in a trace; returns JSON.
#[pyfunction]
#[pyo3(signature = (source, *, format = None, name = "stream", progress = None))]
pub fn trace_info<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    format: Option<&str>,
    name: &str,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<String> {
    let mut pump = Pump::new(py, progress);
    let mut info = TraceInfo::new();
    let mut about = None;
    Source::new(source, format, name)?.drain(
        &mut pump,
        |_, found| {
            about = Some(found);
            Ok(())
        },
        |pump, batch, at| {
            pump.feed(batch, at, |slice| {
                info.add(slice);
                Ok(true)
            })
        },
    )?;
    let about = about.ok_or_else(|| internal("the trace was not opened"))?;
    let summary = info.finish();
    Ok(json!({
        "format": about.format.map(Format::name),
        "compression": about.compression.map(Compression::name),
        "columns": column_names(about),
        "accesses": summary.accesses,
        "reads": summary.reads,
        "writes": summary.writes,
        "fetches": summary.fetches,
        "threads": summary.threads,
        "threads_is_lower_bound": summary.threads_is_lower_bound,
        "lines": summary.lines,
        "pages": summary.pages,
        "pages_is_lower_bound": summary.pages_is_lower_bound,
        "lowest_address": summary.lowest_address,
        "highest_address": summary.highest_address,
        "bytes": summary.bytes,
        "line_crossings": summary.line_crossings,
        "sizes": summary.sizes.iter().map(|(size, count)| (size.to_string(), Value::from(*count)))
            .collect::<serde_json::Map<_, _>>(),
    })
    .to_string())
}

/// Writes a trace in another format; returns JSON.
#[pyfunction]
#[pyo3(signature = (source, target, *, format = None, to = None, compression = None, name = "stream", progress = None))]
#[allow(clippy::too_many_arguments, reason = "keywords of a Python function")]
pub fn trace_convert<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    target: &str,
    format: Option<&str>,
    to: Option<&str>,
    compression: Option<&str>,
    name: &str,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<String> {
    let to = to.map(str::parse::<Format>).transpose().map_err(Failure::from)?;
    let compression = compression.map(str::parse::<Compression>).transpose().map_err(Failure::from)?;
    let mut pump = Pump::new(py, progress);
    let writer: std::cell::RefCell<Option<Box<dyn TraceWriter>>> = std::cell::RefCell::new(None);
    Source::new(source, format, name)?.drain(
        &mut pump,
        |pump, about| {
            let made = pump.work(|| Ok(create_path(Path::new(target), to, compression, about.columns)?))?;
            writer.replace(Some(made));
            Ok(())
        },
        |pump, batch, at| {
            let mut writer = writer.borrow_mut();
            let writer = writer.as_mut().ok_or_else(|| internal("the trace was not opened"))?;
            pump.feed(batch, at, |slice| {
                writer.write(slice)?;
                Ok(true)
            })
        },
    )?;
    let writer = writer.into_inner().ok_or_else(|| internal("the trace was not opened"))?;
    let report = pump.work(|| Ok(writer.finish()?))?;
    Ok(json!({
        "accesses": report.accesses,
        "dropped_fetches": report.dropped_fetches,
        "dropped_threads": report.dropped_threads,
        "dropped_ips": report.dropped_ips,
        "split": report.split,
    })
    .to_string())
}

/// The optional columns that a trace has.
fn column_names(about: About) -> Vec<&'static str> {
    let Columns { sizes, fetches, threads, ips } = about.columns;
    [(sizes, "size"), (fetches, "kind"), (threads, "thread"), (ips, "ip")]
        .into_iter()
        .filter_map(|(is_there, name)| is_there.then_some(name))
        .collect()
}
