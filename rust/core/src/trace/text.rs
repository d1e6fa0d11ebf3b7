//! The reader that all line formats share: it cuts the input into lines, counts them and places errors.
//!
//! A format brings a [`LineParser`]. Lines are handed over a buffer at a time and never copied; the longest line that
//! is read has [`LINE_BYTES_MAX`] bytes, so that memory stays bounded whatever the input is.

use super::error::{Place, TraceError, shown};
use super::input::Input;
use super::{ADDRESS_LIMIT, Access, Batch, Columns, READ_MAX, SIZE_MAX, TraceReader};

/// The longest line, in bytes and without its newline.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// Bytes without an access after which a trace is refused, so that one call of a reader always returns in time: a small
/// compressed file can hold terabytes of blank lines.
pub const IDLE_BYTES_MAX: usize = 64 << 20;

/// What every reader says of a trace that goes on without accesses.
pub(crate) const EXPECTED_ACCESS: &str = "an access in 64 MiB";

/// What every reader says of an address that is too high.
pub(crate) const EXPECTED_ADDRESS: &str = "an address below 2^63 (8 EiB)";

/// What every reader says of a size out of range.
pub(crate) const EXPECTED_SIZE: &str = "a size of 1 to 65536 bytes";

/// What a format does with one line.
pub(crate) trait LineParser: Send {
    /// The columns of the trace.
    fn columns(&self) -> Columns;

    /// Appends the accesses of the line at `at`, at most two, and returns where the next line starts, or says what
    /// was expected. The line ends in a newline, and [`PADDING_BYTES`](super::input::PADDING_BYTES) follow the last.
    fn line(&mut self, bytes: &[u8], at: usize, batch: &mut Batch) -> Result<usize, &'static str>;
}

/// A trace in text.
pub(crate) struct TextReader<P> {
    lines: Lines,
    parser: P,
    /// The second access of a line of which only the first found room.
    pending: Option<Access>,
    /// Bytes of the lines since the last one with an access.
    idle: usize,
}

impl<P: LineParser> TextReader<P> {
    /// Reads the rest of `lines` with `parser`.
    pub(crate) fn new(lines: Lines, parser: P) -> Self {
        Self { lines, parser, pending: None, idle: 0 }
    }
}

impl<P: LineParser> TraceReader for TextReader<P> {
    fn read(&mut self, batch: &mut Batch, limit: usize) -> Result<bool, TraceError> {
        let limit = limit.clamp(1, READ_MAX);
        let columns = self.parser.columns();
        batch.clear();
        batch.reserve(limit + 1, columns);
        if let Some(access) = self.pending.take() {
            batch.push(access, columns);
        }
        while batch.len() < limit {
            let Some(len) = self.lines.at_hand()? else { break };
            let bytes = self.lines.input.padded(len);
            let (mut at, mut count) = (0, 0);
            while at < len && batch.len() < limit {
                let had = batch.len();
                let next = match self.parser.line(bytes, at, batch) {
                    Ok(next) if next - at <= LINE_BYTES_MAX + 1 => next,
                    Ok(_) => return Err(self.lines.too_long(at, count)),
                    Err(expected) => return Err(self.lines.malformed(at, count, expected)),
                };
                self.idle = if batch.len() > had { 0 } else { self.idle + (next - at) };
                if self.idle > IDLE_BYTES_MAX {
                    return Err(self.lines.idle(count));
                }
                at = next;
                count += 1;
            }
            self.lines.consume(at, count);
        }
        if batch.len() > limit {
            self.pending = batch.pop();
        }
        Ok(!batch.is_empty())
    }
}

/// The lines of an input.
pub(crate) struct Lines {
    input: Input,
    /// Lines before the first byte at hand.
    count: u64,
    /// Bytes at hand that are known to be whole lines.
    complete: usize,
    /// Bytes at hand that were searched for newlines.
    searched: usize,
}

impl Lines {
    /// Cuts `input` into lines.
    pub(crate) fn new(input: Input) -> Self {
        Self { input, count: 0, complete: 0, searched: 0 }
    }

    /// Number of bytes at hand that are whole lines, after reading more if there are none; `None` at the end.
    fn at_hand(&mut self) -> Result<Option<usize>, TraceError> {
        while self.complete == 0 {
            let bytes = self.input.bytes();
            if let Some(last) = memchr::memrchr(b'\n', &bytes[self.searched..]) {
                self.complete = self.searched + last + 1;
                self.searched = bytes.len();
                break;
            }
            self.searched = bytes.len();
            if self.searched > LINE_BYTES_MAX {
                return Err(self.too_long(0, 0));
            }
            if self.input.fill()? == 0 {
                if self.searched == 0 {
                    return Ok(None);
                }
                self.input.end_last_line();
            }
        }
        Ok(Some(self.complete))
    }

    /// Drops `count` whole lines of `len` bytes together.
    fn consume(&mut self, len: usize, count: u64) {
        assert!(len <= self.complete, "only whole lines are consumed");
        self.input.consume(len);
        self.complete -= len;
        self.searched -= len;
        self.count += count;
    }

