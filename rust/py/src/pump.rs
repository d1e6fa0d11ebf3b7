//! Feeds accesses in slices that take some 20 ms, so that Ctrl-C and progress are answered between them.

use crate::errors::Failure;
use pyo3::prelude::*;
use runq_core::trace::BatchRef;
use std::time::{Duration, Instant};

/// How long a slice should take: Ctrl-C is answered within 100 ms.
const SLICE_TIME: Duration = Duration::from_millis(20);

/// How often progress is told.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

const SLICE_MIN: usize = 1 << 10;
const SLICE_START: usize = 1 << 14;
const SLICE_MAX: usize = 1 << 22;

/// How far a trace was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// Bytes taken from the source.
    pub consumed: u64,
    /// Bytes that it has, where that is known.
    pub total: Option<u64>,
}

/// Answers signals, tells progress, and counts how long the work took.
pub struct Pump<'py> {
    py: Python<'py>,
    progress: Option<Bound<'py, PyAny>>,
    told: Instant,
    accesses: u64,
    slice: usize,
    worked: Duration,
}

impl<'py> Pump<'py> {
    /// `progress` is called with bytes consumed, bytes in all or `None`, and accesses so far.
    pub fn new(py: Python<'py>, progress: Option<Bound<'py, PyAny>>) -> Self {
        Self { py, progress, told: Instant::now(), accesses: 0, slice: SLICE_START, worked: Duration::ZERO }
    }

    /// The token that says that the interpreter is held.
    pub fn py(&self) -> Python<'py> {
        self.py
    }

    /// Seconds spent in the work.
    pub fn seconds(&self) -> f64 {
        self.worked.as_secs_f64()
    }

    /// Answers signals and tells progress if it is time.
    pub fn pause(&mut self, position: Position) -> PyResult<()> {
        self.py.check_signals()?;
        if let Some(progress) = &self.progress
            && self.told.elapsed() >= PROGRESS_PERIOD
        {
            progress.call1((position.consumed, position.total, self.accesses))?;
            self.told = Instant::now();
        }
        Ok(())
    }

    /// Does `work` without the GIL and counts its time.
    pub fn work<T: Send>(&mut self, work: impl FnOnce() -> Result<T, Failure> + Send) -> PyResult<T> {
        let start = Instant::now();
        let result = self.py.detach(work);
        self.worked += start.elapsed();
        result.map_err(PyErr::from)
    }

    /// Does `work` on one slice of `batch` after the other, until it returns `false`. `at` says how far the trace was
    /// read when that many accesses of the batch are done.
    pub fn feed(
        &mut self,
        batch: BatchRef<'_>,
        at: impl Fn(usize) -> Position,
        mut work: impl FnMut(BatchRef<'_>) -> Result<bool, Failure> + Send,
    ) -> PyResult<bool> {
        let mut start = 0;
        while start < batch.len() {
            let end = batch.len().min(start + self.slice);
            let before = self.worked;
            let goes_on = self.work(|| work(batch.slice(start, end)))?;
            self.accesses += (end - start) as u64;
            self.adapt(end - start, self.worked - before);
            start = end;
            self.pause(at(end))?;
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Aims the next slice at [`SLICE_TIME`].
    fn adapt(&mut self, accesses: usize, took: Duration) {
        let wanted = SLICE_TIME.as_nanos() * accesses as u128 / took.as_nanos().max(1);
        let limit = self.slice.saturating_mul(2).min(SLICE_MAX);
        // A short batch says nothing about longer slices; only a slow one makes them shorter.
        if accesses == self.slice || wanted < accesses as u128 {
            self.slice = usize::try_from(wanted).unwrap_or(limit).clamp(SLICE_MIN, limit);
        }
    }
}
