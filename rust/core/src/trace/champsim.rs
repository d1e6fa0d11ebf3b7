//! The traces of ChampSim: a record of 64 bytes an instruction, little endian, without a header.
//!
//! A record is `ip: u64, is_branch: u8, branch_taken: u8, destination_registers: [u8; 2], source_registers: [u8; 4],
//! destination_memory: [u64; 2], source_memory: [u64; 4]`; memory slots that hold 0 are empty. It stands for a fetch
//! at `ip` (none if that is 0), then the reads of its sources, then the writes of its destinations, each of 1 byte,
//! since the format has no sizes. Source: the trace format of ChampSim (`input_instr` in inc/trace_instruction.h).

use super::error::{Place, TraceError};
use super::input::Input;
use super::text::EXPECTED_ADDRESS;
use super::{ADDRESS_LIMIT, Access, AccessKind, Batch, Columns, READ_MAX, TraceReader};

/// Bytes of a record.
pub(crate) const RECORD_BYTES: usize = 64;

/// Where the written and the read addresses stand in a record.
pub(crate) const DESTINATIONS_AT: usize = 16;
pub(crate) const DESTINATIONS: usize = 2;
pub(crate) const SOURCES_AT: usize = 32;
pub(crate) const SOURCES: usize = 4;

/// Accesses of a record at most: a fetch, the reads and the writes.
const ACCESSES_MAX: usize = 1 + SOURCES + DESTINATIONS;

/// What ChampSim traces have.
pub(crate) const COLUMNS: Columns = Columns { sizes: false, fetches: true, threads: false, ips: true };

/// A ChampSim trace.
pub(crate) struct ChampSimReader {
    input: Input,
    /// Records before the first byte at hand.
    records: u64,
    /// Accesses of the last record that found no room, in reverse order.
    pending: Vec<Access>,
}

impl ChampSimReader {
    /// Reads the rest of `input`.
    pub(crate) fn new(input: Input) -> Self {
        Self { input, records: 0, pending: Vec::with_capacity(ACCESSES_MAX) }
    }

    /// Fills the bytes at hand up to a record; `false` at the end.
    fn has_record(&mut self) -> Result<bool, TraceError> {
        while self.input.bytes().len() < RECORD_BYTES {
            if self.input.fill()? == 0 {
                let rest = self.input.bytes().len();
                if rest > 0 {
                    let got = format!("{rest} bytes at the end of the trace");
                    let place = Place::Byte(self.input.offset());
                    return Err(TraceError::malformed(self.input.name(), place, "a record of 64 bytes", got));
                }
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl TraceReader for ChampSimReader {
    fn read(&mut self, batch: &mut Batch, limit: usize) -> Result<bool, TraceError> {
        let limit = limit.clamp(1, READ_MAX);
        batch.clear();
        batch.reserve(limit + ACCESSES_MAX, COLUMNS);
        while batch.len() < limit {
            let Some(access) = self.pending.pop() else { break };
            batch.push(access, COLUMNS);
        }
        while batch.len() < limit && self.has_record()? {
            let (records, _) = self.input.bytes().as_chunks::<RECORD_BYTES>();
            let mut taken = 0;
            for record in records {
                if batch.len() >= limit {
                    break;
                }
                push_record(record, batch).map_err(|address| {
                    let place = Place::Record(self.records);
                    TraceError::malformed(self.input.name(), place, EXPECTED_ADDRESS, format!("{address:#x}"))
                })?;
                self.records += 1;
                taken += 1;
            }
            self.input.consume(taken * RECORD_BYTES);
        }
        while batch.len() > limit {
            self.pending.extend(batch.pop());
        }
        Ok(!batch.is_empty())
    }
}

/// Appends the accesses of a record, or returns an address that is too high.
fn push_record(record: &[u8; RECORD_BYTES], batch: &mut Batch) -> Result<(), u64> {
    let (words, _) = record.as_chunks::<8>();
    let ip = u64::from_le_bytes(words[0]);
    let mut push = |address: u64, kind| {
        if address >= ADDRESS_LIMIT {
            return Err(address);
        }
        if address != 0 {
            batch.push(Access { address, size: 1, kind, thread: 0, ip }, COLUMNS);
        }
        Ok(())
    };
    push(ip, AccessKind::Fetch)?;
    for source in &words[SOURCES_AT / 8..][..SOURCES] {
        push(u64::from_le_bytes(*source), AccessKind::Read)?;
    }
    for destination in &words[DESTINATIONS_AT / 8..][..DESTINATIONS] {
        push(u64::from_le_bytes(*destination), AccessKind::Write)?;
    }
    Ok(())
}
