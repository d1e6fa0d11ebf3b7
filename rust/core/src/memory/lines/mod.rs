//! What a cache and a TLB have in common: an array of lines in sets, from which a replacement policy chooses victims.
//!
//! Knows which line is where and nothing of what is in it: what else a level keeps of a line, it keeps by its [`Slot`].
//! The policy is chosen once, when an array is built; an operation costs one indirect call, or a branch if the policy is
//! LRU of few ways, as it is nearly everywhere; one that looks up the same line again not even that.

mod full;
mod heads;
mod hints;
mod known;
mod packed_lru;
mod sets;

pub use known::KnownLines;

use super::config::ReplacementKind;
use super::config::check::WAYS_MAX;
use super::geometry::Geometry;
use crate::base::Rng;
use full::Full;
use packed_lru::PackedLru;
use sets::Sets;
use std::fmt::Debug;
use std::hash::Hash;

/// What a line is found by. Two lines are the same if their keys are equal.
pub trait Key: Copy + Eq + Hash + Debug + Default + Send + 'static {
    /// What of a key neither its set nor its tag says. Nearly always the default.
    type Rest: Copy + Eq + Default + Send;

    /// A key and its way, of 32 at most, in a word or two. The default says of no key where it is.
    type Hint: Copy + Default + Send;

    /// The number whose low bits say the set: the line's or page's own. Not the largest of all.
    fn number(self) -> u64;

    /// That a way has the key; the default if that does not fit.
    fn hint(self, way: usize) -> Self::Hint;

    /// The way of the key, if this says it.
    fn way_in(self, hint: Self::Hint) -> Option<usize>;

    /// Tag and rest of a key in an array of `1 << set_bits` sets.
    fn split(self, set_bits: u32) -> (u32, Self::Rest);

    /// The key in a set that has that tag and rest.
    fn join(set: u64, set_bits: u32, tag: u32, rest: Self::Rest) -> Self;
}

/// Bits of a way in a hint of one word.
const WAY_BITS: u32 = 5;

impl Key for u64 {
    type Rest = u32;
    type Hint = u64;

    fn number(self) -> u64 {
        self
    }

    #[inline(always)]
    fn hint(self, way: usize) -> u64 {
        if self < u64::MAX >> WAY_BITS { (self + 1) << WAY_BITS | way as u64 } else { 0 }
    }

    #[inline(always)]
    fn way_in(self, hint: u64) -> Option<usize> {
        (hint >> WAY_BITS == self + 1).then_some(usize::try_from(hint & ((1 << WAY_BITS) - 1)).expect("a way"))
    }

    #[inline(always)]
    fn split(self, set_bits: u32) -> (u32, u32) {
        halves(self >> set_bits)
    }

    #[inline(always)]
    fn join(set: u64, set_bits: u32, tag: u32, rest: u32) -> Self {
        (u64::from(rest) << 32 | u64::from(tag)) << set_bits | set
    }
}

/// The low and the high half of a word.
#[inline(always)]
pub(super) fn halves(word: u64) -> (u32, u32) {
    let half = |word: u64| u32::try_from(word & 0xffff_ffff).expect("32 bits");
    (half(word), half(word >> 32))
}

/// A place for a line, below the number of lines of the array.
pub type Slot = usize;

/// What a fill did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled<K> {
    /// Where the new line is.
    pub slot: Slot,
    /// The line that was there.
    pub evicted: Option<Evicted<K>>,
}

/// Where a line is that was found without a search.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    set: usize,
    way: usize,
    /// The same as one number.
    pub slot: Slot,
}

/// A line that made room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted<K> {
    /// Its key.
    pub line: K,
    /// Whether it was dirty.
    pub is_dirty: bool,
}

/// What an array is asked, whatever is behind it.
trait Lines<K>: Send {
    fn find(&self, key: K) -> Option<Slot>;
    fn lookup(&mut self, key: K, makes_dirty: bool) -> Option<Slot>;
    fn fill(&mut self, key: K, is_dirty: bool) -> Filled<K>;
    fn clean(&mut self, key: K);
    fn remove(&mut self, key: K) -> Option<bool>;
    fn remove_where(&mut self, is_meant: &dyn Fn(K) -> bool);
    fn clear(&mut self);
}

