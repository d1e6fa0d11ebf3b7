//! Hits in a row: references of one cpu in one address space, each to a page that the first TLB and a line that the first
//! cache is known to hold, and some that the second ones serve.
//!
//! What they share is looked up once, and they are counted together. Each does exactly what
//! [`MemorySystem::access_mapped`] would do, or nothing at all.

use super::super::causes::Uses;
use super::super::lines::{KnownLines, Slot};
use super::super::owned_lines::OwnedBy;
use super::super::page::Page;
use super::super::stats::LevelStats;
use super::super::tlb::KnownPages;
use super::MemorySystem;
use super::near::Near;
use crate::memory::config::PageSize;
use crate::trace::batch::AccessKind;

/// No line and no page has this number.
const NONE: u64 = u64::MAX;

/// The row; [`Hits::end`] comes last.
pub struct Hits<'a> {
    pub(super) asid: u32,
    pub(super) page_size: PageSize,
    pub(super) line_bits: u32,
    pub(super) is_store: bool,
    // Of a hit in the first cache.
    pub(super) cache_cycles: u64,
    pub(super) pages: KnownPages<'a>,
    pub(super) lines: KnownLines<'a, u64>,
    // Of stores: a line must be the cpu's own.
    pub(super) owned: Option<OwnedBy<'a>>,
    pub(super) uses: Option<Uses<'a>>,
    // What was used last: a page by its number, and a line.
    pub(super) page: (u64, Slot),
    pub(super) line: (u64, Slot),
    // What serves misses, and how many references were no hits.
    pub(super) near: Option<Near<'a>>,
    pub(super) near_count: u64,
    pub(super) counters: Counters<'a>,
}

/// What counts the references of a row.
pub(super) struct Counters<'a> {
    pub cache: &'a mut LevelStats,
    missed_again: &'a mut Vec<u8>,
    pub references: &'a mut u64,
    pub latency_cycles: &'a mut u64,
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
        let pages = self.translation.as_mut()?.known_pages(cpu, page_size, asid)?;
        let levels = &mut self.levels;
        let at = levels.first[cpu][0];
        let next = levels.levels.get(at).filter(|level| level.is_quiet)?.near;
        // The next level comes later in the list.
        let (inner, outer) = levels.levels.split_at_mut(next.unwrap_or(at + 1));
        let first = &mut inner[at];
        let (place, presents_write_backs) = (first.place, levels.presents_write_backs);
        let near = next.map(|_| Near { cache: &mut outer[0].cache, place, presents_write_backs });
        let rules = first.cache.rules;
        let (lines, cache) = first.cache.known_lines()?;
        let directory = levels.directory.as_ref().filter(|_| is_store);
        Some(Hits {
            asid,
            page_size,
            line_bits: rules.line_bits,
            is_store,
            cache_cycles: rules.latency_cycles,
            pages,
            lines,
            owned: directory.map(|directory| directory.owned_by(cpu)),
            uses: levels.tracking.as_deref_mut().map(|tracking| tracking.uses(cpu, at, next)),
            page: (NONE, 0),
            line: (NONE, 0),
            near,
            near_count: 0,
            counters: Counters {
                cache,
                missed_again: &mut levels.missed_again,
                references: &mut self.references,
                latency_cycles: &mut self.latency_cycles,
            },
        })
    }
}

impl Hits<'_> {
    /// Cycles from issue to use of each hit.
    pub fn latency_cycles(&self) -> u64 {
        self.pages.hit_cycles + self.cache_cycles
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
        let Some(found) = self.pages.pages.find(key) else { return false };
        if line != self.line.0 && !self.take_line(line) {
            return false;
        }
        self.pages.pages.touch_again(found);
        self.page = (page, found.slot);
        true
    }

    /// Ends the row, in which so many references were taken.
    #[inline]
    pub fn end(self, count: u64) {
        if count == 0 {
            return;
        }
        let hit_count = count - self.near_count;
        let latency_cycles = self.latency_cycles();
        let Self { pages, lines, counters, .. } = self;
        let page = Page::of(self.page.0 << self.page_size.bits(), self.page_size, self.asid);
        pages.pages.end(page, self.page.1, false);
        lines.end(self.line.0, self.line.1, self.is_store);
        if let Some(uses) = self.uses {
            uses.end();
        }
        pages.stats.lookups += hit_count;
        let counter = if self.is_store { &mut counters.cache.writes } else { &mut counters.cache.reads };
        *counter += hit_count;
        *counters.references += hit_count;
        *counters.latency_cycles += hit_count * latency_cycles;
        counters.missed_again.clear();
    }
}
