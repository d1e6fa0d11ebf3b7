//! The raw format: a little-endian `u64` an access, no header; bit 63 says write, bits 0..62 are the byte address.
//!
//! It is the main column of a [`Batch`] as it stands in memory, so reading is a copy. Not kept on writing: sizes (an
//! access that crosses a 64-byte line becomes one word a line), fetches, threads, instruction addresses.

use super::error::{Place, TraceError};
use super::input::Input;
use super::write::{Encoder, WriteReport, pieces};
use super::{Access, AccessKind, Batch, READ_MAX, TraceReader, WRITE_BIT};

/// Bytes of a word.
const WORD_BYTES: usize = 8;

/// A raw trace.
pub(crate) struct RawReader {
    input: Input,
}

impl RawReader {
    /// Reads the rest of `input`.
    pub(crate) fn new(input: Input) -> Self {
        Self { input }
    }
}

impl TraceReader for RawReader {
    fn read(&mut self, batch: &mut Batch, limit: usize) -> Result<bool, TraceError> {
        let limit = limit.clamp(1, READ_MAX);
        batch.clear();
        batch.words.reserve(limit);
        while batch.len() < limit {
            let (words, rest) = self.input.bytes().as_chunks::<WORD_BYTES>();
            if words.is_empty() {
                let rest = rest.len();
                if self.input.fill()? > 0 {
                    continue;
                }
                if rest > 0 {
                    let got = format!("only {rest} at the end of the trace");
                    let place = Place::Byte(self.input.offset());
                    return Err(TraceError::malformed(self.input.name(), place, "a word of 8 bytes", got));
                }
                break;
            }
            let count = words.len().min(limit - batch.len());
            batch.words.extend(words[..count].iter().map(|word| u64::from_le_bytes(*word)));
            self.input.consume(count * WORD_BYTES);
        }
        Ok(!batch.is_empty())
    }
}

/// Writes a raw trace.
#[derive(Debug)]
pub(crate) struct RawEncoder;

impl Encoder for RawEncoder {
    const IS_RAW: bool = true;

    #[inline]
    fn access(
        &mut self,
        access: Access,
        _has_ips: bool,
        out: &mut Vec<u8>,
        report: &mut WriteReport,
    ) -> Result<(), &'static str> {
        report.dropped_threads |= access.thread != 0;
        if access.kind == AccessKind::Fetch {
            report.dropped_fetches += 1;
            return Ok(());
        }
        report.dropped_ips |= access.ip != 0;
        let bit = if access.kind == AccessKind::Write { WRITE_BIT } else { 0 };
        let mut count = 0;
        for piece in pieces(access) {
            out.extend_from_slice(&(piece | bit).to_le_bytes());
            count += 1;
        }
        report.accesses += count;
        report.split += u64::from(count > 1);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn batches_are_full_but_the_last() {
        let bytes = (0..10u64).flat_map(u64::to_le_bytes).collect::<Vec<_>>();
        let mut reader = RawReader::new(Input::new("t", Box::new(Cursor::new(bytes))));
        let mut batch = Batch::default();
        let mut sizes = Vec::new();
        while reader.read(&mut batch, 4).unwrap() {
            sizes.push(batch.len());
        }
        assert_eq!((sizes, batch.len()), (vec![4, 4, 2], 0));
    }
}
