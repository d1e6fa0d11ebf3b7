//! A set-associative array of up to 32 ways: a set is searched by fingerprint.

use super::heads::{Flags, Heads};
use super::{Evicted, Filled, Key, Lines, Slot};
use crate::base::Rng;
use crate::memory::geometry::Geometry;
use crate::memory::replacement::Replacement;

/// Sets of lines under one policy. The slot of a way is `set * ways + way`.
pub(super) struct Sets<K, P> {
    geometry: Geometry,
    ways: usize,
    all_valid: u32,
    heads: Heads,
    // By slot. The key of a way that is not valid is left over and means nothing.
    keys: Vec<K>,
    policy: P,
}

impl<K: Key, P: Replacement> Sets<K, P> {
    /// An empty array.
    pub fn new(geometry: Geometry, rng: Rng) -> Self {
        let ways = geometry.ways as usize;
        Self {
            geometry,
            ways,
            all_valid: u32::MAX >> (32 - geometry.ways),
            heads: Heads::new(geometry.sets(), ways),
            keys: vec![K::default(); geometry.lines()],
            policy: P::new(geometry, rng),
        }
    }

    #[inline(always)]
    fn way_of(&self, set: usize, key: K) -> Option<usize> {
        let keys = &self.keys[set * self.ways..][..self.ways];
        self.heads.find(set, key, |way| keys[way] == key)
    }
}

impl<K: Key, P: Replacement + Send> Lines<K> for Sets<K, P> {
    fn find(&self, key: K) -> Option<Slot> {
        let set = self.geometry.set_of(key.number());
        Some(set * self.ways + self.way_of(set, key)?)
    }

    fn lookup(&mut self, key: K, makes_dirty: bool) -> Option<Slot> {
        let set = self.geometry.set_of(key.number());
        let way = self.way_of(set, key)?;
        self.policy.touch(set, way);
        if makes_dirty {
            let flags = self.heads.flags(set);
            self.heads.set_flags(set, Flags { dirty: flags.dirty | 1 << way, ..flags });
        }
        Some(set * self.ways + way)
    }

    fn fill(&mut self, key: K, is_dirty: bool) -> Filled<K> {
        let set = self.geometry.set_of(key.number());
        debug_assert_eq!(self.way_of(set, key), None, "a line is in one way at most");
        let Flags { valid, dirty } = self.heads.flags(set);
        let is_full = valid == self.all_valid;
        let way = if is_full { self.policy.victim(set) } else { valid.trailing_ones() as usize };
        let slot = set * self.ways + way;
        let bit = 1 << way;
        let evicted = is_full.then(|| Evicted { line: self.keys[slot], is_dirty: dirty & bit != 0 });
        self.keys[slot] = key;
        self.heads.put(set, way, key);
        self.heads.set_flags(set, Flags { valid: valid | bit, dirty: dirty & !bit | u32::from(is_dirty) << way });
        self.policy.fill(set, way);
        Filled { slot, evicted }
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

    fn clear(&mut self) {
        self.heads.clear();
    }
}
