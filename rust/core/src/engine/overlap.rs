//! How independent accesses overlap: so many at a time, one begins each cycle, and lines come in at a limited rate.

use super::lines::{Busy, Lines};

/// Accesses of one touch so far, and what they took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overlap {
    busy: Busy,
    latency_cycles: u64,
    cycles: u64,
}

/// The same of accesses in a row that miss nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    before: Overlap,
    latency: u64,
    mlp: u64,
    // How many cycles each of them keeps the first cache busy: 1, or 0 if there is none.
    issue: u64,
    issued: u64,
    latency_cycles: u64,
    cycles: u64,
}

impl Overlap {
    /// Adds an access. Returns the cycles by which it lengthens the touch.
    pub fn add(&mut self, latency: u64, missed: u32, is_write: bool, mlp: u64, lines: &Lines) -> u64 {
        lines.add(&mut self.busy, missed, is_write);
        self.latency_cycles += latency;
        let before = self.cycles;
        self.cycles = before.max(self.busy.cycles());
        // A division for those alone that change something.
        if self.latency_cycles > self.cycles * mlp {
            self.cycles = self.latency_cycles.div_ceil(mlp);
        }
        self.cycles - before
    }

    /// Goes on with accesses that miss nothing, each of one latency.
    #[inline]
    pub fn of_hits(self, latency: u64, mlp: u64, has_caches: bool) -> Pace {
        let Self { busy, latency_cycles, cycles } = self;
        let issued = busy.issued();
        Pace { before: self, latency, mlp, issue: u64::from(has_caches), issued, latency_cycles, cycles }
    }
}

impl Pace {
    /// Adds such an access. Returns the cycles by which it lengthens the touch.
    #[inline(always)]
    pub fn add(&mut self) -> u64 {
        self.issued += self.issue;
        self.latency_cycles += self.latency;
        let before = self.cycles;
        self.cycles = before.max(self.issued);
        if self.latency_cycles > self.cycles * self.mlp {
            self.cycles = self.latency_cycles.div_ceil(self.mlp);
        }
        self.cycles - before
    }

    /// Adds another access, which may miss. Returns the same.
    pub fn add_other(&mut self, latency: u64, missed: u32, is_write: bool, lines: &Lines) -> u64 {
        let mut overlap = self.end();
        let cycles = overlap.add(latency, missed, is_write, self.mlp, lines);
        *self = Self { issue: self.issue, ..overlap.of_hits(self.latency, self.mlp, false) };
        cycles
    }

    /// All accesses of the touch so far.
    #[inline]
    pub fn end(self) -> Overlap {
        let mut busy = self.before.busy;
        busy.issue(self.issued - busy.issued());
        Overlap { busy, latency_cycles: self.latency_cycles, cycles: self.cycles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::config::MachineConfig;
    use serde_json::json;

    #[test]
    fn hits_in_a_row_take_what_they_take_one_by_one() {
        let caches = json!([{"name": "L1D", "size": 4096, "ways": 1, "line_fill_ns": 2.5}]);
        for machine in [json!({"frequency_mhz": 1000, "caches": caches}), json!({"frequency_mhz": 1000})] {
            let lines = Lines::new(&MachineConfig::from_value(machine).unwrap());
            for (latency, mlp) in [(5, 16), (5, 2), (1, 1), (4, 3)] {
                let (mut single, mut rows) = (Overlap::default(), Overlap::default());
                for count in 0..20 {
                    // One that misses comes between.
                    for overlap in [&mut single, &mut rows] {
                        overlap.add(40, 1, false, mlp, &lines);
                    }
                    let mut pace = rows.of_hits(latency, mlp, lines.has_caches());
                    for _ in 0..count {
                        assert_eq!(pace.add(), single.add(latency, 0, false, mlp, &lines));
                    }
                    let other = |pace: &mut Pace| pace.add_other(30, 1, true, &lines);
                    assert_eq!(other(&mut pace), single.add(30, 1, true, mlp, &lines));
                    rows = pace.end();
                }
                assert_eq!(format!("{single:?}"), format!("{rows:?}"));
            }
        }
    }
}
