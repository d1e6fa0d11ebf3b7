//! Random replacement: any way, with equal chance, from the cache's own stream. Used by ARM L1 caches; no state a set.

use super::{Geometry, Replacement, Way};
use crate::base::Rng;

/// A way drawn from the seed.
pub struct RandomWay {
    ways: u32,
    rng: Rng,
}

impl Replacement for RandomWay {
    fn new(geometry: Geometry, rng: Rng) -> Self {
        Self { ways: geometry.ways, rng }
    }

    fn touch(&mut self, _set: usize, _way: Way) {}

    fn fill(&mut self, _set: usize, _way: Way) {}

    fn victim(&mut self, _set: usize) -> Way {
        self.rng.below(self.ways) as usize
    }
}
