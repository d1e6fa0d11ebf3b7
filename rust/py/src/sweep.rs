//! Sweeps: chunks of points in, rows out, while the threads of a pool run them.

use crate::allocator::keep_freed;
use crate::errors::Failure;
use crate::pump::Pump;
use crate::source::Source;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use runq_core::sweep::{Cell, Chunk, Job, Names, Outcome, Pool, Row, Trace};
use runq_core::trace::Batch;
use std::sync::Arc;
use std::time::Duration;

/// How long the interpreter's thread waits before it looks for signals.
const WAIT: Duration = Duration::from_millis(50);

/// A trace in memory that the points of a sweep share.
#[pyclass(frozen, module = "runq._core")]
pub struct SweepTrace(Arc<Trace>);

#[pymethods]
impl SweepTrace {
    /// Reads a trace to its end.
    #[new]
    #[pyo3(signature = (source, *, format = None, name = "stream"))]
    fn new(py: Python<'_>, source: &Bound<'_, PyAny>, format: Option<&str>, name: &str) -> PyResult<Self> {
        let mut whole = Batch::default();
        let mut pump = Pump::new(py, None);
        Source::new(source, format, name)?.drain(
            &mut pump,
            |_, _| Ok(()),
            |pump, batch, at| {
                pump.feed(batch, at, |slice| {
                    whole.words.extend_from_slice(slice.words);
                    whole.sizes.extend_from_slice(slice.sizes);
                    whole.fetches.extend_from_slice(slice.fetches);
                    whole.threads.extend_from_slice(slice.threads);
                    whole.ips.extend_from_slice(slice.ips);
                    Ok(true)
                })
            },
        )?;
        Ok(Self(Arc::new(py.detach(|| Trace::new(whole)))))
    }

    /// The columns as bytes in the order of this machine; empty ones are absent.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        let batch = self.0.batch();
        let put = |name: &str, bytes: Vec<u8>| -> PyResult<()> {
            if bytes.is_empty() { Ok(()) } else { columns.set_item(name, PyBytes::new(py, &bytes)) }
        };
        put("words", batch.words.iter().flat_map(|word| word.to_le_bytes()).collect())?;
        put("sizes", batch.sizes.iter().flat_map(|size| size.to_le_bytes()).collect())?;
        put("fetches", batch.fetches.iter().map(|&fetch| u8::from(fetch)).collect())?;
        put("threads", batch.threads.iter().flat_map(|thread| thread.to_le_bytes()).collect())?;
        put("ips", batch.ips.iter().flat_map(|ip| ip.to_le_bytes()).collect())?;
        Ok(columns)
    }

    /// The trace of such columns.
    #[staticmethod]
    fn of_columns(columns: &Bound<'_, PyDict>) -> PyResult<Self> {
        let take = |name: &str| -> PyResult<Vec<u8>> {
            columns.get_item(name)?.map_or(Ok(Vec::new()), |bytes| bytes.extract())
        };
        let longs = |bytes: Vec<u8>| bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let halves = |bytes: Vec<u8>| bytes.as_chunks().0.iter().map(|half| u32::from_le_bytes(*half)).collect();
        let batch = Batch {
            words: longs(take("words")?),
            sizes: halves(take("sizes")?),
            fetches: take("fetches")?.iter().map(|&byte| byte != 0).collect(),
            threads: halves(take("threads")?),
            ips: longs(take("ips")?),
        };
        let lengths = [batch.sizes.len(), batch.fetches.len(), batch.threads.len(), batch.ips.len()];
        if lengths.iter().any(|&length| length != 0 && length != batch.len()) {
            return Err(PyValueError::new_err(format!(
                "columns of {} words have the lengths {lengths:?}",
                batch.len()
            )));
        }
        Ok(Self(Arc::new(Trace::new(batch))))
    }

    /// 16 bytes over the accesses.
    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.digest().to_bytes())
    }

    fn __len__(&self) -> usize {
        self.0.batch().len()
    }
}

/// Threads that run the points of a job.
#[pyclass(frozen, module = "runq._core")]
pub struct SweepPool(Pool);

