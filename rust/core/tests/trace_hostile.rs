//! Traces that are wrong in every way we could think of: each ends in a message that says where and why.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod trace_support;

use runq_core::trace::{Format, open_stream};
use std::io::{self, Cursor, Read};
use trace_support::{error_of, read};

const TEXTS: [Format; 3] = [Format::Lackey, Format::Din, Format::Csv];

/// Asserts that reading `text` says `message`.
#[track_caller]
fn says(format: Format, text: &[u8], message: &str) {
    assert_eq!(error_of(text, Some(format)), message);
}

#[test]
fn empty_traces_are_refused_in_every_format() {
    for format in Format::ALL {
        says(format, b"", "t: expected at least one access, got an empty trace");
    }
    says(Format::Lackey, b"==1== Lackey\n==1== Exit code: 0\n", "t: expected at least one access, got an empty trace");
    says(Format::Din, b"# nothing\n\n", "t: expected at least one access, got an empty trace");
    says(Format::Csv, b"address,kind\n", "t: expected at least one access, got an empty trace");
    says(Format::ChampSim, &[0; 64], "t: expected at least one access, got an empty trace");
}

#[test]
fn addresses_of_8_eib_and_more_are_refused() {
    let limit = "expected an address below 2^63 (8 EiB), got";
    says(Format::Lackey, b"I  1,1\n L 8000000000000000,1\n", &format!("t: line 2: {limit} \" L 8000000000000000,1\""));
    says(Format::Lackey, b" S 7fffffffffffffff,2", &format!("t: line 1: {limit} \" S 7fffffffffffffff,2\""));
    says(Format::Din, b"0 8000000000000000", &format!("t: line 1: {limit} \"0 8000000000000000\""));
    says(Format::Din, b"0 7ffffffffffffff9 8", &format!("t: line 1: {limit} \"0 7ffffffffffffff9 8\""));
    says(Format::Csv, b"address\n9223372036854775808", &format!("t: line 2: {limit} \"9223372036854775808\""));
    let mut record = [0; 128];
    record[64 + 39] = 0x80;
    record[0] = 1;
    says(Format::ChampSim, &record, &format!("t: record 1: {limit} 0x8000000000000000"));
}

#[test]
fn last_bytes_below_8_eib_can_be_accessed() {
    assert_eq!(read(b" S 7fffffffffffffff,1", Some(Format::Lackey)).unwrap().len(), 1);
    assert_eq!(read(b"0 7ffffffffffffff8 8", Some(Format::Din)).unwrap().len(), 1);
    assert_eq!(read(b"size,address\n8,0x7ffffffffffffff8", Some(Format::Csv)).unwrap().len(), 1);
}

#[test]
fn numbers_over_64_bits_are_refused_and_do_not_wrap() {
    let limit = "t: line 1: expected an address below 2^63 (8 EiB), got";
    says(Format::Lackey, b" L 10000000000000010,1", &format!("{limit} \" L 10000000000000010,1\""));
    says(Format::Din, b"0 10000000000000010", &format!("{limit} \"0 10000000000000010\""));
    let text = b"address\n18446744073709551632";
    says(Format::Csv, text, "t: line 2: expected an address below 2^63 (8 EiB), got \"18446744073709551632\"");
    let text = b"address\n0x10000000000000010";
    says(Format::Csv, text, "t: line 2: expected an address below 2^63 (8 EiB), got \"0x10000000000000010\"");
}

#[test]
fn sizes_of_0_and_over_64_kib_are_refused() {
    let rule = "expected a size of 1 to 65536 bytes, got";
    for size in ["0", "00", "65537", "4294967297", "18446744073709551617"] {
        says(Format::Lackey, format!(" L 10,{size}").as_bytes(), &format!("t: line 1: {rule} \" L 10,{size}\""));
        says(Format::Csv, format!("address,size\n1,{size}").as_bytes(), &format!("t: line 2: {rule} \"1,{size}\""));
    }
    for size in ["0", "10001", "0x10001", "100000001", "10000000000000001"] {
        says(Format::Din, format!("0 10 {size}").as_bytes(), &format!("t: line 1: {rule} \"0 10 {size}\""));
    }
    assert_eq!(read(b" L 10,65536", Some(Format::Lackey)).unwrap()[0].size, 65536);
    assert_eq!(read(b"0 10 10000", Some(Format::Din)).unwrap()[0].size, 65536);
}

