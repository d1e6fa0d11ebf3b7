//! The text that Valgrind writes with `--tool=lackey --trace-mem=yes`.
//!
//! Lines are `I  address,size` (fetch), ` L address,size` (load), ` S address,size` (store) and ` M address,size`
//! (modify: a load and a store), addresses in hexadecimal and sizes in decimal. Data accesses follow the fetch of
//! their instruction and get its address. Valgrind's own lines (`==pid==`, `--pid--`, `**pid**`) and blank lines are
//! skipped; output of the traced program that got into the trace is an error. Source: Valgrind 3.19, lackey/lk_main.c,
//! and the manual's chapter on Lackey. Not kept on writing: threads.

use super::number::{decimal, hex, push_decimal, push_hex};
use super::text::{EXPECTED_ADDRESS, EXPECTED_SIZE, LineParser, check_extent, end_of_line, next_line};
use super::write::{Encoder, WriteReport};
use super::{Access, AccessKind, Batch, Columns};

const EXPECTED: &str = "'I  address,size', ' L address,size', ' S address,size' or ' M address,size'";

/// What lackey traces have.
const COLUMNS: Columns = Columns { sizes: true, fetches: true, threads: false, ips: true };

/// Digits of an address at least, as lackey prints it.
const ADDRESS_DIGITS: u32 = 8;

/// The state between lines of a lackey trace.
#[derive(Debug, Default)]
pub(crate) struct LackeyParser {
    /// Address of the latest fetch, 0 before the first.
    ip: u64,
}

impl LineParser for LackeyParser {
    fn columns(&self) -> Columns {
        COLUMNS
    }

    #[inline(always)]
    fn line(&mut self, bytes: &[u8], at: usize, batch: &mut Batch) -> Result<usize, &'static str> {
        let head = [bytes[at], bytes[at + 1], bytes[at + 2]];
        let (kind, modifies) = match &head {
            b"I  " => (AccessKind::Fetch, false),
            b" L " => (AccessKind::Read, false),
            b" S " => (AccessKind::Write, false),
            b" M " => (AccessKind::Read, true),
            _ => return no_record(bytes, at),
        };
        let digits = hex(bytes, at + 3);
        let comma = at + 3 + digits.len;
        if digits.len == 0 || bytes[comma] != b',' {
            return Err(EXPECTED);
        }
        let (size, next) = match (bytes[comma + 1], bytes[comma + 2]) {
            (digit @ b'1'..=b'9', b'\n') => (u64::from(digit - b'0'), comma + 3),
            _ => long_size(bytes, comma + 1)?,
        };
        if digits.overflows {
            return Err(EXPECTED_ADDRESS);
        }
        let size = check_extent(digits.value, size)?;
        if kind == AccessKind::Fetch {
            self.ip = digits.value;
        }
        let access = Access { address: digits.value, size, kind, thread: 0, ip: self.ip };
        batch.push(access, COLUMNS);
        if modifies {
            batch.push(Access { kind: AccessKind::Write, ..access }, COLUMNS);
        }
        Ok(next)
    }
}

/// A size of more than one digit, and where the next line starts.
fn long_size(bytes: &[u8], at: usize) -> Result<(u64, usize), &'static str> {
    let digits = decimal(bytes, at);
    if digits.len == 0 {
        return Err(EXPECTED);
    }
    let next = end_of_line(bytes, at + digits.len).ok_or(EXPECTED)?;
    if digits.overflows { Err(EXPECTED_SIZE) } else { Ok((digits.value, next)) }
}

/// Skips a line of Valgrind's own or a blank one.
#[cold]
fn no_record(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    let banner = matches!(&bytes[at..at + 2], b"==" | b"--" | b"**") && bytes[at + 2].is_ascii_digit();
    if banner { Ok(next_line(bytes, at)) } else { end_of_line(bytes, at).ok_or(EXPECTED) }
}

/// Writes a lackey trace, each line by itself: a modify comes out as its load and its store.
#[derive(Debug, Default)]
pub(crate) struct LackeyEncoder {
    /// Address of the latest fetch, 0 before the first.
    ip: u64,
}

impl Encoder for LackeyEncoder {
    #[inline]
    fn access(
        &mut self,
        access: Access,
        _has_ips: bool,
        out: &mut Vec<u8>,
        report: &mut WriteReport,
    ) -> Result<(), &'static str> {
        match access.kind {
            AccessKind::Fetch => self.ip = access.address,
            _ => report.dropped_ips |= access.ip != 0 && access.ip != self.ip,
        }
        out.extend_from_slice(match access.kind {
            AccessKind::Fetch => b"I  ",
            AccessKind::Read => b" L ",
            AccessKind::Write => b" S ",
        });
        push_hex(out, access.address, ADDRESS_DIGITS);
        out.push(b',');
        push_decimal(out, access.size);
        out.push(b'\n');
        report.dropped_threads |= access.thread != 0;
        report.accesses += 1;
        Ok(())
    }
}
