//! What is looked at first of a set, in one piece of memory: which ways are valid and which dirty, and the tag of each.
//!
//! Tags have 32 bits, and a whole set is searched without a branch, several tags at a time. Nearly always a tag is all there
//! is of a key; what is beyond it is kept elsewhere.

/// Words before the tags.
const FLAGS: usize = 2;

/// Tags that are compared at once.
const LANES: usize = 4;

/// Heads of all sets.
pub(super) struct Heads {
    // Of each set: bits of the ways that are valid, bits of those that are dirty, then the tags, in whole lanes.
    words: Vec<u32>,
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
        let words_a_set = FLAGS + ways.next_multiple_of(LANES);
        Self { words: vec![0; sets * words_a_set], words_a_set }
    }

    #[inline(always)]
    pub fn flags(&self, set: usize) -> Flags {
        let flags = &self.words[set * self.words_a_set..][..FLAGS];
        Flags { valid: flags[0], dirty: flags[1] }
    }

    #[inline(always)]
    pub fn set_flags(&mut self, set: usize, flags: Flags) {
        self.words[set * self.words_a_set..][..FLAGS].copy_from_slice(&[flags.valid, flags.dirty]);
    }

    /// Makes a way dirty.
    #[inline(always)]
    pub fn set_dirty(&mut self, set: usize, way: usize) {
        self.words[set * self.words_a_set + 1] |= 1 << way;
    }

    /// The valid way of a set that has a tag and of which `is_it` says that it is the one.
    #[inline(always)]
    pub fn find(&self, set: usize, tag: u32, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let (flags, tags) = self.words[set * self.words_a_set..][..self.words_a_set].split_at(FLAGS);
        let mut candidates = equal_ways(tag, tags) & flags[0];
        while candidates != 0 {
            let way = candidates.trailing_zeros() as usize;
            if is_it(way) {
                return Some(way);
            }
            candidates &= candidates - 1;
        }
        None
    }

    /// The tag of a way.
    #[inline(always)]
    pub fn tag(&self, set: usize, way: usize) -> u32 {
        self.words[set * self.words_a_set + FLAGS + way]
    }

    /// Notes the tag of a way.
    #[inline(always)]
    pub fn set_tag(&mut self, set: usize, way: usize, tag: u32) {
        self.words[set * self.words_a_set + FLAGS + way] = tag;
    }

    /// Makes all ways invalid.
    pub fn clear(&mut self) {
        self.words.iter_mut().step_by(self.words_a_set).for_each(|valid| *valid = 0);
    }
}

/// The ways that hold a tag, as bits.
#[inline(always)]
fn equal_ways(wanted: u32, tags: &[u32]) -> u32 {
    let (mut bits, mut equal) = ([1, 2, 4, 8], [0; LANES]);
    for tags in tags.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            equal[lane] |= if tags[lane] == wanted { bits[lane] } else { 0 };
            bits[lane] <<= LANES;
        }
    }
    equal.into_iter().fold(0, |all, lane| all | lane)
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
}