#[test]
fn lines_that_are_no_records_name_the_record() {
    let lackey = "expected 'I  address,size', ' L address,size', ' S address,size' or ' M address,size', got";
    for line in [
        "hello",
        "I 0401ab70,3",
        " L 10",
        " L 10,",
        " L ,8",
        " L 10,8 x",
        " L 10,-8",
        " X 10,8",
        " L 0x10,8",
        "= = =",
        "==",
    ] {
        says(Format::Lackey, format!("I  1,1\n{line}\n").as_bytes(), &format!("t: line 2: {lackey} \"{line}\""));
    }
    let din = "expected 'label address [size]' with label 0, 1, 2, 3, r, w, i or m and a hexadecimal address and size, \
               got";
    for line in ["0", "0 ", "hello", "5 10", "01 10", "0 xyz", "0 10,8", "0 0x", "0 10 8z", "0-10", "rw 10", "-1 10"] {
        says(Format::Din, format!("0 1\n{line}\n").as_bytes(), &format!("t: line 2: {din} \"{line}\""));
    }
}

#[test]
fn output_of_the_traced_program_is_told_from_records() {
    let text = b"==1== Lackey\nI  0401ab70,3\nbin  boot  dev\n";
    assert!(error_of(text, None).starts_with("t: line 3: expected 'I  address,size'"));
}

#[test]
fn dinero_flushes_are_refused_by_name() {
    for line in ["4 0", "4", "c 10 4", "v 10 4", "C 10 4"] {
        let expected = "a read, write or fetch, since a replay cannot flush or invalidate (labels 4, c, v)";
        says(Format::Din, line.as_bytes(), &format!("t: line 1: expected {expected}, got \"{line}\""));
    }
}

#[test]
fn csv_headers_name_what_is_wrong() {
    let columns = "t: line 1: expected a header with columns among address, size, kind, thread, ip, got";
    says(Format::Csv, b"address,colour\n1,2\n", &format!("{columns} \"colour\""));
    says(Format::Csv, b"address,\n1,2\n", &format!("{columns} \"\""));
    says(Format::Csv, b"1,2\n", &format!("{columns} \"1\""));
    says(
        Format::Csv,
        b"\n# 2\nx\n",
        "t: line 3: expected a header with columns among address, size, kind, thread, ip, got \"x\"",
    );
    says(Format::Csv, b"size,kind\n", "t: line 1: expected a header with a column address, got \"size,kind\"");
    says(Format::Csv, b"address,vaddr\n", "t: line 1: expected each column once, got \"vaddr\" again");
}

#[test]
fn csv_rows_name_what_is_wrong() {
    let fields = "as many fields as the header has columns";
    let number = "a number in every column, decimal or hexadecimal after 0x";
    for (header, row, expected) in [
        ("address,size", "1", fields),
        ("address,size", "1,2,3", fields),
        ("address", "1 2", fields),
        ("address,size", "1,", number),
        ("address", "0x", number),
        ("address", "-1", number),
        ("address", "1.5", number),
        ("address", "ff", number),
        ("address", "\"1", "a closing quote"),
        (
            "address,kind",
            "1,readwrite",
            "a kind of read, write or fetch (or load, store, ifetch; r, w, i, l, s; 0, 1, 2)",
        ),
        ("address,kind", "1,", "a kind of read, write or fetch (or load, store, ifetch; r, w, i, l, s; 0, 1, 2)"),
        ("address,thread", "1,4294967296", "a thread below 2^32"),
        ("address,thread", "1,18446744073709551616", "a thread below 2^32"),
        ("address,ip", "1,9223372036854775808", "an instruction address below 2^63 (8 EiB)"),
        ("address,ip", "1,18446744073709551616", "an instruction address below 2^63 (8 EiB)"),
    ] {
        let text = format!("{header}\n{row}\n");
        let got = runq_got(row);
        says(Format::Csv, text.as_bytes(), &format!("t: line 2: expected {expected}, got {got}"));
    }
}

/// A line as messages show it.
fn runq_got(line: &str) -> String {
    format!("\"{}\"", line.replace('"', "\\\""))
}

