//! The formats of traces and the ways they are compressed, with the names that users write.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::base::ConfigError;

/// A format of trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text that Valgrind writes with `--tool=lackey --trace-mem=yes`.
    Lackey,
    /// Text of the Dinero simulators: `label address [size]`.
    Din,
    /// Records of 64 bytes, one an instruction, as ChampSim reads them.
    ChampSim,
    /// Little-endian `u64`, one an access: bit 63 says write, the rest is the address.
    Raw,
    /// Comma-separated values under a header line.
    Csv,
}

impl Format {
    /// Every format, in the order in which messages name them.
    pub const ALL: [Self; 5] = [Self::Lackey, Self::Din, Self::ChampSim, Self::Raw, Self::Csv];

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lackey => "lackey",
            Self::Din => "din",
            Self::ChampSim => "champsim",
            Self::Raw => "raw",
            Self::Csv => "csv",
        }
    }

    /// The format that the extension of `path` stands for, after an extension of a compression.
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let stem = match Compression::of_path(path) {
            Some(_) => name.rsplit_once('.')?.0,
            None => &name,
        };
        match stem.rsplit_once('.')?.1 {
            "lackey" => Some(Self::Lackey),
            "din" => Some(Self::Din),
            "champsim" | "champsimtrace" => Some(Self::ChampSim),
            "u64" => Some(Self::Raw),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| ConfigError::new("format", "must be one of lackey, din, champsim, raw, csv", text))
    }
}

/// How the bytes of a trace are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, one or more members.
    Gzip,
    /// xz, one or more streams.
    Xz,
    /// Zstandard, one or more frames.
    Zstd,
}

impl Compression {
    /// Every way, in the order in which messages name them.
    pub const ALL: [Self; 4] = [Self::None, Self::Gzip, Self::Xz, Self::Zstd];

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// The compression that the extension of `path` stands for; used when a trace is written, never when it is read.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_string_lossy().to_ascii_lowercase().as_str() {
            "gz" => Some(Self::Gzip),
            "xz" => Some(Self::Xz),
            "zst" | "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.name() == text)
            .ok_or_else(|| ConfigError::new("compression", "must be one of none, gzip, xz, zstd", text))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_to_what_they_name() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>(), Ok(format));
        }
        for compression in Compression::ALL {
            assert_eq!(compression.to_string().parse::<Compression>(), Ok(compression));
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_list_of_known_ones() {
        let error = "elf".parse::<Format>().unwrap_err();
        assert_eq!(error.to_string(), "format: must be one of lackey, din, champsim, raw, csv, got elf");
        assert!("lz4".parse::<Compression>().is_err());
    }

    #[test]
    fn extension_is_read_below_the_one_of_a_compression() {
        let of = |name: &str| (Format::of_path(Path::new(name)), Compression::of_path(Path::new(name)));
        assert_eq!(of("a/b.c/sort.u64.xz"), (Some(Format::Raw), Some(Compression::Xz)));
        assert_eq!(of("ls.LACKEY"), (Some(Format::Lackey), None));
        assert_eq!(of("600.perl-1B.champsimtrace.gz"), (Some(Format::ChampSim), Some(Compression::Gzip)));
        assert_eq!(of("t.csv.zstd"), (Some(Format::Csv), Some(Compression::Zstd)));
        assert_eq!(of("t.zst"), (None, Some(Compression::Zstd)));
        assert_eq!(of("csv"), (None, None));
        assert_eq!(of("-"), (None, None));
    }
}
