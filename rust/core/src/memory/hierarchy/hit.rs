//! The short way of most references: those that hit the first cache, and the first TLB, and concern nobody else.
//!
//! Each of these does exactly what the long way would do, or nothing at all.

use super::levels::Levels;
use super::{MemorySystem, Outcome, Reference};
use crate::memory::causes::Use;
use crate::memory::config::PageSize;
use crate::trace::batch::AccessKind;

impl MemorySystem {
    /// A reference to a page that the first TLB is known to hold and to a line that the first cache is known to hold, both
    /// without a search.
    #[inline(always)]
    pub(super) fn known_hit(&mut self, reference: &Reference, place: u64, size: PageSize) -> Option<Outcome> {
        let &Reference { vaddr, kind, cpu, asid, .. } = reference;
        let cpu = cpu as usize;
        let (is_fetch, is_store) = (kind == AccessKind::Fetch, kind == AccessKind::Write);
        let size = size.min(self.tlb_page_size_max);
        let translation = self.translation.as_mut()?;
        let page = translation.known(cpu, is_fetch, vaddr, size, asid)?;
        let paddr = match self.page_table.as_ref().and_then(|table| table.spaces.host()) {
            Some(host) => host.recent(place)?,
            None => place,
        };
        let levels = &mut self.levels;
        let at = levels.quiet(cpu, paddr, kind)?;
        let cache = &mut levels.levels[at].cache;
        let line = cache.line_of(paddr);
        let known = cache.known(line)?;
        let translation_cycles = translation.use_known(page);
        cache.use_known(line, known, is_store);
        cache.stats.reads += u64::from(!is_store);
        cache.stats.writes += u64::from(is_store);
        let latency_cycles = translation_cycles + cache.rules.latency_cycles;
        levels.missed_again.clear();
        if let Some(tracking) = &mut levels.tracking {
            tracking.begin(cpu, false);
            tracking.note_use(at, known.slot, Use::PRESENT);
        }
        self.references += 1;
        self.fetches += u64::from(is_fetch);
        self.latency_cycles += latency_cycles;
        Some(Outcome { latency_cycles, translation_cycles, ..Outcome::default() })
    }
}

impl Levels {
    /// A reference that hits the first level. Returns its latency.
    #[inline]
    pub(super) fn quiet_hit(&mut self, cpu: usize, paddr: u64, kind: AccessKind) -> Option<u64> {
        let at = self.quiet(cpu, paddr, kind)?;
        let cache = &mut self.levels[at].cache;
        let is_store = kind == AccessKind::Write;
        let slot = cache.lookup(cache.line_of(paddr), is_store)?;
        cache.stats.reads += u64::from(!is_store);
        cache.stats.writes += u64::from(is_store);
        let latency_cycles = cache.rules.latency_cycles;
        self.missed_again.clear();
        if let Some(tracking) = &mut self.tracking {
            tracking.note_use(at, slot, Use::PRESENT);
        }
        Some(latency_cycles)
    }

    /// The first level, if a hit there concerns nobody else.
    #[inline(always)]
    fn quiet(&self, cpu: usize, paddr: u64, kind: AccessKind) -> Option<usize> {
        let at = self.first[cpu][usize::from(kind == AccessKind::Fetch)];
        let level = self.levels.get(at).filter(|level| level.is_quiet)?;
        let is_lent = kind == AccessKind::Write
            && self.directory.as_ref().is_some_and(|directory| !directory.is_owned(cpu, level.cache.line_of(paddr)));
        (!is_lent).then_some(at)
    }
}