#[test]
fn binary_files_under_the_name_of_a_text_format_are_shown_escaped() {
    let elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0 \x10\n\0\xff\xfe";
    for format in TEXTS {
        let error = error_of(elf, Some(format));
        assert!(error.starts_with("t: line 1: expected"), "{error}");
        assert!(error.contains("got \"\\x7fELF\\x02\\x01"), "{error}");
        assert!(error.is_ascii() && !error.contains('\0') && error.len() < 200, "{error}");
    }
}

#[test]
fn megabytes_without_a_newline_are_refused_in_bounded_memory() {
    for format in TEXTS {
        for byte in [0u8, b' ', b'1', b'#', b'='] {
            let error = open_stream("t", Box::new(io::repeat(byte)), Some(format))
                .and_then(|trace| trace_support::drain(trace.reader, 10))
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("t: line 1: expected a line of at most 65536 bytes, got a longer one"),
                "{error}"
            );
        }
    }
    let error = open_stream("t", Box::new(io::repeat(0)), None).err().unwrap().to_string();
    assert!(error.contains("--format"), "{error}");
}

#[test]
fn long_lines_are_refused_wherever_the_buffer_ends() {
    for (start, format) in [("==1== ", Format::Lackey), ("# ", Format::Din), ("0 10 4 ", Format::Din)] {
        let filler = "x".repeat(65537 - start.len());
        let text = format!("{start}{filler}\n");
        let error = error_of(text.as_bytes(), Some(format));
        assert!(error.starts_with("t: line 1: expected a line of at most 65536 bytes"), "{error}");
        assert!(!error_of(&text.as_bytes()[1..], Some(format)).contains("65536"));
    }
}

#[test]
fn endless_input_without_accesses_is_refused() {
    /// Yields the same bytes for ever.
    struct Endless(Vec<u8>);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = buffer.len() / self.0.len() * self.0.len();
            buffer[..len].chunks_mut(self.0.len()).for_each(|part| part.copy_from_slice(&self.0));
            Ok(len)
        }
    }
    let line = |start: &str| format!("{start}{}\n", "x".repeat(8191 - start.len())).into_bytes();
    for (bytes, format, place) in [
        (vec![0; 64], Format::ChampSim, "record 1048576"),
        (line("# "), Format::Din, "line 8193"),
        (line("==1== "), Format::Lackey, "line 8193"),
        (" ".repeat(8191).into_bytes().into_iter().chain(*b"\n").collect(), Format::Lackey, "line 8193"),
    ] {
        let trace = open_stream("t", Box::new(Endless(bytes)), Some(format)).unwrap();
        let error = trace_support::drain(trace.reader, 100).unwrap_err().to_string();
        assert_eq!(error, format!("t: {place}: expected an access in 64 MiB, got none"));
    }
    let error = open_stream("t", Box::new(Endless(line("# "))), Some(Format::Csv)).err().unwrap().to_string();
    assert_eq!(error, "t: line 8193: expected a header in 64 MiB, got none");
}

#[test]
fn torn_binary_records_are_placed() {
    says(Format::Raw, &[0; 15], "t: byte 8: expected a word of 8 bytes, got only 7 at the end of the trace");
    says(Format::Raw, &[1], "t: byte 0: expected a word of 8 bytes, got only 1 at the end of the trace");
    let mut records = vec![1; 64];
    records[16..].fill(0);
    records.extend([0; 63]);
    says(Format::ChampSim, &records, "t: byte 64: expected a record of 64 bytes, got only 63 at the end of the trace");
}

#[test]
fn streams_that_fail_say_how_far_they_came() {
    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::from_raw_os_error(5)),
                count => Ok(count),
            }
        }
    }
    let input = Failing(Cursor::new(b"0 10\n0 20\n".to_vec()));
    let error = open_stream("t", Box::new(input), Some(Format::Din))
        .and_then(|trace| trace_support::drain(trace.reader, 10))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("t: byte 10: ") && error.contains("os error 5"), "{error}");
}

#[test]
fn interrupted_reads_are_retried() {
    struct Interrupted(u32, Cursor<Vec<u8>>);
    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if !self.0.is_multiple_of(3) { Err(io::ErrorKind::Interrupted.into()) } else { self.1.read(buffer) }
        }
    }
    let trace = open_stream("t", Box::new(Interrupted(0, Cursor::new(b"0 10\n0 20\n".to_vec()))), None).unwrap();
    assert_eq!(trace_support::drain(trace.reader, 10).unwrap().len(), 2);
}