#[pymethods]
impl SweepPool {
    /// Starts the threads. The job is JSON: target, paths, options, metrics.
    #[new]
    #[pyo3(signature = (job, trace, threads))]
    fn new(job: &str, trace: Option<&Bound<'_, SweepTrace>>, threads: usize) -> PyResult<Self> {
        let trace = trace.map(|trace| Arc::clone(&trace.get().0));
        let job = Job::from_json(job, trace).map_err(Failure::from)?;
        keep_freed();
        Ok(Self(Pool::new(Arc::new(job), threads)?))
    }

    /// Queues a chunk: JSON with machines, scenarios and points.
    fn submit(&self, py: Python<'_>, number: u64, chunk: &[u8]) -> PyResult<()> {
        py.detach(|| {
            let chunk = self.read(chunk)?;
            self.0.submit(number, chunk);
            Ok(())
        })
        .map_err(|error: Failure| error.into())
    }

    /// A chunk that is done: its number, lists of names of metrics, and for each point its identity, error, whether it
    /// was given up, tries, which list of names, values, and the whole result if asked for. `None` after the timeout.
    fn wait<'py>(&self, py: Python<'py>, timeout_s: f64) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let mut left = Duration::try_from_secs_f64(timeout_s).unwrap_or_default();
        loop {
            let slice = left.min(WAIT);
            if let Some((id, rows)) = py.detach(|| self.0.wait(slice)) {
                return Ok(Some(chunk_of(py, id, rows)?));
            }
            py.check_signals()?;
            left -= slice;
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// What each point of a chunk is: 16 bytes, or the path, rule and value of what is wrong.
    fn identities<'py>(&self, py: Python<'py>, chunk: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let job = self.0.job();
        let found = py.detach(|| {
            let chunk = self.read(chunk)?;
            Ok(chunk.points.iter().map(|point| job.identity(&chunk, point)).collect::<Vec<_>>())
        });
        let list = PyList::empty(py);
        for identity in found.map_err(|error: Failure| PyErr::from(error))? {
            match identity {
                Ok(digest) => list.append(PyBytes::new(py, &digest.to_bytes()))?,
                Err(error) => list.append((error.path, error.rule, error.value))?,
            }
        }
        Ok(list)
    }

    /// Lets running points end soon and drops those that wait.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

impl SweepPool {
    fn read(&self, chunk: &[u8]) -> Result<Chunk, Failure> {
        let text = std::str::from_utf8(chunk)
            .map_err(|error| Failure::from(runq_core::base::ConfigError::new("chunk", "must be text", error)))?;
        let job = self.0.job();
        Ok(Chunk::from_json(text, job.target(), job.paths())?)
    }
}

fn chunk_of<'py>(py: Python<'py>, id: u64, rows: Vec<Row>) -> PyResult<Bound<'py, PyTuple>> {
    let mut schemas: Vec<Names> = Vec::new();
    let list = PyList::empty(py);
    for Row { identity, outcome, tries } in rows {
        let identity = identity.map(|digest| PyBytes::new(py, &digest.to_bytes()));
        let (error, is_given_up, names, cells, tree) = match outcome {
            Outcome::Done(names, cells, tree) => (None, false, names, cells, tree),
            Outcome::Failed(error) => (Some(error), false, Names::default(), Vec::new(), None),
            Outcome::Panicked(error) => (Some(error), true, Names::default(), Vec::new(), None),
            Outcome::Stopped => (Some("stopped".to_owned()), false, Names::default(), Vec::new(), None),
        };
        let same = |known: &Names| Names::ptr_eq(known, &names) || *known == names;
        let schema = schemas.iter().position(same).unwrap_or_else(|| {
            schemas.push(names);
            schemas.len() - 1
        });
        let values = cells.into_iter().map(|cell| value_of(py, cell)).collect::<PyResult<Vec<_>>>()?;
        list.append((identity, error, is_given_up, tries, schema, PyTuple::new(py, values)?, tree))?;
    }
    let schemas = schemas.iter().map(|names| names.to_vec()).collect::<Vec<_>>();
    (id, schemas, list).into_pyobject(py)
}

fn value_of(py: Python<'_>, cell: Cell) -> PyResult<Bound<'_, PyAny>> {
    Ok(match cell {
        Cell::Null => py.None().into_bound(py),
        Cell::Int(number) => number.into_pyobject(py)?.into_any(),
        Cell::Float(number) => number.into_pyobject(py)?.into_any(),
        Cell::Text(text) => text.into_pyobject(py)?.into_any(),
    })
}
