//! LRU of up to 16 ways with the order of a set in one word: 4 bits a way, the most recent first.
//!
//! Chooses what [`Lru`](crate::memory::replacement::Lru) chooses. A use moves a way to the front by masks and shifts, and
//! the victim stands at a fixed place, so that nothing is searched and a set takes 8 bytes.

use crate::base::Rng;
use crate::memory::geometry::Geometry;
use crate::memory::replacement::{Replacement, Way};

/// Ways that fit.
pub(super) const WAYS_MAX: u32 = 16;

const NIBBLE_ONES: u64 = 0x1111_1111_1111_1111;
const NIBBLE_TOPS: u64 = 0x8888_8888_8888_8888;

/// Orders of all sets.
pub(super) struct PackedLru {
    // invariant: each word is a permutation of 0..16 whose first `ways` nibbles are the ways
    orders: Vec<u64>,
    last_shift: u32,
}

impl Replacement for PackedLru {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        assert!(geometry.ways <= WAYS_MAX, "chosen for few ways alone");
        Self { orders: vec![0xfedc_ba98_7654_3210; geometry.sets()], last_shift: 4 * (geometry.ways - 1) }
    }

    #[inline(always)]
    fn touch(&mut self, set: usize, way: Way) {
        let order = self.orders[set];
        let way = way as u64;
        let difference = order ^ (way * NIBBLE_ONES);
        // The lowest nibble that is zero; borrows disturb only those above it.
        let found = difference.wrapping_sub(NIBBLE_ONES) & !difference & NIBBLE_TOPS;
        let up_to_it = found ^ found.wrapping_sub(1);
        let moved = order << 4 | way;
        self.orders[set] = order & !up_to_it | moved & up_to_it;
    }

    #[inline(always)]
    fn fill(&mut self, set: usize, way: Way) {
        self.touch(set, way);
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> Way {
        self.oldest(set)
    }
}

impl PackedLru {
    /// The way that was used the longest ago.
    #[inline(always)]
    pub fn oldest(&self, set: usize) -> Way {
        usize::try_from(self.orders[set] >> self.last_shift & 0xf).expect("a nibble")
    }

    /// Whether a way was used last of its set.
    #[inline(always)]
    pub fn is_newest(&self, set: usize, way: Way) -> bool {
        self.orders[set] & 0xf == way as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::replacement::Lru;

    #[test]
    fn packed_order_chooses_what_lru_chooses() {
        for ways in 1..=16 {
            let geometry = Geometry { set_bits: 1, ways, line_bits: 6 };
            let mut draws = Rng::stream(u64::from(ways), "test", 0);
            let mut packed = PackedLru::new(geometry, draws.clone());
            let mut plain = Lru::new(geometry, draws.clone());
            for _ in 0..2000 {
                let (set, way) = (draws.below(2) as usize, draws.below(ways) as usize);
                assert_eq!(packed.victim(set), plain.victim(set), "{ways} ways");
                packed.touch(set, way);
                plain.touch(set, way);
            }
        }
    }
}
