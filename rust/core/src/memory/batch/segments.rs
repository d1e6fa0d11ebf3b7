//! Compact addresses: 63 bits squeezed so that a tag fits into 31.
//!
//! A program touches a handful of far-apart stretches of its address space. The address space is cut into segments of
//! 16 GiB; the lowest ones keep their numbers, others get the next free number when they are first seen. The low 34
//! bits of an address never change, so sets are those of the real address. When numbers run out the arrays are widened
//! to 64-bit entries, where there are enough for any trace.

use super::words::bits_in_use;
use crate::trace::batch::WRITE_BIT;
use std::collections::HashMap;

/// log2 of the bytes a segment.
pub(in crate::memory) const SEGMENT_BITS: u32 = 34;

const LOW_MASK: u64 = (1 << SEGMENT_BITS) - 1;
const RECENT: usize = 64;

/// Numbers segments, or leaves addresses as they are.
pub(in crate::memory) struct Segments {
    numbering: Option<Numbering>,
}

struct Numbering {
    // Segments below this keep their numbers.
    fixed: u64,
    limit: u64,
    numbers: HashMap<u64, u64>,
    // The segments of the numbers from `fixed` on.
    segments: Vec<u64>,
    // Segment and number of what was looked up lately, by the low bits of the segment.
    recent: [(u64, u64); RECENT],
}

/// More segments than the numbers at hand.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::memory) struct Exhausted;

impl Segments {
    /// Compact addresses shall have at most `bits` bits, at least [`SEGMENT_BITS`]` + 1`. The last number is never given,
    /// so that a tag of all ones stays free.
    pub fn numbered(bits: u32) -> Self {
        let numbers = 1u64 << (bits - SEGMENT_BITS);
        let numbering = Numbering {
            fixed: numbers / 2,
            limit: numbers - 1,
            numbers: HashMap::new(),
            segments: Vec::new(),
            recent: [(u64::MAX, 0); RECENT],
        };
        Self { numbering: Some(numbering) }
    }

    /// Addresses stay as they are.
    pub fn real() -> Self {
        Self { numbering: None }
    }

    /// From now on addresses stay as they are. Returns what a compact address was before.
    pub fn widen(&mut self) -> impl Fn(u64) -> u64 + use<> {
        let (fixed, segments) = self.numbering.take().map_or((u64::MAX, Vec::new()), |n| (n.fixed, n.segments));
        move |compact| match (compact >> SEGMENT_BITS).checked_sub(fixed) {
            Some(number) => {
                let segment = segments[usize::try_from(number).expect("numbers are few")];
                segment << SEGMENT_BITS | compact & LOW_MASK
            }
            None => compact,
        }
    }

    /// Whether all words, whose bit 63 does not count, are their own compact addresses.
    pub fn unchanged(&self, words: &[u64]) -> bool {
        self.numbering.as_ref().is_none_or(|numbering| bits_in_use(words) >> SEGMENT_BITS < numbering.fixed)
    }

    /// Writes the compact form of every word to `out`; bit 63 is kept.
    ///
    /// # Errors
    /// The numbers are used up; then [`widen`](Self::widen) is next, and nothing of `out` counts.
    pub fn compact(&mut self, words: &[u64], out: &mut [u64]) -> Result<(), Exhausted> {
        let Some(numbering) = &mut self.numbering else {
            out[..words.len()].copy_from_slice(words);
            return Ok(());
        };
        for (word, out) in words.iter().zip(out) {
            let number = numbering.number_of((word & !WRITE_BIT) >> SEGMENT_BITS)?;
            *out = word & (WRITE_BIT | LOW_MASK) | number << SEGMENT_BITS;
        }
        Ok(())
    }
}

impl Numbering {
    fn number_of(&mut self, segment: u64) -> Result<u64, Exhausted> {
        if segment < self.fixed {
            return Ok(segment);
        }
        let place = usize::try_from(segment).unwrap_or(0) % RECENT;
        if self.recent[place].0 == segment {
            return Ok(self.recent[place].1);
        }
        let next = self.fixed + self.segments.len() as u64;
        let number = match self.numbers.get(&segment) {
            Some(&number) => number,
            None if next == self.limit => return Err(Exhausted),
            None => {
                self.numbers.insert(segment, next);
                self.segments.push(segment);
                next
            }
        };
        self.recent[place] = (segment, number);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_addresses_are_their_own_compact_form() {
        let segments = Segments::numbered(43);
        assert!(segments.unchanged(&[0, 1 << 40, 5 | 1 << 63]));
        assert!(!segments.unchanged(&[0, 0x7fff_0000_0000]));
    }

    #[test]
    fn far_segments_get_numbers_and_keep_their_low_bits_and_the_write_bit() {
        let mut segments = Segments::numbered(43);
        let words = [0x7fff_1234_5678, 0x7fff_1234_5678 | 1 << 63, 0x5555_0000_0000, 3];
        let mut out = [0; 4];
        segments.compact(&words, &mut out).unwrap();
        assert_eq!(out[0] & LOW_MASK, words[0] & LOW_MASK);
        assert_eq!(out[1], out[0] | 1 << 63);
        assert_ne!(out[0] >> SEGMENT_BITS, out[2] >> SEGMENT_BITS);
        assert!(out[0] < 1 << 43 && out[2] < 1 << 43);
        assert_eq!(out[3], 3);
    }

    #[test]
    fn exhausted_numbers_are_told_and_widening_tells_what_they_stood_for() {
        let mut segments = Segments::numbered(36);
        let far = |n: u64| [(100 + n) << SEGMENT_BITS | 77];
        let mut out = [0];
        segments.compact(&far(0), &mut out).unwrap();
        let first = out[0];
        assert_eq!(segments.compact(&far(1), &mut out), Err(Exhausted));
        let original = segments.widen();
        assert_eq!(original(first), far(0)[0]);
        assert_eq!(original(12), 12);
        assert!(segments.unchanged(&far(1)));
    }
}
