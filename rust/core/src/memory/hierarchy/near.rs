//! References of a row that the second TLB or the second cache serves, both of the cpu alone: the line and the page come in
//! and a victim goes out, and nobody else learns of it.
//!
//! The directory has nothing to say of a line that a private cache holds and that is read, or is known to be the cpu's own:
//! the cpu has not lost it, and holds it on afterwards. So it is with a victim that the second cache holds too.

use super::super::cache::Cache;
use super::super::causes::{Causes, Departed, Use};
use super::super::lines::{Known, Slot};
use super::super::page::Page;
use super::{Hits, Outcome};

/// The second cache, and how the first one stands to it.
pub(super) struct Near<'a> {
    pub cache: &'a mut Cache,
    /// The place of the first in the machine's list.
    pub place: u8,
    pub presents_write_backs: bool,
}

/// Where the second cache has a line, and the victim of the first.
struct Found {
    line: Known,
    victim: Option<(u64, Known)>,
    departed: Option<Departed>,
}

impl Hits<'_> {
    /// Takes a reference that [`Hits::take`] has refused, if no more is needed than the second TLB and the second cache. Does
    /// what [`MemorySystem::access_mapped`](super::MemorySystem::access_mapped) would do, or nothing at all.
    #[inline(never)]
    pub fn take_near(&mut self, vaddr: u64, paddr: u64) -> Option<Outcome> {
        let (line, page) = (paddr >> self.line_bits, vaddr >> self.page_size.bits());
        if self.owned.is_some_and(|owned| !owned.contains(line)) {
            return None;
        }
        let key = Page::of(vaddr, self.page_size, self.asid);
        let is_same_page = page == self.page.0;
        let known_page = if is_same_page { None } else { self.pages.pages.find(key) };
        let near_page = if is_same_page || known_page.is_some() { None } else { Some(self.pages.seek_near(key)?) };
        let known_line = self.lines.find(line);
        let near_line = if known_line.is_none() { Some(self.find_near(line)?) } else { None };

        let mut translation_cycles = self.pages.hit_cycles;
        if let Some(known) = near_page {
            let (slot, cycles) = self.pages.take_near(key, known);
            translation_cycles = cycles;
            self.page = (page, slot);
        } else {
            self.pages.stats.lookups += 1;
            if let Some(known) = known_page {
                self.pages.pages.touch_again(known);
                self.page = (page, known.slot);
            }
        }
        let (mut latency_cycles, mut missed, mut causes) = (translation_cycles, 0, Causes::default());
        if let Some(known) = known_line {
            self.lines.touch(known, self.is_store);
            self.line = (line, known.slot);
            if let Some(uses) = &mut self.uses {
                uses.note(known.slot);
            }
            latency_cycles += self.cache_cycles;
        } else if let Some(found) = near_line {
            let (slot, cycles, why) = self.fill_near(line, found);
            self.line = (line, slot);
            latency_cycles += cycles;
            (missed, causes) = why;
        }
        let counter = if self.is_store { &mut self.counters.cache.writes } else { &mut self.counters.cache.reads };
        *counter += 1;
        *self.counters.references += 1;
        *self.counters.latency_cycles += latency_cycles;
        self.near_count += 1;
        Some(Outcome { latency_cycles, translation_cycles, walked: false, missed, causes })
    }

    /// Looks for a line that the first cache does not have.
    #[inline]
    fn find_near(&mut self, line: u64) -> Option<Found> {
        let near = self.near.as_ref()?;
        let known = near.cache.seek(line)?;
        let victim = match self.lines.victim(line) {
            Some(victim) => Some((victim, near.cache.seek(victim)?)),
            None => None,
        };
        let departed = match &mut self.uses {
            Some(uses) => Some(uses.departure(line)?),
            None => None,
        };
        Some(Found { line: known, victim, departed })
    }

    /// Brings it in. Returns where it is, the latency, and what missed and why.
    #[inline]
    fn fill_near(&mut self, line: u64, found: Found) -> (Slot, u64, (u32, Causes)) {
        let Found { line: known, victim, departed } = found;
        let near = self.near.as_mut().expect("the line was found there");
        let (first, second) = (&mut *self.counters.cache, &mut *near.cache);
        let mut causes = Causes::default();
        if self.is_store {
            first.write_misses += 1;
            second.stats.writes += 1;
        } else {
            first.read_misses += 1;
            second.stats.reads += 1;
        }
        second.use_known(line, known, false);
        if let (Some(uses), Some(departed)) = (&mut self.uses, departed) {
            causes.note(near.place, uses.note_miss(departed, known.slot));
        }
        let filled = self.lines.fill(line, self.is_store);
        debug_assert_eq!(filled.evicted.map(|evicted| evicted.line), victim.map(|(victim, _)| victim));
        let mut last = Use::NONE;
        if let Some(uses) = &mut self.uses {
            last = uses.note_fill(filled.slot, victim.map(|(victim, _)| victim)).last;
        }
        if let Some((victim, known)) = victim
            && filled.evicted.is_some_and(|evicted| evicted.is_dirty)
        {
            first.write_backs += 1;
            if near.presents_write_backs {
                second.stats.write_backs_in += 1;
                second.use_known(victim, known, true);
                if let Some(uses) = &mut self.uses {
                    uses.note_write_back(known.slot, last);
                }
            }
        }
        (filled.slot, second.rules.latency_cycles, (1 << near.place, causes))
    }
}
