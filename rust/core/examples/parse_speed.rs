//! How fast a trace is read: `parse_speed FILE...` prints MB/s of the bytes in the file and accesses a second.
//!
//! Goals on one 2.6 GHz cpu, uncompressed and in the page cache: lackey and din 400 MB/s, raw 1 GB/s. The best of
//! five passes counts.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use runq_core::trace::{Batch, open_path};

const PASSES: u32 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    for file in std::env::args().skip(1) {
        let mut best = Duration::MAX;
        let (mut accesses, mut bytes, mut format) = (0, 0, None);
        for _ in 0..PASSES {
            let start = Instant::now();
            let mut trace = open_path(Path::new(&file), None)?;
            let mut batch = Batch::default();
            accesses = 0;
            while trace.reader.read(&mut batch, 1 << 12)? {
                accesses += batch.len();
            }
            best = best.min(start.elapsed());
            bytes = trace.consumed.load(Ordering::Relaxed);
            format = Some(trace.format);
        }
        let seconds = best.as_secs_f64();
        let name = format.map_or("", |format| format.name());
        println!(
            "{file}: {name}, {:.0} MB/s, {:.1} million accesses/s ({accesses} in {seconds:.3} s)",
            bytes as f64 / seconds / 1e6,
            accesses as f64 / seconds / 1e6,
        );
    }
    Ok(())
}
