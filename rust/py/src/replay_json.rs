//! The replay that the tests of the memory model drive: columns in, counters out, cut wherever they like.

use crate::buffer::{Column, unequal};
use crate::errors::{Failure, internal};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use runq_core::memory::MachineConfig;
use runq_core::memory::config::{from_tree, tree_from_json};
use runq_core::replay::{Replay, ReplayOptions, ReplayResult};
use runq_core::trace::BatchRef;

/// Replays columns in pieces of `chunk` accesses (0: all at once) and returns the result as JSON.
///
/// Columns are contiguous buffers: `words` (uint64, bit 63 says write) and, optionally, `sizes` (uint32), `fetches`
/// (bool), `threads` (uint32) and `ips` (uint64).
#[pyfunction]
pub fn replay_json(
    py: Python<'_>,
    machine: &str,
    options: &str,
    columns: &Bound<'_, PyDict>,
    chunk: usize,
) -> PyResult<String> {
    let machine = MachineConfig::from_json(machine).map_err(Failure::from)?;
    let options: ReplayOptions =
        tree_from_json("options", options).and_then(|tree| from_tree("options", tree)).map_err(Failure::from)?;
    let held = Held::new(columns)?;
    let fetches: Vec<bool> = slice::<u8>(held.fetches.as_ref())?.iter().map(|&byte| byte != 0).collect();
    let batch = BatchRef {
        words: slice(held.words.as_ref())?,
        sizes: slice(held.sizes.as_ref())?,
        fetches: &fetches,
        threads: slice(held.threads.as_ref())?,
        ips: slice(held.ips.as_ref())?,
    };
    let result = py.detach(|| run(&machine, &options, batch, chunk))?;
    serde_json::to_string(&result).map_err(|error| internal(&error.to_string()))
}

fn run(
    machine: &MachineConfig,
    options: &ReplayOptions,
    batch: BatchRef<'_>,
    chunk: usize,
) -> Result<ReplayResult, Failure> {
    let mut replay = Replay::new(machine, options)?;
    let chunk = if chunk == 0 { batch.len().max(1) } else { chunk };
    for start in (0..batch.len()).step_by(chunk) {
        if !replay.feed(batch.slice(start, batch.len().min(start + chunk)))? {
            break;
        }
    }
    Ok(replay.finish()?)
}

/// The buffers, held while their memory is read.
struct Held {
    words: Option<Column>,
    sizes: Option<Column>,
    fetches: Option<Column>,
    threads: Option<Column>,
    ips: Option<Column>,
}

impl Held {
    fn new(columns: &Bound<'_, PyDict>) -> PyResult<Self> {
        let rows = match columns.get_item("words")? {
            Some(words) => words.len()?,
            None => return Err(PyKeyError::new_err("words")),
        };
        let take = |name: &str| -> PyResult<Option<Column>> {
            let Some(object) = columns.get_item(name)? else { return Ok(None) };
            let column = Column::new(&object, name)?;
            if column.len() == rows { Ok(Some(column)) } else { Err(unequal(name, rows, column.len())) }
        };
        Ok(Self {
            words: take("words")?,
            sizes: take("sizes")?,
            fetches: take("fetches")?,
            threads: take("threads")?,
            ips: take("ips")?,
        })
    }
}

fn slice<T: crate::buffer::Plain>(column: Option<&Column>) -> PyResult<&[T]> {
    let Some(column) = column else { return Ok(&[]) };
    column.as_slice().ok_or_else(|| {
        let bits = 8 * size_of::<T>();
        PyTypeError::new_err(format!("columns must be contiguous and unsigned, here of {bits} bits"))
    })
}
