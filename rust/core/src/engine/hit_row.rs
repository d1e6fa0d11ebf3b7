//! Accesses in a row that hit the first TLB and the first cache, or are served by the second ones, and what each takes.

use super::addresses::{Clock, Paid};
use super::lines::Lines;
use super::overlap::{Overlap, Pace};
use crate::base::Picos;
use crate::memory::Hits;
use crate::vm::frames::Pfn;

/// The row; [`HitRow::end`] comes last.
pub(super) struct HitRow<'a> {
    hits: Hits<'a>,
    latency: Picos,
    pace: Option<Pace>,
    is_write: bool,
    clock: &'a Clock,
    lines: &'a Lines,
}

impl<'a> HitRow<'a> {
    /// `latency` is that of a hit in cycles, `pace` is of independent accesses.
    #[inline]
    pub fn new(
        hits: Hits<'a>,
        latency: u64,
        pace: Option<Pace>,
        is_write: bool,
        clock: &'a Clock,
        lines: &'a Lines,
    ) -> Self {
        let latency = clock.times[usize::try_from(latency).expect("a few cycles")];
        Self { hits, latency, pace, is_write, clock, lines }
    }

    /// Takes an access if it is a hit, and says what it takes of its thread's time.
    #[inline(always)]
    pub fn take(&mut self, vaddr: u64, pfn: Pfn) -> Option<Picos> {
        if !self.hits.take(vaddr, paddr(vaddr, pfn)) {
            return None;
        }
        let Some(pace) = &mut self.pace else { return Some(self.latency) };
        // No more than a hit has: neither the issue of an access nor a part of its latency is longer.
        Some(self.clock.times[usize::try_from(pace.add()).expect("a few cycles")])
    }

    /// Takes an access that is no hit, if the second TLB and the second cache serve it.
    #[inline]
    pub fn take_near(&mut self, vaddr: u64, pfn: Pfn) -> Option<Paid> {
        let outcome = self.hits.take_near(vaddr, paddr(vaddr, pfn))?;
        let cycles = match &mut self.pace {
            Some(pace) => pace.add_other(outcome.latency_cycles, outcome.missed, self.is_write, self.lines),
            None => outcome.latency_cycles,
        };
        Some(self.clock.paid(cycles, &outcome))
    }

    /// Ends the row, in which so many accesses were taken. Returns how they overlap, if they do.
    #[inline]
    pub fn end(self, count: u64) -> Option<Overlap> {
        self.hits.end(count);
        self.pace.map(Pace::end)
    }
}

#[inline(always)]
fn paddr(vaddr: u64, pfn: Pfn) -> u64 {
    pfn.0 << 12 | vaddr & 4095
}