    /// Takes the next line, without its newline and at most [`LINE_BYTES_MAX`] bytes long; `None` at the end.
    pub(crate) fn next_line(&mut self) -> Result<Option<Vec<u8>>, TraceError> {
        let Some(complete) = self.at_hand()? else { return Ok(None) };
        let bytes = &self.input.bytes()[..complete];
        let len = memchr::memchr(b'\n', bytes).expect("whole lines end in newlines");
        if len > LINE_BYTES_MAX {
            return Err(self.too_long(0, 0));
        }
        let line = bytes[..len].to_vec();
        self.consume(len + 1, 1);
        Ok(Some(line))
    }

    /// Lines that were taken so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// What errors call the trace.
    pub(crate) fn name(&self) -> &str {
        self.input.name()
    }

    /// The error of the line that starts at `at`, `before` lines after the first at hand.
    #[cold]
    fn malformed(&self, at: usize, before: u64, expected: &str) -> TraceError {
        let line = &self.input.bytes()[at..];
        let len = memchr::memchr(b'\n', line).unwrap_or(line.len());
        if len > LINE_BYTES_MAX {
            return self.too_long(at, before);
        }
        let line = line[..len].strip_suffix(b"\r").unwrap_or(&line[..len]);
        TraceError::malformed(self.name(), Place::Line(self.count + before + 1), expected, shown(line))
    }

    /// The error of lines without accesses that do not end.
    #[cold]
    fn idle(&self, before: u64) -> TraceError {
        TraceError::malformed(self.name(), Place::Line(self.count + before + 1), EXPECTED_ACCESS, "none")
    }

    /// The error of a line that is longer than any record.
    #[cold]
    fn too_long(&self, at: usize, before: u64) -> TraceError {
        let expected = format!("a line of at most {LINE_BYTES_MAX} bytes");
        let got = format!("a longer one that starts with {}", shown(&self.input.bytes()[at..]));
        TraceError::malformed(self.name(), Place::Line(self.count + before + 1), expected, got)
    }
}

/// Where the line after the one at `at` starts.
#[inline]
pub(crate) fn next_line(bytes: &[u8], at: usize) -> usize {
    at + memchr::memchr(b'\n', &bytes[at..]).expect("lines end in newlines") + 1
}

/// Where the line after `at` starts if nothing but white space comes before it.
#[inline]
pub(crate) fn end_of_line(bytes: &[u8], mut at: usize) -> Option<usize> {
    while matches!(bytes[at], b' ' | b'\t' | b'\r') {
        at += 1;
    }
    (bytes[at] == b'\n').then_some(at + 1)
}

/// Checks that an access of `size` bytes at `address` may exist and returns the size.
#[inline]
pub(crate) fn check_extent(address: u64, size: u64) -> Result<u32, &'static str> {
    let size = u32::try_from(size).ok().filter(|&size| (1..=SIZE_MAX).contains(&size)).ok_or(EXPECTED_SIZE)?;
    if address >= ADDRESS_LIMIT || address + u64::from(size) > ADDRESS_LIMIT {
        return Err(EXPECTED_ADDRESS);
    }
    Ok(size)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn lines(text: &[u8]) -> Lines {
        Lines::new(Input::new("t", Box::new(Cursor::new(text.to_vec()))))
    }

    #[test]
    fn last_line_may_lack_its_newline() {
        let mut lines = lines(b"a\n\nbc");
        assert_eq!(lines.next_line().unwrap().unwrap(), b"a");
        assert_eq!(lines.next_line().unwrap().unwrap(), b"");
        assert_eq!(lines.next_line().unwrap().unwrap(), b"bc");
        assert!(lines.next_line().unwrap().is_none());
        assert!(lines.next_line().unwrap().is_none());
    }

    #[test]
    fn line_of_the_longest_length_is_read_and_a_longer_one_refused() {
        let mut text = vec![b'x'; LINE_BYTES_MAX];
        text.push(b'\n');
        assert_eq!(lines(&text).next_line().unwrap().unwrap().len(), LINE_BYTES_MAX);
        text.insert(0, b'y');
        let error = lines(&text).next_line().unwrap_err().to_string();
        assert!(error.starts_with("t: line 1: expected a line of at most 65536 bytes"), "{error}");
    }

    #[test]
    fn extent_ends_at_the_limit_of_addresses() {
        assert_eq!(check_extent(ADDRESS_LIMIT - 8, 8), Ok(8));
        assert_eq!(check_extent(ADDRESS_LIMIT - 8, 9), Err(EXPECTED_ADDRESS));
        assert_eq!(check_extent(u64::MAX, 1), Err(EXPECTED_ADDRESS));
        assert_eq!(check_extent(0, 0), Err(EXPECTED_SIZE));
        assert_eq!(check_extent(0, 65536), Ok(65536));
        assert_eq!(check_extent(0, 65537), Err(EXPECTED_SIZE));
        assert_eq!(check_extent(0, u64::MAX), Err(EXPECTED_SIZE));
    }
}
