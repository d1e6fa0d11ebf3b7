//! Telling the format of a trace from its first lines, for traces whose name does not say it.
//!
//! Text formats are told by their first line that says something; the binary ones have no magic and are never guessed.

use super::csv::CsvParser;
use super::error::{Place, TraceError, shown};
use super::format::Format;
use super::input::Input;

/// Bytes that are looked at.
const LOOKED_AT_MAX: usize = 64 << 10;

/// Finds the format of `input` without consuming any of it.
pub(crate) fn detect(input: &mut Input) -> Result<Format, TraceError> {
    loop {
        let bytes = input.bytes();
        let has_all = input.has_ended() || bytes.len() >= LOOKED_AT_MAX;
        for line in lines(bytes, has_all) {
            if line.trim_ascii().is_empty() || line.starts_with(b"#") {
                continue;
            }
            return of_line(line).ok_or_else(|| unknown(input.name(), bytes));
        }
        if has_all {
            return Err(if bytes.is_empty() { TraceError::empty(input.name()) } else { unknown(input.name(), bytes) });
        }
        // The buffer is larger than what is looked at, so nothing more means that the stream has ended.
        input.fill()?;
    }
}

/// The lines of `bytes`; the last one only if nothing follows or it ends in a newline.
fn lines(bytes: &[u8], has_all: bool) -> impl Iterator<Item = &[u8]> {
    let end = if has_all { bytes.len() } else { memchr::memrchr(b'\n', bytes).map_or(0, |last| last + 1) };
    bytes[..end].split(|&byte| byte == b'\n')
}

/// The format that has lines like this one.
fn of_line(line: &[u8]) -> Option<Format> {
    let word = |index: usize| line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(index);
    let is_hex = |word: &[u8]| {
        let digits = word.strip_prefix(b"0x").or(word.strip_prefix(b"0X")).unwrap_or(word);
        !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit)
    };
    match line {
        [b'=', b'=', digit, ..] | [b'-', b'-', digit, ..] | [b'*', b'*', digit, ..] if digit.is_ascii_digit() => {
            return Some(Format::Lackey);
        }
        [b'I', b' ', b' ', rest @ ..] | [b' ', b'L' | b'S' | b'M', b' ', rest @ ..] if rest.contains(&b',') => {
            return Some(Format::Lackey);
        }
        _ => {}
    }
    if CsvParser::is_header(line) {
        return Some(Format::Csv);
    }
    let label = matches!(word(0)?, [b'0'..=b'4' | b'r' | b'w' | b'i' | b'm' | b'R' | b'W' | b'I' | b'M']);
    (label && is_hex(word(1)?)).then_some(Format::Din)
}

/// The error of a trace whose format cannot be told.
fn unknown(name: &str, bytes: &[u8]) -> TraceError {
    let expected = "a lackey, din or csv trace, or the format to be named (--format; raw and champsim traces have no \
                    mark to tell them by)";
    TraceError::malformed(name, Place::Whole, expected, shown(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn format_of(text: &[u8]) -> Result<Format, TraceError> {
        detect(&mut Input::new("t", Box::new(Cursor::new(text.to_vec()))))
    }

    #[test]
    fn first_telling_line_decides() {
        for (text, format) in [
            (&b"==10204== Lackey, an example\nI  1,1\n"[..], Format::Lackey),
            (b"--12-- x", Format::Lackey),
            (b"I  0401ab70,3", Format::Lackey),
            (b"\n M 10,8\n", Format::Lackey),
            (b"2 0 \n0 1000\n", Format::Din),
            (b"# made by hand\nr 0x10 4\n", Format::Din),
            (b"  1 7fff", Format::Din),
            (b"kind, \"address\"\r\nr,1\r\n", Format::Csv),
            (b"\xef\xbb\xbfaddress\n1\n", Format::Csv),
        ] {
            assert_eq!(format_of(text).unwrap(), format, "{text:?}");
        }
    }

    #[test]
    fn others_ask_for_the_format() {
        for text in
            [&b"\x7fELF\x02\x01"[..], b"hello world\n", b"\0\0\0\0\0\0\0\0", b"5 10\n", b"1\n", b"\n\n", b"a,b\n"]
        {
            let error = format_of(text).unwrap_err().to_string();
            assert!(error.contains("--format"), "{error}");
        }
        assert_eq!(format_of(b"").unwrap_err().to_string(), "t: expected at least one access, got an empty trace");
    }
}
