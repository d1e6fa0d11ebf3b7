//! The policies that keep a set's lines in an order: LRU, MRU, LIP and FIFO.
//!
//! The order is kept as time stamps, so that a use costs one store; the victim is found by a scan of the set. LIP puts
//! a new line at the least recent place (Qureshi et al., ISCA 2007) and so protects a set from a scan; MRU evicts the
//! line used last, which is optimal for a cyclic sweep that is a little too large.

use super::{Geometry, Replacement, Way};
use crate::base::Rng;

/// Stamps of all sets. A larger stamp is more recent; no two of a set are equal.
struct Stamps {
    ways: usize,
    stamps: Vec<i64>,
    // The youngest stamp and the oldest so far: both ends of the order can be extended.
    newest: i64,
    oldest: i64,
}

impl Stamps {
    fn new(geometry: Geometry) -> Self {
        let ways = geometry.ways as usize;
        // Way 0 starts as the most recent and the last way as the least recent.
        let stamps = (0..geometry.lines()).map(|index| -i64::try_from(index % ways).expect("ways are few")).collect();
        Self { ways, stamps, newest: 0, oldest: -i64::from(geometry.ways) }
    }

    fn make_newest(&mut self, set: usize, way: Way) {
        self.newest += 1;
        self.stamps[set * self.ways + way] = self.newest;
    }

    fn make_oldest(&mut self, set: usize, way: Way) {
        self.oldest -= 1;
        self.stamps[set * self.ways + way] = self.oldest;
    }

    fn set(&self, set: usize) -> impl Iterator<Item = (Way, &i64)> {
        self.stamps[set * self.ways..(set + 1) * self.ways].iter().enumerate()
    }

    fn least_recent(&self, set: usize) -> Way {
        self.set(set).min_by_key(|&(_, stamp)| *stamp).expect("a set has ways").0
    }

    fn most_recent(&self, set: usize) -> Way {
        self.set(set).max_by_key(|&(_, stamp)| *stamp).expect("a set has ways").0
    }
}

/// Least recently used.
pub struct Lru(Stamps);

impl Replacement for Lru {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        Self(Stamps::new(geometry))
    }

    fn touch(&mut self, set: usize, way: Way) {
        self.0.make_newest(set, way);
    }

    fn fill(&mut self, set: usize, way: Way) {
        self.0.make_newest(set, way);
    }

    fn victim(&mut self, set: usize) -> Way {
        self.0.least_recent(set)
    }
}

/// Most recently used.
pub struct Mru(Stamps);

impl Replacement for Mru {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        Self(Stamps::new(geometry))
    }

    fn touch(&mut self, set: usize, way: Way) {
        self.0.make_newest(set, way);
    }

    fn fill(&mut self, set: usize, way: Way) {
        self.0.make_newest(set, way);
    }

    fn victim(&mut self, set: usize) -> Way {
        self.0.most_recent(set)
    }
}

/// LRU insertion policy: LRU whose new lines start as the least recent.
pub struct Lip(Stamps);

impl Replacement for Lip {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        Self(Stamps::new(geometry))
    }

    fn touch(&mut self, set: usize, way: Way) {
        self.0.make_newest(set, way);
    }

    fn fill(&mut self, set: usize, way: Way) {
        self.0.make_oldest(set, way);
    }

    fn victim(&mut self, set: usize) -> Way {
        self.0.least_recent(set)
    }
}

/// First in, first out.
pub struct Fifo(Stamps);

impl Replacement for Fifo {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        Self(Stamps::new(geometry))
    }

    fn touch(&mut self, _set: usize, _way: Way) {}

    fn fill(&mut self, set: usize, way: Way) {
        self.0.make_newest(set, way);
    }

    fn victim(&mut self, set: usize) -> Way {
        self.0.least_recent(set)
    }
}
