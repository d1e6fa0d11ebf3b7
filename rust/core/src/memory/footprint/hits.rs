//! The short way of a run: all lines are in the first cache and all translations in the first TLB, as those of most runs
//! are. It does what the long way does, to the bit.

use super::ask::{Here, has_all};
use super::kind::Kind;
use super::level::{Level, NOWHERE, Reuse, settle_hits};
use super::{Footprint, SetId, WorkingSet};

/// Cycles of a run that missed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hits {
    /// Of accesses.
    pub user_cycles: u64,
    /// Of translation.
    pub walk_cycles: u64,
}

/// What a run costs that misses nothing. Most are as long as the last one of their kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HitPrice {
    accesses: f64,
    /// Different lines and pages that are touched.
    lines: f64,
    pages: f64,
    /// Cycles.
    user: f64,
    walk: f64,
}

/// Where it is kept what a level remembers of a working set, and in which order lines were touched there.
struct At {
    place: usize,
    recency: usize,
}

impl Footprint {
    /// What [`run`](Self::run) does, if nothing misses; else nothing is done.
    #[inline]
    pub fn run_hits(&mut self, cpu: usize, id: SetId, accesses: u64) -> Option<Hits> {
        let machine = &self.machine;
        let set = &self.sets[id.0 as usize];
        let kind = &self.kinds[set.kind as usize];
        let accesses = accesses as f64;
        // Where hits take no cycle, that an access begins in one is for the long way to say.
        if machine.caches == 0 || machine.levels[0].latency < 1.0 || accesses <= 0.0 || kind.lines.order_is_drawn() {
            return None;
        }
        if machine.is_coherent && kind.is_write && (set.is_shared || self.is_behind(cpu, id)) {
            return None;
        }
        let price = if kind.hits.accesses == accesses { kind.hits } else { self.price_of_hits(kind, accesses) };
        let lines = self.all_there(cpu, set, 0, &kind.lines, price.lines)?;
        let path = &machine.tlb_paths[kind.page];
        let pages = if kind.is_physical || !path.is_translated {
            None
        } else if kind.pages.order_is_drawn() {
            return None;
        } else {
            Some(self.all_there(cpu, set, *path.levels.first()?, &kind.pages, price.pages)?)
        };
        let (blocks, kind) = (kind.lines.blocks, set.kind as usize);
        let unknown = price.lines.min((blocks - set.known).max(0.0));
        let (places, recencies) = (&mut self.places, &mut self.recencies);
        settle_hits(price.lines, blocks, &mut places[lines.place], &mut recencies[lines.recency]);
        if let Some(pages) = pages {
            let blocks = self.kinds[kind].pages.blocks;
            settle_hits(price.pages, blocks, &mut places[pages.place], &mut recencies[pages.recency]);
        }
        self.sets[id.0 as usize].known += unknown;
        self.kinds[kind].hits = price;
        let carry = &mut self.carries[cpu];
        Some(Hits { user_cycles: carry.cut_user(price.user), walk_cycles: carry.cut_walk(price.walk) })
    }

    /// What so many accesses cost that all hit, and what they touch.
    fn price_of_hits(&self, kind: &Kind, accesses: f64) -> HitPrice {
        let machine = &self.machine;
        let translation = match machine.tlb_paths[kind.page].levels.first() {
            Some(&tlb) if !kind.is_physical => accesses * machine.levels[tlb].latency,
            _ => 0.0,
        };
        let (user, share) = self.price(kind, accesses, machine.levels[0].latency, 0.0, translation);
        let touched = |reuse: &Reuse| (accesses / reuse.accesses_a_touch).min(reuse.blocks);
        let (lines, pages) = (touched(&kind.lines), touched(&kind.pages));
        HitPrice { accesses, lines, pages, user, walk: translation * share }
    }

    /// Where a level keeps what it knows of a working set, if all of it is there and some blocks are touched.
    #[inline]
    fn all_there(&self, cpu: usize, set: &WorkingSet, level: usize, reuse: &Reuse, touched: f64) -> Option<At> {
        let machine = &self.machine;
        let &Level { count, sets, is_shared, .. } = &machine.levels[level];
        let at = At { place: self.row_of(cpu, set, level), recency: machine.recency(&machine.levels[level], cpu) };
        let here = Here {
            reuse,
            alone: &reuse.alone[level],
            place: self.places[at.place],
            sets: &machine.sets[sets],
            count,
            recency: &self.recencies[at.recency],
        };
        let is_here = is_shared || usize::from(here.place.cpu) == cpu;
        (is_here && has_all(&here, touched)).then_some(at)
    }

    /// Whether the private caches of another cpu may still hold what was written.
    fn is_behind(&self, cpu: usize, id: SetId) -> bool {
        let Some(last) = self.machine.private_caches.checked_sub(1) else { return false };
        let old = self.places[self.row(cpu, id, last)].cpu;
        old != NOWHERE && usize::from(old) != cpu
    }
}
