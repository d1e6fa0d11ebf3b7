//! Bit-PLRU (also called MRU-bit or NRU): one bit a way says "used lately".
//!
//! When the last bit of a set would be set, all others are cleared. The victim is the lowest way whose bit is clear.

use super::{Geometry, Replacement, Way};
use crate::base::Rng;

/// One bit a way.
pub struct BitPlru {
    // invariant: at least one bit below `ways` is clear
    bits: Vec<u32>,
    all: u32,
}

impl Replacement for BitPlru {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        assert!(geometry.ways <= 32, "the configuration was checked");
        Self { bits: vec![0; geometry.sets()], all: u32::MAX >> (32 - geometry.ways) }
    }

    fn touch(&mut self, set: usize, way: Way) {
        let mine = 1 << way;
        let bits = self.bits[set] | mine;
        // A set of one way keeps its bit clear.
        let alone = if self.all == 1 { 0 } else { mine };
        self.bits[set] = if bits == self.all { alone } else { bits };
    }

    fn fill(&mut self, set: usize, way: Way) {
        self.touch(set, way);
    }

    fn victim(&mut self, set: usize) -> Way {
        (!self.bits[set]).trailing_zeros() as usize
    }
}
