//! The short way of a run: all lines are in the first cache and all translations in the first TLB, as those of most runs
//! are. It does what the long way does, to the bit.

use super::ask::{Here, has_all};
use super::kind::Kind;
use super::level::{NOWHERE, Reuse, settle_hits};
use super::machine::Machine;
use super::number::lesser;
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

/// What has to have everything for a run to go the short way.
#[derive(Clone, Copy, Debug)]
pub(super) enum ShortWay {
    /// No run of the kind does.
    None,
    /// The first cache.
    Cache,
    /// And the first TLB, which is at this place in the list of levels.
    Tlb(usize),
}

impl Footprint {
    /// What [`run`](Self::run) does, if nothing misses; else nothing is done.
    #[inline]
    pub fn run_hits(&mut self, cpu: usize, id: SetId, accesses: u64) -> Option<Hits> {
        let set = &self.sets[id.0 as usize];
        let kind = &self.kinds[set.kind as usize];
        if matches!(kind.short_way, ShortWay::None) || accesses == 0 {
            return None;
        }
        let machine = &self.machine;
        if kind.is_write && machine.is_coherent && (set.is_shared || self.is_behind(cpu, id)) {
            return None;
        }
        let accesses = accesses as f64;
        if kind.hits.accesses != accesses {
            self.kinds[set.kind as usize].hits = machine.price_of_hits(kind, accesses);
        }
        let kind = &self.kinds[set.kind as usize];
        let HitPrice { lines, pages, user, walk, .. } = kind.hits;
        let at_cache = self.all_there(cpu, set, 0, &kind.lines, lines)?;
        if let ShortWay::Tlb(tlb) = kind.short_way {
            let at_tlb = self.all_there(cpu, set, tlb, &kind.pages, pages)?;
            let (place, recency) = (&mut self.places[at_tlb.place], &mut self.recencies[at_tlb.recency]);
            settle_hits(pages, kind.pages.blocks, place, recency);
        }
        let (place, recency) = (&mut self.places[at_cache.place], &mut self.recencies[at_cache.recency]);
        settle_hits(lines, kind.lines.blocks, place, recency);
        let set = &mut self.sets[id.0 as usize];
        if set.known < kind.lines.blocks {
            set.known += lesser(lines, kind.lines.blocks - set.known);
        }
        let carry = &mut self.carries[cpu];
        Some(Hits { user_cycles: carry.cut_user(user), walk_cycles: carry.cut_walk(walk) })
    }

    /// Whether runs of a kind that miss nothing may go the short way.
    pub(super) fn short_way(&self, kind: &Kind) -> ShortWay {
        let machine = &self.machine;
        // Where hits take no cycle, that an access begins in one is for the long way to say.
        if machine.caches == 0 || machine.levels[0].latency < 1.0 || kind.lines.order_is_drawn() {
            return ShortWay::None;
        }
        let path = &machine.tlb_paths[kind.page];
        if kind.is_physical || !path.is_translated {
            return ShortWay::Cache;
        }
        match path.levels.first() {
            Some(&tlb) if !kind.pages.order_is_drawn() => ShortWay::Tlb(tlb),
            _ => ShortWay::None,
        }
    }

    /// Where a level keeps what it knows of a working set, if all of it is there and some blocks are touched.
    #[inline]
    fn all_there(&self, cpu: usize, set: &WorkingSet, level: usize, reuse: &Reuse, touched: f64) -> Option<At> {
        let machine = &self.machine;
        let alone = &reuse.alone[level];
        let at = At { place: self.row_of(cpu, set, level), recency: machine.recency(&machine.levels[level], cpu) };
        let (place, recency) = (&self.places[at.place], &self.recencies[at.recency]);
        let here = Here { reuse, alone, place, level: &machine.levels[level], recency };
        let is_here = here.level.is_shared || usize::from(here.place.cpu) == cpu;
        (is_here && has_all(&here, touched)).then_some(at)
    }

    /// Whether the private caches of another cpu may still hold what was written.
    fn is_behind(&self, cpu: usize, id: SetId) -> bool {
        let Some(last) = self.machine.private_caches.checked_sub(1) else { return false };
        let old = self.places[self.row(cpu, id, last)].cpu;
        old != NOWHERE && usize::from(old) != cpu
    }
}

impl Machine {
    /// What so many accesses cost that all hit, and what they touch.
    fn price_of_hits(&self, kind: &Kind, accesses: f64) -> HitPrice {
        let translation = match self.tlb_paths[kind.page].levels.first() {
            Some(&tlb) if !kind.is_physical => accesses * self.levels[tlb].latency,
            _ => 0.0,
        };
        let (user, share) = self.price(kind, accesses, self.levels[0].latency, 0.0, translation);
        let touched = |reuse: &Reuse| (accesses / reuse.accesses_a_touch).min(reuse.blocks);
        let (lines, pages) = (touched(&kind.lines), touched(&kind.pages));
        HitPrice { accesses, lines, pages, user, walk: translation * share }
    }
}
