//! Opening a trace: decompress it, find its format, choose the reader.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::champsim::{self, ChampSimReader};
use super::csv::CsvParser;
use super::decompress::decompress;
use super::detect::detect;
use super::din::DinParser;
use super::error::{Place, TraceError};
use super::format::{Compression, Format};
use super::input::{Counted, Input};
use super::lackey::LackeyParser;
use super::raw::RawReader;
use super::text::{LineParser, Lines, TextReader};
use super::{Batch, Columns, TraceReader};

/// A trace that is ready to be read.
pub struct OpenTrace {
    /// Hands out the accesses.
    pub reader: Box<dyn TraceReader>,
    /// The format that was asked for, or found.
    pub format: Format,
    /// The compression that was found.
    pub compression: Compression,
    /// What the trace has beside addresses.
    pub columns: Columns,
    /// Bytes taken from the file so far, compressed, for progress.
    pub consumed: Arc<AtomicU64>,
    /// Bytes of the file, where it is a regular one.
    pub total_bytes: Option<u64>,
}

/// Opens the trace at `path`; `-` is standard input.
///
/// The format is `format`, or what the extension says (`.lackey`, `.din`, `.champsim`, `.champsimtrace`, `.u64`,
/// `.csv`, each also before `.gz`, `.xz`, `.zst` or `.zstd`), or what the first lines look like. The compression
/// (gzip, xz, zstd) is told by content alone.
///
/// # Errors
/// [`TraceError`] if the file cannot be read, is a directory, is compressed and damaged at its start, or has a format
/// that cannot be told. An empty trace is an error of the first read.
pub fn open_path(path: &Path, format: Option<Format>) -> Result<OpenTrace, TraceError> {
    let name = path.display().to_string();
    if name == "-" {
        return open_stream(&name, Box::new(io::stdin()), format);
    }
    let at_open = |error| TraceError::io(&name, Place::Whole, error);
    let file = File::open(path).map_err(at_open)?;
    let metadata = file.metadata().map_err(at_open)?;
    if metadata.is_dir() {
        return Err(TraceError::malformed(&name, Place::Whole, "a file", "a directory"));
    }
    let format = format.or_else(|| Format::of_path(path));
    let mut trace = open_stream(&name, Box::new(file), format)?;
    trace.total_bytes = metadata.is_file().then_some(metadata.len());
    Ok(trace)
}

/// Opens the trace that `input` yields; errors call it `name`. As [`open_path`], without an extension.
///
/// # Errors
/// As [`open_path`].
pub fn open_stream(name: &str, input: Box<dyn Read + Send>, format: Option<Format>) -> Result<OpenTrace, TraceError> {
    let consumed = Arc::new(AtomicU64::new(0));
    let failed = Arc::new(AtomicBool::new(false));
    let counted = Counted::new(input, Arc::clone(&consumed), Arc::clone(&failed));
    let (stream, compression) =
        decompress(counted, failed).map_err(|error| TraceError::io(name, Place::Byte(0), error))?;
    let mut input = Input::new(name, stream);
    let format = match format {
        Some(format) => format,
        None => detect(&mut input)?,
    };
    let (inner, columns) = reader_of(format, input)?;
    let reader = Box::new(Guarded { inner: Some(inner), name: name.to_owned(), has_accesses: false });
    Ok(OpenTrace { reader, format, compression, columns, consumed, total_bytes: None })
}

/// The reader of a format, and what its traces have.
fn reader_of(format: Format, input: Input) -> Result<(Box<dyn TraceReader>, Columns), TraceError> {
    fn text<P: LineParser + 'static>(lines: Lines, parser: P) -> (Box<dyn TraceReader>, Columns) {
        let columns = parser.columns();
        (Box::new(TextReader::new(lines, parser)), columns)
    }
    Ok(match format {
        Format::Lackey => text(Lines::new(input), LackeyParser::default()),
        Format::Din => text(Lines::new(input), DinParser),
        Format::Csv => {
            let mut lines = Lines::new(input);
            let parser = CsvParser::after_header(&mut lines)?;
            text(lines, parser)
        }
        Format::Raw => (Box::new(RawReader::new(input)), Columns::default()),
        Format::ChampSim => (Box::new(ChampSimReader::new(input)), champsim::COLUMNS),
    })
}

/// A reader that refuses empty traces and stays at its end after the end or an error.
struct Guarded {
    /// `None` once the trace has ended or failed.
    inner: Option<Box<dyn TraceReader>>,
    name: String,
    has_accesses: bool,
}

impl TraceReader for Guarded {
    fn read(&mut self, batch: &mut Batch, limit: usize) -> Result<bool, TraceError> {
        let Some(inner) = &mut self.inner else {
            batch.clear();
            return Ok(false);
        };
        let result = inner.read(batch, limit);
        match result {
            Ok(true) => self.has_accesses = true,
            Ok(false) | Err(_) => self.inner = None,
        }
        if matches!(result, Ok(false)) && !self.has_accesses {
            return Err(TraceError::empty(&self.name));
        }
        result
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn reader_stays_at_its_end_after_an_error() {
        let bytes = Cursor::new(b"0 10\nx\n".to_vec());
        let mut trace = open_stream("t", Box::new(bytes), Some(Format::Din)).unwrap();
        let mut batch = Batch::default();
        assert!(trace.reader.read(&mut batch, 1).unwrap());
        assert!(trace.reader.read(&mut batch, 1).is_err());
        assert!(!trace.reader.read(&mut batch, 1).unwrap());
        assert!(batch.is_empty());
    }
}
