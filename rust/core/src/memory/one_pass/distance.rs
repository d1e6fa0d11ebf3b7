//! Exact stack distances: how many other lines were used since a line was used last.
//!
//! A fully associative LRU cache of `c` lines hits exactly the uses at a distance below `c` (Mattson 1970). Of every line
//! the last use is alive in a window of times, and a distance is the number of lives after it (J. G. Bennett, V. J. Kruskal,
//! "LRU stack processing", IBM Journal of Research and Development 19(4), 1975; F. Olken's and others' trees do the same).
//! When the window is full, the lives in it are numbered from 0 again: so it needs to be only some times as long as there
//! are lines, whatever the length of the trace.

use super::TooManyLines;
use super::line_table::LineTable;
use super::live_times::LiveTimes;

/// log2 of the shortest window.
const WINDOW_BITS_MIN: u32 = 12;
/// log2 of how many times as long as there are lines a window is when it begins, at least.
const SPARE_BITS: u32 = 2;
/// Lines at most: their times are 32 bits wide.
const LINES_MAX: u64 = 1 << 29;

/// The stack.
pub(super) struct StackDistances {
    lines: LineTable,
    times: LiveTimes,
}

impl StackDistances {
    pub fn new() -> Self {
        Self { lines: LineTable::new(), times: LiveTimes::new(WINDOW_BITS_MIN, 0) }
    }

    /// Distinct lines so far.
    pub fn lines(&self) -> u64 {
        self.lines.len() as u64
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.times = LiveTimes::new(WINDOW_BITS_MIN, 0);
    }

    /// Asks the cpu for what a use of a line will need soon.
    #[inline(always)]
    pub fn prefetch(&self, line: u64) {
        self.lines.prefetch(line);
    }

    /// Uses a line; returns its distance, or nothing if it is used for the first time.
    ///
    /// # Errors
    /// There are more lines than memory, or than `LINES_MAX`.
    #[inline]
    pub fn use_line(&mut self, line: u64) -> Result<Option<u64>, TooManyLines> {
        if self.times.is_over() {
            self.renew()?;
        }
        let before = self.lines.replace(line, self.times.now())?;
        let distance = before.map(|time| {
            let distance = self.times.live() - self.times.rank(time) - 1;
            self.times.kill(time);
            distance
        });
        self.times.birth();
        Ok(distance)
    }

    /// Begins a new window.
    #[cold]
    fn renew(&mut self) -> Result<(), TooManyLines> {
        let live = self.times.live();
        if live > LINES_MAX {
            return Err(TooManyLines { lines: live });
        }
        self.lines.renumber(|time| self.times.rank(time));
        let bits = live.next_power_of_two().trailing_zeros() + SPARE_BITS;
        self.times = LiveTimes::new(bits.max(WINDOW_BITS_MIN), live);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn distances_are_those_of_a_list_over_many_windows() {
        let mut stack = StackDistances::new();
        let mut list: Vec<u64> = Vec::new();
        let mut rng = Rng::stream(3, "test", 0);
        for step in 0..40_000 {
            let range = if step < 20_000 { 50 } else { 3000 };
            let line = u64::from(rng.below(range)) << (step % 40);
            let place = list.iter().position(|&held| held == line);
            assert_eq!(stack.use_line(line).unwrap(), place.map(|place| place as u64), "step {step}");
            if let Some(place) = place {
                list.remove(place);
            }
            list.insert(0, line);
        }
        assert_eq!(stack.lines(), list.len() as u64);
        stack.clear();
        assert_eq!(stack.use_line(1), Ok(None));
    }
}
