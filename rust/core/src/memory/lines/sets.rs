//! A set-associative array of up to 32 ways: a set is searched by tag.

use super::heads::{Flags, Heads};
use super::hints::Hints;
use super::packed_lru::PackedLru;
use super::{Evicted, Filled, Key, Known, Lines, Slot};
use crate::base::Rng;
use crate::memory::geometry::Geometry;
use crate::memory::replacement::Replacement;

/// Sets of lines under one policy. The slot of a way is `set * ways + way`.
pub(super) struct Sets<K: Key, P> {
    geometry: Geometry,
    ways: usize,
    set_mask: usize,
    all_valid: u32,
    heads: Heads,
    // By slot, what the tags leave out of the keys; empty as long as that is nothing. Left over where a way is not valid.
    rests: Vec<K::Rest>,
    // invariant: a key of which they know is in that way, which is valid
    hints: Hints<K>,
    policy: P,
}

impl<K: Key, P: Replacement> Sets<K, P> {
    /// An empty array.
    pub fn new(geometry: Geometry, rng: Rng) -> Self {
        let ways = geometry.ways as usize;
        Self {
            hints: Hints::new(geometry.lines()),
            geometry,
            ways,
            set_mask: geometry.sets() - 1,
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

    /// The way of a key, if that is known without a search.
    #[inline(always)]
    pub fn known_way(&self, key: K) -> Option<usize> {
        let way = self.hints.way_of(key)?;
        debug_assert_eq!(self.way_of(self.set_of(key), key), Some(way), "what is known is so");
        Some(way)
    }

    /// The way of a key.
    #[inline]
    pub fn seek(&self, key: K) -> Option<usize> {
        self.known_way(key).or_else(|| self.way_of(self.set_of(key), key))
    }

    /// The way of a key by a search, so that it is known the next time.
    #[inline]
    pub fn search(&mut self, key: K) -> Option<usize> {
        let way = self.way_of(self.set_of(key), key)?;
        self.hints.put(key, way);
        Some(way)
    }

    /// A way of a key's set.
    #[inline(always)]
    pub fn at(&self, key: K, way: usize) -> Known {
        let set = self.set_of(key);
        Known { set, way, slot: set * self.ways + way }
    }

    /// A line is used.
    #[inline(always)]
    pub fn touch(&mut self, set: usize, way: usize, makes_dirty: bool) {
        self.policy.touch(set, way);
        if makes_dirty {
            self.heads.set_dirty(set, way);
        }
    }

    #[inline(always)]
    fn set_of(&self, key: K) -> usize {
        usize::try_from(key.number()).expect("64 bits") & self.set_mask
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

impl<K: Key> Sets<K, PackedLru> {
    /// Whether a way was used last of its set.
    #[inline(always)]
    pub fn is_newest(&self, set: usize, way: usize) -> bool {
        self.policy.is_newest(set, way)
    }

    /// The key that a fill would evict.
    #[inline]
    pub fn next_victim(&self, key: K) -> Option<K> {
        let set = self.set_of(key);
        let is_full = self.heads.flags(set).valid == self.all_valid;
        is_full.then(|| self.key(set, self.policy.oldest(set)))
    }
}

impl<K: Key, P: Replacement + Send> Lines<K> for Sets<K, P> {
    #[inline]
    fn find(&self, key: K) -> Option<Slot> {
        let set = self.set_of(key);
        Some(set * self.ways + self.way_of(set, key)?)
    }

    #[inline]
    fn lookup(&mut self, key: K, makes_dirty: bool) -> Option<Slot> {
        let way = self.known_way(key).or_else(|| self.search(key))?;
        let Known { set, way, slot } = self.at(key, way);
        self.touch(set, way, makes_dirty);
        Some(slot)
    }

    fn fill(&mut self, key: K, is_dirty: bool) -> Filled<K> {
        let set = self.set_of(key);
        debug_assert_eq!(self.way_of(set, key), None, "a line is in one way at most");
        let Flags { valid, dirty } = self.heads.flags(set);
        let is_full = valid == self.all_valid;
        let way = if is_full { self.policy.victim(set) } else { valid.trailing_ones() as usize };
        let bit = 1 << way;
        let evicted = is_full.then(|| Evicted { line: self.key(set, way), is_dirty: dirty & bit != 0 });
        if let Some(evicted) = evicted {
            self.hints.forget(evicted.line);
        }
        self.set_key(set, way, key);
        self.heads.set_flags(set, Flags { valid: valid | bit, dirty: dirty & !bit | u32::from(is_dirty) << way });
        self.policy.fill(set, way);
        self.hints.put(key, way);
        Filled { slot: set * self.ways + way, evicted }
    }

    fn clean(&mut self, key: K) {
        let set = self.set_of(key);
        if let Some(way) = self.way_of(set, key) {
            let flags = self.heads.flags(set);
            self.heads.set_flags(set, Flags { dirty: flags.dirty & !(1 << way), ..flags });
        }
    }

    fn remove(&mut self, key: K) -> Option<bool> {
        let set = self.set_of(key);
        let way = self.way_of(set, key)?;
        let Flags { valid, dirty } = self.heads.flags(set);
        self.heads.set_flags(set, Flags { valid: valid & !(1 << way), dirty });
        self.hints.forget(key);
        Some(dirty >> way & 1 != 0)
    }

    fn remove_where(&mut self, is_meant: &dyn Fn(K) -> bool) {
        for set in 0..self.geometry.sets() {
            let Flags { valid, dirty } = self.heads.flags(set);
            let mut stay = valid;
            for way in (0..self.ways).filter(|way| valid >> way & 1 != 0) {
                let key = self.key(set, way);
                if is_meant(key) {
                    stay &= !(1 << way);
                    self.hints.forget(key);
                }
            }
            self.heads.set_flags(set, Flags { valid: stay, dirty });
        }
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.hints.clear();
    }
}
