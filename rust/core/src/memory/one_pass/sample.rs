//! The same curve from a sample of lines: SHARDS with a fixed rate and the adjustment.
//!
//! A line is in the sample if its hash lies below a threshold, so every use of it is (C. A. Waldspurger, N. Park,
//! A. Garthwaite, I. Ahmad, "Efficient MRC construction with SHARDS", FAST 2015). A distance among sampled lines stands for
//! one that is 1/rate times as long, and a sampled miss for 1/rate misses of the accesses that the whole trace has
//! (SHARDS-adj: what the sample has too many or too few counts as hits at the shortest distance).
//!
//! Distances below 1/rate cannot be told that way: a sample sees whether other *sampled* lines came between. And where few
//! hot lines make up the reuses at some distance, much depends on whether they are in the sample. So the front of the
//! curve, up to 64 times 1/rate lines, is measured apart, on windows in time (`front`).
//!
//! The standard error is that of random groups: sampled lines fall into 32 groups by their hash, windows by turns, and how
//! far groups differ says how far samples would. It says nothing of distances that are off.

use super::TooManyLines;
use super::curve::{AHEAD, Curve};
use super::distance::StackDistances;
use super::front::{FRONTS, Front};
use super::sample_filter::Filter;
use crate::base::Rng;

/// Random groups of a sample.
pub(super) const GROUPS: usize = 32;

/// One, as a rate.
const RATE_ONE: u64 = 1 << 32;

const CHUNK: usize = 4096;

/// The pass: feed it words, then ask for the curve.
pub struct SampledCurve {
    filter: Filter,
    // In parts of `RATE_ONE`.
    rate: u64,
    accesses: u64,
    stack: StackDistances,
    // Uses by distance, by group.
    distances: Vec<[u64; GROUPS]>,
    // First uses, by group.
    cold: [u64; GROUPS],
    sampled: Vec<u64>,
    // Of smaller caches first.
    fronts: [Front; 2],
}

impl SampledCurve {
    /// Lines of `1 << line_bits` bytes, of which `rate` in 2^32 are sampled, at least one.
    pub fn new(line_bits: u32, rate: u64, seed: u64) -> Self {
        assert!((1..=RATE_ONE).contains(&rate), "the caller checked");
        Self {
            filter: Filter { line_bits, key: Rng::stream(seed, "one_pass.sample", 0).next_u64(), rate },
            rate,
            accesses: 0,
            stack: StackDistances::new(),
            distances: Vec::new(),
            cold: [0; GROUPS],
            // The filter writes one line more than it takes.
            sampled: vec![0; CHUNK + 1],
            fronts: FRONTS.map(|shape| Front::new(line_bits, RATE_ONE / rate, shape, seed)),
        }
    }

    /// Takes accesses: words of the raw trace format.
    ///
    /// # Errors
    /// There are more sampled lines than memory for them.
    pub fn feed(&mut self, words: &[u64]) -> Result<(), TooManyLines> {
        for front in &mut self.fronts {
            front.feed(words)?;
        }
        self.accesses += words.len() as u64;
        for words in words.chunks(CHUNK) {
            let count = self.filter.run(words, &mut self.sampled);
            for index in 0..count {
                if index + AHEAD < count {
                    self.stack.prefetch(self.sampled[index + AHEAD]);
                }
                self.use_line(self.sampled[index])?;
            }
        }
        Ok(())
    }

    fn use_line(&mut self, line: u64) -> Result<(), TooManyLines> {
        let group = usize::try_from(self.filter.hash(line) % GROUPS as u64).expect("a group");
        match self.stack.use_line(line)? {
            None => self.cold[group] += 1,
            Some(distance) => {
                let distance = usize::try_from(distance).expect("distances fit the memory");
                if distance >= self.distances.len() {
                    self.distances.resize((distance + 1).next_power_of_two(), [0; GROUPS]);
                }
                self.distances[distance][group] += 1;
            }
        }
        Ok(())
    }

    /// The curve of what was fed, estimated. It falls, and stays between 0 and the accesses.
    pub fn curve(&self) -> Curve {
        let mut curve = Curve { distinct: self.scaled(self.stack.lines()), ..Curve::default() };
        let mut told = 0;
        for front in &self.fronts {
            if let Some(limit) = front.limit() {
                add(&mut curve, &front.rows(self.accesses), told, limit, self.accesses);
                told = limit;
            }
        }
        let mut rows = self.rows_backwards();
        rows.reverse();
        add(&mut curve, &rows, told, u64::MAX, self.accesses);
        curve
    }

    /// Rows (lines, misses, standard error) from the largest cache to that of one line.
    fn rows_backwards(&self) -> Vec<(u64, u64, u64)> {
        let mut groups = Groups::default();
        for (group, &uses) in self.cold.iter().enumerate() {
            groups.add(group, uses);
        }
        let mut rows = Vec::new();
        for (distance, uses) in self.distances.iter().enumerate().rev() {
            if uses.iter().any(|&uses| uses > 0) {
                // A cache that is larger than the distance hits them.
                rows.push(self.row(self.scaled(distance as u64) + 1, &groups));
                for (group, &uses) in uses.iter().enumerate() {
                    groups.add(group, uses);
                }
            }
        }
        // Where all sampled uses are at distance 0, the smallest cache is among the rows.
        if rows.last().is_none_or(|&(lines, ..)| lines > 1) {
            rows.push(self.row(1, &groups));
        }
        rows
    }

    fn row(&self, lines: u64, groups: &Groups) -> (u64, u64, u64) {
        // Of the sample a part `rate` is certain: a sample of all lines has no error.
        let variance = groups.variance() * u128::from(RATE_ONE - self.rate) / u128::from(RATE_ONE);
        let error = u64::try_from(variance.isqrt()).expect("a root of 128 bits has 64");
        (lines, self.scaled(groups.sum), self.scaled(error))
    }

    /// What the sample says of the whole, rounded.
    fn scaled(&self, count: u64) -> u64 {
        let scaled = (u128::from(count) * u128::from(RATE_ONE) + u128::from(self.rate / 2)) / u128::from(self.rate);
        u64::try_from(scaled).expect("a trace has fewer than 2^64 accesses")
    }
}

/// Adds to a curve what rows say of sizes above `from` up to `to`, as far as it does not rise, nor above `accesses`.
fn add(curve: &mut Curve, rows: &[(u64, u64, u64)], from: u64, to: u64, accesses: u64) {
    let first = rows.partition_point(|&(lines, ..)| lines <= from + 1).saturating_sub(1);
    for &(lines, misses, error) in rows[first..].iter().take_while(|&&(lines, ..)| lines <= to) {
        let most = curve.misses.last().copied().unwrap_or(accesses);
        curve.push(lines.max(from + 1), misses.min(most), error);
    }
}

/// A sum over random groups.
#[derive(Default)]
struct Groups {
    sums: [u64; GROUPS],
    sum: u64,
    squares: u128,
}

impl Groups {
    fn add(&mut self, group: usize, uses: u64) {
        let before = u128::from(self.sums[group]);
        self.squares += u128::from(uses) * (2 * before + u128::from(uses));
        self.sums[group] += uses;
        self.sum += uses;
    }

    /// The variance of the sum: groups times the sum of squares around the mean, over groups less one.
    fn variance(&self) -> u128 {
        let groups = GROUPS as u128;
        (groups * self.squares - u128::from(self.sum) * u128::from(self.sum)) / (groups - 1)
    }
}