/// Lines in sets, under a policy.
pub struct LineArray<K: Key> {
    lines: Body<K>,
    last: Option<Last<K>>,
}

/// What is behind an array.
enum Body<K: Key> {
    Lru(Sets<K, PackedLru>),
    Other(Box<dyn Lines<K>>),
}

/// Asks whatever is behind an array.
macro_rules! ask {
    ($body:expr, $lines:ident => $question:expr) => {
        match $body {
            Body::Lru($lines) => $question,
            Body::Other($lines) => $question,
        }
    };
}

/// What was looked up last, if nothing has happened since: to tell the policy again would change nothing, and what was not
/// there still is not.
struct Last<K> {
    key: K,
    slot: Option<Slot>,
    // It was made dirty: to do so again would change nothing either.
    is_dirty: bool,
}

impl<K: Key> LineArray<K> {
    /// An empty array. `rng` is the stream of the level's victims.
    pub fn new(policy: ReplacementKind, geometry: Geometry, rng: Rng) -> Self {
        let lines = if geometry.ways > WAYS_MAX {
            Body::Other(Box::new(Full::new(policy, geometry, rng)))
        } else if policy == ReplacementKind::Lru && geometry.ways <= packed_lru::WAYS_MAX {
            Body::Lru(Sets::new(geometry, rng))
        } else {
            crate::with_policy!(policy, geometry.ways, P => Body::Other(Box::new(Sets::<K, P>::new(geometry, rng))))
        };
        Self { lines, last: None }
    }

    /// Where a line is. Changes nothing.
    #[inline]
    pub fn find(&self, key: K) -> Option<Slot> {
        if let Some(last) = self.last.as_ref().filter(|last| last.key == key) {
            return last.slot;
        }
        ask!(&self.lines, lines => lines.find(key))
    }

    /// Where a line is; tells the policy that it was used, and makes the line dirty if asked to.
    #[inline]
    pub fn lookup(&mut self, key: K, makes_dirty: bool) -> Option<Slot> {
        if let Some(last) = &self.last
            && last.key == key
            && (last.is_dirty || !makes_dirty || last.slot.is_none())
        {
            return last.slot;
        }
        let slot = ask!(&mut self.lines, lines => lines.lookup(key, makes_dirty));
        self.last = Some(Last { key, slot, is_dirty: makes_dirty });
        slot
    }

    /// Where a line is, if that is known without a search, as it is of most lines in small arrays. Changes nothing.
    #[inline(always)]
    pub fn known(&self, key: K) -> Option<Known> {
        match &self.lines {
            Body::Lru(sets) => sets.known_way(key).map(|way| sets.at(key, way)),
            Body::Other(_) => None,
        }
    }

    /// Where a line is, by a search if need be, to be used then without another one. Changes nothing.
    #[inline]
    pub fn seek(&self, key: K) -> Option<Known> {
        match &self.lines {
            Body::Lru(sets) => sets.seek(key).map(|way| sets.at(key, way)),
            Body::Other(lines) => lines.find(key).map(|slot| Known { set: 0, way: 0, slot }),
        }
    }

    /// Does what [`LineArray::lookup`] does to a line that is known.
    #[inline(always)]
    pub fn use_known(&mut self, key: K, known: Known, makes_dirty: bool) {
        match &mut self.lines {
            Body::Lru(sets) => sets.touch(known.set, known.way, makes_dirty),
            Body::Other(lines) => _ = lines.lookup(key, makes_dirty),
        }
        self.last = Some(Last { key, slot: Some(known.slot), is_dirty: makes_dirty });
    }

