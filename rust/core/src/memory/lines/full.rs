//! A fully associative array of many ways: a line is found by hash, the order of use is a linked list.
//!
//! Every operation is O(1), but for O(log n) where a way was made invalid. Memory grows with the ways that were ever
//! filled, so that a TLB of a million entries costs nothing until it is used.

use super::{Evicted, Filled, Key, Lines, Slot};
use crate::base::Rng;
use crate::memory::config::ReplacementKind;
use crate::memory::geometry::Geometry;
use crate::memory::hash::NumberMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One set of lines. A slot is a way.
pub(super) struct Full<K> {
    ways: u32,
    // invariant: way of every valid line
    way_of: NumberMap<K, u32>,
    // Keys of the ways that were ever filled. That of a way that is not valid is left over and means nothing.
    keys: Vec<K>,
    dirty: Vec<bool>,
    // invariant: the ways below `keys.len()` that are not valid
    invalid: BinaryHeap<Reverse<u32>>,
    policy: Policy,
}

/// What there is to know of the ways for the choice of a victim.
enum Policy {
    Random(Rng),
    Recency { kind: ReplacementKind, order: Order },
}

impl<K: Key> Full<K> {
    /// An empty array.
    pub fn new(kind: ReplacementKind, geometry: Geometry, rng: Rng) -> Self {
        use ReplacementKind::{Fifo, Lip, Lru, Mru, Random};
        let policy = match kind {
            Random => Policy::Random(rng),
            Lru | Mru | Lip | Fifo => Policy::Recency { kind, order: Order::new() },
            other => panic!("{other} stops at 32 ways: the configuration was checked"),
        };
        Self {
            ways: geometry.ways,
            way_of: NumberMap::default(),
            keys: Vec::new(),
            dirty: Vec::new(),
            invalid: BinaryHeap::new(),
            policy,
        }
    }

    /// The way for a new line, and whether it has to be taken from a valid one.
    fn make_room(&mut self) -> (u32, bool) {
        if let Some(Reverse(way)) = self.invalid.pop() {
            return (way, false);
        }
        let used = u32::try_from(self.keys.len()).expect("ways are a u32");
        if used < self.ways {
            self.keys.push(K::default());
            self.dirty.push(false);
            self.policy.add_way();
            return (used, false);
        }
        (self.policy.victim(self.ways), true)
    }
}

impl<K: Key> Lines<K> for Full<K> {
    fn find(&self, key: K) -> Option<Slot> {
        self.way_of.get(&key).map(|&way| way as usize)
    }

    fn lookup(&mut self, key: K, makes_dirty: bool) -> Option<Slot> {
        let way = *self.way_of.get(&key)?;
        self.policy.touch(way);
        self.dirty[way as usize] |= makes_dirty;
        Some(way as usize)
    }

    fn fill(&mut self, key: K, is_dirty: bool) -> Filled<K> {
        let (way, is_taken) = self.make_room();
        let slot = way as usize;
        let evicted = is_taken.then(|| Evicted { line: self.keys[slot], is_dirty: self.dirty[slot] });
        if let Some(evicted) = evicted {
            self.way_of.remove(&evicted.line);
        }
        self.keys[slot] = key;
        self.dirty[slot] = is_dirty;
        let before = self.way_of.insert(key, way);
        debug_assert_eq!(before, None, "a line is in one way at most");
        self.policy.fill(way);
        Filled { slot, evicted }
    }

    fn clean(&mut self, key: K) {
        if let Some(&way) = self.way_of.get(&key) {
            self.dirty[way as usize] = false;
        }
    }

    fn remove(&mut self, key: K) -> Option<bool> {
        let way = self.way_of.remove(&key)?;
        self.invalid.push(Reverse(way));
        Some(self.dirty[way as usize])
    }

    fn remove_where(&mut self, is_meant: &dyn Fn(K) -> bool) {
        let invalid = &mut self.invalid;
        self.way_of.retain(|&key, &mut way| {
            let goes = is_meant(key);
            invalid.extend(goes.then_some(Reverse(way)));
            !goes
        });
    }

    fn clear(&mut self) {
        self.way_of.clear();
        self.invalid.clear();
        self.invalid.extend((0..).map(Reverse).take(self.keys.len()));
    }
}

impl Policy {
    /// A way that was never used comes into being. Its place in the order does not matter: it is filled before any victim is
    /// chosen, and every fill moves it to one of the ends.
    fn add_way(&mut self) {
        if let Self::Recency { order, .. } = self {
            order.add_way();
        }
    }

    fn touch(&mut self, way: u32) {
        if let Self::Recency { kind, order } = self
            && *kind != ReplacementKind::Fifo
        {
            order.make_newest(way);
        }
    }

    fn fill(&mut self, way: u32) {
        match self {
            Self::Random(_) => {}
            Self::Recency { kind: ReplacementKind::Lip, order } => order.make_oldest(way),
            Self::Recency { order, .. } => order.make_newest(way),
        }
    }

    fn victim(&mut self, ways: u32) -> u32 {
        match self {
            Self::Random(rng) => rng.below(ways),
            Self::Recency { kind: ReplacementKind::Mru, order } => order.newest(),
            Self::Recency { order, .. } => order.oldest(),
        }
    }
}

/// A ring of nodes: node 0 is both ends, node `way + 1` a way.
struct Order {
    older: Vec<u32>,
    newer: Vec<u32>,
}

impl Order {
    fn new() -> Self {
        Self { older: vec![0], newer: vec![0] }
    }

    fn add_way(&mut self) {
        // A node that points to itself is outside the ring, and taking it out changes nothing.
        let node = u32::try_from(self.older.len()).expect("ways are bounded");
        self.older.push(node);
        self.newer.push(node);
    }

    fn take_out(&mut self, node: u32) {
        let (older, newer) = (self.older[node as usize], self.newer[node as usize]);
        self.newer[older as usize] = newer;
        self.older[newer as usize] = older;
    }

    fn put_between(&mut self, older: u32, node: u32, newer: u32) {
        self.older[node as usize] = older;
        self.newer[node as usize] = newer;
        self.newer[older as usize] = node;
        self.older[newer as usize] = node;
    }

    fn make_newest(&mut self, way: u32) {
        let node = way + 1;
        self.take_out(node);
        self.put_between(self.older[0], node, 0);
    }

    fn make_oldest(&mut self, way: u32) {
        let node = way + 1;
        self.take_out(node);
        self.put_between(0, node, self.newer[0]);
    }

    fn newest(&self) -> u32 {
        self.older[0] - 1
    }

    fn oldest(&self) -> u32 {
        self.newer[0] - 1
    }
}
