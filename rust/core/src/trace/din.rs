//! The text of the Dinero simulators: `label address [size]`, one access a line.
//!
//! Labels are 0 (read), 1 (write), 2 (fetch) and 3 (unknown, taken for a read as Dinero IV does) of the traditional
//! format and r, w, i and m (miscellaneous, a read) of the extended one, in either case. Label 4 and the letters c
//! and v flush or invalidate caches, which no replay can honour, and are refused. Addresses and sizes are hexadecimal
//! with or without 0x; what follows is a comment. After a label that is a digit the third word is a size only if it
//! starts with a decimal digit, since a comment may stand there. Without a size Dinero assumes the aligned four-byte
//! word around the address: such an access never crosses a line and has size 1 here. Blank lines and lines that
//! start with `#` are skipped. Source: the man page and notes of Dinero IV, release 7. Not kept on writing: threads,
//! instruction addresses of data accesses.

use super::number::{hex, push_decimal, push_hex};
use super::text::{EXPECTED_ADDRESS, EXPECTED_SIZE, LineParser, check_extent, next_line};
use super::write::{Encoder, WriteReport};
use super::{ADDRESS_LIMIT, Access, AccessKind, Batch, Columns, SIZE_MAX};

const EXPECTED: &str = "'label address [size]' with label 0, 1, 2, 3, r, w, i or m and a hexadecimal address and size";
const EXPECTED_NO_FLUSH: &str = "a read, write or fetch, since a replay cannot flush or invalidate (labels 4, c, v)";

/// What din traces have.
const COLUMNS: Columns = Columns { sizes: true, fetches: true, threads: false, ips: false };

/// A din trace; no line depends on another.
#[derive(Debug, Default)]
pub(crate) struct DinParser;

impl LineParser for DinParser {
    fn columns(&self) -> Columns {
        COLUMNS
    }

    #[inline(always)]
    fn line(&mut self, bytes: &[u8], at: usize, batch: &mut Batch) -> Result<usize, &'static str> {
        // Nearly every line is a digit, a blank, an address and nothing or a blank and a size of one digit.
        let kind = match bytes[at] {
            b'0' => AccessKind::Read,
            b'1' => AccessKind::Write,
            b'2' => AccessKind::Fetch,
            _ => return any_line(bytes, at, batch),
        };
        let digits = hex(bytes, at + 2);
        let end = at + 2 + digits.len;
        let (size, next) = match (bytes[end], bytes[end + 1], bytes[end + 2]) {
            (b'\n', _, _) => (1, end + 1),
            (b' ', size @ b'1'..=b'9', b'\n') => (u32::from(size - b'0'), end + 3),
            _ => return any_line(bytes, at, batch),
        };
        let is_plain = bytes[at + 1] == b' ' && digits.len > 0 && !digits.overflows;
        if !is_plain || digits.value >= ADDRESS_LIMIT - u64::from(SIZE_MAX) {
            return any_line(bytes, at, batch);
        }
        batch.push(Access { address: digits.value, size, kind, thread: 0, ip: 0 }, COLUMNS);
        Ok(next)
    }
}

/// Appends the access of a line of any allowed shape and returns where the next line starts.
fn any_line(bytes: &[u8], at: usize, batch: &mut Batch) -> Result<usize, &'static str> {
    let start = skip_blanks(bytes, at);
    let label = bytes[start];
    let kind = match label {
        b'0' | b'3' | b'r' | b'R' | b'm' | b'M' => AccessKind::Read,
        b'1' | b'w' | b'W' => AccessKind::Write,
        b'2' | b'i' | b'I' => AccessKind::Fetch,
        _ => return no_access(bytes, start),
    };
    if !matches!(bytes[start + 1], b' ' | b'\t') {
        return Err(EXPECTED);
    }
    let address = prefixed_hex(bytes, skip_blanks(bytes, start + 1), EXPECTED_ADDRESS)?;
    let third = skip_blanks(bytes, address.1);
    let (size, next) = match bytes[third] {
        b'\n' => (1, third + 1),
        first if first.is_ascii_digit() || label.is_ascii_alphabetic() && first.is_ascii_hexdigit() => {
            let (size, end) = prefixed_hex(bytes, third, EXPECTED_SIZE)?;
            (size, if bytes[end] == b'\n' { end + 1 } else { next_line(bytes, end) })
        }
        _ => (1, next_line(bytes, third)),
    };
    let size = check_extent(address.0, size)?;
    batch.push(Access { address: address.0, size, kind, thread: 0, ip: 0 }, COLUMNS);
    Ok(next)
}

#[inline(always)]
fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes[at], b' ' | b'\t' | b'\r') {
        at += 1;
    }
    at
}

/// The hexadecimal word at `at`, and where it ends; `too_big` is what to expect of a value over 64 bits.
#[inline(always)]
fn prefixed_hex(bytes: &[u8], mut at: usize, too_big: &'static str) -> Result<(u64, usize), &'static str> {
    if bytes[at] == b'0' && matches!(bytes[at + 1], b'x' | b'X') {
        at += 2;
    }
    let digits = hex(bytes, at);
    let end = at + digits.len;
    if digits.len == 0 || !matches!(bytes[end], b' ' | b'\t' | b'\r' | b'\n') {
        return Err(EXPECTED);
    }
    if digits.overflows { Err(too_big) } else { Ok((digits.value, end)) }
}

/// Skips a blank line or a comment.
#[cold]
fn no_access(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    match bytes[at] {
        b'\n' => Ok(at + 1),
        b'#' => Ok(next_line(bytes, at)),
        b'4' | b'c' | b'C' | b'v' | b'V' if matches!(bytes[at + 1], b' ' | b'\t' | b'\r' | b'\n') => {
            Err(EXPECTED_NO_FLUSH)
        }
        _ => Err(EXPECTED),
    }
}

/// Writes a din trace in three columns.
#[derive(Debug)]
pub(crate) struct DinEncoder;

impl Encoder for DinEncoder {
    #[inline]
    fn access(
        &mut self,
        access: Access,
        _has_ips: bool,
        out: &mut Vec<u8>,
        report: &mut WriteReport,
    ) -> Result<(), &'static str> {
        out.push(match access.kind {
            AccessKind::Read => b'0',
            AccessKind::Write => b'1',
            AccessKind::Fetch => b'2',
        });
        out.push(b' ');
        push_hex(out, access.address, 1);
        out.push(b' ');
        if access.size < 10 {
            push_decimal(out, access.size);
        } else {
            // Behind a digit as label a word that starts with a letter would be a comment: the first digit is a 0.
            push_hex(out, access.size.into(), 6);
        }
        out.push(b'\n');
        report.dropped_ips |= access.ip != 0 && access.kind != AccessKind::Fetch;
        report.dropped_threads |= access.thread != 0;
        report.accesses += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_path_reads_what_the_long_one_does(
            label in "[0-4 r]",
            blank in "[ \t\n]",
            address in "[0-9a-fx]{0,18}",
            rest in "( [0-9a]{0,3})?",
        ) {
            let bytes = [format!("{label}{blank}{address}{rest}\n").as_bytes(), &[0; 32]].concat();
            let (mut short, mut long) = (Batch::default(), Batch::default());
            prop_assert_eq!(DinParser.line(&bytes, 0, &mut short), any_line(&bytes, 0, &mut long));
            prop_assert_eq!(short, long);
        }
    }
}
