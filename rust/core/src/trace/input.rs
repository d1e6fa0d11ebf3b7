//! A buffered byte source that knows how far it is, for the readers of all formats.
//!
//! It retries interrupted reads, never holds more than its buffer, and keeps some bytes of padding behind the data so
//! that parsers may load whole words at any position.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::error::{Place, TraceError};

/// Bytes read from a stream at a time at most.
const BUFFER_BYTES: usize = 256 << 10;

/// Bytes that may be loaded behind the end of the data; their values mean nothing.
pub(crate) const PADDING_BYTES: usize = 32;

/// The buffered (uncompressed) bytes of a trace.
pub(crate) struct Input {
    name: Arc<str>,
    stream: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    // invariant: start <= end <= buffer.len() - PADDING_BYTES
    start: usize,
    end: usize,
    /// Offset in the stream of `buffer[0]`.
    base: u64,
    ended: bool,
}

impl Input {
    /// Wraps `stream`; errors call it `name`.
    pub(crate) fn new(name: &str, stream: Box<dyn Read + Send>) -> Self {
        let buffer = vec![0; BUFFER_BYTES + PADDING_BYTES];
        Self { name: name.into(), stream, buffer, start: 0, end: 0, base: 0, ended: false }
    }

    /// What errors call the trace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The bytes at hand.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The first `len` bytes at hand and the padding or data behind them.
    pub(crate) fn padded(&self, len: usize) -> &[u8] {
        &self.buffer[self.start..self.start + len + PADDING_BYTES]
    }

    /// Whether the stream has ended; the bytes at hand may still be unread.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Offset in the stream of the first byte at hand.
    pub(crate) fn offset(&self) -> u64 {
        self.base + widen(self.start)
    }

    /// Drops the first `len` bytes at hand.
    pub(crate) fn consume(&mut self, len: usize) {
        assert!(len <= self.end - self.start, "only bytes at hand are consumed");
        self.start += len;
    }

    /// Reads once more behind the bytes at hand and returns how many bytes came; 0 when the stream has ended or the
    /// buffer is full.
    pub(crate) fn fill(&mut self) -> Result<usize, TraceError> {
        if self.ended {
            return Ok(0);
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.base += widen(self.start);
            self.end -= self.start;
            self.start = 0;
        }
        let room = self.end..BUFFER_BYTES;
        if room.is_empty() {
            return Ok(0);
        }
        loop {
            match self.stream.read(&mut self.buffer[room.clone()]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(0);
                }
                Ok(count) => {
                    // A reader that claims more than it was given room for is broken; do not trust it.
                    let count = count.min(room.len());
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    return Err(TraceError::io(&self.name, Place::Byte(self.base + widen(self.end)), error));
                }
            }
        }
    }

    /// Puts the newline behind a last line that lacks it.
    pub(crate) fn end_last_line(&mut self) {
        assert!(self.ended && self.end < BUFFER_BYTES + 1, "the stream has ended and the padding has room");
        self.buffer[self.end] = b'\n';
        self.end += 1;
    }
}

/// Counts the bytes that are taken from a file, for progress, and notes whether reading it failed.
pub(crate) struct Counted {
    inner: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl Counted {
    /// Wraps `inner`; `failed` tells its errors from those of a decoder above it.
    pub(crate) fn new(inner: Box<dyn Read + Send>, consumed: Arc<AtomicU64>, failed: Arc<AtomicBool>) -> Self {
        Self { inner, consumed, failed }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Ok(count) => {
                    let count = count.min(buffer.len());
                    self.consumed.fetch_add(widen(count), Ordering::Relaxed);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    }
}

/// A `usize` as `u64`; every platform we build for has at most 64 bits.
pub(crate) fn widen(value: usize) -> u64 {
    u64::try_from(value).expect("usize has at most 64 bits")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use std::io::{self, Cursor};

    struct Interrupting(u32, Cursor<Vec<u8>>);

    impl Read for Interrupting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if !self.0.is_multiple_of(2) {
                return Err(ErrorKind::Interrupted.into());
            }
            let few = buffer.len().min(3);
            self.1.read(&mut buffer[..few])
        }
    }

    #[test]
    fn interrupted_reads_are_retried() {
        let mut input = Input::new("x", Box::new(Interrupting(0, Cursor::new(b"abcdefg".to_vec()))));
        while input.fill().unwrap() > 0 {}
        assert!(input.has_ended());
        assert_eq!(input.bytes(), b"abcdefg");
        input.consume(5);
        assert_eq!((input.offset(), input.bytes()), (5, &b"fg"[..]));
    }

    #[test]
    fn buffer_stays_bounded() {
        let mut input = Input::new("x", Box::new(io::repeat(7)));
        while input.fill().unwrap() > 0 {}
        assert!(!input.has_ended());
        assert_eq!(input.bytes().len(), BUFFER_BYTES);
        input.consume(1);
        assert_eq!(input.fill().unwrap(), 1);
        assert_eq!(input.offset(), 1);
    }
}
