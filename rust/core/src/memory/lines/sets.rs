//! A set-associative array of up to 32 ways: a set is searched by tag.

use super::heads::{Flags, Heads};
use super::{Evicted, Filled, Key, Known, Lines, Slot};
use crate::base::Rng;
use crate::memory::geometry::Geometry;
use crate::memory::replacement::Replacement;

/// Sets of lines under one policy. The slot of a way is `set * ways + way`.
pub(super) struct Sets<K: Key, P> {
    geometry: Geometry,
    ways: usize,
    all_valid: u32,
    heads: Heads,
    // By slot, what the tags leave out of the keys; empty as long as that is nothing. Left over where a way is not valid.
    rests: Vec<K::Rest>,
    // By the low bits of keys' numbers, the way where such a key was found last: nearly always it is there again. Empty
    // where sets are so many that few keys meet their own.
    hints: Vec<u8>,
    policy: P,
}

/// Lines up to which an array has hints.
const HINTED_LINES_MAX: usize = 1 << 12;

/// Hints a line.
const HINTS_A_LINE: usize = 4;

impl<K: Key, P: Replacement> Sets<K, P> {
    /// An empty array.
    pub fn new(geometry: Geometry, rng: Rng) -> Self {
        let ways = geometry.ways as usize;
        let is_hinted = geometry.lines() <= HINTED_LINES_MAX;
        let hints = if is_hinted { (HINTS_A_LINE * geometry.lines()).next_power_of_two() } else { 0 };
        Self {
            hints: vec![0; hints],
            geometry,
            ways,
            all_valid: u32::MAX >> (32 - geometry.ways),
            heads: Heads::new(geometry.sets(), ways),
            rests: Vec::new(),
            policy: P::new(geometry, rng),
        }
    }

    #[inline(always)]
    fn way_of(&self, set: usize, key: K) -> Option<usize> {
        let (tag, rest) = key.split(self.geometry.set_bits);
        self.heads.find(set, tag, |way| self.rest(set * self.ways + way) == rest)
    }

    /// Whether a way is valid and holds a key.
    #[inline(always)]
    fn holds(&self, set: usize, way: usize, key: K) -> bool {
        let (tag, rest) = key.split(self.geometry.set_bits);
        self.heads.is_at(set, way, tag) && self.rest(set * self.ways + way) == rest
    }

    /// Where a key is, if it is where it was found last.
    #[inline(always)]
    pub fn known(&self, key: K) -> Option<Known> {
        let hint = usize::from(*self.hints.get(self.hint_index(key))?);
        let set = self.geometry.set_of(key.number());
        self.holds(set, hint, key).then_some(Known { set, way: hint, slot: set * self.ways + hint })
    }

    /// A line is used.
    #[inline(always)]
    pub fn touch(&mut self, set: usize, way: usize, makes_dirty: bool) {
        self.policy.touch(set, way);
        if makes_dirty {
            let flags = self.heads.flags(set);
            self.heads.set_flags(set, Flags { dirty: flags.dirty | 1 << way, ..flags });
        }
    }

    #[inline(always)]
    fn hint_index(&self, key: K) -> usize {
        usize::try_from(key.number()).expect("64 bits") & self.hints.len().wrapping_sub(1)
    }

    #[inline(always)]
    fn remember(&mut self, key: K, way: usize) {
        let index = self.hint_index(key);
        if let Some(hint) = self.hints.get_mut(index) {
            *hint = u8::try_from(way).expect("at most 32 ways");
        }
    }

    #[inline(always)]
    fn rest(&self, slot: Slot) -> K::Rest {
        self.rests.get(slot).copied().unwrap_or_default()
    }

    /// The key in a valid way.
    #[inline(always)]
    fn key(&self, set: usize, way: usize) -> K {
        K::join(set as u64, self.geometry.set_bits, self.heads.tag(set, way), self.rest(set * self.ways + way))
    }

    #[inline(always)]
    fn set_key(&mut self, set: usize, way: usize, key: K) {
        let (tag, rest) = key.split(self.geometry.set_bits);
        self.heads.set_tag(set, way, tag);
        if !self.rests.is_empty() || rest != K::Rest::default() {
            self.set_rest(set * self.ways + way, rest);
        }
    }

    #[cold]
    fn set_rest(&mut self, slot: Slot, rest: K::Rest) {
        if self.rests.is_empty() {
            self.rests = vec![K::Rest::default(); self.geometry.lines()];
        }
        self.rests[slot] = rest;
    }
}

impl<K: Key, P: Replacement + Send> Lines<K> for Sets<K, P> {
    #[inline]
    fn find(&self, key: K) -> Option<Slot> {
        let set = self.geometry.set_of(key.number());
        Some(set * self.ways + self.way_of(set, key)?)
    }

    #[inline]
    fn lookup(&mut self, key: K, makes_dirty: bool) -> Option<Slot> {
        let set = self.geometry.set_of(key.number());
        let way = match self.known(key) {
            Some(known) => known.way,
            None => {
                let way = self.way_of(set, key)?;
                self.remember(key, way);
                way
            }
        };
        self.touch(set, way, makes_dirty);
        Some(set * self.ways + way)
    }

    fn fill(&mut self, key: K, is_dirty: bool) -> Filled<K> {
        let set = self.geometry.set_of(key.number());
        debug_assert_eq!(self.way_of(set, key), None, "a line is in one way at most");
        let Flags { valid, dirty } = self.heads.flags(set);
        let is_full = valid == self.all_valid;
        let way = if is_full { self.policy.victim(set) } else { valid.trailing_ones() as usize };
        let bit = 1 << way;
        let evicted = is_full.then(|| Evicted { line: self.key(set, way), is_dirty: dirty & bit != 0 });
        self.set_key(set, way, key);
        self.heads.set_flags(set, Flags { valid: valid | bit, dirty: dirty & !bit | u32::from(is_dirty) << way });
        self.policy.fill(set, way);
        self.remember(key, way);
        Filled { slot: set * self.ways + way, evicted }
    }

    fn clean(&mut self, key: K) {
        let set = self.geometry.set_of(key.number());
        if let Some(way) = self.way_of(set, key) {
            let flags = self.heads.flags(set);
            self.heads.set_flags(set, Flags { dirty: flags.dirty & !(1 << way), ..flags });
        }
    }

    fn remove(&mut self, key: K) -> Option<bool> {
        let set = self.geometry.set_of(key.number());
        let way = self.way_of(set, key)?;
        let Flags { valid, dirty } = self.heads.flags(set);
        self.heads.set_flags(set, Flags { valid: valid & !(1 << way), dirty });
        Some(dirty >> way & 1 != 0)
    }

    fn remove_where(&mut self, is_meant: &dyn Fn(K) -> bool) {
        for set in 0..self.geometry.sets() {
            let Flags { valid, dirty } = self.heads.flags(set);
            let stays = |&way: &usize| valid >> way & 1 != 0 && !is_meant(self.key(set, way));
            let valid = (0..self.ways).filter(stays).fold(0, |stay, way| stay | 1 << way);
            self.heads.set_flags(set, Flags { valid, dirty });
        }
    }

    fn clear(&mut self) {
        self.heads.clear();
    }
}
