//! Simulated time: whole picoseconds, so that sums are exact and every run gives the same bits.
//!
//! Sums and products stop at the largest value instead of wrapping; a run ends long before it gets there.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub};

/// A duration or a point in time, in picoseconds. In configurations and results it is written in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Picos(pub u64);

/// Picoseconds in a nanosecond.
const PICOS_PER_NANO: u64 = 1000;

/// The longest time that a configuration may name, in ns: 10^5 s. Twice that, on 64 cpus, still fits into 64 bits.
const NANOS_MAX: f64 = 1e14;

impl Picos {
    /// No time.
    pub const ZERO: Self = Self(0);
    /// The longest time that a run may take: that of the longest op.
    pub const RUN_MAX: Self = Self(100_000_000_000_000_000);
    /// Later than everything.
    pub const NEVER: Self = Self(u64::MAX);

    /// Whole nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos * PICOS_PER_NANO)
    }

    /// Nanoseconds with a fraction, rounded to picoseconds; nothing if that is negative, not a number or above 10^14.
    pub fn from_nanos_f64(nanos: f64) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "its range was just checked")]
        (0.0..=NANOS_MAX).contains(&nanos).then(|| Self((nanos * 1000.0).round() as u64))
    }

    /// Cycles of a clock of `frequency_mhz`, rounded to picoseconds.
    pub const fn from_cycles(cycles: u64, frequency_mhz: u32) -> Self {
        if cycles < 1 << 43 {
            // What fits into a word is divided in a fraction of the time.
            return Self((cycles * 1_000_000 + frequency_mhz as u64 / 2) / frequency_mhz as u64);
        }
        Self::from_many_cycles(cycles, frequency_mhz)
    }

    #[cold]
    #[inline(never)]
    const fn from_many_cycles(cycles: u64, frequency_mhz: u32) -> Self {
        let half = frequency_mhz as u128 / 2;
        #[allow(clippy::cast_possible_truncation, reason = "10^13 cycles of a slow clock still fit")]
        Self(((cycles as u128 * 1_000_000 + half) / frequency_mhz as u128) as u64)
    }

    /// Nanoseconds, for people.
    pub fn nanos(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The difference, or nothing at all if `other` is later.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Picos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Picos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Picos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul<u64> for Picos {
    type Output = Self;
    fn mul(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl Sum for Picos {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ZERO, Self::add)
    }
}

impl fmt::Display for Picos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns", self.nanos())
    }
}

impl Serialize for Picos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(PICOS_PER_NANO) {
            serializer.serialize_u64(self.0 / PICOS_PER_NANO)
        } else {
            serializer.serialize_f64(self.nanos())
        }
    }
}

impl<'de> Deserialize<'de> for Picos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Picos;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in nanoseconds, from 0 to 1e14")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Picos, E> {
                self.visit_f64(value as f64)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Picos, E> {
                self.visit_f64(value as f64)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Picos, E> {
                Picos::from_nanos_f64(value).ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_round_to_the_nearest_picosecond() {
        assert_eq!(Picos::from_cycles(5, 3590), Picos(1393));
        assert_eq!(Picos::from_cycles(1, 1000), Picos(1000));
    }

    #[test]
    fn nanoseconds_are_read_and_written_as_they_stand() {
        for text in ["23.5", "90", "0"] {
            assert_eq!(serde_json::to_string(&serde_json::from_str::<Picos>(text).unwrap()).unwrap(), text);
        }
        for text in ["-1", "1e15", "\"4\""] {
            assert!(serde_json::from_str::<Picos>(text).is_err(), "{text}");
        }
    }
}
