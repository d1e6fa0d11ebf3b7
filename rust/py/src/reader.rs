//! A thread that opens, decompresses and parses a trace and hands batches over a bounded channel.
//!
//! The interpreter's thread waits on that channel for short times only, so that it answers signals while the source
//! stalls. A Python file object is read by the interpreter's thread on request: it needs no foreign thread in the
//! interpreter, and an interrupted `read` raises where the user expects it.

use crate::errors::{Failure, internal};
use crate::pump::{Position, Pump};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use runq_core::trace::{Batch, BatchRef, Columns, Compression, Format, OpenTrace, READ_MAX, TraceError};
use runq_core::trace::{open_path, open_stream};
use std::any::Any;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the interpreter's thread waits before it looks for signals.
const WAIT: Duration = Duration::from_millis(20);

/// Batches that wait to be replayed, at most: 1.6 MB each.
const WAITING_BATCHES_MAX: usize = 4;

/// Where the bytes come from.
pub enum Origin<'py> {
    /// A path, or `-` for standard input.
    Path(PathBuf),
    /// A Python object with `read`, and what messages call it.
    File(Bound<'py, PyAny>, String),
}

/// What was found out on opening.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The format, unless the trace is an array.
    pub format: Option<Format>,
    /// The compression, unless the trace is an array.
    pub compression: Option<Compression>,
    /// What the trace has beside addresses.
    pub columns: Columns,
}

/// What the thread says.
enum Message {
    Opened {
        about: About,
        consumed: Arc<AtomicU64>,
        total: Option<u64>,
    },
    Batch(Batch),
    /// Read at most that many bytes of the Python file and send them.
    Wanted(usize),
    Ended,
    Failed(TraceError),
    Panicked(String),
}

/// The thread, as the interpreter's thread sees it.
pub struct Reading {
    messages: Receiver<Message>,
    used: Sender<Batch>,
    bytes: Sender<Vec<u8>>,
    busy: Arc<AtomicU64>,
}

impl Reading {
    /// Starts the thread. Dropping `self` lets it end at its next word.
    pub fn start(origin: &Origin<'_>, format: Option<Format>) -> PyResult<Self> {
        let (sender, messages) = sync_channel(WAITING_BATCHES_MAX);
        let (used, recycled) = channel();
        let (bytes, received) = channel();
        let busy = Arc::new(AtomicU64::new(0));
        let pulled = Pulled { wanted: sender.clone(), received, rest: Vec::new(), taken: 0 };
        let source = match origin {
            Origin::Path(path) => Err(path.clone()),
            Origin::File(_, name) => Ok((name.clone(), pulled)),
        };
        let clock = Clock { busy: Arc::clone(&busy) };
        let body = move || {
            let open = || match source {
                Err(path) => open_path(&path, format),
                Ok((name, pulled)) => open_stream(&name, Box::new(pulled), format),
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| run(open, &sender, &recycled, &clock)));
            let last = match outcome {
                Ok(Ok(())) => Message::Ended,
                Ok(Err(error)) => Message::Failed(error),
                Err(panic) => Message::Panicked(panic_text(&*panic)),
            };
            // Nobody listens any more once a limit is reached or the user interrupts.
            let _ = sender.send(last);
        };
        thread::Builder::new().name("runq reader".into()).spawn(body)?;
        Ok(Self { messages, used, bytes, busy })
    }

    /// Seconds that the thread was opening, decompressing and parsing.
    pub fn seconds(&self) -> f64 {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed)).as_secs_f64()
    }

    /// Hands every batch to `each` until it returns `false` or the trace ends.
    pub fn drain(
        &mut self,
        origin: &Origin<'_>,
        pump: &mut Pump<'_>,
        mut opened: impl FnMut(&mut Pump<'_>, About) -> PyResult<()>,
        mut each: impl FnMut(&mut Pump<'_>, BatchRef<'_>, Position) -> PyResult<bool>,
    ) -> PyResult<()> {
        let mut progress = (Arc::new(AtomicU64::new(0)), None);
        loop {
            let messages = &mut self.messages;
            let message = pump.py().detach(move || messages.recv_timeout(WAIT));
            let position = Position { consumed: progress.0.load(Ordering::Relaxed), total: progress.1 };
            match message {
                Err(RecvTimeoutError::Timeout) => pump.pause(position)?,
                Err(RecvTimeoutError::Disconnected) => return Err(internal("the reader stopped without a word")),
                Ok(Message::Opened { about, consumed, total }) => {
                    progress = (consumed, total);
                    opened(pump, about)?;
                }
                Ok(Message::Batch(batch)) => {
                    if !each(pump, batch.as_ref(), position)? {
                        return Ok(());
                    }
                    // The thread may have ended already; then the batch is dropped.
                    let _ = self.used.send(batch);
                }
                Ok(Message::Wanted(count)) => {
                    let _ = self.bytes.send(read_python(origin, count)?);
                    pump.pause(position)?;
                }
                Ok(Message::Ended) => return Ok(()),
                Ok(Message::Failed(error)) => return Err(Failure::from(error).into()),
                Ok(Message::Panicked(text)) => return Err(internal(&text)),
            }
        }
    }
}

/// What the thread does. An `Ok` may also mean that nobody listens any more.
fn run(
    open: impl FnOnce() -> Result<OpenTrace, TraceError>,
    sender: &SyncSender<Message>,
    recycled: &Receiver<Batch>,
    clock: &Clock,
) -> Result<(), TraceError> {
    let OpenTrace { mut reader, format, compression, columns, consumed, total_bytes } = clock.time(open)?;
    let about = About { format: Some(format), compression: Some(compression), columns };
    if sender.send(Message::Opened { about, consumed, total: total_bytes }).is_err() {
        return Ok(());
    }
    loop {
        let mut batch = recycled.try_recv().unwrap_or_default();
        if !clock.time(|| reader.read(&mut batch, READ_MAX))? || sender.send(Message::Batch(batch)).is_err() {
            return Ok(());
        }
    }
}

/// Adds up the time of work.
struct Clock {
    busy: Arc<AtomicU64>,
}

impl Clock {
    fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.busy.fetch_add(nanos, Ordering::Relaxed);
        result
    }
}

/// What a panic says.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

/// Reads at most `count` bytes of a Python file; none at its end.
fn read_python(origin: &Origin<'_>, count: usize) -> PyResult<Vec<u8>> {
    let Origin::File(file, name) = origin else {
        return Err(internal("bytes of a Python file were wanted, but there is none"));
    };
    let bytes = file.call_method1("read", (count,))?;
    let wrong = |_| {
        let kind = bytes.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("{name}: read() must return bytes (a file opened in binary mode), got {kind}"))
    };
    let buffer = pyo3::buffer::PyBuffer::<u8>::get(&bytes).map_err(wrong)?;
    buffer.to_vec(bytes.py())
}

/// The Python file, as the thread reads it: it asks the interpreter's thread for bytes.
struct Pulled {
    wanted: SyncSender<Message>,
    received: Receiver<Vec<u8>>,
    rest: Vec<u8>,
    taken: usize,
}

/// Bytes asked of a Python file at a time, at least: a call costs a trip between threads.
const PULL_BYTES_MIN: usize = 1 << 20;

impl Read for Pulled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.rest.len() {
            let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads any more");
            self.wanted.send(Message::Wanted(buffer.len().max(PULL_BYTES_MIN))).map_err(|_| gone())?;
            self.rest = self.received.recv().map_err(|_| gone())?;
            self.taken = 0;
        }
        let count = buffer.len().min(self.rest.len() - self.taken);
        buffer[..count].copy_from_slice(&self.rest[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
