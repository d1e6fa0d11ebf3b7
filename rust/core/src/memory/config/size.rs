//! Sizes in bytes, written as people write them: `32KiB`, `1.25MiB`, 49152.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl Size {
    /// A size of that many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The usual line: 64 bytes.
    pub(super) const fn line() -> Self {
        Self(64)
    }

    /// Reads `32KiB`, `1.25 MiB`, `64` or `64B`. Fractions must come out as whole bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (number, shift) = UNITS
            .iter()
            .find_map(|&(unit, shift)| text.strip_suffix(unit).map(|number| (number.trim_end(), shift)))
            .unwrap_or((text, 0));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
        let value = whole.parse::<u128>().ok()?.checked_mul(scale)?;
        let value = value.checked_add(if fraction.is_empty() { 0 } else { fraction.parse().ok()? })?;
        let scaled = value.checked_mul(1 << shift)?;
        if scaled % scale != 0 {
            return None;
        }
        u64::try_from(scaled / scale).ok().map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, shift) = UNITS
            .into_iter()
            .find(|&(_, shift)| self.0 >> shift != 0 && self.0.trailing_zeros() >= shift)
            .unwrap_or(("B", 0));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"32KiB\" or a number of bytes")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Size, E> {
                Ok(Size(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Size, E> {
                Size::parse(value).ok_or_else(|| E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("32KiB", 32 << 10),
            ("1.25 MiB", 5 << 18),
            ("64", 64),
            ("64B", 64),
            (" 2TiB ", 2 << 40),
            ("0.5KiB", 512),
            ("1.375MiB", 11 << 17),
        ] {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_sizes() {
        for text in
            ["", "KiB", ".5KiB", "-1", "1e3", "32KB", "32 kib", "0.3B", "1.0000000001KiB", "99999999999TiB", "1_000"]
        {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }

    #[test]
    fn size_is_written_in_the_largest_unit_that_divides_it() {
        for (bytes, text) in [(0, "0B"), (64, "64B"), (5 << 18, "1280KiB"), (48 << 10, "48KiB"), (1 << 40, "1TiB")] {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(Size::parse(text), Some(Size(bytes)));
        }
    }
}
