//! Replay of a trace in any of its forms.

use crate::errors::{Failure, internal};
use crate::pump::Pump;
use crate::reader::About;
use crate::source::Source;
use pyo3::prelude::*;
use runq_core::memory::MachineConfig;
use runq_core::memory::config::{from_tree, tree_from_json};
use runq_core::replay::{Replay, ReplayOptions};

/// What a replay gives back.
#[pyclass(frozen, get_all, module = "runq._core")]
pub struct Replayed {
    /// The counters, as JSON.
    result: String,
    /// Seconds spent in the simulator.
    simulate_seconds: f64,
    /// Seconds spent on opening, decompressing, parsing or converting, in a thread beside it; 0 for raw arrays.
    read_seconds: f64,
    /// The format that was found; `None` for arrays.
    format: Option<String>,
    /// The compression that was found; `None` for arrays.
    compression: Option<String>,
}

/// Replays a trace through a machine.
#[pyfunction]
#[pyo3(signature = (source, machine, options, *, format = None, name = "stream", progress = None))]
pub fn replay<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    machine: &str,
    options: &str,
    format: Option<&str>,
    name: &str,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Replayed> {
    let machine = MachineConfig::from_json(machine).map_err(Failure::from)?;
    let options: ReplayOptions =
        tree_from_json("options", options).and_then(|tree| from_tree("options", tree)).map_err(Failure::from)?;
    let mut pump = Pump::new(py, progress);
    let mut replay = pump.work(|| Ok(Replay::new(&machine, &options)?))?;
    let source = Source::new(source, format, name)?;
    let mut about = None;
    let read_seconds = source.drain(
        &mut pump,
        |_, found| {
            about = Some(found);
            Ok(())
        },
        |pump, batch, at| pump.feed(batch, at, |slice| Ok(replay.feed(slice)?)),
    )?;
    let result = pump.work(|| Ok(replay.finish()?))?;
    let About { format, compression, .. } = about.ok_or_else(|| internal("the trace was not opened"))?;
    Ok(Replayed {
        result: serde_json::to_string(&result).map_err(|error| internal(&error.to_string()))?,
        simulate_seconds: pump.seconds(),
        read_seconds,
        format: format.map(|format| format.to_string()),
        compression: compression.map(|compression| compression.to_string()),
    })
}
