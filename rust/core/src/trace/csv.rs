//! Comma-separated values: a header line that names the columns, then an access a line.
//!
//! Columns are `address` (or `vaddr`, `addr`), `size`, `kind`, `thread` and `ip`, in any order; only the address must
//! be there. Numbers are decimal, or hexadecimal after 0x. A kind is read, write or fetch, or load, store or ifetch,
//! or a letter (r, w, i, l, s), in either case, or a label of the din format (0, 1, 2). Fields may stand in double
//! quotes and between blanks; quotes inside quotes do not exist here. Without a size an access has 1 byte, without a
//! kind it is a read. A fetch is its own instruction: its `ip` is its address, whatever the column says. Blank lines
//! and lines that start with `#` are skipped.

use super::error::{Place, TraceError, shown};
use super::number::{decimal, hex, push_decimal, push_hex};
use super::text::{
    EXPECTED_ADDRESS, EXPECTED_SIZE, IDLE_BYTES_MAX, LineParser, Lines, check_extent, end_of_line, next_line,
};
use super::write::{Encoder, WriteReport};
use super::{ADDRESS_LIMIT, Access, AccessKind, Batch, Columns};

const EXPECTED_NUMBER: &str = "a number in every column, decimal or hexadecimal after 0x";
const EXPECTED_KIND: &str = "a kind of read, write or fetch (or load, store, ifetch; r, w, i, l, s; 0, 1, 2)";
const EXPECTED_THREAD: &str = "a thread below 2^32";
const EXPECTED_IP: &str = "an instruction address below 2^63 (8 EiB)";
const EXPECTED_FIELDS: &str = "as many fields as the header has columns";
const EXPECTED_QUOTE: &str = "a closing quote";

/// A column of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Address,
    Size,
    Kind,
    Thread,
    Ip,
}

impl Column {
    /// The column that a field of a header names.
    fn named(name: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_slice() {
            b"address" | b"vaddr" | b"addr" => Some(Self::Address),
            b"size" => Some(Self::Size),
            b"kind" => Some(Self::Kind),
            b"thread" => Some(Self::Thread),
            b"ip" => Some(Self::Ip),
            _ => None,
        }
    }
}

/// The rows of a CSV trace.
#[derive(Debug)]
pub(crate) struct CsvParser {
    order: Vec<Column>,
    columns: Columns,
}

impl CsvParser {
    /// Takes the header off `lines`.
    pub(crate) fn after_header(lines: &mut Lines) -> Result<Self, TraceError> {
        let mut skipped = 0;
        while let Some(line) = lines.next_line()? {
            let place = Place::Line(lines.count());
            if !line.trim_ascii().is_empty() && !line.starts_with(b"#") {
                return Self::of_header(&line)
                    .map_err(|(expected, got)| TraceError::malformed(lines.name(), place, expected, got));
            }
            skipped += line.len() + 1;
            if skipped > IDLE_BYTES_MAX {
                return Err(TraceError::malformed(lines.name(), place, "a header in 64 MiB", "none"));
            }
        }
        Err(TraceError::empty(lines.name()))
    }

    /// Reads a header, or says what was expected of it and what stood there.
    fn of_header(line: &[u8]) -> Result<Self, (String, String)> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let mut order = Vec::new();
        for field in line.split(|&byte| byte == b',') {
            let name = unquoted(field);
            let Some(column) = Column::named(name) else {
                let expected = "a header with columns among address, size, kind, thread, ip";
                return Err((expected.into(), shown(name)));
            };
            if order.contains(&column) {
                return Err(("each column once".into(), format!("{} again", shown(name))));
            }
            order.push(column);
        }
        if !order.contains(&Column::Address) {
            return Err(("a header with a column address".into(), shown(line)));
        }
        let columns = Columns {
            sizes: order.contains(&Column::Size),
            fetches: order.contains(&Column::Kind),
            threads: order.contains(&Column::Thread),
            ips: order.contains(&Column::Ip),
        };
        Ok(Self { order, columns })
    }

    /// Whether `line` is a header of a trace.
    pub(crate) fn is_header(line: &[u8]) -> bool {
        Self::of_header(line).is_ok()
    }
}

impl LineParser for CsvParser {
    fn columns(&self) -> Columns {
        self.columns
    }

    #[inline]
    fn line(&mut self, bytes: &[u8], at: usize, batch: &mut Batch) -> Result<usize, &'static str> {
        if let Some(next) = end_of_line(bytes, at) {
            return Ok(next);
        }
        if bytes[at] == b'#' {
            return Ok(next_line(bytes, at));
        }
        let mut access = Access { address: 0, size: 1, kind: AccessKind::Read, thread: 0, ip: 0 };
        let mut size = 1;
        let mut at = at;
        for (index, column) in self.order.iter().enumerate() {
            if index > 0 {
                if bytes[at] != b',' {
                    return Err(EXPECTED_FIELDS);
                }
                at += 1;
            }
            at = match column {
                Column::Address => field(bytes, at, |at| number(bytes, at, &mut access.address, EXPECTED_ADDRESS))?,
                Column::Size => field(bytes, at, |at| number(bytes, at, &mut size, EXPECTED_SIZE))?,
                Column::Kind => field(bytes, at, |at| kind(bytes, at, &mut access.kind))?,
                Column::Thread => {
                    let mut thread = 0;
                    let end = field(bytes, at, |at| number(bytes, at, &mut thread, EXPECTED_THREAD))?;
                    access.thread = u32::try_from(thread).map_err(|_| EXPECTED_THREAD)?;
                    end
                }
                Column::Ip => field(bytes, at, |at| number(bytes, at, &mut access.ip, EXPECTED_IP))?,
            };
        }
        let next = end_of_line(bytes, at).ok_or(EXPECTED_FIELDS)?;
        access.size = check_extent(access.address, size)?;
        if access.ip >= ADDRESS_LIMIT {
            return Err(EXPECTED_IP);
        }
        if access.kind == AccessKind::Fetch {
            access.ip = access.address;
        }
        batch.push(access, self.columns);
        Ok(next)
    }
}

