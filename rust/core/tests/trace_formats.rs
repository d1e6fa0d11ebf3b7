//! What each format means: small traces and the accesses they stand for.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod trace_support;

use proptest::prelude::*;
use runq_core::trace::AccessKind::{Fetch, Read, Write};
use runq_core::trace::{Access, AccessKind, Columns, Format, open_stream};
use std::io::Cursor;
use trace_support::{any_accesses, read, read_by, write};

fn access(kind: AccessKind, address: u64, size: u32, ip: u64) -> Access {
    Access { address, size, kind, thread: 0, ip }
}

fn columns_of(text: &[u8], format: Format) -> Columns {
    open_stream("t", Box::new(Cursor::new(text.to_vec())), Some(format)).unwrap().columns
}

#[test]
fn lackey_data_belongs_to_the_latest_fetch_and_a_modify_is_two_accesses() {
    let text =
        b"==7== Lackey\n--7-- note\n**7** printed\n\n S 10,8\nI  0401ab70,3\n L 1fff000758,8\n M 20,16\r\nI  1,1";
    let expected = [
        access(Write, 0x10, 8, 0),
        access(Fetch, 0x401_ab70, 3, 0x401_ab70),
        access(Read, 0x1f_ff00_0758, 8, 0x401_ab70),
        access(Read, 0x20, 16, 0x401_ab70),
        access(Write, 0x20, 16, 0x401_ab70),
        access(Fetch, 1, 1, 1),
    ];
    assert_eq!(read(text, Some(Format::Lackey)).unwrap(), expected);
    assert_eq!(read(text, None).unwrap(), expected);
    let columns = Columns { sizes: true, fetches: true, threads: false, ips: true };
    assert_eq!(columns_of(text, Format::Lackey), columns);
}

#[test]
fn din_labels_are_digits_or_letters_and_sizes_hexadecimal() {
    let text = b"# by hand\n2 0 \n0 1000\n1\t0X1fff 10 rest\n\n3 0xA this is a comment\n  r ff a\nW 8 4\r\ni 9 2\nm 7";
    let expected = [
        access(Fetch, 0, 1, 0),
        access(Read, 0x1000, 1, 0),
        access(Write, 0x1fff, 16, 0),
        access(Read, 10, 1, 0),
        access(Read, 0xff, 10, 0),
        access(Write, 8, 4, 0),
        access(Fetch, 9, 2, 0),
        access(Read, 7, 1, 0),
    ];
    assert_eq!(read(text, Some(Format::Din)).unwrap(), expected);
    assert_eq!(read(text, None).unwrap(), expected);
}

#[test]
fn din_comment_that_looks_hexadecimal_is_no_size_after_a_digit() {
    assert_eq!(read(b"0 1000 add it", Some(Format::Din)).unwrap(), [access(Read, 0x1000, 1, 0)]);
    assert_eq!(read(b"r 1000 add it", Some(Format::Din)).unwrap(), [access(Read, 0x1000, 0xadd, 0)]);
}

#[test]
fn champsim_record_is_a_fetch_then_reads_then_writes() {
    let words = |words: [u64; 8]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let mut bytes = words([0x400, 0xffff_ffff, 8, 0, 0, 3, 0, 4]);
    bytes.extend(words([0, 0, 0, 7, 5, 0, 0, 0]));
    let expected = [
        access(Fetch, 0x400, 1, 0x400),
        access(Read, 3, 1, 0x400),
        access(Read, 4, 1, 0x400),
        access(Write, 8, 1, 0x400),
        access(Read, 5, 1, 0),
        access(Write, 7, 1, 0),
    ];
    for limit in 1..8 {
        assert_eq!(read_by(&bytes, Some(Format::ChampSim), 5, limit).unwrap(), expected);
    }
}

#[test]
fn raw_words_are_an_address_and_a_bit() {
    let bytes: Vec<u8> = [5u64, 1 << 63 | 6, u64::MAX].iter().flat_map(|word| word.to_le_bytes()).collect();
    let expected = [access(Read, 5, 1, 0), access(Write, 6, 1, 0), access(Write, (1 << 63) - 1, 1, 0)];
    assert_eq!(read(&bytes, Some(Format::Raw)).unwrap(), expected);
    assert_eq!(columns_of(&bytes, Format::Raw), Columns::default());
}

