//! What must hold of any bytes that are read as a trace.
//!
//! Reading ends in accesses or in an error that can be printed; it does not depend on how the bytes arrive; what was
//! read can be written in any format and reads back. Run with `cargo fuzz run --fuzz-dir rust/fuzz <target> --
//! -rss_limit_mb=2048 -malloc_limit_mb=300`. Inputs that found something are kept in rust/core/tests/trace_fuzz_cases.rs.

use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex};

use runq_core::trace::{
    Access, AccessKind, Batch, Columns, Compression, Format, TraceError, TraceInfo, create_stream, open_stream,
};

/// Accesses that are looked at; a small compressed input may hold billions.
const ACCESSES_MAX: usize = 100_000;

/// Reads `data` and checks everything that must hold.
pub fn check(data: &[u8], format: Option<Format>) {
    let limit = 1 + data.len() % 17;
    let chunk = 1 + data.len() * 7 % 5000;
    let (columns, accesses) = match read(data, format, usize::MAX, 4096) {
        Ok(found) => found,
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 500 && !message.contains(char::is_control), "{message:?}");
            let again = read(data, format, chunk, limit).expect_err("errors do not depend on how bytes arrive");
            // The offset at which a decoder notices damage may.
            assert!(format.is_none() || is_compressed(data) || again.to_string() == message, "{again} / {message}");
            return;
        }
    };
    let (_, again) = read(data, format, chunk, limit).expect("success does not depend on how bytes arrive");
    assert_eq!(accesses, again, "accesses do not depend on how bytes arrive");
    let mut info = TraceInfo::new();
    info.add(batch_of(&accesses, columns).as_ref());
    assert_eq!(info.finish().accesses, accesses.len() as u64);
    for format in Format::ALL {
        check_round_trip(&accesses, columns, format);
    }
}

/// Writes `accesses` and reads them back.
fn check_round_trip(accesses: &[Access], columns: Columns, format: Format) {
    let bytes = match write(accesses, columns, format) {
        Ok(bytes) => bytes,
        Err(error) => {
            let has_zero = accesses.iter().any(|access| access.address == 0);
            assert!(format == Format::ChampSim && has_zero, "{error}");
            return;
        }
    };
    if bytes.is_empty() {
        return;
    }
    // Words of a raw trace may look like the magic of a compressed stream.
    if is_compressed(&bytes) {
        return;
    }
    let (_, found) = read(&bytes, Some(format), usize::MAX, 4096).expect("what was written is read");
    match format {
        Format::Csv => assert_eq!(found, accesses),
        Format::Lackey | Format::Din => {
            let same = |a: &Access, b: &Access| (a.address, a.size, a.kind) == (b.address, b.size, b.kind);
            assert!(found.len() == accesses.len() && found.iter().zip(accesses).all(|(a, b)| same(a, b)));
        }
        Format::Raw | Format::ChampSim => {
            let is_data = |access: &&Access| access.kind != AccessKind::Fetch;
            let data = accesses.iter().filter(is_data).flat_map(pieces);
            let found = found.iter().filter(is_data).map(|access| (access.address, access.kind));
            assert!(data.eq(found));
        }
    }
}

/// The first byte of an access in each line that it touches.
fn pieces(access: &Access) -> impl Iterator<Item = (u64, AccessKind)> + use<> {
    let Access { address, size, kind, .. } = *access;
    let last = address + u64::from(size) - 1;
    (address / 64..=last / 64).map(move |line| (address.max(line * 64), kind))
}

fn is_compressed(bytes: &[u8]) -> bool {
    let opened = open_stream("t", Box::new(Cursor::new(bytes.to_vec())), Some(Format::Raw));
    !matches!(opened, Ok(trace) if trace.compression == Compression::None)
}

fn read(data: &[u8], format: Option<Format>, chunk: usize, limit: usize) -> Result<(Columns, Vec<Access>), TraceError> {
    let mut trace = open_stream("t", Box::new(Trickle { bytes: Cursor::new(data.to_vec()), chunk }), format)?;
    let mut accesses = Vec::new();
    let mut batch = Batch::default();
    while accesses.len() < ACCESSES_MAX && trace.reader.read(&mut batch, limit)? {
        assert!(!batch.is_empty() && batch.len() <= limit);
        let columns = batch.as_ref();
        accesses.extend((0..columns.len()).map(|index| columns.get(index)));
    }
    accesses.truncate(ACCESSES_MAX);
    Ok((trace.columns, accesses))
}

fn batch_of(accesses: &[Access], columns: Columns) -> Batch {
    let mut batch = Batch::default();
    for &access in accesses {
        batch.push(access, columns);
    }
    batch
}

fn write(accesses: &[Access], columns: Columns, format: Format) -> Result<Vec<u8>, TraceError> {
    let sink = Shared::default();
    let mut writer = create_stream("t", Box::new(sink.clone()), format, Compression::None, columns)?;
    writer.write(batch_of(accesses, columns).as_ref())?;
    writer.finish()?;
    Ok(std::mem::take(&mut sink.0.lock().expect("nobody panics while writing")))
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
        self.0.lock().expect("nobody panics while writing").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
