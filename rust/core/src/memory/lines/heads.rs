//! What is looked at first of a set, in one piece of memory: which ways are valid and which dirty, and the tag of each.
//!
//! Tags have 32 bits, two in a word, and a whole set is searched with a few operations that do not branch. Nearly always
//! a tag is all there is of a key; what is beyond it is kept elsewhere.

use super::halves;

const LANES: usize = 2;
const LANE_BITS: usize = 32;
const LANE_ONES: u64 = 0x0000_0001_0000_0001;
const LANE_TOPS: u64 = 0x8000_0000_8000_0000;

/// Heads of all sets.
pub(super) struct Heads {
    // Of each set: a word of flags, then the tags.
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
        let (valid, dirty) = halves(self.words[set * self.words_a_set]);
        Flags { valid, dirty }
    }

    #[inline(always)]
    pub fn set_flags(&mut self, set: usize, flags: Flags) {
        self.words[set * self.words_a_set] = u64::from(flags.dirty) << 32 | u64::from(flags.valid);
    }

    /// The valid way of a set that has a tag and of which `is_it` says that it is the one.
    #[inline(always)]
    pub fn find(&self, set: usize, tag: u32, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let head = &self.words[set * self.words_a_set..][..self.words_a_set];
        // The usual numbers of ways, 4, 6, 8, 12 and 16, get loops of known length.
        let mut candidates = match head.len() {
            3 => equal_ways(tag, &head[1..3]),
            4 => equal_ways(tag, &head[1..4]),
            5 => equal_ways(tag, &head[1..5]),
            7 => equal_ways(tag, &head[1..7]),
            9 => equal_ways(tag, &head[1..9]),
            _ => equal_ways(tag, &head[1..]),
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

    /// The tag of a way.
    #[inline(always)]
    pub fn tag(&self, set: usize, way: usize) -> u32 {
        halves(self.words[set * self.words_a_set + 1 + way / LANES] >> (way % LANES * LANE_BITS)).0
    }

    /// Notes the tag of a way.
    #[inline(always)]
    pub fn set_tag(&mut self, set: usize, way: usize, tag: u32) {
        let word = &mut self.words[set * self.words_a_set + 1 + way / LANES];
        let shift = way % LANES * LANE_BITS;
        *word = *word & !(0xffff_ffff << shift) | u64::from(tag) << shift;
    }

    /// Makes all ways invalid.
    pub fn clear(&mut self) {
        self.words.iter_mut().step_by(self.words_a_set).for_each(|flags| *flags = 0);
    }
}

/// The lanes that hold a tag: lane by lane, a bit for each word.
#[inline(always)]
fn equal_ways(tag: u32, words: &[u64]) -> u64 {
    let wanted = u64::from(tag) * LANE_ONES;
    words.iter().enumerate().fold(0, |found, (index, word)| found | equal_lanes(word ^ wanted) << index)
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
    fn every_way_is_found_by_its_tag_if_it_is_valid() {
        for ways in 1..=32 {
            let mut heads = Heads::new(2, ways);
            let valid = 0x5b3d_9e6f & (u32::MAX >> (32 - ways));
            heads.set_flags(1, Flags { valid, dirty: 0 });
            let tag = |way: usize| 1000 + u32::try_from(way).unwrap();
            (0..ways).for_each(|way| heads.set_tag(1, way, tag(way)));
            for way in 0..ways {
                let found = heads.find(1, tag(way), |_| true);
                assert_eq!(found, Some(way).filter(|way| valid >> way & 1 != 0), "{way} of {ways}");
                assert_eq!(heads.tag(1, way), tag(way));
            }
            assert_eq!(heads.find(1, 5000, |_| true), None);
            assert_eq!(heads.find(0, 1000, |_| true), None);
        }
    }

    #[test]
    fn ways_with_equal_tags_are_all_asked_for() {
        let mut heads = Heads::new(1, 9);
        heads.set_flags(0, Flags { valid: 0x1ff, dirty: 0 });
        [2, 3, 8].into_iter().for_each(|way| heads.set_tag(0, way, u32::MAX));
        for way in [2, 3, 8] {
            assert_eq!(heads.find(0, u32::MAX, |found| found == way), Some(way));
        }
        heads.clear();
        assert_eq!(heads.find(0, u32::MAX, |_| true), None);
    }

    #[test]
    fn lanes_are_compared_one_by_one() {
        assert_eq!(equal_lanes(0), LANE_ONES);
        assert_eq!(equal_lanes(0x0000_0000_8000_0000), 0x0000_0001_0000_0000);
        assert_eq!(equal_lanes(0x7fff_ffff_0000_0000), 0x0000_0000_0000_0001);
        assert_eq!(equal_lanes(0x0000_0001_ffff_ffff), 0);
    }
}
