//! The traces of ChampSim: a record of 64 bytes an instruction, little endian, without a header.
//!
//! A record is `ip: u64, is_branch: u8, branch_taken: u8, destination_registers: [u8; 2], source_registers: [u8; 4],
//! destination_memory: [u64; 2], source_memory: [u64; 4]`; memory slots that hold 0 are empty. It stands for a fetch
//! at `ip` (none if that is 0), then the reads of its sources, then the writes of its destinations, each of 1 byte,
//! since the format has no sizes. Source: the trace format of ChampSim (`input_instr` in inc/trace_instruction.h).

use super::error::{Place, TraceError};
use super::input::Input;
use super::text::{EXPECTED_ACCESS, EXPECTED_ADDRESS, IDLE_BYTES_MAX};
use super::write::{Encoder, WriteReport, pieces};
use super::{ADDRESS_LIMIT, Access, AccessKind, Batch, Columns, READ_MAX, TraceReader};

/// Bytes of a record.
const RECORD_BYTES: usize = 64;

/// Where the written and the read addresses stand in a record.
const DESTINATIONS_AT: usize = 16;
const DESTINATIONS: usize = 2;
const SOURCES_AT: usize = 32;
const SOURCES: usize = 4;

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
    /// Bytes of the records since the last one with an access.
    idle: usize,
}

impl ChampSimReader {
    /// Reads the rest of `input`.
    pub(crate) fn new(input: Input) -> Self {
        Self { input, records: 0, pending: Vec::with_capacity(ACCESSES_MAX), idle: 0 }
    }

    /// Fills the bytes at hand up to a record; `false` at the end.
    fn has_record(&mut self) -> Result<bool, TraceError> {
        while self.input.bytes().len() < RECORD_BYTES {
            if self.input.fill()? == 0 {
                let rest = self.input.bytes().len();
                if rest > 0 {
                    let got = format!("only {rest} at the end of the trace");
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
                let had = batch.len();
                let error = |expected, got| {
                    TraceError::malformed(self.input.name(), Place::Record(self.records), expected, got)
                };
                push_record(record, batch).map_err(|address| error(EXPECTED_ADDRESS, format!("{address:#x}")))?;
                self.idle = if batch.len() > had { 0 } else { self.idle + RECORD_BYTES };
                if self.idle > IDLE_BYTES_MAX {
                    return Err(error(EXPECTED_ACCESS, "none".to_owned()));
                }
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

/// Writes a ChampSim trace: a fetch takes along up to four reads and then two writes of its instruction.
///
/// What does not fit (a read after a write, a fifth read, data of another instruction) starts a record without an
/// `ip`, so that data accesses keep their order and no fetch is invented.
#[derive(Debug, Default)]
pub(crate) struct ChampSimEncoder {
    record: Option<Record>,
}

/// A record that is being filled.
#[derive(Debug)]
struct Record {
    /// What stands in the record; 0 if the instruction has a record already.
    ip: u64,
    /// The instruction whose accesses are in the record, 0 if that is not known.
    owner: u64,
    sources: Slots<SOURCES>,
    destinations: Slots<DESTINATIONS>,
}

/// Memory slots of a record, filled from the front.
#[derive(Debug)]
struct Slots<const N: usize> {
    addresses: [u64; N],
    used: usize,
}

impl<const N: usize> Slots<N> {
    fn new() -> Self {
        Self { addresses: [0; N], used: 0 }
    }

    /// Takes `address` if a slot is free.
    fn push(&mut self, address: u64) -> bool {
        let Some(slot) = self.addresses.get_mut(self.used) else { return false };
        *slot = address;
        self.used += 1;
        true
    }
}

impl Record {
    fn new(ip: u64, owner: u64) -> Self {
        Self { ip, owner, sources: Slots::new(), destinations: Slots::new() }
    }

    /// Takes a data access if its place in the order of a record is still to come.
    fn push(&mut self, address: u64, kind: AccessKind) -> bool {
        match kind {
            AccessKind::Write => self.destinations.push(address),
            _ => self.destinations.used == 0 && self.sources.push(address),
        }
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; RECORD_BYTES];
        let (words, _) = bytes.as_chunks_mut::<8>();
        words[0] = self.ip.to_le_bytes();
        for (word, address) in words[DESTINATIONS_AT / 8..].iter_mut().zip(self.destinations.addresses) {
            *word = address.to_le_bytes();
        }
        for (word, address) in words[SOURCES_AT / 8..].iter_mut().zip(self.sources.addresses) {
            *word = address.to_le_bytes();
        }
        out.extend_from_slice(&bytes);
    }
}

impl Encoder for ChampSimEncoder {
    fn access(
        &mut self,
        access: Access,
        has_ips: bool,
        out: &mut Vec<u8>,
        report: &mut WriteReport,
    ) -> Result<(), &'static str> {
        if access.address == 0 {
            return Err("an address other than 0, which means an empty slot in champsim");
        }
        report.dropped_threads |= access.thread != 0;
        if access.kind == AccessKind::Fetch {
            self.end(out);
            self.record = Some(Record::new(access.address, access.address));
            report.accesses += 1;
            return Ok(());
        }
        let mut count = 0;
        for piece in pieces(access) {
            let known = if has_ips { Some(access.ip) } else { None };
            let fits = self
                .record
                .as_mut()
                .is_some_and(|record| known.is_none_or(|ip| ip == record.owner) && record.push(piece, access.kind));
            if !fits {
                self.end(out);
                let mut record = Record::new(0, access.ip);
                assert!(record.push(piece, access.kind), "an empty record has room");
                self.record = Some(record);
                report.dropped_ips |= access.ip != 0;
            }
            count += 1;
        }
        report.accesses += count;
        report.split += u64::from(count > 1);
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(record) = self.record.take() {
            record.append_to(out);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_where_champsim_has_them() {
        let mut encoder = ChampSimEncoder::default();
        let (mut out, mut report) = (Vec::new(), WriteReport::default());
        for (address, kind) in [(1, AccessKind::Fetch), (2, AccessKind::Read), (3, AccessKind::Write)] {
            encoder.access(Access { address, size: 1, kind, thread: 0, ip: 1 }, true, &mut out, &mut report).unwrap();
        }
        encoder.end(&mut out);
        let mut record = [0; RECORD_BYTES];
        (record[0], record[32], record[16]) = (1, 2, 3);
        assert_eq!(out, record);
    }

    #[test]
    fn read_after_a_write_starts_a_record_without_a_fetch() {
        let mut encoder = ChampSimEncoder::default();
        let (mut out, mut report) = (Vec::new(), WriteReport::default());
        for (address, kind) in [(1, AccessKind::Fetch), (3, AccessKind::Write), (2, AccessKind::Read)] {
            encoder.access(Access { address, size: 1, kind, thread: 0, ip: 1 }, true, &mut out, &mut report).unwrap();
        }
        encoder.end(&mut out);
        assert_eq!((out.len(), out[0], out[RECORD_BYTES], report.dropped_ips), (128, 1, 0, true));
    }
}
