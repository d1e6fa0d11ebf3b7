//! Real traces: what readers find in them is what simple tools find.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod trace_support;

use runq_core::trace::{AccessKind, Batch, Compression, Format, TraceInfo, TraceSummary, open_path};
use std::io::Read;
use std::path::Path;
use trace_support::{ALL, drain, golden, read, write};

fn summary_of(path: &Path) -> TraceSummary {
    let mut trace = open_path(path, None).unwrap();
    let mut info = TraceInfo::new();
    let mut batch = Batch::default();
    while trace.reader.read(&mut batch, 4096).unwrap() {
        info.add(batch.as_ref());
    }
    info.finish()
}

#[test]
fn ls_has_as_many_accesses_as_lines_of_each_letter() {
    let Some(path) = golden("ls.lackey.xz") else { return };
    let mut text = String::new();
    liblzma::read::XzDecoder::new(std::fs::File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
    let starting = |start: &str| text.lines().filter(|line| line.starts_with(start)).count() as u64;
    let (fetches, loads, stores, modifies) = (starting("I  "), starting(" L "), starting(" S "), starting(" M "));
    let summary = summary_of(&path);
    assert_eq!(summary.fetches, fetches);
    assert_eq!(summary.reads, loads + modifies);
    assert_eq!(summary.writes, stores + modifies);
    assert!(fetches > 500_000 && modifies > 1_000, "the trace is the one we know");
    let trace = open_path(&path, None).unwrap();
    assert_eq!((trace.format, trace.compression), (Format::Lackey, Compression::Xz));
}

#[test]
fn ls_survives_a_turn_through_each_format() {
    let Some(path) = golden("ls.lackey.xz") else { return };
    let mut accesses = drain(open_path(&path, None).unwrap().reader, 50_000).unwrap();
    accesses.truncate(150_000);
    for format in [Format::Lackey, Format::Din, Format::Csv] {
        let (bytes, report) = write(&accesses, ALL, format, Compression::Zstd).unwrap();
        assert_eq!(report.split, 0);
        let back = read(&bytes, Some(format)).unwrap();
        let same = |a: &runq_core::trace::Access, b: &runq_core::trace::Access| {
            (a.address, a.size, a.kind, a.ip)
                == (b.address, b.size, b.kind, if format == Format::Din { 0 } else { b.ip })
        };
        assert!(back.len() == accesses.len() && back.iter().zip(&accesses).all(|(a, b)| same(a, b)), "{format}");
    }
    let (bytes, report) = write(&accesses, ALL, Format::ChampSim, Compression::Zstd).unwrap();
    let back = read(&bytes, Some(Format::ChampSim)).unwrap();
    let fetches = |list: &[runq_core::trace::Access]| {
        let fetches = list.iter().filter(|access| access.kind == AccessKind::Fetch);
        fetches.map(|access| access.address).collect::<Vec<_>>()
    };
    assert_eq!(fetches(&back), fetches(&accesses));
    assert_eq!(back.len() as u64, report.accesses);
    assert!(report.split > 0 && report.accesses > accesses.len() as u64);
}

#[test]
fn sort_has_the_records_its_description_says() {
    let Some(path) = golden("sort.u64.xz") else { return };
    let mut trace = open_path(&path, None).unwrap();
    assert_eq!((trace.format, trace.compression), (Format::Raw, Compression::Xz));
    let mut batch = Batch::default();
    let mut info = TraceInfo::new();
    while trace.reader.read(&mut batch, usize::MAX).unwrap() {
        info.add(batch.as_ref());
    }
    let summary = info.finish();
    assert_eq!((summary.accesses, summary.fetches, summary.line_crossings), (24_875_004, 0, 0));
    // The trace fits in the largest cache and the largest TLB of the golden hierarchy: these are their misses.
    assert_eq!((summary.lines, summary.pages), (18_912, 375));
}
