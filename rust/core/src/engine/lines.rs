//! How fast lines can come in: a limit that overlapping accesses meet when there are many of them.

use crate::base::Picos;
use crate::memory::config::MachineConfig;

/// Caches on the way of data that are told apart.
const LEVELS: usize = 4;

/// Thousandths of a cycle in which an access begins.
const ISSUE: u64 = 1000;

/// What lines take at least to come into each cache on the way of data.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    levels: Vec<Level>,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// The cache's place among those of the machine.
    place: usize,
    /// Thousandths of cycles of a line that is read, and what one that is written takes more.
    fill: u64,
    write_back: u64,
}

/// How long each cache has been taking lines in, in thousandths of cycles. Caches do so at the same time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Busy([u64; LEVELS]);

impl Lines {
    pub fn new(machine: &MachineConfig) -> Self {
        let thousandths = |time: Picos| time.0 * u64::from(machine.frequency_mhz) / 1000;
        let data = machine.caches.iter().enumerate().filter(|(_, cache)| cache.stream_kind().takes_data());
        let levels = data.take(LEVELS).map(|(place, cache)| Level {
            place,
            fill: thousandths(cache.line_fill_ns),
            write_back: thousandths(cache.line_write_back_ns),
        });
        Self { levels: levels.collect() }
    }

    /// Adds an access that missed some caches: a bit for each place.
    pub fn add(&self, busy: &mut Busy, missed: u32, is_write: bool) {
        let mut issue = ISSUE;
        for (level, busy) in self.levels.iter().zip(&mut busy.0) {
            let mut time = 0;
            if missed >> level.place & 1 == 1 {
                time = level.fill + if is_write { level.write_back } else { 0 };
            }
            *busy += time.max(issue);
            issue = 0;
        }
    }

    /// Whether there is a cache on the way of data.
    pub fn has_caches(&self) -> bool {
        !self.levels.is_empty()
    }

    /// The cycles that so many accesses with so many misses of each cache take at least.
    pub fn least(&self, accesses: u64, misses: impl Iterator<Item = f64>, is_write: bool) -> u64 {
        let mut least = accesses;
        let mut hits = accesses as f64 * ISSUE as f64;
        for (level, misses) in self.levels.iter().zip(misses) {
            let time = level.fill + if is_write { level.write_back } else { 0 };
            let issued = if hits > 0.0 { ISSUE } else { 0 };
            let thousandths = (hits - misses * issued as f64).max(0.0) + misses * time.max(issued) as f64;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of cycles")]
            let cycles = (thousandths / ISSUE as f64) as u64;
            least = least.max(cycles);
            hits = 0.0;
        }
        least
    }
}

impl Busy {
    /// Adds so many accesses that missed nothing.
    #[inline(always)]
    pub fn issue(&mut self, accesses: u64) {
        self.0[0] += ISSUE * accesses;
    }

    /// Whole cycles of the first cache.
    #[inline(always)]
    pub fn issued(&self) -> u64 {
        self.0[0] / ISSUE
    }

    /// Whole cycles of the cache that was busy longest.
    pub fn cycles(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or_default() / ISSUE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_come_in_one_after_the_other_and_caches_at_the_same_time() {
        let caches = json!([
            {"name": "L1D", "size": 4096, "ways": 1, "line_fill_ns": 2, "line_write_back_ns": 1},
            {"name": "L2", "size": 8192, "ways": 1, "line_fill_ns": 5},
        ]);
        let lines = Lines::new(&MachineConfig::from_value(json!({"frequency_mhz": 1000, "caches": caches})).unwrap());
        let take = |missed: &[u32], is_write| {
            let mut busy = Busy::default();
            missed.iter().for_each(|&missed| lines.add(&mut busy, missed, is_write));
            busy.cycles()
        };
        assert_eq!((take(&[0, 0, 0], false), take(&[1, 1, 0], false), take(&[1, 1, 0], true)), (3, 5, 7));
        assert_eq!(take(&[3, 1, 1, 1], false), 8);
        assert_eq!(take(&[3, 3, 1], false), 10);
        assert_eq!(lines.least(3, [2.0, 0.0].into_iter(), true), 7);
        assert_eq!(lines.least(4, [4.0, 1.0].into_iter(), false), 8);
        assert_eq!(lines.least(3, [3.0, 2.0].into_iter(), false), 10);
    }
}
