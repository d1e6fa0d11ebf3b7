//! The lesser and the greater of two numbers, each one instruction: `f64::min` takes six.
//!
//! They differ where a number is none: then the second is taken. Zeros here have no sign.

/// The lesser.
#[inline]
pub(super) fn lesser(one: f64, other: f64) -> f64 {
    if one < other { one } else { other }
}

/// The greater.
#[inline]
pub(super) fn greater(one: f64, other: f64) -> f64 {
    if one > other { one } else { other }
}
