//! Times that are written in microseconds.

use crate::base::Picos;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes microseconds.
///
/// # Errors
/// What the writer says.
pub fn serialize<S: Serializer>(time: &Picos, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.0 as f64 / 1e6)
}

/// Reads microseconds, from 0 to 10^11.
///
/// # Errors
/// A value of another type or range.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Picos, D::Error> {
    let value = f64::deserialize(deserializer)?;
    from_f64(value).ok_or_else(|| D::Error::custom(format!("{value} is not a time, expected 0 to 1e11 us")))
}

/// Microseconds, rounded to picoseconds; nothing if that is negative, not a number or above 10^11.
pub fn from_f64(micros: f64) -> Option<Picos> {
    (0.0..=1e11).contains(&micros).then(|| Picos::from_nanos_f64(micros * 1000.0)).flatten()
}

/// The same for what may be absent.
pub mod option {
    use crate::base::Picos;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Micros(#[serde(with = "super")] Picos);

    /// Writes microseconds or nothing.
    ///
    /// # Errors
    /// What the writer says.
    #[allow(clippy::ref_option, reason = "serde asks for it")]
    pub fn serialize<S: Serializer>(time: &Option<Picos>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Micros).serialize(serializer)
    }

    /// Reads microseconds or nothing.
    ///
    /// # Errors
    /// A value of another type or range.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Picos>, D::Error> {
        Ok(Option::<Micros>::deserialize(deserializer)?.map(|time| time.0))
    }
}

/// The same for lists.
pub mod list {
    use crate::base::Picos;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Micros(#[serde(with = "super")] Picos);

    /// Writes microseconds.
    ///
    /// # Errors
    /// What the writer says.
    #[allow(clippy::ptr_arg, reason = "serde asks for it")]
    pub fn serialize<S: Serializer>(times: &Vec<Picos>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(times.iter().map(|&time| Micros(time)))
    }

    /// Reads microseconds.
    ///
    /// # Errors
    /// A value of another type or range.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Picos>, D::Error> {
        Ok(Vec::<Micros>::deserialize(deserializer)?.into_iter().map(|time| time.0).collect())
    }
}