#[test]
fn csv_columns_stand_in_any_order() {
    let text = b"\xef\xbb\xbfKind, \"vaddr\" ,thread,size\r\nR,0x10,3,8\r\n\"store\" , \"16\",0,1\r\n\r\nIFETCH,7,1,2";
    let expected = [
        Access { thread: 3, ..access(Read, 16, 8, 0) },
        access(Write, 16, 1, 0),
        Access { thread: 1, ..access(Fetch, 7, 2, 0) },
    ];
    let found = read(text, None).unwrap();
    assert_eq!(found, expected);
    let columns = Columns { sizes: true, fetches: true, threads: true, ips: false };
    assert_eq!(columns_of(text, Format::Csv), columns);
}

#[test]
fn csv_comments_and_blank_lines_are_skipped() {
    for text in ["address\n1\n2", "# by hand\n\naddress\n\n1\n# 3\n2\n"] {
        assert_eq!(read(text.as_bytes(), None).unwrap(), [access(Read, 1, 1, 0), access(Read, 2, 1, 0)]);
    }
}

#[test]
fn csv_kinds_have_many_spellings() {
    let spellings = [
        ("read r load l 0 READ R LOAD L Load", Read),
        ("write w store s 1 WRITE W STORE S Store", Write),
        ("fetch i ifetch 2 FETCH I IFETCH", Fetch),
    ];
    for (words, kind) in spellings {
        for word in words.split(' ') {
            let text = format!("address,kind\n1,{word}\n");
            assert_eq!(read(text.as_bytes(), Some(Format::Csv)).unwrap(), [access(kind, 1, 1, 0)], "{word}");
        }
    }
}

#[test]
fn csv_fetch_has_its_own_address_as_ip() {
    assert_eq!(read(b"ip,address,kind\n9,1,i\n9,1,r", None).unwrap(), [access(Fetch, 1, 1, 1), access(Read, 1, 1, 9)]);
}

/// A line of a din trace written in some allowed way, and what it means.
fn din_line() -> impl Strategy<Value = (String, Option<Access>)> {
    let blank = || prop_oneof![Just(" "), Just("\t"), Just("  ")];
    let label = prop_oneof![
        Just(("0", Read)),
        Just(("1", Write)),
        Just(("2", Fetch)),
        Just(("3", Read)),
        Just(("r", Read)),
        Just(("W", Write)),
        Just(("i", Fetch)),
    ];
    let prefix = || prop_oneof![Just(""), Just("0x"), Just("0X")];
    let rest = prop_oneof![Just(""), Just(" "), Just(" and so on"), Just("\t# 5"), Just("\r")];
    let size = prop::option::of((prefix(), 1u32..65537));
    let record = (prop_oneof![Just(""), Just(" ")], label, (blank(), blank()), (prefix(), 0u64..1 << 62), size, rest)
        .prop_map(|(indent, (label, kind), (b1, b2), (prefix, address), size, rest)| {
            let mut line = format!("{indent}{label}{b1}{prefix}{address:x}");
            match size {
                Some((prefix, size)) => line += &format!("{b2}{prefix}{size:05x}{rest}"),
                None if rest == "\r" => line += rest,
                None => {}
            }
            let size = size.map_or(1, |(_, size)| size);
            (line, Some(access(kind, address, size, 0)))
        });
    let other = prop_oneof![Just(""), Just("  \t"), Just("# text"), Just(" # text"), Just("\r")];
    prop_oneof![6 => record, 1 => other.prop_map(|line| (line.to_owned(), None))]
}

proptest! {
    #[test]
    fn din_lines_mean_the_same_however_they_are_laid_out(
        lines in prop::collection::vec(din_line(), 1..50),
        chunk in 1usize..100,
        limit in 1usize..20,
    ) {
        let text: Vec<_> = lines.iter().map(|(line, _)| line.as_str()).collect();
        let expected: Vec<_> = lines.iter().filter_map(|(_, access)| *access).collect();
        prop_assume!(!expected.is_empty());
        prop_assert_eq!(read_by(text.join("\n").as_bytes(), Some(Format::Din), chunk, limit).unwrap(), expected);
    }

    #[test]
    fn accesses_do_not_depend_on_how_bytes_arrive_or_on_the_size_of_batches(
        accesses in any_accesses(),
        chunk in 1usize..200,
        limit in 1usize..30,
    ) {
        for format in Format::ALL {
            let columns = Columns { sizes: true, fetches: true, threads: true, ips: true };
            let (bytes, report) = write(&accesses, columns, format, runq_core::trace::Compression::None).unwrap();
            if report.accesses > 0 {
                let whole = read(&bytes, Some(format)).unwrap();
                prop_assert_eq!(read_by(&bytes, Some(format), chunk, limit).unwrap(), whole);
            }
        }
    }
}
