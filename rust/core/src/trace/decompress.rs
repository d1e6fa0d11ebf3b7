//! Decompression of gzip, xz and Zstandard, recognised by content, in bounded memory.
//!
//! Several members, streams or frames behind one another read as one. A decoder may take [`MEMORY_MAX`] bytes: what
//! `xz -9` (65 MiB) and `zstd --ultra -22` or `--long=27` (128 MiB) need; streams that ask for more are refused.
//!
//! A raw trace whose first bytes happen to be the magic of a compressed stream would be taken for one; that needs a
//! first address ending in 0x088b1f with three more bits clear (gzip), or a given 4 or 6 bytes.

use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::format::Compression;
use super::input::Counted;

/// Memory that a decoder may need, in bytes.
pub const MEMORY_MAX: u64 = 128 << 20;

/// The zstd window of [`MEMORY_MAX`] bytes, as a power of two.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Bytes that tell the compressions apart.
const MAGIC_BYTES: u64 = 6;

/// Looks at the first bytes of `stream` and returns it decompressed.
pub(crate) fn decompress(
    mut stream: Counted,
    failed: Arc<AtomicBool>,
) -> io::Result<(Box<dyn Read + Send>, Compression)> {
    let mut head = Vec::new();
    stream.by_ref().take(MAGIC_BYTES).read_to_end(&mut head)?;
    let compression = recognise(&head);
    let whole = Cursor::new(head).chain(stream);
    let decoder: Box<dyn Read + Send> = match compression {
        Compression::None => return Ok((Box::new(whole), compression)),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        Compression::Xz => {
            let decoder = liblzma::stream::Stream::new_stream_decoder(MEMORY_MAX, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::read::XzDecoder::new_stream(whole, decoder))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(whole)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    };
    Ok((Box::new(Explained { decoder, compression, failed }), compression))
}

/// The compression whose magic `head` starts with.
fn recognise(head: &[u8]) -> Compression {
    match head {
        // Method 8 (deflate) is the only one there is, and three flags are reserved.
        [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Compression::Gzip,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        // A skippable frame may come first.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// A decoder whose errors say in a sentence what is wrong with the stream.
struct Explained {
    decoder: Box<dyn Read + Send>,
    compression: Compression,
    /// Whether the error came from the file below.
    failed: Arc<AtomicBool>,
}

impl Read for Explained {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| {
            if error.kind() == ErrorKind::Interrupted || self.failed.load(Ordering::Relaxed) {
                return error;
            }
            let compression = self.compression;
            let said = error.to_string();
            let lower = said.to_ascii_lowercase();
            if lower.contains("memory limit") || lower.contains("too much memory") {
                let limit = MEMORY_MAX >> 20;
                let text = format!("the {compression} stream needs more than {limit} MiB to be decompressed");
                return io::Error::new(ErrorKind::InvalidData, text);
            }
            if error.kind() == ErrorKind::UnexpectedEof {
                let text = format!("the {compression} stream is truncated: the file ends in its midst");
                return io::Error::new(ErrorKind::UnexpectedEof, text);
            }
            io::Error::new(ErrorKind::InvalidData, format!("the {compression} stream is damaged ({said})"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_bytes_tell_the_compression() {
        assert_eq!(recognise(b"\x1f\x8b\x08\x00\x00\x00"), Compression::Gzip);
        assert_eq!(recognise(b"\x1f\x8b\x08\xff\x00\x00"), Compression::None);
        assert_eq!(recognise(b"\xfd7zXZ\x00"), Compression::Xz);
        assert_eq!(recognise(b"\x28\xb5\x2f\xfd\x04\x00"), Compression::Zstd);
        assert_eq!(recognise(b"\x51\x2a\x4d\x18\x00\x00"), Compression::Zstd);
        assert_eq!(recognise(b"I  040"), Compression::None);
        assert_eq!(recognise(b""), Compression::None);
    }
}
