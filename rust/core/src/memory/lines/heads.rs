//! What is looked at first of a set, kept together so that it is one piece of memory: a fingerprint of each key, and which
//! ways are valid and which dirty.
//!
//! A fingerprint has 16 bits, four are in a word, and a whole set is searched with a few operations that do not branch. One
//! that fits is only a hint: the key itself has to be compared.

use super::Key;

const LANES: usize = 4;
const LANE_BITS: usize = 16;
const LANE_ONES: u64 = 0x0001_0001_0001_0001;
const LANE_TOPS: u64 = 0x8000_8000_8000_8000;

/// Heads of all sets.
pub(super) struct Heads {
    // Of each set: a word of flags, then the fingerprints.
    words: Vec<u64>,
    words_a_set: usize,
}

/// Bits of the ways of a set.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub valid: u32,
    pub dirty: u32,
}

impl Heads {
    pub fn new(sets: usize, ways: usize) -> Self {
        let words_a_set = 1 + ways.div_ceil(LANES);
        Self { words: vec![0; sets * words_a_set], words_a_set }
    }

    #[inline(always)]
    pub fn flags(&self, set: usize) -> Flags {
        let word = self.words[set * self.words_a_set];
        let half = |word: u64| u32::try_from(word & 0xffff_ffff).expect("32 bits");
        Flags { valid: half(word), dirty: half(word >> 32) }
    }

    #[inline(always)]
    pub fn set_flags(&mut self, set: usize, flags: Flags) {
        self.words[set * self.words_a_set] = u64::from(flags.dirty) << 32 | u64::from(flags.valid);
    }

    /// The valid way of a set whose fingerprint fits the key and of which `is_it` says that it is the one.
    #[inline(always)]
    pub fn find<K: Key>(&self, set: usize, key: K, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let head = &self.words[set * self.words_a_set..][..self.words_a_set];
        // The usual numbers of ways get loops of known length.
        let mut candidates = match *head {
            [_, a, b] => equal_ways(key, &[a, b]),
            [_, a, b, c, d] => equal_ways(key, &[a, b, c, d]),
            _ => equal_ways(key, &head[1..]),
        };
        let valid = head[0];
        while candidates != 0 {
            let place = candidates.trailing_zeros() as usize;
            let way = place % LANE_BITS * LANES + place / LANE_BITS;
            if valid >> way & 1 != 0 && is_it(way) {
                return Some(way);
            }
            candidates &= candidates - 1;
        }
        None
    }

    /// Notes the key of a way.
    #[inline(always)]
    pub fn put<K: Key>(&mut self, set: usize, way: usize, key: K) {
        let word = &mut self.words[set * self.words_a_set + 1 + way / LANES];
        let shift = way % LANES * LANE_BITS;
        *word = *word & !(0xffff << shift) | fingerprint(key) << shift;
    }

    /// Makes all ways invalid.
    pub fn clear(&mut self) {
        self.words.iter_mut().step_by(self.words_a_set).for_each(|flags| *flags = 0);
    }
}

/// The lanes that fit a key: lane by lane, a bit for each word.
#[inline(always)]
fn equal_ways<K: Key>(key: K, words: &[u64]) -> u64 {
    let wanted = fingerprint(key) * LANE_ONES;
    words.iter().enumerate().fold(0, |found, (index, word)| found | equal_lanes(word ^ wanted) << index)
}

#[inline(always)]
fn fingerprint<K: Key>(key: K) -> u64 {
    key.word().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48
}

/// The lowest bit of each lane that is zero.
#[inline(always)]
fn equal_lanes(word: u64) -> u64 {
    // Adding all ones but the top carries into the top unless the rest of the lane is zero; no lane reaches the next.
    let nonzero = ((word & !LANE_TOPS) + !LANE_TOPS) | word;
    (!nonzero & LANE_TOPS) >> (LANE_BITS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_found_by_its_key_if_it_is_valid() {
        for ways in 1..=32 {
            let mut heads = Heads::new(2, ways);
            let valid = 0x5b3d_9e6f & (u32::MAX >> (32 - ways));
            heads.set_flags(1, Flags { valid, dirty: 0 });
            (0..ways).for_each(|way| heads.put(1, way, 1000 + way as u64));
            for way in 0..ways {
                let found = heads.find(1, 1000 + way as u64, |found| found == way);
                assert_eq!(found, Some(way).filter(|way| valid >> way & 1 != 0), "{way} of {ways}");
            }
            assert_eq!(heads.find(1, 5000_u64, |_| true), None);
            assert_eq!(heads.find(0, 1000_u64, |_| true), None);
        }
    }

    #[test]
    fn ways_with_equal_fingerprints_are_all_asked_for() {
        let mut heads = Heads::new(1, 9);
        heads.set_flags(0, Flags { valid: 0x1ff, dirty: 0 });
        [2, 3, 8].into_iter().for_each(|way| heads.put(0, way, 77_u64));
        for way in [2, 3, 8] {
            assert_eq!(heads.find(0, 77_u64, |found| found == way), Some(way));
        }
        heads.clear();
        assert_eq!(heads.find(0, 77_u64, |_| true), None);
    }

    #[test]
    fn lanes_are_compared_one_by_one() {
        assert_eq!(equal_lanes(0), LANE_ONES);
        assert_eq!(equal_lanes(0x0000_8000_0001_7fff), 0x0001_0000_0000_0000);
        assert_eq!(equal_lanes(0xffff_0000_8000_0000), 0x0000_0001_0000_0001);
    }
}
