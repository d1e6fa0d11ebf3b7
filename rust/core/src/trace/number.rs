//! Numbers in text, parsed eight digits at a time inside one machine word.
//!
//! A word of eight characters is classified and folded with a handful of integer operations (SIMD within a register;
//! the idea is Lamport's, "Multiple byte processing with full-word instructions", CACM 18(8), 1975).

/// Digits found at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digits {
    /// Their value; meaningless when it overflows.
    pub(crate) value: u64,
    /// How many there are.
    pub(crate) len: usize,
    /// Whether the value does not fit in 64 bits.
    pub(crate) overflows: bool,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x80 * ONES;

/// The hexadecimal digits at `at`, of either case and without prefix. Reads 16 bytes from `at`, or to the last digit,
/// whichever is more. Free of branches that depend on the number of digits, which changes from line to line.
#[inline(always)]
pub(crate) fn hex(bytes: &[u8], at: usize) -> Digits {
    let (first, second) = (load(bytes, at), load(bytes, at + 8));
    let others = u128::from(others(first)) | u128::from(others(second)) << 64;
    if others == 0 {
        return hex_long(bytes, at);
    }
    let len = others.trailing_zeros() / 8;
    if len == 0 {
        return Digits { value: 0, len: 0, overflows: false };
    }
    // The digits move to the top; zeros below them stand for leading zeros.
    let word = (u128::from(first) | (u128::from(second) << 64)) << (128 - 8 * len);
    let half = |word: u128| u64::try_from(word & u128::from(u64::MAX)).expect("masked to 64 bits");
    let (high, low) = (half(word), half(word >> 64));
    Digits { value: fold(high) << 32 | fold(low), len: len as usize, overflows: false }
}

/// As [`hex`], digit by digit, for any number of them.
#[cold]
fn hex_long(bytes: &[u8], at: usize) -> Digits {
    let mut digits = Digits { value: 0, len: 0, overflows: false };
    while let Some(digit) = bytes.get(at + digits.len).and_then(|&byte| char::from(byte).to_digit(16)) {
        digits.overflows |= digits.value >> 60 != 0;
        digits.value = (digits.value << 4) | u64::from(digit);
        digits.len += 1;
    }
    digits
}

/// The decimal digits at `at`.
#[inline]
pub(crate) fn decimal(bytes: &[u8], at: usize) -> Digits {
    let mut digits = Digits { value: 0, len: 0, overflows: false };
    while let Some(digit) = bytes.get(at + digits.len).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        match digits.value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit))) {
            Some(value) => digits.value = value,
            None => digits.overflows = true,
        }
        digits.len += 1;
    }
    digits
}

/// Appends `value` in lower-case hexadecimal with at least `digits` digits, of 1 to 16.
#[inline]
pub(crate) fn push_hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    let len = (u64::BITS - value.leading_zeros()).div_ceil(4).max(digits);
    let left = value << (u64::BITS - 4 * len);
    out.extend_from_slice(&unfold(left >> 32).to_le_bytes());
    out.extend_from_slice(&unfold(left & 0xffff_ffff).to_le_bytes());
    out.truncate(out.len() - 16 + len as usize);
}

/// Appends `value` in decimal.
#[inline]
pub(crate) fn push_decimal(out: &mut Vec<u8>, value: u32) {
    if value < 10 {
        out.push(digit_of(value));
    } else {
        push_long_decimal(out, value);
    }
}

fn push_long_decimal(out: &mut Vec<u8>, mut value: u32) {
    let start = out.len();
    while value > 0 {
        out.push(digit_of(value % 10));
        value /= 10;
    }
    out[start..].reverse();
}

/// The character of a value below 10.
#[inline]
fn digit_of(value: u32) -> u8 {
    b'0' + value.to_le_bytes()[0]
}

/// Eight characters from `at` on; the first is the lowest byte.
#[inline(always)]
fn load(bytes: &[u8], at: usize) -> u64 {
    let word = bytes[at..].first_chunk::<8>().expect("lines are followed by padding");
    u64::from_le_bytes(*word)
}

