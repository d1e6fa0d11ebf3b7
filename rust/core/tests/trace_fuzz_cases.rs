//! Any bytes as any format, and the inputs that fuzzing left behind.
//!
//! The targets of rust/fuzz look for inputs that break these rules for longer and with more cunning than a test run
//! can. An input that they find is added to [`CASES`] with a name.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod trace_support;

use proptest::prelude::*;
use runq_core::trace::{Compression, Format, open_stream};
use std::io::Cursor;
use trace_support::{read, read_by, write};

/// Inputs that the fuzzers kept because each went a way of its own through a reader, the smallest of each outcome.
/// None broke a rule so far.
const CASES: &[(&str, &[u8])] = &[
    ("size of 0 and then blanks", b" L 11,0\r\t\t\t\t"),
    ("valgrind mark without an end", b"**1\n L 80000000000000000,1\r\n"),
    ("mark and a zero byte", b"==1\n\x00"),
    ("mark in the midst of zero bytes", b"==41\x00\x19x\nI  0,0"),
    ("record without a newline", b" L 0,8"),
    ("tab alone", b"\t"),
    ("apostrophe alone", b"\'"),
    ("label alone", b"C"),
    ("size of zeros behind tabs", b"0 7f\t\t  00"),
    ("address of 19 digits", b"0 7fffffffffffffffff2\n"),
    ("control character behind a size", b"W 5 4\x1d"),
    ("flush behind a blank line", b"\n4 0 \x1f"),
    ("header alone", b"addr"),
    ("open quote", b"addr \n\"  8"),
    ("quote around nothing", b"\xef\xbb\xbfKind,addr\n\"\t\t"),
    ("zero byte for a number", b"addr\n\n\t\x00"),
    ("comma too many", b"address\n8,"),
    ("comma alone", b"vaddr\n,"),
    ("thread over 32 bits", b"\xef\xbb\xbfKind, \"vaddr\" ,thread\r\nS,0x10,3095516195156"),
    ("comment before a header", b"# 6\x00 \x8a\n\"vaddr\" \n\n\n"),
    ("high byte for a kind", b"\xef\xbb\xbfKind, \"addr\" ,thread,size\n\xd8"),
    ("gzip header with a name that does not end", b"\x1f\x8b\x08\x00j\x0ej\x08\x00j\x0ej"),
    ("empty gzip block with a wrong sum", b"\x1f\x8b\x08\x03\x00\x00\xfe\xff\xff\xff\x00+\x04"),
    ("gzip magic and a flag", b"\x1f\x8b\x08\x00"),
    ("xz magic and a wrong header", b"\xfd7zXZ\x00\x00E\xf0\xe7\xe7\x10"),
    ("xz magic and a blank", b"\xfd7zXZ\x00 "),
    ("zstd header and a damaged block", b"(\xb5/\xfd\x04o~\x17)\x18"),
    ("zstd block with a wrong sum", b"(\xb5/\xfd\x04X9\x00\x00Ki\x00z_1l\xbb\xef\xbb\xbf"),
    ("zstd frame with reserved bits", b"(\xb5/\xfd\n@\x04\n"),
    ("zstd window of many gigabytes", b"(\xb5/\xfd\x00\xc8"),
    ("skippable frame cut off", b"S*M\x18"),
    (
        "bytes behind a skippable frame and a frame",
        b"S*M\x18\x03\x00\x00\x00abc(\xb5/\xfd\x00P\x8aA\x00\xef\xbb\xbf\x00 L8\n",
    ),
    ("raw zstd block", b"(\xb5/\xfd\x00PA\x00\x00 L 05,8\n"),
];

/// What holds of any bytes: reading ends in accesses or a message that can be printed, however the bytes arrive, and
/// what was read can be written as CSV and read back.
fn check(data: &[u8], format: Option<Format>) {
    let whole = read(data, format);
    let pieces = read_by(data, format, 1 + data.len() % 50, 1 + data.len() % 7);
    match (whole, pieces) {
        (Ok(accesses), Ok(again)) => {
            assert_eq!(accesses, again);
            let columns = open_stream("t", Box::new(Cursor::new(data.to_vec())), format).unwrap().columns;
            let (bytes, report) = write(&accesses, columns, Format::Csv, Compression::None).unwrap();
            assert_eq!(report.accesses, accesses.len() as u64);
            assert_eq!(read(&bytes, Some(Format::Csv)).unwrap(), accesses);
        }
        (Err(error), Err(_)) => {
            let message = error.to_string();
            assert!(message.len() < 500 && !message.contains(char::is_control), "{message:?}");
        }
        (whole, pieces) => panic!("how bytes arrive matters: {whole:?} and {pieces:?}"),
    }
}

fn check_in_every_format(data: &[u8]) {
    check(data, None);
    for format in Format::ALL {
        check(data, Some(format));
    }
}

#[test]
fn kept_inputs_break_no_rule() {
    for (name, data) in CASES {
        println!("{name}");
        check_in_every_format(data);
    }
}

/// Traces of every format, to be damaged.
fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 3] = [
        b"==1== Lackey\nI  0401ab70,3\n S 1fff000758,8\n M 7fffffffffffff00,32\n L 10,65536\n",
        b"# a\n2 0 \n0 1000 8\n1\t0X1fff 10 rest\n3 0xA this\nr ff a\nW 8 4\r\n",
        b"kind,\"vaddr\",thread,size,ip\r\nR,0x10,3,8,1\r\n\"store\" , \"16\",0,1,2\r\nI,7,1,2,0x7\r\n",
    ];
    let mut seeds: Vec<_> = texts.iter().map(|text| text.to_vec()).collect();
    for (text, format) in texts.iter().zip([Format::Lackey, Format::Din, Format::Csv]) {
        let accesses = read(text, Some(format)).unwrap();
        for to in [Format::Raw, Format::ChampSim, Format::Din] {
            for compression in Compression::ALL {
                // Address 0 does not exist in champsim.
                let some: Vec<_> = accesses.iter().copied().filter(|access| access.address != 0).collect();
                seeds.push(write(&some, trace_support::ALL, to, compression).unwrap().0);
            }
        }
    }
    seeds
}

proptest! {
    #[test]
    fn random_bytes_break_no_rule(data in prop::collection::vec(any::<u8>(), 0..300)) {
        check_in_every_format(&data);
    }

    #[test]
    fn random_text_breaks_no_rule(data in "[0-9a-fxILSMrwi ,=#\n\r\t\"-]{0,200}") {
        check_in_every_format(data.as_bytes());
    }

    #[test]
    fn damaged_traces_break_no_rule(
        seed in prop::sample::select(seeds()),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut data = seed;
        for (place, byte) in damages {
            let place = place.index(data.len());
            data[place] = byte;
        }
        check_in_every_format(&data);
        data.truncate(cut.index(data.len()));
        check_in_every_format(&data);
    }
}
