//! Hits in a row: references of one cpu in one address space, each to a page that the first TLB and a line that the first
//! cache is known to hold.
//!
//! What they share is looked up once, and they are counted together. Each does exactly what
//! [`MemorySystem::access_mapped`] would do, or nothing at all.

use super::super::causes::Uses;
use super::super::lines::{KnownLines, Slot};
use super::super::owned_lines::OwnedBy;
use super::super::page::Page;
use super::super::stats::{LevelStats, TlbStats};
use super::MemorySystem;
use crate::memory::config::PageSize;
use crate::trace::batch::AccessKind;

/// No line and no page has this number.
const NONE: u64 = u64::MAX;

/// The row; [`Hits::end`] comes last.
pub struct Hits<'a> {
    asid: u32,
    page_size: PageSize,
    line_bits: u32,
    is_store: bool,
    latency_cycles: u64,
    pages: KnownLines<'a, Page>,
    lines: KnownLines<'a, u64>,
    // Of stores: a line must be the cpu's own.
    owned: Option<OwnedBy<'a>>,
    uses: Option<Uses<'a>>,
    // What was used last: a page by its number, and a line.
    page: (u64, Slot),
    line: (u64, Slot),
    counters: Counters<'a>,
}

/// What counts the references of a row.
struct Counters<'a> {
    tlb: &'a mut TlbStats,
    cache: &'a mut LevelStats,
    missed_again: &'a mut Vec<u8>,
    references: &'a mut u64,
    latency_cycles: &'a mut u64,
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
        let (pages, tlb, hit_cycles) = self.translation.as_mut()?.known_pages(cpu, page_size, asid)?;
        let levels = &mut self.levels;
        let at = levels.first[cpu][0];
        let cache = &mut levels.levels.get_mut(at).filter(|level| level.is_quiet)?.cache;
        let rules = cache.rules;
        let (lines, cache) = cache.known_lines()?;
        let directory = levels.directory.as_ref().filter(|_| is_store);
        Some(Hits {
            asid,
            page_size,
            line_bits: rules.line_bits,
            is_store,
            latency_cycles: hit_cycles + rules.latency_cycles,
            pages,
            lines,
            owned: directory.map(|directory| directory.owned_by(cpu)),
            uses: levels.tracking.as_deref_mut().map(|tracking| tracking.uses(cpu, at)),
            page: (NONE, 0),
            line: (NONE, 0),
            counters: Counters {
                tlb,
                cache,
                missed_again: &mut levels.missed_again,
                references: &mut self.references,
                latency_cycles: &mut self.latency_cycles,
            },
        })
    }
}

impl Hits<'_> {
    /// Cycles from issue to use of each of them.
    pub fn latency_cycles(&self) -> u64 {
        self.latency_cycles
    }

    /// Takes a reference if it is such a hit. What was used last is still there, and to tell the policy again would change
    /// nothing.
    #[inline(always)]
    pub fn take(&mut self, vaddr: u64, paddr: u64) -> bool {
        let (line, page) = (paddr >> self.line_bits, vaddr >> self.page_size.bits());
        if page == self.page.0 {
            if line != self.line.0 && !self.take_line(line) {
                return false;
            }
        } else if !self.take_both(vaddr, page, line) {
            return false;
        }
        if let Some(uses) = &mut self.uses {
            uses.note(self.line.1);
        }
        true
    }

    /// A reference to the page of the last one.
    #[inline(always)]
    fn take_line(&mut self, line: u64) -> bool {
        if self.owned.is_some_and(|owned| !owned.contains(line)) {
            return false;
        }
        let Some(found) = self.lines.find(line) else { return false };
        self.lines.touch(found, self.is_store);
        self.line = (line, found.slot);
        true
    }

    /// A reference to another page.
    #[inline(always)]
    fn take_both(&mut self, vaddr: u64, page: u64, line: u64) -> bool {
        let key = Page::of(vaddr, self.page_size, self.asid);
        let Some(found) = self.pages.find(key) else { return false };
        if line != self.line.0 && !self.take_line(line) {
            return false;
        }
        self.pages.touch_again(found);
        self.page = (page, found.slot);
        true
    }

    /// Ends the row, in which so many references were taken.
    #[inline]
    pub fn end(self, count: u64) {
        if count == 0 {
            return;
        }
        let Self { pages, lines, counters, .. } = self;
        let page = Page::of(self.page.0 << self.page_size.bits(), self.page_size, self.asid);
        pages.end(page, self.page.1, false);
        lines.end(self.line.0, self.line.1, self.is_store);
        if let Some(uses) = self.uses {
            uses.end();
        }
        counters.tlb.lookups += count;
        let counter = if self.is_store { &mut counters.cache.writes } else { &mut counters.cache.reads };
        *counter += count;
        *counters.references += count;
        *counters.latency_cycles += count * self.latency_cycles;
        counters.missed_again.clear();
    }
}
