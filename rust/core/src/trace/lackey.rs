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

const FETCH: &[u8; 3] = b"I  ";
const READ: &[u8; 3] = b" L ";
const WRITE: &[u8; 3] = b" S ";
const MODIFY: &[u8; 3] = b" M ";

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
        // Which of the three comes next is hard to predict, so nothing branches on it.
        let head = [bytes[at], bytes[at + 1], bytes[at + 2]];
        let (is_fetch, is_read, is_write) = (head == *FETCH, head == *READ, head == *WRITE);
        if !(is_fetch | is_read | is_write) {
            return self.other_line(bytes, at, batch);
        }
        let (address, size, next) = address_and_size(bytes, at + 3)?;
        self.ip = if is_fetch { address } else { self.ip };
        let data = if is_write { AccessKind::Write } else { AccessKind::Read };
        let kind = if is_fetch { AccessKind::Fetch } else { data };
        batch.push(Access { address, size, kind, thread: 0, ip: self.ip }, COLUMNS);
        Ok(next)
    }
}

impl LackeyParser {
    /// A modify, or a line without an access.
    #[inline(never)]
    fn other_line(&mut self, bytes: &[u8], at: usize, batch: &mut Batch) -> Result<usize, &'static str> {
        if bytes[at..at + 3] == *MODIFY {
            let (address, size, next) = address_and_size(bytes, at + 3)?;
            for kind in [AccessKind::Read, AccessKind::Write] {
                batch.push(Access { address, size, kind, thread: 0, ip: self.ip }, COLUMNS);
            }
            return Ok(next);
        }
        let is_banner = matches!(&bytes[at..at + 2], b"==" | b"--" | b"**") && bytes[at + 2].is_ascii_digit();
        if is_banner { Ok(next_line(bytes, at)) } else { end_of_line(bytes, at).ok_or(EXPECTED) }
    }
}

/// What follows the letter: `address,size`, and where the next line starts.
#[inline(always)]
fn address_and_size(bytes: &[u8], at: usize) -> Result<(u64, u32, usize), &'static str> {
    let digits = hex(bytes, at);
    let comma = at + digits.len;
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
    Ok((digits.value, check_extent(digits.value, size)?, next))
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
            AccessKind::Fetch => FETCH,
            AccessKind::Read => READ,
            AccessKind::Write => WRITE,
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use crate::trace::TraceReader;
    use crate::trace::input::Input;
    use crate::trace::text::{Lines, TextReader};
    use std::io::Cursor;

    #[test]
    fn store_of_a_modify_waits_for_the_next_batch_when_one_is_full() {
        let lines = Lines::new(Input::new("t", Box::new(Cursor::new(b" M 10,8\n M 20,8\n".to_vec()))));
        let mut reader = TextReader::new(lines, LackeyParser::default());
        let mut batch = Batch::default();
        let mut batches = Vec::new();
        while reader.read(&mut batch, 3).unwrap() {
            batches.push(batch.words.clone());
        }
        let write = crate::trace::WRITE_BIT;
        assert_eq!(batches, [vec![0x10, 0x10 | write, 0x20], vec![0x20 | write]]);
    }

    #[test]
    fn banner_needs_a_digit_behind_its_marks() {
        let mut parser = LackeyParser::default();
        let mut line = |text: &[u8]| parser.line(&[text, &[0; 32]].concat(), 0, &mut Batch::default());
        assert_eq!(line(b"==1==\n"), Ok(6));
        assert_eq!(line(b"--1-- x\n"), Ok(8));
        assert_eq!(line(b"==\n1"), Err(EXPECTED));
        assert_eq!(line(b"--help\n"), Err(EXPECTED));
    }
}
