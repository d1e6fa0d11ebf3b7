//! Traces as files: names, extensions, and what a writer leaves behind.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod trace_support;

use runq_core::trace::{
    Access, AccessKind, Batch, BatchRef, Columns, Compression, Format, TraceWriter, create_path, open_path,
};
use std::fs;
use std::path::Path;
use trace_support::{Scratch, drain};

const WORDS: BatchRef<'static> =
    BatchRef { words: &[1, 2 | 1 << 63], sizes: &[], fetches: &[], threads: &[], ips: &[] };

fn create(path: &Path) -> Box<dyn TraceWriter> {
    create_path(path, None, None, Columns::default()).unwrap()
}

fn accesses_of(path: &Path) -> usize {
    drain(open_path(path, None).unwrap().reader, 100).unwrap().len()
}

#[test]
fn extension_says_format_and_compression_of_what_is_written() {
    let scratch = Scratch::new("extensions");
    for format in ["lackey", "din", "champsim", "champsimtrace", "u64", "csv"] {
        for (suffix, compression) in [
            ("", Compression::None),
            (".gz", Compression::Gzip),
            (".xz", Compression::Xz),
            (".zst", Compression::Zstd),
            (".zstd", Compression::Zstd),
        ] {
            let path = scratch.file(&format!("t.{format}{suffix}"));
            let mut writer = create(&path);
            writer.write(WORDS).unwrap();
            assert_eq!(writer.finish().unwrap().accesses, 2);
            let trace = open_path(&path, None).unwrap();
            assert_eq!(Some(trace.format), Format::of_path(&path));
            assert_eq!(trace.compression, compression);
            assert_eq!(trace.total_bytes, Some(fs::metadata(&path).unwrap().len()));
            assert_eq!(drain(trace.reader, 10).unwrap().len(), 2);
        }
    }
}

#[test]
fn explicit_format_wins_over_the_extension_and_content_over_neither() {
    let scratch = Scratch::new("explicit");
    let path = scratch.file("t.csv");
    fs::write(&path, "0 10\n1 20\n").unwrap();
    assert!(open_path(&path, None).is_err());
    assert_eq!(drain(open_path(&path, Some(Format::Din)).unwrap().reader, 10).unwrap().len(), 2);
    let unnamed = scratch.file("trace.out");
    fs::rename(&path, &unnamed).unwrap();
    assert_eq!(open_path(&unnamed, None).unwrap().format, Format::Din);
}

#[test]
fn file_has_its_name_only_when_it_is_whole() {
    let scratch = Scratch::new("whole");
    let path = scratch.file("t.u64");
    let mut writer = create(&path);
    writer.write(WORDS).unwrap();
    assert!(!path.exists());
    assert_eq!(scratch.names().len(), 1);
    writer.finish().unwrap();
    assert_eq!(scratch.names(), ["t.u64"]);
}

#[test]
fn writer_that_is_dropped_leaves_nothing_and_keeps_what_was_there() {
    let scratch = Scratch::new("dropped");
    let path = scratch.file("t.u64.zst");
    fs::write(&path, "old").unwrap();
    let mut writer = create(&path);
    writer.write(WORDS).unwrap();
    drop(writer);
    assert_eq!(scratch.names(), ["t.u64.zst"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn trace_with_a_refused_access_does_not_come_to_be() {
    let scratch = Scratch::new("refused");
    let path = scratch.file("t.champsim");
    let mut writer = create(&path);
    writer.write(WORDS).unwrap();
    writer.write(BatchRef::from_words(&[0])).unwrap_err();
    let error = writer.finish().unwrap_err().to_string();
    assert!(error.contains("writing failed before"), "{error}");
    assert_eq!(scratch.names(), [] as [&str; 0]);
}

#[test]
fn two_writers_in_one_directory_do_not_meet() {
    let scratch = Scratch::new("two");
    let (mut first, mut second) = (create(&scratch.file("a.u64")), create(&scratch.file("b.u64")));
    first.write(WORDS).unwrap();
    second.write(WORDS.slice(0, 1)).unwrap();
    second.finish().unwrap();
    first.finish().unwrap();
    assert_eq!((accesses_of(&scratch.file("a.u64")), accesses_of(&scratch.file("b.u64"))), (2, 1));
}

#[test]
fn directories_are_neither_read_nor_replaced() {
    let scratch = Scratch::new("directory");
    let path = scratch.file("t.u64");
    fs::create_dir(&path).unwrap();
    let error = open_path(&path, None).err().unwrap().to_string();
    assert!(error.ends_with("t.u64: expected a file, got a directory"), "{error}");
    let error = create_path(&path, None, None, Columns::default()).err().unwrap().to_string();
    assert!(error.ends_with("t.u64: expected the name of a file, got a directory"), "{error}");
}

#[test]
fn missing_files_and_directories_are_named() {
    let scratch = Scratch::new("missing");
    let path = scratch.file("no/t.u64");
    let error = open_path(&path, None).err().unwrap().to_string();
    assert!(error.contains("no/t.u64: No such file or directory"), "{error}");
    let error = create_path(&path, None, None, Columns::default()).err().unwrap().to_string();
    assert!(error.contains("no/t.u64: No such file or directory"), "{error}");
}

#[test]
fn name_without_a_known_extension_asks_for_the_format() {
    for name in ["trace", "trace.txt", "-", "trace.gz"] {
        let error = create_path(Path::new(name), None, None, Columns::default()).err().unwrap().to_string();
        assert!(error.contains("--format") && error.ends_with(&format!("got \"{name}\"")), "{error}");
    }
}

#[test]
fn batches_with_all_columns_go_through_files() {
    let scratch = Scratch::new("columns");
    let columns = Columns { sizes: true, fetches: true, threads: true, ips: true };
    let access = Access { address: 64, size: 8, kind: AccessKind::Write, thread: 7, ip: 0x400 };
    let mut batch = Batch::default();
    batch.push(access, columns);
    let path = scratch.file("t.csv.gz");
    let mut writer = create_path(&path, None, None, columns).unwrap();
    writer.write(batch.as_ref()).unwrap();
    writer.finish().unwrap();
    let trace = open_path(&path, None).unwrap();
    assert_eq!(trace.columns, columns);
    assert_eq!(drain(trace.reader, 10).unwrap(), [access]);
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn full_disk_is_an_error_that_names_the_file() {
        for compression in Compression::ALL {
            let mut writer =
                create_path(Path::new("/dev/full"), Some(Format::Raw), Some(compression), Columns::default()).unwrap();
            let words = vec![0x1234_5678_9abc; 1 << 18];
            let written = writer.write(BatchRef::from_words(&words));
            let error = written.and_then(|()| writer.finish().map(|_| ())).unwrap_err().to_string();
            assert!(error.starts_with("/dev/full: byte ") && error.contains("No space left"), "{error}");
        }
    }

    #[test]
    fn devices_are_written_and_not_replaced() {
        let mut writer = create_path(Path::new("/dev/null"), Some(Format::Din), None, Columns::default()).unwrap();
        writer.write(WORDS).unwrap();
        writer.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn target_of_a_link_is_replaced_and_keeps_its_mode() {
        let scratch = Scratch::new("link");
        let (target, link) = (scratch.file("target.u64"), scratch.file("link.u64"));
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&target, &link).unwrap();
        let mut writer = create(&link);
        writer.write(WORDS).unwrap();
        writer.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(accesses_of(&target), 2);
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
