//! Quad-age LRU, in the form that Abel and Reineke found in the L2 of Intel's Cannon Lake and Ice Lake and call
//! QLRU_H00_M1_R0_U1 (nanoBench, ISPASS 2020; uops.info/cache.html).
//!
//! A line has an age of 0 to 3: 0 after a use, 1 when it is new. The victim is the lowest way with age 3. Whenever no line is
//! left with it, all but the one that was just used age until one has it. So lines of a cycle that does not fit age
//! all at once, and those that came before stay: part of the set is kept where LRU loses all of it.
//!
//! Ages are held as those of [`rrip`](super::rrip) are.

use super::planes::Planes;
use super::{Geometry, Replacement, Way};
use crate::base::Rng;
use std::ops::RangeInclusive;

/// The age of a new line.
const NEW: u32 = 1;

/// Quad-age LRU.
pub struct Qlru<W> {
    sets: Vec<W>,
    distant: W,
}

impl<W: Planes> Qlru<W> {
    /// The line in a way has been used and has this age; some other one has 3.
    #[inline(always)]
    fn settle(&mut self, set: usize, way: Way, age: u32) {
        let word = &mut self.sets[set];
        // An age of 0 is below all others, so that they alone say how far all move.
        *word = word.with(way, 0).aged(self.distant).with(way, age);
    }
}

impl<W: Planes> Replacement for Qlru<W> {
    const VECTOR_WAYS: RangeInclusive<u32> = W::WAYS;

    fn new(geometry: Geometry, _rng: Rng) -> Self {
        let distant = W::distant(geometry.ways);
        Self { sets: vec![distant; geometry.sets()], distant }
    }

    #[inline(always)]
    fn touch(&mut self, set: usize, way: Way) {
        self.settle(set, way, 0);
    }

    #[inline(always)]
    fn fill(&mut self, set: usize, way: Way) {
        self.settle(set, way, NEW);
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> Way {
        // A set of one way has none with age 3.
        self.sets[set].aged(self.distant).victim()
    }

    #[inline(always)]
    fn refer(&mut self, set: usize, found: bool, way: Way) -> Way {
        let word = &mut self.sets[set];
        let (after, way) = word.refer(self.distant, found, way, 0);
        let aged = after.aged(self.distant);
        let (hit, miss) = (aged.with(way, 0), aged.with(way, NEW));
        *word = std::hint::select_unpredictable(found, hit, miss);
        way
    }

    #[inline(always)]
    fn address(&self, set: usize) -> *const u8 {
        self.sets.as_ptr().wrapping_add(set).cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Misses of a pass over so many lines, after many.
    fn misses(ways: u32, lines: usize) -> usize {
        let mut policy = Qlru::<u64>::new(Geometry { set_bits: 0, ways, line_bits: 6 }, Rng::stream(0, "test", 0));
        let mut held = vec![usize::MAX; ways as usize];
        let mut missed = 0;
        for pass in 0..80 {
            for line in 0..lines {
                let found = held.iter().position(|&other| other == line);
                let empty = held.iter().position(|&other| other == usize::MAX);
                let way = match (found, empty) {
                    (Some(way), _) => policy.refer(0, true, way),
                    (None, Some(way)) => {
                        policy.fill(0, way);
                        way
                    }
                    (None, None) => policy.refer(0, false, 0),
                };
                held[way] = line;
                missed += usize::from(found.is_none() && pass >= 40);
            }
        }
        missed / 40
    }

    #[test]
    fn cycle_that_does_not_fit_keeps_part_of_the_set() {
        assert_eq!(misses(16, 16), 0);
        assert!((2..9).contains(&misses(16, 18)), "{}", misses(16, 18));
        assert!((30..=32).contains(&misses(16, 32)), "{}", misses(16, 32));
    }

    #[test]
    fn ways_age_at_once_when_none_is_old() {
        let mut policy = Qlru::<u64>::new(Geometry { set_bits: 0, ways: 4, line_bits: 6 }, Rng::stream(0, "test", 0));
        (0..4).for_each(|way| policy.fill(0, way));
        // Ages 3, 3, 3, 1.
        policy.touch(0, 0);
        assert_eq!(policy.victim(0), 1);
        policy.touch(0, 1);
        policy.touch(0, 2);
        // The last with age 1 is the only one beside 0, 0, 0.
        assert_eq!(policy.victim(0), 3);
    }
}
