//! The misses of every fully associative LRU cache, exactly.

use super::TooManyLines;
use super::distance::StackDistances;
use crate::trace::batch::WRITE_BIT;

/// Lines from one that is fetched to the one that is used.
pub(super) const AHEAD: usize = 16;

const CHUNK: usize = 2048;

/// Misses by the number of lines, where they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// Lines of a cache, ascending from 1. One with more lines than a row and fewer than the next misses as this row's.
    pub lines: Vec<u64>,
    /// What it misses.
    pub misses: Vec<u64>,
    /// Standard error of the misses; zeros where they are exact.
    pub errors: Vec<u64>,
    /// Distinct lines of the trace; of a sample, an estimate.
    pub distinct: u64,
}

impl Curve {
    /// Adds a row, unless it says what the last one does.
    pub(super) fn push(&mut self, lines: u64, misses: u64, error: u64) {
        if self.misses.last() != Some(&misses) {
            self.lines.push(lines);
            self.misses.push(misses);
            self.errors.push(error);
        }
    }
}

/// The pass: feed it words, then ask for the curve.
pub struct ExactCurve {
    line_bits: u32,
    stack: StackDistances,
    last: Option<u64>,
    // Uses by distance.
    distances: Vec<u64>,
    // Of a chunk: its lines, and then their distances.
    lines: Vec<u64>,
    found: Vec<u64>,
}

impl ExactCurve {
    /// Lines of `1 << line_bits` bytes.
    pub fn new(line_bits: u32) -> Self {
        let room = || Vec::with_capacity(CHUNK);
        Self { line_bits, stack: StackDistances::new(), last: None, distances: vec![0], lines: room(), found: room() }
    }

    /// Takes accesses: words of the raw trace format.
    ///
    /// # Errors
    /// There are more lines than memory for them.
    pub fn feed(&mut self, words: &[u64]) -> Result<(), TooManyLines> {
        for words in words.chunks(CHUNK) {
            self.lines.clear();
            for word in words {
                let line = (word & !WRITE_BIT) >> self.line_bits;
                if self.last != Some(line) {
                    self.lines.push(line);
                }
                self.last = Some(line);
            }
            self.distances[0] += (words.len() - self.lines.len()) as u64;
            for (index, &line) in self.lines.iter().enumerate() {
                if let Some(&next) = self.lines.get(index + AHEAD) {
                    self.stack.prefetch(next);
                }
                self.found.extend(self.stack.use_line(line)?);
            }
            // Counts lie far apart: in a loop of their own the cpu waits for many at once.
            for distance in self.found.drain(..) {
                count(&mut self.distances, distance);
            }
        }
        Ok(())
    }

    /// The curve of what was fed.
    pub fn curve(&self) -> Curve {
        let distinct = self.stack.lines();
        let mut misses = distinct + self.distances[1..].iter().sum::<u64>();
        let mut curve = Curve { distinct, ..Curve::default() };
        curve.push(1, misses, 0);
        for (distance, uses) in (1u64..).zip(&self.distances[1..]) {
            misses -= uses;
            curve.push(distance + 1, misses, 0);
        }
        curve
    }
}

/// Adds one to a count that may not be there yet.
#[inline(always)]
fn count(counts: &mut Vec<u64>, index: u64) {
    let index = usize::try_from(index).expect("distances are below the number of lines, which fit the memory");
    if index >= counts.len() {
        counts.resize((index + 1).next_power_of_two(), 0);
    }
    counts[index] += 1;
}
