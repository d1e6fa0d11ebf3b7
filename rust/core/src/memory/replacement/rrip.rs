//! Re-reference interval prediction with 2 bits a line: SRRIP, BRRIP and DRRIP (Jaleel et al., ISCA 2010).
//!
//! A line's RRPV says how far off its next use is thought to be: 0 near, 3 distant. A use sets it to 0; the victim is
//! the lowest way with 3, after all have aged until one has. SRRIP inserts at 2, which lets a scan pass; BRRIP at 3 but
//! for every 32nd line, which keeps part of a set that thrashes; DRRIP lets sets duel and follows the better rule.
//!
//! The RRPVs of a set are one word, see [`planes`](super::planes): aging is a shift.

use super::planes::Planes;
use super::{Geometry, Replacement, Way};
use crate::base::Rng;
use std::ops::RangeInclusive;

const LONG: u32 = 2;
const DISTANT: u32 = 3;
const BIMODAL_PERIOD: u32 = 32;
const PSEL_START: u32 = 511;
const PSEL_MAX: u32 = 1023;

/// RRPVs of all sets, with words that have room for the ways.
struct Intervals<W> {
    sets: Vec<W>,
    distant: W,
}

impl<W: Planes> Intervals<W> {
    fn new(geometry: Geometry) -> Self {
        let distant = W::distant(geometry.ways);
        Self { sets: vec![distant; geometry.sets()], distant }
    }

    #[inline(always)]
    fn touch(&mut self, set: usize, way: Way) {
        self.insert(set, way, 0);
    }

    #[inline(always)]
    fn insert(&mut self, set: usize, way: Way, interval: u32) {
        self.sets[set] = self.sets[set].with(way, interval);
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> Way {
        let aged = self.sets[set].aged(self.distant);
        self.sets[set] = aged;
        aged.victim()
    }
}

/// Says which of the fills that follow the bimodal rule get the long interval: every 32nd.
struct Bimodal {
    fills: u32,
}

impl Bimodal {
    #[inline(always)]
    fn interval(&mut self) -> u32 {
        self.fills = (self.fills + 1) % BIMODAL_PERIOD;
        if self.fills == 0 { LONG } else { DISTANT }
    }
}

/// Static RRIP.
pub struct Srrip<W>(Intervals<W>);

impl<W: Planes> Replacement for Srrip<W> {
    const VECTOR_WAYS: RangeInclusive<u32> = W::WAYS;

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
        let word = &mut self.0.sets[set];
        let (after, way) = word.refer(self.0.distant, found, way, LONG);
        *word = after;
        way
    }

    #[inline(always)]
    fn address(&self, set: usize) -> *const u8 {
        self.0.sets.as_ptr().wrapping_add(set).cast()
    }
}

/// Bimodal RRIP.
pub struct Brrip<W> {
    intervals: Intervals<W>,
    bimodal: Bimodal,
}

impl<W: Planes> Replacement for Brrip<W> {
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
pub struct Drrip<W> {
    intervals: Intervals<W>,
    bimodal: Bimodal,
    // 10 bits; 512 and more means that SRRIP's leaders miss more.
    psel: u32,
    stride: usize,
}

impl<W: Planes> Replacement for Drrip<W> {
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
