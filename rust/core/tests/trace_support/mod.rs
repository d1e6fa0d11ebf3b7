//! What the tests of traces share: reading from and writing to memory.

#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part, and stops at the first surprise")]

use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use runq_core::trace::{
    Access, AccessKind, Batch, Columns, Compression, Format, TraceError, TraceReader, WriteReport, create_stream,
    open_stream,
};

/// Every column there is.
pub const ALL: Columns = Columns { sizes: true, fetches: true, threads: true, ips: true };

/// The accesses of `bytes`, read with batches of 1000.
pub fn read(bytes: &[u8], format: Option<Format>) -> Result<Vec<Access>, TraceError> {
    read_by(bytes, format, usize::MAX, 1000)
}

/// As [`read`], from a stream that yields at most `chunk` bytes at a time, with batches of `limit`.
pub fn read_by(bytes: &[u8], format: Option<Format>, chunk: usize, limit: usize) -> Result<Vec<Access>, TraceError> {
    let trace = open_stream("t", Box::new(Trickle { bytes: Cursor::new(bytes.to_vec()), chunk }), format)?;
    drain(trace.reader, limit)
}

/// Everything a reader has.
pub fn drain(mut reader: Box<dyn TraceReader>, limit: usize) -> Result<Vec<Access>, TraceError> {
    let mut accesses = Vec::new();
    let mut batch = Batch::default();
    while reader.read(&mut batch, limit)? {
        assert!(!batch.is_empty() && batch.len() <= limit);
        let columns = batch.as_ref();
        accesses.extend((0..columns.len()).map(|index| columns.get(index)));
    }
    assert!(batch.is_empty());
    assert!(!reader.read(&mut batch, limit)?, "a trace stays at its end");
    Ok(accesses)
}

/// The message of the error that reading `bytes` ends with.
pub fn error_of(bytes: &[u8], format: Option<Format>) -> String {
    read(bytes, format).unwrap_err().to_string()
}

/// `accesses` as a trace, and what writing reported.
pub fn write(
    accesses: &[Access],
    columns: Columns,
    format: Format,
    compression: Compression,
) -> Result<(Vec<u8>, WriteReport), TraceError> {
    let sink = Shared::default();
    let mut writer = create_stream("t", Box::new(sink.clone()), format, compression, columns)?;
    for part in accesses.chunks(7) {
        let mut batch = Batch::default();
        for &access in part {
            batch.push(access, columns);
        }
        writer.write(batch.as_ref())?;
    }
    let report = writer.finish()?;
    let bytes = sink.0.lock().unwrap().clone();
    Ok((bytes, report))
}

/// A file of the golden traces, or `None` after a note that it is not there.
pub fn golden(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/memory").join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// A directory of its own for each test, removed at its end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// The directory of the test `name`.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("runq-trace-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The names of the files in it.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Any kind.
pub fn any_kind() -> impl Strategy<Value = AccessKind> {
    prop_oneof![Just(AccessKind::Read), Just(AccessKind::Write), Just(AccessKind::Fetch)]
}

/// Accesses as a program makes them, near one another and far apart, up to the limits of addresses and sizes.
pub fn any_accesses() -> impl Strategy<Value = Vec<Access>> {
    let address = prop_oneof![
        4 => 1u64..0x2000,
        2 => 0x1fff_0000_0000u64..0x1fff_0000_1000,
        1 => 1u64..(1 << 63) - 65536,
        1 => (1u64 << 63) - 70000..(1 << 63) - 65536,
    ];
    let size = prop_oneof![6 => 1u32..17, 2 => 1u32..200, 1 => 65530u32..65537];
    let ip = prop_oneof![Just(0u64), Just(0x40_1000u64), 1u64..1 << 63];
    let access = (address, size, any_kind(), prop_oneof![Just(0u32), any::<u32>()], ip).prop_map(
        |(address, size, kind, thread, ip)| {
            let ip = if kind == AccessKind::Fetch { address } else { ip };
            Access { address, size, kind, thread, ip }
        },
    );
    prop::collection::vec(access, 1..60)
}

/// A stream that hands out few bytes at a time.
struct Trickle {
    bytes: Cursor<Vec<u8>>,
    chunk: usize,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(self.chunk);
        self.bytes.read(&mut buffer[..len])
    }
}

/// Bytes that a writer leaves behind.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