/// The high bit of each byte of `word` that is no hexadecimal digit.
#[inline(always)]
fn others(word: u64) -> u64 {
    // Sums of 7-bit parts never carry into a neighbour.
    let low7 = word & !HIGHS;
    let decimal = (low7 + (0x80 - 0x30) * ONES) & !(low7 + (0x80 - 0x3a) * ONES);
    let lower = low7 | (0x20 * ONES);
    let letter = (lower + (0x80 - 0x61) * ONES) & !(lower + (0x80 - 0x67) * ONES);
    !((decimal | letter) & !word) & HIGHS
}

/// The value of eight hexadecimal digits, the first in the lowest byte; zero bytes count as zeros.
#[inline(always)]
fn fold(word: u64) -> u64 {
    let nibbles = (word & (0x0f * ONES)) + 9 * ((word >> 6) & ONES);
    let pairs = ((nibbles << 4) | (nibbles >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quads = ((pairs << 8) | (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    ((quads << 16) | (quads >> 32)) & 0xffff_ffff
}

/// The eight hexadecimal digits of a value below 2^32, the first in the lowest byte: the inverse of [`fold`].
#[inline(always)]
fn unfold(value: u64) -> u64 {
    let quads = (value >> 16) | ((value & 0xffff) << 32);
    let pairs = ((quads >> 8) & 0x0000_00ff_0000_00ff) | ((quads & 0x0000_00ff_0000_00ff) << 16);
    let nibbles = ((pairs >> 4) & 0x000f_000f_000f_000f) | ((pairs & 0x000f_000f_000f_000f) << 8);
    let letters = ((nibbles + 6 * ONES) >> 4) & ONES;
    nibbles + u64::from(b'0') * ONES + u64::from(b'a' - b'9' - 1) * letters
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn padded(text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        bytes.extend([0; 32]);
        bytes
    }

    #[test]
    fn every_byte_is_classified_as_the_standard_library_does() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut text = [b'1'; 8];
                text[place] = byte;
                let len = if byte.is_ascii_hexdigit() { 8 } else { place };
                assert_eq!(hex(&padded(&text), 0).len, len, "byte {byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn more_than_64_bits_overflow_and_leading_zeros_do_not() {
        assert_eq!(hex(&padded(b"ffffffffffffffff,"), 0), Digits { value: u64::MAX, len: 16, overflows: false });
        assert!(hex(&padded(b"10000000000000000,"), 0).overflows);
        assert_eq!(hex(&padded(b"000000000000000000001f,"), 0), Digits { value: 31, len: 22, overflows: false });
        assert_eq!(decimal(b"18446744073709551615", 0), Digits { value: u64::MAX, len: 20, overflows: false });
        assert!(decimal(b"18446744073709551616", 0).overflows);
        assert_eq!(decimal(b"x", 0).len, 0);
    }

    proptest! {
        #[test]
        fn hex_reads_what_was_printed(value: u64, width in 1usize..20, upper: bool, tail in "[^0-9a-fA-F]") {
            let text = if upper { format!("{value:0width$X}{tail}") } else { format!("{value:0width$x}{tail}") };
            let digits = hex(&padded(text.as_bytes()), 0);
            prop_assert_eq!(digits, Digits { value, len: text.len() - tail.len(), overflows: false });
        }

        #[test]
        fn pushed_numbers_are_those_of_the_standard_library(value: u64, decimal: u32, digits in 1u32..12) {
            let mut out = Vec::new();
            push_hex(&mut out, value, digits);
            out.push(b' ');
            push_decimal(&mut out, decimal);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{value:0w$x} {decimal}", w = digits as usize));
        }

        #[test]
        fn decimal_reads_what_was_printed(value: u64) {
            let digits = decimal(format!("{value},").as_bytes(), 0);
            prop_assert_eq!((digits.value, digits.overflows), (value, false));
        }
    }
}
