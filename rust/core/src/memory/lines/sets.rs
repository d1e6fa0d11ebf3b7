//! A set-associative array of up to 32 ways: a line is found by a scan of its set.

use super::{Filled, Key, Lines, Slot};
use crate::base::Rng;
use crate::memory::geometry::Geometry;
use crate::memory::replacement::Replacement;

/// Sets of lines under one policy. The slot of a way is `set * ways + way`.
pub struct Sets<K, P> {
    geometry: Geometry,
    ways: usize,
    // A bit for each way that is valid. The key of a way that is not is left over and means nothing.
    valid: Vec<u32>,
    all_valid: u32,
    keys: Vec<K>,
    policy: P,
}

impl<K: Key, P: Replacement> Sets<K, P> {
    /// An empty array.
    pub fn new(geometry: Geometry, rng: Rng) -> Self {
        Self {
            geometry,
            ways: geometry.ways as usize,
            valid: vec![0; geometry.sets()],
            all_valid: u32::MAX >> (32 - geometry.ways),
            keys: vec![K::default(); geometry.lines()],
            policy: P::new(geometry, rng),
        }
    }

    #[inline(always)]
    fn way_of(&self, set: usize, key: K) -> Option<usize> {
        let start = set * self.ways;
        let keys = &self.keys[start..start + self.ways];
        let valid = self.valid[set];
        keys.iter().enumerate().position(|(way, &here)| here == key && valid >> way & 1 != 0)
    }
}

impl<K: Key, P: Replacement + Send> Lines<K> for Sets<K, P> {
    fn find(&self, key: K) -> Option<Slot> {
        let set = self.geometry.set_of(key.number());
        Some(set * self.ways + self.way_of(set, key)?)
    }

    fn lookup(&mut self, key: K) -> Option<Slot> {
        let set = self.geometry.set_of(key.number());
        let way = self.way_of(set, key)?;
        self.policy.touch(set, way);
        Some(set * self.ways + way)
    }

    fn fill(&mut self, key: K) -> Filled<K> {
        let set = self.geometry.set_of(key.number());
        debug_assert_eq!(self.way_of(set, key), None, "a line is in one way at most");
        let valid = self.valid[set];
        let is_full = valid == self.all_valid;
        let way = if is_full { self.policy.victim(set) } else { valid.trailing_ones() as usize };
        let slot = set * self.ways + way;
        let evicted = is_full.then(|| self.keys[slot]);
        self.keys[slot] = key;
        self.valid[set] = valid | 1 << way;
        self.policy.fill(set, way);
        Filled { slot, evicted }
    }

    fn remove(&mut self, key: K) -> Option<Slot> {
        let set = self.geometry.set_of(key.number());
        let way = self.way_of(set, key)?;
        self.valid[set] &= !(1 << way);
        Some(set * self.ways + way)
    }

    fn clear(&mut self) {
        self.valid.fill(0);
    }
}
