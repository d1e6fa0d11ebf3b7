//! Writing traces: any format from any batches, with a report of what the format could not hold.

use std::io::Write;
use std::path::Path;

use super::champsim::ChampSimEncoder;
use super::csv::CsvEncoder;
use super::din::DinEncoder;
use super::error::{Place, TraceError, shown};
use super::format::{Compression, Format};
use super::input::widen;
use super::lackey::LackeyEncoder;
use super::output::Output;
use super::raw::RawEncoder;
use super::text::check_extent;
use super::{Access, BatchRef, Columns};

/// Bytes of the lines at which formats without sizes split accesses.
const LINE_BYTES: u64 = 64;

/// What was written, and what of the trace the format cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// Accesses in the written trace: what reading it gives.
    pub accesses: u64,
    /// Fetches that were left out.
    pub dropped_fetches: u64,
    /// Whether there were thread ids other than 0 that were left out.
    pub dropped_threads: bool,
    /// Whether there were instruction addresses of data accesses that were left out or replaced.
    pub dropped_ips: bool,
    /// Accesses that crossed a 64-byte line and became one access a line.
    pub split: u64,
}

/// A trace that is being written. Dropped unfinished, it leaves no file.
pub trait TraceWriter: Send {
    /// Appends accesses.
    ///
    /// # Errors
    /// [`TraceError`] if an access does not fit the format, or the disk is full. The trace cannot be finished then.
    fn write(&mut self, batch: BatchRef<'_>) -> Result<(), TraceError>;

    /// Writes what is left and gives the file its name.
    ///
    /// # Errors
    /// [`TraceError`] if that fails or a write failed before; the file does not come to be then.
    fn finish(self: Box<Self>) -> Result<WriteReport, TraceError>;
}

/// Starts to write a trace at `path`; `-` is standard output.
///
/// The format and the compression are those given, or what the extension says; without an extension of a compression
/// there is none. `columns` are those of the batches to come. Until [`TraceWriter::finish`] the file has a temporary
/// name; a file that exists is replaced then.
///
/// # Errors
/// [`TraceError`] if the format cannot be told or the file cannot be created.
pub fn create_path(
    path: &Path,
    format: Option<Format>,
    compression: Option<Compression>,
    columns: Columns,
) -> Result<Box<dyn TraceWriter>, TraceError> {
    let name = path.display().to_string();
    let Some(format) = format.or_else(|| Format::of_path(path)) else {
        let expected = "an extension (.lackey, .din, .champsim, .u64, .csv) or the format to be named (--format)";
        return Err(TraceError::malformed(&name, Place::Whole, expected, shown(name.as_bytes())));
    };
    let compression = compression.or_else(|| Compression::of_path(path)).unwrap_or(Compression::None);
    Ok(writer_of(Output::create(path, compression)?, format, columns))
}

/// Starts to write a trace to `sink`; errors call it `name`. As [`create_path`], without a file.
///
/// # Errors
/// [`TraceError`] if the compressor cannot be set up.
pub fn create_stream(
    name: &str,
    sink: Box<dyn Write + Send>,
    format: Format,
    compression: Compression,
    columns: Columns,
) -> Result<Box<dyn TraceWriter>, TraceError> {
    Ok(writer_of(Output::new(name, sink, compression)?, format, columns))
}

fn writer_of(output: Output, format: Format, columns: Columns) -> Box<dyn TraceWriter> {
    match format {
        Format::Lackey => Writer::boxed(output, LackeyEncoder::default()),
        Format::Din => Writer::boxed(output, DinEncoder),
        Format::ChampSim => Writer::boxed(output, ChampSimEncoder::default()),
        Format::Raw => Writer::boxed(output, RawEncoder),
        Format::Csv => Writer::boxed(output, CsvEncoder::new(columns)),
    }
}

/// What a format does with one access.
pub(crate) trait Encoder: Send {
    /// Whether the format is words as a batch holds them, with neither sizes nor fetches.
    const IS_RAW: bool = false;