/// Steps over blanks and a pair of quotes around what `inner` parses, up to the comma or the end of the line.
#[inline]
fn field(
    bytes: &[u8],
    at: usize,
    inner: impl FnOnce(usize) -> Result<usize, &'static str>,
) -> Result<usize, &'static str> {
    let mut at = skip_blanks(bytes, at);
    let is_quoted = bytes[at] == b'"';
    if is_quoted {
        at = skip_blanks(bytes, at + 1);
    }
    at = skip_blanks(bytes, inner(at)?);
    if is_quoted {
        if bytes[at] != b'"' {
            return Err(EXPECTED_QUOTE);
        }
        at = skip_blanks(bytes, at + 1);
    }
    Ok(at)
}

#[inline]
fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes[at], b' ' | b'\t') {
        at += 1;
    }
    at
}

/// Parses the number at `at` and returns its end; `too_big` is what to expect of one over 64 bits.
#[inline]
fn number(bytes: &[u8], at: usize, value: &mut u64, too_big: &'static str) -> Result<usize, &'static str> {
    let is_hex = bytes[at] == b'0' && matches!(bytes[at + 1], b'x' | b'X');
    let at = if is_hex { at + 2 } else { at };
    let digits = if is_hex { hex(bytes, at) } else { decimal(bytes, at) };
    let end = at + digits.len;
    if digits.len == 0 || !matches!(bytes[end], b',' | b'\n' | b'\r' | b' ' | b'\t' | b'"') {
        return Err(EXPECTED_NUMBER);
    }
    *value = digits.value;
    if digits.overflows { Err(too_big) } else { Ok(end) }
}

/// Parses the kind at `at` and returns its end.
#[inline]
fn kind(bytes: &[u8], at: usize, kind: &mut AccessKind) -> Result<usize, &'static str> {
    let len = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).take(8).count();
    let mut word = [0; 8];
    for (lower, byte) in word.iter_mut().zip(&bytes[at..at + len]) {
        *lower = byte.to_ascii_lowercase();
    }
    *kind = match &word[..len] {
        b"read" | b"r" | b"load" | b"l" | b"0" => AccessKind::Read,
        b"write" | b"w" | b"store" | b"s" | b"1" => AccessKind::Write,
        b"fetch" | b"i" | b"ifetch" | b"2" => AccessKind::Fetch,
        _ => return Err(EXPECTED_KIND),
    };
    Ok(at + len)
}

/// A field of the header without the blanks and quotes around it.
fn unquoted(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    match field {
        [b'"', inner @ .., b'"'] => inner.trim_ascii(),
        _ => field,
    }
}

/// Writes a CSV trace with the columns of the trace it comes from; the kind is always one of them.
#[derive(Debug)]
pub(crate) struct CsvEncoder {
    columns: Columns,
}

impl CsvEncoder {
    /// Writes `columns`.
    pub(crate) fn new(columns: Columns) -> Self {
        Self { columns }
    }
}

impl Encoder for CsvEncoder {
    fn start(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"address,kind");
        for (is_there, name) in
            [(self.columns.sizes, ",size"), (self.columns.threads, ",thread"), (self.columns.ips, ",ip")]
        {
            out.extend_from_slice(if is_there { name.as_bytes() } else { b"" });
        }
        out.push(b'\n');
    }

    #[inline]
    fn access(
        &mut self,
        access: Access,
        _has_ips: bool,
        out: &mut Vec<u8>,
        report: &mut WriteReport,
    ) -> Result<(), &'static str> {
        out.extend_from_slice(b"0x");
        push_hex(out, access.address, 1);
        out.push(b',');
        out.extend_from_slice(access.kind.name().as_bytes());
        if self.columns.sizes {
            out.push(b',');
            push_decimal(out, access.size);
        } else if access.size != 1 {
            return Err("an access of 1 byte, since the trace has no column of sizes");
        }
        if self.columns.threads {
            out.push(b',');
            push_decimal(out, access.thread);
        } else {
            report.dropped_threads |= access.thread != 0;
        }
        if self.columns.ips {
            out.extend_from_slice(b",0x");
            push_hex(out, access.ip, 1);
        } else {
            report.dropped_ips |= access.ip != 0 && access.kind != AccessKind::Fetch;
        }
        out.push(b'\n');
        report.accesses += 1;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn header_may_be_quoted_and_have_blanks() {
        let parser = CsvParser::of_header(b" \"ADDRESS\" ,ip\r").unwrap();
        assert_eq!(parser.order, [Column::Address, Column::Ip]);
        assert!(CsvParser::is_header(b"addr") && !CsvParser::is_header(b"size") && !CsvParser::is_header(b""));
    }

    #[test]
    fn kind_is_a_whole_word() {
        let kind_of = |text: &[u8]| {
            let mut found = AccessKind::Read;
            kind(text, 0, &mut found).map(|end| (found, end))
        };
        assert_eq!(kind_of(b"Store,"), Ok((AccessKind::Write, 5)));
        assert_eq!(kind_of(b"2"), Ok((AccessKind::Fetch, 1)));
        assert_eq!(kind_of(b"reads\n"), Err(EXPECTED_KIND));
        assert_eq!(kind_of(b"readreadread\n"), Err(EXPECTED_KIND));
        assert_eq!(kind_of(b"\n"), Err(EXPECTED_KIND));
    }
}
