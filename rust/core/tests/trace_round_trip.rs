//! What is written reads back: every format into every other, under every compression.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod trace_support;

use proptest::prelude::*;
use runq_core::trace::{Access, AccessKind, Columns, Compression, Format, WriteReport};
use trace_support::{ALL, any_accesses, read, write};

/// What a format keeps of `accesses`, said as obviously as possible, and what is reported of the rest. The ips of
/// data accesses are set to 0 where `keeps_ips` says so.
fn kept(accesses: &[Access], format: Format) -> Vec<Access> {
    let mut kept = Vec::new();
    let mut fetched = 0;
    for &access in accesses {
        let is_fetch = access.kind == AccessKind::Fetch;
        if is_fetch {
            fetched = access.address;
        }
        match format {
            Format::Csv => kept.push(access),
            Format::Lackey => kept.push(Access { thread: 0, ip: fetched, ..access }),
            Format::Din => kept.push(Access { thread: 0, ip: 0, ..access }),
            Format::Raw if is_fetch => {}
            Format::ChampSim if is_fetch => kept.push(Access { thread: 0, size: 1, ..access }),
            Format::Raw | Format::ChampSim => kept.extend(by_line(access)),
        }
    }
    kept
}

/// An access of 1 byte for each line that `access` touches.
fn by_line(access: Access) -> Vec<Access> {
    let last = access.address + u64::from(access.size) - 1;
    (access.address / 64..=last / 64)
        .map(|line| Access { address: access.address.max(line * 64), size: 1, thread: 0, ip: 0, ..access })
        .collect()
}

/// Accesses without the ips of data, which ChampSim keeps only where they fit.
fn without_data_ips(accesses: &[Access]) -> Vec<Access> {
    let forget = |access: &Access| match access.kind {
        AccessKind::Fetch => *access,
        _ => Access { ip: 0, ..*access },
    };
    accesses.iter().map(forget).collect()
}

fn check(accesses: &[Access], columns: Columns, format: Format, compression: Compression) -> WriteReport {
    let (bytes, report) = write(accesses, columns, format, compression).unwrap();
    let expected = kept(accesses, format);
    assert_eq!(report.accesses, expected.len() as u64);
    if expected.is_empty() {
        return report;
    }
    let found = read(&bytes, Some(format)).unwrap();
    if format == Format::ChampSim {
        assert_eq!(without_data_ips(&found), expected);
    } else {
        assert_eq!(found, expected);
    }
    report
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_format_keeps_what_it_can_under_every_compression(accesses in any_accesses()) {
        let fetches = accesses.iter().filter(|access| access.kind == AccessKind::Fetch).count() as u64;
        let has_threads = accesses.iter().any(|access| access.thread != 0);
        for format in Format::ALL {
            for compression in Compression::ALL {
                let report = check(&accesses, ALL, format, compression);
                let is_raw = format == Format::Raw;
                prop_assert_eq!(report.dropped_fetches, if is_raw { fetches } else { 0 });
                if !is_raw {
                    prop_assert_eq!(report.dropped_threads, has_threads && format != Format::Csv);
                }
                prop_assert!(format != Format::Csv || !report.dropped_ips);
                let splits = matches!(format, Format::Raw | Format::ChampSim);
                prop_assert!(splits || report.split == 0);
            }
        }
    }

    #[test]
    fn data_accesses_survive_a_chain_of_formats(
        accesses in any_accesses(),
        order in Just(Format::ALL.to_vec()).prop_shuffle(),
    ) {
        // One line each, so that no format splits them.
        let mut current: Vec<_> = accesses.iter().map(|&access| Access { size: 1, thread: 0, ..access }).collect();
        let data = |accesses: &[Access]| {
            let data = accesses.iter().filter(|access| access.kind != AccessKind::Fetch);
            data.map(|access| (access.address, access.kind)).collect::<Vec<_>>()
        };
        let first = data(&current);
        prop_assume!(!first.is_empty());
        for format in order {
            let columns = Columns { threads: false, ..ALL };
            let (bytes, _) = write(&current, columns, format, Compression::None).unwrap();
            current = read(&bytes, Some(format)).unwrap();
            prop_assert_eq!(data(&current), first.clone());
        }
    }

    #[test]
    fn champsim_round_trip_of_a_champsim_trace_is_exact(
        records in prop::collection::vec((0u64..5, prop::collection::vec(1u64..1 << 62, 0..5),
            prop::collection::vec(1u64..1 << 62, 0..3)), 1..20),
    ) {
        let accesses: Vec<_> = records.iter().flat_map(|(ip, reads, writes)| {
            let one = |address: u64, kind| Access { address, size: 1, kind, thread: 0, ip: *ip };
            let fetch = (*ip != 0).then(|| one(*ip, AccessKind::Fetch));
            let reads = reads.iter().map(move |&address| one(address, AccessKind::Read));
            let writes = writes.iter().map(move |&address| one(address, AccessKind::Write));
            fetch.into_iter().chain(reads).chain(writes).collect::<Vec<_>>()
        }).collect();
        prop_assume!(!accesses.is_empty());
        let columns = Columns { fetches: true, ips: true, ..Columns::default() };
        let (bytes, report) = write(&accesses, columns, Format::ChampSim, Compression::None).unwrap();
        prop_assert!(!report.dropped_ips && report.split == 0);
        prop_assert_eq!(read(&bytes, Some(Format::ChampSim)).unwrap(), accesses);
    }
}

