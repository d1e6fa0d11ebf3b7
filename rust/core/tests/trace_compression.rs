//! Compressed traces: told by content, read whole, refused when damaged or too hungry.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod trace_support;

use runq_core::trace::{Access, AccessKind, Compression, Format, open_stream};
use std::io::{self, Cursor, Read};
use std::sync::atomic::Ordering;
use trace_support::{ALL, error_of, read, read_by, write};

const COMPRESSED: [Compression; 3] = [Compression::Gzip, Compression::Xz, Compression::Zstd];

/// A trace of `count` accesses that does not compress to nothing.
fn accesses(count: u64) -> Vec<Access> {
    let at = |index: u64| index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    (0..count).map(|index| Access { address: at(index), size: 8, kind: AccessKind::Read, thread: 0, ip: 0 }).collect()
}

fn compressed(accesses: &[Access], compression: Compression) -> Vec<u8> {
    write(accesses, ALL, Format::Lackey, compression).unwrap().0
}

#[test]
fn compression_is_told_by_content() {
    for compression in Compression::ALL {
        let bytes = compressed(&accesses(100), compression);
        let trace = open_stream("t", Box::new(Cursor::new(bytes.clone())), None).unwrap();
        assert_eq!((trace.format, trace.compression), (Format::Lackey, compression));
        assert_eq!(trace_support::drain(trace.reader, 10).unwrap(), accesses(100));
        assert_eq!(read_by(&bytes, None, 1, 10).unwrap(), accesses(100));
    }
}

#[test]
fn consumed_bytes_are_those_of_the_file() {
    for compression in Compression::ALL {
        let bytes = compressed(&accesses(1000), compression);
        let trace = open_stream("t", Box::new(Cursor::new(bytes.clone())), None).unwrap();
        let consumed = trace.consumed;
        trace_support::drain(trace.reader, 10).unwrap();
        assert_eq!(consumed.load(Ordering::Relaxed), bytes.len() as u64, "{compression}");
    }
}

#[test]
fn several_members_streams_and_frames_read_as_one() {
    let (first, second) = (accesses(500), accesses(300));
    let both: Vec<_> = first.iter().chain(&second).copied().collect();
    for compression in COMPRESSED {
        let mut bytes = compressed(&first, compression);
        bytes.extend(compressed(&second, compression));
        assert_eq!(read(&bytes, None).unwrap(), both, "{compression}");
    }
}

#[test]
fn skippable_frame_may_come_before_a_zstd_frame() {
    let mut bytes = b"\x53\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    bytes.extend(compressed(&accesses(5), Compression::Zstd));
    assert_eq!(read(&bytes, None).unwrap(), accesses(5));
}

#[test]
fn every_truncation_is_an_error() {
    for compression in COMPRESSED {
        let bytes = compressed(&accesses(200), compression);
        for len in 6..bytes.len() {
            let error = error_of(&bytes[..len], Some(Format::Lackey));
            let sentence = format!("the {compression} stream is truncated: the file ends in its midst");
            assert!(error.starts_with("t: byte ") && error.ends_with(&sentence), "{compression} {len}: {error}");
        }
    }
}

#[test]
fn every_flipped_byte_is_an_error_or_changes_nothing() {
    for compression in COMPRESSED {
        let bytes = compressed(&accesses(50), compression);
        // The last bytes of an xz index and the times of gzip headers may change without harm.
        for index in 6..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0x41;
            match read(&damaged, Some(Format::Lackey)) {
                Ok(found) => assert_eq!(found, accesses(50), "{compression} {index}"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn damage_far_into_a_trace_is_placed_by_uncompressed_offset() {
    let sentence = |error: &str| error.contains("stream is damaged") || error.contains("stream is truncated");
    for compression in COMPRESSED {
        let mut bytes = compressed(&accesses(50_000), compression);
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].fill(0xa5);
        let error = error_of(&bytes, Some(Format::Lackey));
        let is_placed = error.starts_with("t: byte ") && sentence(&error) || error.starts_with("t: line ");
        assert!(is_placed, "{compression}: {error}");
    }
}

#[test]
fn garbage_behind_a_stream_is_an_error() {
    for compression in COMPRESSED {
        let mut bytes = compressed(&accesses(10), compression);
        bytes.extend(b"this is not compressed at all");
        let error = error_of(&bytes, Some(Format::Lackey));
        assert!(error.contains("stream is damaged"), "{compression}: {error}");
    }
}

#[test]
fn xz_stream_that_needs_too_much_memory_is_refused() {
    // Eight bytes in a stream of a 512 MiB dictionary, as liblzma writes it.
    let stream = [
        &b"\xfd7zXZ\x00\x00\x01i\x22\xde6\x02\x00!\x01\x22\x00\x00\x00\x82@\xac\xdc\x01\x00\x07 L 10,8\x0a"[..],
        &b"\x00\xf2$$\xb2\x00\x01\x1c\x08D`*\xc8\x90B\x99\x0d\x01\x00\x00\x00\x00\x01YZ"[..],
    ]
    .concat();
    let error = error_of(&stream, Some(Format::Lackey));
    assert_eq!(error, "t: byte 0: the xz stream needs more than 128 MiB to be decompressed");
}

#[test]
fn zstd_window_of_128_mib_is_read_and_a_larger_one_refused() {
    // A frame of a header with a window descriptor, then one raw block: the format of RFC 8878.
    let frame = |window_log: u8| {
        let text = b" L 10,8\n";
        let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3];
        bytes.extend([(8 << 3) | 1, 0, 0]);
        bytes.extend(text);
        bytes
    };
    assert_eq!(read(&frame(27), Some(Format::Lackey)).unwrap().len(), 1);
    let error = error_of(&frame(28), Some(Format::Lackey));
    assert_eq!(error, "t: byte 0: the zstd stream needs more than 128 MiB to be decompressed");
}

#[test]
fn errors_of_the_file_below_are_not_called_damage() {
    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("the cable is out")),
                count => Ok(count),
            }
        }
    }
    for compression in COMPRESSED {
        let bytes = compressed(&accesses(200), compression);
        let half = bytes[..bytes.len() / 2].to_vec();
        let trace = open_stream("t", Box::new(Failing(Cursor::new(half))), Some(Format::Lackey));
        let error = trace.and_then(|trace| trace_support::drain(trace.reader, 10)).unwrap_err().to_string();
        assert!(error.ends_with("the cable is out"), "{compression}: {error}");
    }
}

#[test]
fn compressed_nothing_is_an_empty_trace() {
    for compression in COMPRESSED {
        let (bytes, _) = write(&[], ALL, Format::Raw, compression).unwrap();
        assert_eq!(error_of(&bytes, Some(Format::Raw)), "t: expected at least one access, got an empty trace");
        assert_eq!(error_of(&bytes, None), "t: expected at least one access, got an empty trace");
    }
}
