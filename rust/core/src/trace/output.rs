//! Where a written trace goes: compressed, buffered, and under its final name only when it is whole.
//!
//! A file is written under a temporary name in the directory of its target and renamed once its bytes are on the
//! disk, so that a convert which is killed leaves no half trace behind. Standard output, devices and pipes are written
//! directly.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::error::{Place, TraceError};
use super::format::Compression;
use super::input::widen;

/// Bytes that are gathered before they are compressed and written.
const BUFFER_BYTES: usize = 256 << 10;

/// Names that are tried for the temporary file.
const TEMPORARY_NAMES_MAX: u32 = 1000;

const GZIP_LEVEL: u32 = 6;
const XZ_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// The bytes of a trace on their way out.
pub(crate) struct Output {
    name: String,
    /// Bytes that wait to be written; encoders append to it.
    pub(crate) buffer: Vec<u8>,
    /// `None` after a failure.
    encoder: Option<Encoder>,
    /// Bytes written so far, before compression.
    written: u64,
    temporary: Option<Temporary>,
}

impl Output {
    /// Opens the file at `path`, or standard output for `-`.
    pub(crate) fn create(path: &Path, compression: Compression) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        if name == "-" {
            return Self::new(&name, Box::new(io::stdout()), compression);
        }
        let at_open = |error| TraceError::io(&name, Place::Whole, error);
        // The target of a link is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let existing = fs::metadata(&path).ok();
        if path.file_name().is_none() || existing.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(TraceError::malformed(&name, Place::Whole, "the name of a file", "a directory"));
        }
        if existing.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            let file = OpenOptions::new().write(true).open(&path).map_err(at_open)?;
            return Self::new(&name, Box::new(file), compression);
        }
        let (file, temporary) = Temporary::beside(&path).map_err(at_open)?;
        if let Some(metadata) = existing {
            fs::set_permissions(&temporary.path, metadata.permissions()).map_err(at_open)?;
        }
        let encoder = Encoder::new(Sink::File(file), compression).map_err(at_open)?;
        Ok(Self { encoder: Some(encoder), temporary: Some(temporary), ..Self::without_encoder(&name) })
    }

    /// Writes to `sink`; errors call it `name`.
    pub(crate) fn new(name: &str, sink: Box<dyn Write + Send>, compression: Compression) -> Result<Self, TraceError> {
        let encoder =
            Encoder::new(Sink::Other(sink), compression).map_err(|error| TraceError::io(name, Place::Whole, error))?;
        Ok(Self { encoder: Some(encoder), ..Self::without_encoder(name) })
    }

    fn without_encoder(name: &str) -> Self {
        let buffer = Vec::with_capacity(BUFFER_BYTES + (BUFFER_BYTES >> 2));
        Self { name: name.to_owned(), buffer, encoder: None, written: 0, temporary: None }
    }

    /// What errors call the trace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Writes the buffer if it is full.
    #[inline]
    pub(crate) fn drain(&mut self) -> Result<(), TraceError> {
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.write_buffer() }
    }

    fn write_buffer(&mut self) -> Result<(), TraceError> {
        let Some(mut encoder) = self.encoder.take() else {
            let error = io::Error::other("writing failed before");
            return Err(TraceError::io(&self.name, Place::Byte(self.written), error));
        };
        let place = Place::Byte(self.written);
        encoder.write_all(&self.buffer).map_err(|error| TraceError::io(&self.name, place, error))?;
        self.encoder = Some(encoder);
        self.written += widen(self.buffer.len());
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left and puts the trace under its final name.
    pub(crate) fn finish(mut self) -> Result<(), TraceError> {
        self.write_buffer()?;
        let encoder = self.encoder.take().expect("the last write succeeded");
        let finished = encoder.finish().and_then(|()| match self.temporary.take() {
            Some(temporary) => temporary.rename(),
            None => Ok(()),
        });
        finished.map_err(|error| TraceError::io(&self.name, Place::Byte(self.written), error))
    }
}

/// A file that is removed unless it gets its final name.
struct Temporary {
    path: PathBuf,
    target: PathBuf,
    is_renamed: bool,
}

impl Temporary {
    /// Creates a file of a name that nobody has, in the directory of `target`.
    fn beside(target: &Path) -> io::Result<(File, Self)> {
        let process = std::process::id();
        for attempt in 0..TEMPORARY_NAMES_MAX {
            let path = target.with_file_name(format!(".runq-{process}-{attempt}.part"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, Self { path, target: target.to_path_buf(), is_renamed: false })),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, "too many temporary files (.runq-*.part) in its directory"))
    }

    fn rename(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            // Nothing can be done about a file that does not go away.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The bottom of an output.
enum Sink {
    File(File),
    Other(Box<dyn Write + Send>),
}

impl Sink {
    /// Makes sure that what was written has arrived, as far as can be known.
    fn finish(mut self) -> io::Result<()> {
        match &mut self {
            Self::File(file) => file.sync_all(),
            Self::Other(writer) => writer.flush(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Other(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Other(writer) => writer.flush(),
        }
    }
}

/// A compressor, or none.
enum Encoder {
    None(Sink),
    Gzip(flate2::write::GzEncoder<Sink>),
    Xz(liblzma::write::XzEncoder<Sink>),
    Zstd(zstd::stream::write::Encoder<'static, Sink>),
}

impl Encoder {
    fn new(sink: Sink, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(sink),
            Compression::Gzip => Self::Gzip(flate2::write::GzEncoder::new(sink, flate2::Compression::new(GZIP_LEVEL))),
            Compression::Xz => Self::Xz(liblzma::write::XzEncoder::new(sink, XZ_LEVEL)),
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(sink, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::None(sink) => sink.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Xz(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::None(sink) => sink,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Xz(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        }
        .finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_of_one_process_have_names_of_their_own() {
        let directory = std::env::temp_dir().join(format!("runq-output-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let target = directory.join("t");
        let (_, first) = Temporary::beside(&target).unwrap();
        let (_, second) = Temporary::beside(&target).unwrap();
        assert_ne!(first.path, second.path);
        second.rename().unwrap();
        drop(first);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn output_is_broken_for_good_after_a_failed_write() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output::new("t", Box::new(Full), Compression::None).unwrap();
        output.buffer.push(1);
        assert!(output.write_buffer().is_err());
        assert!(output.finish().unwrap_err().to_string().contains("writing failed before"));
    }
}