#[test]
fn champsim_takes_data_without_ips_along_with_the_fetch() {
    let one = |kind, address, ip| Access { address, size: 1, kind, thread: 0, ip };
    let din = [one(AccessKind::Fetch, 0x40, 0), one(AccessKind::Read, 1, 0), one(AccessKind::Write, 2, 0)];
    let columns = Columns { fetches: true, ..Columns::default() };
    let (bytes, report) = write(&din, columns, Format::ChampSim, Compression::None).unwrap();
    assert_eq!((bytes.len(), report.accesses, report.dropped_ips), (64, 3, false));
    let found = read(&bytes, Some(Format::ChampSim)).unwrap();
    let expected =
        [one(AccessKind::Fetch, 0x40, 0x40), one(AccessKind::Read, 1, 0x40), one(AccessKind::Write, 2, 0x40)];
    assert_eq!(found, expected);
}

#[test]
fn champsim_cannot_hold_address_0() {
    let access = Access { address: 0, size: 1, kind: AccessKind::Read, thread: 0, ip: 0 };
    let error = write(&[access], ALL, Format::ChampSim, Compression::None).unwrap_err().to_string();
    let expected = "an address other than 0, which means an empty slot in champsim";
    assert_eq!(error, format!("t: record 0: expected {expected}, got a read of size 1 at 0x0"));
}

#[test]
fn accesses_that_no_reader_would_take_are_not_written() {
    let good = Access { address: 8, size: 1, kind: AccessKind::Write, thread: 0, ip: 0 };
    for bad in
        [Access { size: 0, ..good }, Access { size: 65537, ..good }, Access { address: (1 << 63) - 1, size: 2, ..good }]
    {
        for format in Format::ALL {
            let error = write(&[good, bad], ALL, format, Compression::None).unwrap_err().to_string();
            assert!(error.starts_with("t: record 1: expected a"), "{error}");
        }
    }
}

#[test]
fn text_looks_as_the_tools_write_it() {
    let one = |kind, address, size| Access { address, size, kind, thread: 0, ip: 0 };
    let accesses = [
        one(AccessKind::Fetch, 0x401_ab70, 3),
        one(AccessKind::Read, 0x1f_ff00_0758, 8),
        one(AccessKind::Write, 0x10, 10),
    ];
    let text = |format| String::from_utf8(write(&accesses, ALL, format, Compression::None).unwrap().0).unwrap();
    assert_eq!(text(Format::Lackey), "I  0401ab70,3\n L 1fff000758,8\n S 00000010,10\n");
    assert_eq!(text(Format::Din), "2 401ab70 3\n0 1fff000758 8\n1 10 00000a\n");
    let csv = "address,kind,size,thread,ip\n0x401ab70,fetch,3,0,0x0\n0x1fff000758,read,8,0,0x0\n0x10,write,10,0,0x0\n";
    assert_eq!(text(Format::Csv), csv);
}