    /// Writes what comes before the first access.
    fn start(&mut self, _out: &mut Vec<u8>) {}

    /// Appends an access, or returns what was expected of it. `has_ips` says whether the ip means something.
    fn access(
        &mut self,
        access: Access,
        has_ips: bool,
        out: &mut Vec<u8>,
        report: &mut WriteReport,
    ) -> Result<(), &'static str>;

    /// Writes what comes after the last access.
    fn end(&mut self, _out: &mut Vec<u8>) {}
}

struct Writer<E> {
    output: Output,
    encoder: E,
    report: WriteReport,
    /// Accesses that were taken so far.
    taken: u64,
    failed: bool,
}

impl<E: Encoder + 'static> Writer<E> {
    fn boxed(mut output: Output, mut encoder: E) -> Box<dyn TraceWriter> {
        encoder.start(&mut output.buffer);
        Box::new(Self { output, encoder, report: WriteReport::default(), taken: 0, failed: false })
    }

    fn append(&mut self, batch: BatchRef<'_>) -> Result<(), TraceError> {
        let has_ips = !batch.ips.is_empty();
        let is_plain = batch.sizes.is_empty() && batch.fetches.is_empty() && batch.threads.is_empty() && !has_ips;
        if E::IS_RAW && is_plain {
            for words in batch.words.chunks(1 << 13) {
                self.output.buffer.extend(words.iter().flat_map(|word| word.to_le_bytes()));
                self.output.drain()?;
            }
            self.report.accesses += widen(batch.len());
            return Ok(());
        }
        for index in 0..batch.len() {
            let access = batch.get(index);
            check_extent(access.address, access.size.into())
                .and_then(|_| self.encoder.access(access, has_ips, &mut self.output.buffer, &mut self.report))
                .map_err(|expected| {
                    let place = Place::Record(self.taken);
                    TraceError::malformed(self.output.name(), place, expected, described(access))
                })?;
            self.taken += 1;
            self.output.drain()?;
        }
        Ok(())
    }
}

impl<E: Encoder + 'static> TraceWriter for Writer<E> {
    fn write(&mut self, batch: BatchRef<'_>) -> Result<(), TraceError> {
        let result = self.append(batch);
        self.failed |= result.is_err();
        result
    }

    fn finish(mut self: Box<Self>) -> Result<WriteReport, TraceError> {
        if self.failed {
            let error = std::io::Error::other("writing failed before");
            return Err(TraceError::io(self.output.name(), Place::Whole, error));
        }
        self.encoder.end(&mut self.output.buffer);
        self.output.finish()?;
        Ok(self.report)
    }
}

/// An access in words, for an error.
fn described(access: Access) -> String {
    let Access { address, size, kind, .. } = access;
    format!("a {} of size {size} at {address:#x}", kind.name())
}

/// The address of the first byte that an access touches in each 64-byte line.
#[inline]
pub(crate) fn pieces(access: Access) -> impl Iterator<Item = u64> {
    let Access { address, size, .. } = access;
    let end = address + u64::from(size.max(1));
    std::iter::successors(Some(address), move |piece| {
        let next = (piece | (LINE_BYTES - 1)) + 1;
        (next < end).then_some(next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::AccessKind;

    #[test]
    fn access_has_a_piece_in_each_line_it_touches() {
        let pieces_of = |address, size| {
            let access = Access { address, size, kind: AccessKind::Read, thread: 0, ip: 0 };
            pieces(access).collect::<Vec<_>>()
        };
        assert_eq!(pieces_of(0x1000, 64), [0x1000]);
        assert_eq!(pieces_of(0x103f, 1), [0x103f]);
        assert_eq!(pieces_of(0x103f, 2), [0x103f, 0x1040]);
        assert_eq!(pieces_of(0x1001, 128), [0x1001, 0x1040, 0x1080]);
        assert_eq!(pieces_of((1 << 63) - 1, 1), [(1 << 63) - 1]);
    }
}
