//! Re-reference interval prediction with 2 bits a line: SRRIP, BRRIP and DRRIP (Jaleel et al., ISCA 2010).
//!
//! A line's RRPV says how far off its next use is thought to be: 0 near, 3 distant. A use sets it to 0; the victim is
//! the lowest way with 3, after all have aged until one has. SRRIP inserts at 2, which lets a scan pass; BRRIP at 3 but
//! for every 32nd line, which keeps part of a set that thrashes; DRRIP lets sets duel and follows the better rule.
//!
//! The RRPVs of a set are packed into a `u64`, 2 bits a way, so that aging is one addition.

use super::{Geometry, Replacement, Way};
use crate::base::Rng;
use std::hint::select_unpredictable;

const LOW_BITS: u64 = 0x5555_5555_5555_5555;
const LONG: u64 = 2;
const DISTANT: u64 = 3;
const BIMODAL_PERIOD: u32 = 32;
const PSEL_START: u32 = 511;
const PSEL_MAX: u32 = 1023;

/// RRPVs of all sets.
struct Intervals {
    // invariant: bits above 2 * ways are 0
    sets: Vec<u64>,
    low_bits: u64,
}

impl Intervals {
    fn new(geometry: Geometry) -> Self {
        assert!(geometry.ways <= 32, "the configuration was checked");
        let low_bits = LOW_BITS >> (64 - 2 * geometry.ways);
        Self { sets: vec![low_bits * DISTANT; geometry.sets()], low_bits }
    }

    #[inline(always)]
    fn touch(&mut self, set: usize, way: Way) {
        self.sets[set] &= !(3 << (2 * way));
    }

    #[inline(always)]
    fn insert(&mut self, set: usize, way: Way, interval: u64) {
        let shift = 2 * way;
        self.sets[set] = self.sets[set] & !(3 << shift) | (interval << shift);
    }

    /// The ways with the largest RRPV, and the RRPVs after all have aged until these have 3.
    #[inline(always)]
    fn aged(&self, now: u64) -> (u64, u64) {
        let low = now & self.low_bits;
        let high = (now >> 1) & self.low_bits;
        // Nearly always some way has 3.
        if low & high != 0 {
            return (low & high, now);
        }
        let (oldest, age) = match (high, low) {
            (0, 0) => (self.low_bits, 3),
            (0, ones) => (ones, 2),
            (twos, _) => (twos, 1),
        };
        (oldest, now + age * self.low_bits)
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> Way {
        let (oldest, aged) = self.aged(self.sets[set]);
        self.sets[set] = aged;
        (oldest.trailing_zeros() / 2) as usize
    }

    /// [`Replacement::refer`] for a policy that inserts at `interval`, without a branch.
    #[inline(always)]
    fn refer(&mut self, set: usize, found: bool, way: Way, interval: u64) -> Way {
        let now = self.sets[set];
        let (oldest, aged) = self.aged(now);
        let way = select_unpredictable(found, way, (oldest.trailing_zeros() / 2) as usize);
        let (rest, interval) = select_unpredictable(found, (now, 0), (aged, interval));
        let shift = 2 * way;
        self.sets[set] = rest & !(3 << shift) | (interval << shift);
        way
    }
}

/// Says which of the fills that follow the bimodal rule get the long interval: every 32nd.
struct Bimodal {
    fills: u32,
}

impl Bimodal {
    #[inline(always)]
    fn interval(&mut self) -> u64 {
        self.fills = (self.fills + 1) % BIMODAL_PERIOD;
        if self.fills == 0 { LONG } else { DISTANT }
    }
}

/// Static RRIP.
pub struct Srrip(Intervals);

impl Replacement for Srrip {
    const HAS_VECTOR_FORM: bool = true;

    fn new(geometry: Geometry, _rng: Rng) -> Self {
        Self(Intervals::new(geometry))
    }

    #[inline(always)]
    fn touch(&mut self, set: usize, way: Way) {
        self.0.touch(set, way);
    }

    #[inline(always)]
    fn fill(&mut self, set: usize, way: Way) {
        self.0.insert(set, way, LONG);
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> Way {
        self.0.victim(set)
    }

    #[inline(always)]
    fn refer(&mut self, set: usize, found: bool, way: Way) -> Way {
        self.0.refer(set, found, way, LONG)
    }
}

/// Bimodal RRIP.
pub struct Brrip {
    intervals: Intervals,
    bimodal: Bimodal,
}

impl Replacement for Brrip {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        Self { intervals: Intervals::new(geometry), bimodal: Bimodal { fills: 0 } }
    }

    fn touch(&mut self, set: usize, way: Way) {
        self.intervals.touch(set, way);
    }

    fn fill(&mut self, set: usize, way: Way) {
        let interval = self.bimodal.interval();
        self.intervals.insert(set, way, interval);
    }

    fn victim(&mut self, set: usize) -> Way {
        self.intervals.victim(set)
    }
}

/// Dynamic RRIP: leader sets of both rules duel, all others follow the one that misses less.
pub struct Drrip {
    intervals: Intervals,
    bimodal: Bimodal,
    // 10 bits; 512 and more means that SRRIP's leaders miss more.
    psel: u32,
    stride: usize,
}

impl Replacement for Drrip {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        Self {
            intervals: Intervals::new(geometry),
            bimodal: Bimodal { fills: 0 },
            psel: PSEL_START,
            stride: (geometry.sets() / 32).max(2),
        }
    }

    fn touch(&mut self, set: usize, way: Way) {
        self.intervals.touch(set, way);
    }

    fn fill(&mut self, set: usize, way: Way) {
        let place = set % self.stride;
        let bimodal = if place == 0 {
            self.psel = (self.psel + 1).min(PSEL_MAX);
            false
        } else if place == self.stride / 2 {
            self.psel = self.psel.saturating_sub(1);
            true
        } else {
            self.psel > PSEL_START
        };
        let interval = if bimodal { self.bimodal.interval() } else { LONG };
        self.intervals.insert(set, way, interval);
    }

    fn victim(&mut self, set: usize) -> Way {
        self.intervals.victim(set)
    }
}
