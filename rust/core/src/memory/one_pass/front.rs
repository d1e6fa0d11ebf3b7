//! The front of a sampled curve: small caches, measured exactly on windows in time.
//!
//! Of every stretch of the trace a window is taken at a random place. Its first half fills the stack, its second half is
//! counted. A use of a line that the window has not seen counts as a miss of all sizes. That is wrong only for caches of
//! more lines than the window has seen before, and there are few such uses where so few lines are in use.

use super::TooManyLines;
use super::distance::StackDistances;
use super::sample::GROUPS;
use crate::base::Rng;
use crate::trace::batch::WRITE_BIT;

/// What windows are like, in units of 1/rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrontShape {
    index: u64,
    /// The largest cache that is told.
    limit: u64,
    /// Accesses that are counted in a window, after as many that are not.
    counted: u64,
}

/// Many short windows for small caches, fewer long ones for larger caches. The same part of all accesses is counted.
pub(super) const FRONTS: [FrontShape; 2] =
    [FrontShape { index: 0, limit: 4, counted: 16 }, FrontShape { index: 1, limit: 64, counted: 128 }];

/// Accesses and windows that must have been counted before a front says anything.
const ENOUGH: u64 = 10_000;
const ENOUGH_WINDOWS: u64 = 8;

/// Accesses that a stretch has at most.
const STRETCH_MAX: u64 = 1 << 40;

/// Measures windows.
pub(super) struct Front {
    line_bits: u32,
    // Distances below this are told; 0: nothing is measured.
    limit: u64,
    counted_in_window: u64,
    stretch: u64,
    rng: Rng,
    // Where in the stretch the window begins, and where we are.
    start: u64,
    place: u64,
    window: usize,
    stack: StackDistances,
    // By group of windows: uses by distance, and accesses that were counted.
    distances: Vec<[u64; GROUPS]>,
    counted: [u64; GROUPS],
}

impl Front {
    /// A front of the curve of a sample of one line in `scale`.
    pub fn new(line_bits: u32, scale: u64, shape: FrontShape, seed: u64) -> Self {
        let counted_in_window = shape.counted * scale;
        let mut front = Self {
            line_bits,
            limit: if scale > 1 { shape.limit * scale } else { 0 },
            counted_in_window,
            stretch: counted_in_window
                .saturating_mul(scale)
                .clamp(2 * counted_in_window, STRETCH_MAX.max(2 * counted_in_window)),
            rng: Rng::stream(seed, "one_pass.front", shape.index),
            start: 0,
            place: 0,
            window: 0,
            stack: StackDistances::new(),
            distances: Vec::new(),
            counted: [0; GROUPS],
        };
        front.next_stretch();
        front
    }

    /// The largest cache of which the front tells, if it tells of any.
    pub fn limit(&self) -> Option<u64> {
        let enough = ENOUGH.max(ENOUGH_WINDOWS * self.counted_in_window);
        (self.limit > 0 && self.counted.iter().sum::<u64>() >= enough).then_some(self.limit)
    }

    fn next_stretch(&mut self) {
        let free = self.stretch - 2 * self.counted_in_window;
        self.start = if free == 0 { 0 } else { self.rng.next_u64() % free };
        self.place = 0;
    }

    /// Takes accesses: words of the raw trace format.
    pub fn feed(&mut self, words: &[u64]) -> Result<(), TooManyLines> {
        if self.limit == 0 {
            return Ok(());
        }
        let mut rest = words;
        while !rest.is_empty() {
            let end = self.start + 2 * self.counted_in_window;
            let (next, in_window) = match self.place {
                place if place < self.start => (self.start, false),
                place if place < end => (end, true),
                _ => (self.stretch, false),
            };
            let count = usize::try_from(next - self.place).unwrap_or(usize::MAX).min(rest.len());
            if in_window {
                self.measure(&rest[..count])?;
            }
            rest = &rest[count..];
            self.place += count as u64;
            if self.place == end {
                self.window = (self.window + 1) % GROUPS;
                self.stack.clear();
            }
            if self.place == self.stretch {
                self.next_stretch();
            }
        }
        Ok(())
    }

    fn measure(&mut self, words: &[u64]) -> Result<(), TooManyLines> {
        let counts_from = self.start + self.counted_in_window;
        for (place, word) in (self.place..).zip(words) {
            let distance = self.stack.use_line((word & !WRITE_BIT) >> self.line_bits)?;
            if place < counts_from {
                continue;
            }
            self.counted[self.window] += 1;
            if let Some(distance) = distance.filter(|&distance| distance < self.limit) {
                let distance = usize::try_from(distance).expect("distances fit the memory");
                if distance >= self.distances.len() {
                    self.distances.resize(distance + 1, [0; GROUPS]);
                }
                self.distances[distance][self.window] += 1;
            }
        }
        Ok(())
    }

    /// Rows (lines, misses, standard error) from one line up; none if too little was counted.
    pub fn rows(&self, accesses: u64) -> Vec<(u64, u64, u64)> {
        if self.limit().is_none() {
            return Vec::new();
        }
        let mut misses = self.counted;
        let mut rows = Vec::new();
        for (lines, uses) in (1u64..).zip(&self.distances) {
            for (misses, uses) in misses.iter_mut().zip(uses) {
                *misses -= uses;
            }
            let (estimate, error) = self.estimate(&misses, accesses);
            rows.push((lines, estimate, error));
        }
        rows
    }

    /// The misses of the whole trace, and their standard error, as a ratio over groups of windows.
    fn estimate(&self, misses: &[u64; GROUPS], accesses: u64) -> (u64, u64) {
        let counted: u128 = self.counted.iter().map(|&count| u128::from(count)).sum();
        let missed: u128 = misses.iter().map(|&count| u128::from(count)).sum();
        let squares: u128 = self
            .counted
            .iter()
            .zip(misses)
            .map(|(&count, &misses)| {
                let off = (u128::from(misses) * counted).abs_diff(missed * u128::from(count)) / counted;
                off * off
            })
            .sum();
        let root = (squares * GROUPS as u128 / (GROUPS as u128 - 1)).isqrt();
        let scaled =
            |count: u128| u64::try_from(count * u128::from(accesses) / counted).expect("a part of the accesses");
        (scaled(missed), scaled(root.min(counted)))
    }
}
