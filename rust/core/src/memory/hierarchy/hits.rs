//! Hits in a row: references of one cpu in one address space, each to a page that the first TLB and a line that the first
//! cache is known to hold.
//!
//! What they share is looked up once, and they are counted together. Each does exactly what
//! [`MemorySystem::access_mapped`] would do, or nothing at all.

use super::super::causes::{Tracking, Use};
use super::super::directory::Directory;
use super::super::lines::{KnownLines, Slot};
use super::super::page::Page;
use super::super::stats::{LevelStats, TlbStats};
use super::MemorySystem;
use crate::memory::config::PageSize;
use crate::trace::batch::AccessKind;

/// The row; what it did is counted when it is dropped.
pub struct Hits<'a> {
    cpu: usize,
    asid: u32,
    page_size: PageSize,
    line_bits: u32,
    is_store: bool,
    latency_cycles: u64,
    pages: KnownLines<'a, Page>,
    lines: KnownLines<'a, u64>,
    // Of stores: a line must be the cpu's own.
    directory: Option<&'a Directory>,
    tracking: Option<(&'a mut Tracking, usize)>,
    // What was used last.
    page: Option<(Page, Slot)>,
    line: u64,
    slot: Slot,
    count: u64,
    tlb_stats: &'a mut TlbStats,
    cache_stats: &'a mut LevelStats,
    missed_again: &'a mut Vec<u8>,
    references: &'a mut u64,
    latency_sum: &'a mut u64,
}

impl MemorySystem {
    /// A row of loads or stores to pages of one size; nothing if a hit may need more than the first TLB and the first cache.
    pub fn hits(&mut self, cpu: u32, asid: u32, kind: AccessKind, page_size: PageSize) -> Option<Hits<'_>> {
        let (is_fetch, is_store) = (kind == AccessKind::Fetch, kind == AccessKind::Write);
        if is_fetch || self.page_table.as_ref().is_some_and(|table| table.spaces.host().is_some()) {
            return None;
        }
        let cpu = cpu as usize;
        let page_size = page_size.min(self.tlb_page_size_max);
        let (pages, tlb_stats, hit_cycles) = self.translation.as_mut()?.known_pages(cpu, page_size, asid)?;
        let levels = &mut self.levels;
        let at = levels.first[cpu][0];
        let cache = &mut levels.levels.get_mut(at).filter(|level| level.is_quiet)?.cache;
        let rules = cache.rules;
        let (lines, cache_stats) = cache.known_lines()?;
        Some(Hits {
            cpu,
            asid,
            page_size,
            line_bits: rules.line_bits,
            is_store,
            latency_cycles: hit_cycles + rules.latency_cycles,
            pages,
            lines,
            directory: levels.directory.as_ref().filter(|_| is_store),
            tracking: levels.tracking.as_deref_mut().map(|tracking| (tracking, at)),
            page: None,
            line: 0,
            slot: 0,
            count: 0,
            tlb_stats,
            cache_stats,
            missed_again: &mut levels.missed_again,
            references: &mut self.references,
            latency_sum: &mut self.latency_cycles,
        })
    }
}

impl Hits<'_> {
    /// Cycles from issue to use of each of them.
    pub fn latency_cycles(&self) -> u64 {
        self.latency_cycles
    }

    /// Takes a reference if it is such a hit.
    #[inline(always)]
    pub fn take(&mut self, vaddr: u64, paddr: u64) -> bool {
        let line = paddr >> self.line_bits;
        if self.directory.is_some_and(|directory| !directory.is_owned(self.cpu, line)) {
            return false;
        }
        let Some(known) = self.lines.known(line) else { return false };
        let page = Page::of(vaddr, self.page_size, self.asid);
        // To tell the policy of the same page again would change nothing.
        if self.page.is_none_or(|(last, _)| last != page) {
            let Some(found) = self.pages.known(page) else { return false };
            self.pages.touch(found, false);
            self.page = Some((page, found.slot));
        }
        self.lines.touch(known, self.is_store);
        if let Some((tracking, at)) = &mut self.tracking {
            if self.count == 0 {
                tracking.begin(self.cpu, false);
            } else {
                tracking.begin_again();
            }
            tracking.note_use(*at, known.slot, Use::PRESENT);
        }
        (self.line, self.slot) = (line, known.slot);
        self.count += 1;
        true
    }
}

impl Drop for Hits<'_> {
    fn drop(&mut self) {
        let Some((page, place)) = self.page else { return };
        self.pages.end(page, place, false);
        self.lines.end(self.line, self.slot, self.is_store);
        self.tlb_stats.lookups += self.count;
        let counter = if self.is_store { &mut self.cache_stats.writes } else { &mut self.cache_stats.reads };
        *counter += self.count;
        *self.references += self.count;
        *self.latency_sum += self.count * self.latency_cycles;
        self.missed_again.clear();
    }
}
