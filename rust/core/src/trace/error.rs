//! The error of a trace: which file, which place, what was expected, what stood there.

use std::fmt;
use std::io;

/// How many characters of a trace a message shows.
const SHOWN_MAX: usize = 40;

/// Where in a trace something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of text, counted from 1.
    Line(u64),
    /// A byte offset into the (uncompressed) trace.
    Byte(u64),
    /// A record or row, counted from 0.
    Record(u64),
    /// The trace as a whole.
    Whole,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}: "),
            Self::Byte(byte) => write!(f, "byte {byte}: "),
            Self::Record(record) => write!(f, "record {record}: "),
            Self::Whole => Ok(()),
        }
    }
}

/// A trace that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The content is not what the format asks for, or an access does not fit the format it is written in.
    #[error("{name}: {place}expected {expected}, got {got}")]
    Malformed {
        /// Path of the trace, `-` for standard input, or what stands for it.
        name: String,
        /// Where.
        place: Place,
        /// What should stand there.
        expected: String,
        /// What stands there, cut short and made printable.
        got: String,
    },
    /// Reading or writing failed below the format: the file system, a pipe, a damaged compressed stream.
    #[error("{name}: {place}{source}")]
    Io {
        /// Path of the trace.
        name: String,
        /// How far reading or writing came.
        place: Place,
        /// What the system says.
        source: io::Error,
    },
}

impl TraceError {
    /// Content that is not what `expected` says.
    pub fn malformed(name: &str, place: Place, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Malformed { name: name.to_owned(), place, expected: expected.into(), got: got.into() }
    }

    /// A failure of the system at `place`.
    pub fn io(name: &str, place: Place, source: io::Error) -> Self {
        Self::Io { name: name.to_owned(), place, source }
    }

    /// A trace that ended before its first access.
    pub fn empty(name: &str) -> Self {
        Self::malformed(name, Place::Whole, "at least one access", "an empty trace")
    }
}

/// The start of `bytes` in quotes, escaped and cut to some 40 characters.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    let mut cut = false;
    for &byte in bytes {
        let escaped = byte.escape_ascii();
        if text.len() + escaped.len() > SHOWN_MAX {
            cut = true;
            break;
        }
        text.extend(escaped.map(char::from));
    }
    text.push_str(if cut { "...\"" } else { "\"" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_bytes_are_printable_and_short() {
        assert_eq!(shown(b"I  12,x"), "\"I  12,x\"");
        assert_eq!(shown(b"\x7fELF\x00"), "\"\\x7fELF\\x00\"");
        let long = shown(&[b'a'; 1000]);
        assert!(long.len() <= SHOWN_MAX + 4 && long.ends_with("...\""), "{long}");
    }

    #[test]
    fn message_has_file_place_expectation_and_what_stood_there() {
        let error = TraceError::malformed("a.din", Place::Line(3), "a label", shown(b"x"));
        assert_eq!(error.to_string(), "a.din: line 3: expected a label, got \"x\"");
    }
}
