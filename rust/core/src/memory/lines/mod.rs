//! What a cache and a TLB have in common: an array of lines in sets, from which a replacement policy chooses victims.
//!
//! Knows which line is where and nothing of what is in it: what else a level keeps of a line, it keeps by its [`Slot`].
//! The policy is chosen once, when an array is built; each operation costs one indirect call.

mod full;
mod sets;

use super::config::ReplacementKind;
use super::config::check::WAYS_MAX;
use super::geometry::Geometry;
use crate::base::Rng;
use full::Full;
use sets::Sets;
use std::fmt::Debug;
use std::hash::Hash;

/// What a line is found by. Two lines are the same if their keys are equal.
pub trait Key: Copy + Eq + Hash + Debug + Default + Send + 'static {
    /// The number that says the set: the line's or page's own.
    fn number(self) -> u64;
}

impl Key for u64 {
    fn number(self) -> u64 {
        self
    }
}

/// A place for a line, below the number of lines of the array.
pub type Slot = usize;

/// What a fill did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled<K> {
    /// Where the new line is.
    pub slot: Slot,
    /// The line that was there.
    pub evicted: Option<K>,
}

/// Lines in sets.
pub trait Lines<K>: Send {
    /// Where a line is. Changes nothing.
    fn find(&self, key: K) -> Option<Slot>;

    /// Where a line is; tells the policy that it was used.
    fn lookup(&mut self, key: K) -> Option<Slot>;

    /// Puts a line in that is not there: into the lowest invalid way of its set, else in place of the policy's victim.
    fn fill(&mut self, key: K) -> Filled<K>;

    /// Makes a line's way invalid. Returns where it was.
    fn remove(&mut self, key: K) -> Option<Slot>;

    /// Makes all ways invalid; the policy keeps its state. Takes time in proportion to the array.
    fn clear(&mut self);
}

/// An empty array. `rng` is the stream of the level's victims.
pub fn build<K: Key>(policy: ReplacementKind, geometry: Geometry, rng: Rng) -> Box<dyn Lines<K>> {
    if geometry.ways > WAYS_MAX {
        return Box::new(Full::new(policy, geometry, rng));
    }
    crate::with_policy!(policy, P => Box::new(Sets::<K, P>::new(geometry, rng)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::replacement::Lru;

    const POLICIES: [ReplacementKind; 5] = [
        ReplacementKind::Lru,
        ReplacementKind::Mru,
        ReplacementKind::Lip,
        ReplacementKind::Fifo,
        ReplacementKind::Random,
    ];

    fn one_set(ways: u32) -> Geometry {
        Geometry { set_bits: 0, ways, line_bits: 6 }
    }

    fn rng() -> Rng {
        Rng::stream(3, "cache.victim", 0)
    }

    /// Both kinds of arrays, asked the same, say the same.
    #[test]
    fn one_set_is_the_same_in_either_kind_of_array() {
        for policy in POLICIES {
            for ways in [1, 2, 5, 32] {
                let geometry = one_set(ways);
                let mut sets = build::<u64>(policy, geometry, rng());
                let mut full = Full::<u64>::new(policy, geometry, rng());
                let mut draws = Rng::stream(u64::from(ways), "test", 0);
                for step in 0..5000 {
                    let line = u64::from(draws.below(2 * ways));
                    match draws.below(16) {
                        0 => assert_eq!(sets.remove(line), full.remove(line)),
                        1 => assert_eq!(sets.find(line), full.find(line)),
                        _ if step % 1000 == 999 => {
                            sets.clear();
                            full.clear();
                        }
                        _ => {
                            let found = sets.lookup(line);
                            assert_eq!(full.lookup(line), found, "{policy} {ways} ways, step {step}");
                            if found.is_none() {
                                assert_eq!(sets.fill(line), full.fill(line), "{policy} {ways} ways, step {step}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn lowest_invalid_way_is_filled_first() {
        let full = Box::new(Full::<u64>::new(ReplacementKind::Lru, one_set(4), rng()));
        for mut lines in [build::<u64>(ReplacementKind::Lru, one_set(4), rng()), full] {
            for line in 10..14 {
                assert_eq!(lines.fill(line), Filled { slot: usize::try_from(line).unwrap() - 10, evicted: None });
            }
            assert_eq!((lines.remove(13), lines.remove(11), lines.remove(11)), (Some(3), Some(1), None));
            assert_eq!(lines.fill(20), Filled { slot: 1, evicted: None });
            assert_eq!(lines.fill(21), Filled { slot: 3, evicted: None });
            assert_eq!(lines.fill(22), Filled { slot: 0, evicted: Some(10) });
        }
    }

    #[test]
    fn line_of_another_set_is_not_disturbed() {
        let mut lines = Sets::<u64, Lru>::new(Geometry { set_bits: 1, ways: 1, line_bits: 6 }, rng());
        assert_eq!(lines.fill(4), Filled { slot: 0, evicted: None });
        assert_eq!(lines.fill(7), Filled { slot: 1, evicted: None });
        assert_eq!(lines.fill(6), Filled { slot: 0, evicted: Some(4) });
        assert_eq!((lines.find(7), lines.find(4), lines.find(6)), (Some(1), None, Some(0)));
    }

    #[test]
    fn line_that_was_removed_is_not_found_where_it_was() {
        let mut lines = build::<u64>(ReplacementKind::Fifo, one_set(2), rng());
        lines.fill(0);
        lines.fill(1);
        lines.remove(0);
        lines.remove(1);
        assert_eq!(lines.fill(1).slot, 0);
        assert_eq!(lines.find(1), Some(0));
        assert_eq!(lines.find(0), None);
        assert_eq!(lines.fill(0).slot, 1);
    }

    #[test]
    fn emptied_array_keeps_the_state_of_its_policy() {
        let mut lines = build::<u64>(ReplacementKind::BitPlru, one_set(4), rng());
        lines.fill(1);
        lines.fill(2);
        lines.clear();
        assert_eq!(lines.find(1), None);
        // Bits 0 and 1 were set and are again; 2 is set, then 3 clears all others: way 0 is the victim.
        (5..9).for_each(|line| assert_eq!(lines.fill(line).evicted, None));
        assert_eq!(lines.fill(9), Filled { slot: 0, evicted: Some(5) });
    }
}
