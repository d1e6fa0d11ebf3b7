//! Accesses in a row that hit the first TLB and the first cache, and what each takes.

use super::overlap::{Overlap, Pace};
use crate::base::Picos;
use crate::memory::Hits;
use crate::vm::frames::Pfn;

/// The row; [`HitRow::end`] comes last.
pub(super) struct HitRow<'a> {
    hits: Hits<'a>,
    latency: Picos,
    pace: Option<Pace>,
    times: &'a [Picos],
}

impl<'a> HitRow<'a> {
    /// `pace` is of independent accesses, `times` the time of so many cycles, at least those of a hit.
    #[inline]
    pub fn new(hits: Hits<'a>, latency: u64, pace: Option<Pace>, times: &'a [Picos]) -> Self {
        Self { hits, latency: times[usize::try_from(latency).expect("a few cycles")], pace, times }
    }

    /// Takes an access if it is such a hit, and says what it takes of its thread's time.
    #[inline(always)]
    pub fn take(&mut self, vaddr: u64, pfn: Pfn) -> Option<Picos> {
        if !self.hits.take(vaddr, pfn.0 << 12 | vaddr & 4095) {
            return None;
        }
        let Some(pace) = &mut self.pace else { return Some(self.latency) };
        // No more than a hit has: neither the issue of an access nor a part of its latency is longer.
        Some(self.times[usize::try_from(pace.add()).expect("a few cycles")])
    }

    /// Ends the row, in which so many accesses were taken. Returns how they overlap, if they do.
    #[inline]
    pub fn end(self, count: u64) -> Option<Overlap> {
        self.hits.end(count);
        self.pace.map(|pace| pace.end(count))
    }
}