    /// Its lines, to be used one after the other; nothing in arrays where none can be known without a search.
    pub fn known_lines(&mut self) -> Option<KnownLines<'_, K>> {
        match &mut self.lines {
            Body::Lru(sets) => Some(KnownLines::new(sets, &mut self.last)),
            Body::Other(_) => None,
        }
    }

    /// Puts a line in that is not there: into the lowest invalid way of its set, else in place of the policy's victim.
    #[inline]
    pub fn fill(&mut self, key: K, is_dirty: bool) -> Filled<K> {
        self.last = None;
        ask!(&mut self.lines, lines => lines.fill(key, is_dirty))
    }

    /// Makes a line clean, if it is there.
    pub fn clean(&mut self, key: K) {
        self.last = None;
        ask!(&mut self.lines, lines => lines.clean(key));
    }

    /// Makes a line's way invalid. Returns whether the line was dirty, or nothing if it was not there.
    pub fn remove(&mut self, key: K) -> Option<bool> {
        self.last = None;
        ask!(&mut self.lines, lines => lines.remove(key))
    }

    /// Makes the ways of all lines invalid that are meant. Takes time in proportion to the array.
    pub fn remove_where(&mut self, is_meant: impl Fn(K) -> bool) {
        self.last = None;
        ask!(&mut self.lines, lines => lines.remove_where(&is_meant));
    }

    /// Makes all ways invalid; the policy keeps its state. Takes time in proportion to the array.
    pub fn clear(&mut self) {
        self.last = None;
        ask!(&mut self.lines, lines => lines.clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn sets(policy: ReplacementKind, ways: u32) -> LineArray<u64> {
        LineArray::new(policy, one_set(ways), rng())
    }

    /// An array that finds lines by hash, however few its ways are.
    fn full(policy: ReplacementKind, ways: u32) -> LineArray<u64> {
        LineArray { lines: Body::Other(Box::new(Full::<u64>::new(policy, one_set(ways), rng()))), last: None }
    }

    /// Fills with a clean line. Returns its slot and the line that made room.
    fn fill(lines: &mut LineArray<u64>, line: u64) -> (Slot, Option<u64>) {
        let filled = lines.fill(line, false);
        (filled.slot, filled.evicted.map(|evicted| evicted.line))
    }

    /// Both kinds of arrays, asked the same, say the same.
    #[test]
    fn one_set_is_the_same_in_either_kind_of_array() {
        for policy in POLICIES {
            for ways in [1, 2, 5, 16, 17, 32] {
                let (mut sets, mut full) = (sets(policy, ways), full(policy, ways));
                let mut draws = Rng::stream(u64::from(ways), "test", 0);
                for step in 0..5000 {
                    let line = u64::from(draws.below(2 * ways));
                    let is_dirty = draws.below(2) == 0;
                    match draws.below(16) {
                        0 => assert_eq!(sets.remove(line), full.remove(line)),
                        1 => {
                            assert_eq!(sets.find(line), full.find(line));
                            assert!(sets.known(line).is_none_or(|known| Some(known.slot) == sets.find(line)));
                        }
                        2 => (sets.clean(line), full.clean(line)).1,
                        3 if line % 8 == 0 => {
                            let is_meant = |other| other % 3 == line % 3;
                            (sets.remove_where(is_meant), full.remove_where(is_meant)).1
                        }
                        _ if step % 1000 == 999 => (sets.clear(), full.clear()).1,
                        _ => {
                            let found = sets.lookup(line, is_dirty);
                            assert_eq!(full.lookup(line, is_dirty), found, "{policy} {ways} ways, step {step}");
                            if found.is_none() {
                                let filled = sets.fill(line, is_dirty);
                                assert_eq!(full.fill(line, is_dirty), filled, "{policy} {ways} ways, step {step}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn lowest_invalid_way_is_filled_first() {
        for mut lines in [sets(ReplacementKind::Lru, 4), full(ReplacementKind::Lru, 4)] {
            (0..4).for_each(|way| assert_eq!(fill(&mut lines, way as u64 + 10), (way, None)));
            assert_eq!((lines.remove(13), lines.remove(11), lines.remove(11)), (Some(false), Some(false), None));
            assert_eq!(fill(&mut lines, 20), (1, None));
            assert_eq!(fill(&mut lines, 21), (3, None));
            assert_eq!(fill(&mut lines, 22), (0, Some(10)));
        }
    }

    #[test]
    fn line_of_another_set_is_not_disturbed() {
        let geometry = Geometry { set_bits: 1, ways: 1, line_bits: 6 };
        let mut lines = LineArray::new(ReplacementKind::Lru, geometry, rng());
        assert_eq!(fill(&mut lines, 4), (0, None));
        assert_eq!(fill(&mut lines, 7), (1, None));
        assert_eq!(fill(&mut lines, 6), (0, Some(4)));
        assert_eq!((lines.find(7), lines.find(4), lines.find(6)), (Some(1), None, Some(0)));
    }

    #[test]
    fn lines_far_apart_are_told_apart() {
        let geometry = Geometry { set_bits: 3, ways: 4, line_bits: 6 };
        let mut lines = LineArray::new(ReplacementKind::Lru, geometry, rng());
        let apart = [5, 5 | 1 << 34, 5 | 1 << 35, 5 | 1 << 60];
        assert_eq!(fill(&mut lines, apart[0]).1, None);
        assert_eq!(lines.find(apart[2]), None);
        apart[1..].iter().for_each(|&line| assert_eq!(fill(&mut lines, line).1, None));
        apart.iter().enumerate().for_each(|(way, &line)| assert_eq!(lines.find(line), Some(5 * 4 + way)));
        apart.iter().for_each(|&line| assert_eq!(fill(&mut lines, line + (1 << 40)).1, Some(line)));
    }

    #[test]
    fn line_that_was_removed_is_not_found_where_it_was() {
        let mut lines = sets(ReplacementKind::Fifo, 2);
        (0..2).for_each(|line| assert_eq!(fill(&mut lines, line).1, None));
        (0..2).for_each(|line| assert_eq!(lines.remove(line), Some(false)));
        assert_eq!(fill(&mut lines, 1).0, 0);
        assert_eq!((lines.find(1), lines.find(0)), (Some(0), None));
        assert_eq!(fill(&mut lines, 0).0, 1);
    }

    #[test]
    fn line_is_dirty_until_it_is_cleaned_or_leaves() {
        for mut lines in [sets(ReplacementKind::Lru, 1), full(ReplacementKind::Lru, 1)] {
            assert_eq!(lines.fill(1, false).evicted, None);
            assert_eq!(
                (lines.lookup(1, false), lines.lookup(1, true), lines.lookup(1, false)),
                (Some(0), Some(0), Some(0))
            );
            assert_eq!(lines.fill(2, true).evicted, Some(Evicted { line: 1, is_dirty: true }));
            lines.clean(2);
            assert_eq!(lines.fill(3, true).evicted, Some(Evicted { line: 2, is_dirty: false }));
            assert_eq!(lines.remove(3), Some(true));
            assert_eq!(lines.fill(3, false).evicted, None);
            assert_eq!(lines.remove(3), Some(false));
        }
    }

    #[test]
    fn emptied_array_keeps_the_state_of_its_policy() {
        let mut lines = sets(ReplacementKind::BitPlru, 4);
        fill(&mut lines, 1);
        fill(&mut lines, 2);
        lines.clear();
        assert_eq!(lines.find(1), None);
        // Bits 0 and 1 were set and are again; 2 is set, then 3 clears all others: way 0 is the victim.
        (5..9).for_each(|line| assert_eq!(fill(&mut lines, line).1, None));
        assert_eq!(fill(&mut lines, 9), (0, Some(5)));
    }

    #[test]
    fn line_looked_up_again_counts_as_used_once() {
        // LIP: a new line is the next victim until it is used; then it is the last.
        let mut lines = sets(ReplacementKind::Lip, 2);
        fill(&mut lines, 1);
        fill(&mut lines, 2);
        [2, 2, 1, 2].into_iter().for_each(|line| assert!(lines.lookup(line, false).is_some()));
        assert_eq!(fill(&mut lines, 3).1, Some(1));
        assert_eq!(fill(&mut lines, 4).1, Some(3));
    }
}
