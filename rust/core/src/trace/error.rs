//! The error of a trace: which file, which place, what was expected.

use std::fmt;

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

/// A trace that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The content is not what the format asks for.
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
    /// Reading failed below the format: the file system, a pipe, a damaged compressed stream.
    #[error("{name}: {place}{source}")]
    Io {
        /// Path of the trace.
        name: String,
        /// How far reading came.
        place: Place,
        /// What the system says.
        source: std::io::Error,
    },
}
