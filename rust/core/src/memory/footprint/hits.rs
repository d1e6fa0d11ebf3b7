//! The short way of a run: all lines are in the first cache and all translations in the first TLB, as those of most runs
//! are. It does what the long way does, to the bit.

use super::ask::{Answer, Asked, has_all};
use super::level::{NOWHERE, Reuse, settle};
use super::profile::Order;
use super::{Footprint, SetId};

/// Cycles of a run that missed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hits {
    /// Of accesses.
    pub user_cycles: u64,
    /// Of translation.
    pub walk_cycles: u64,
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
        if machine.caches == 0 || machine.levels[0].latency < 1.0 || accesses <= 0.0 {
            return None;
        }
        if machine.is_coherent && kind.is_write && (set.is_shared || self.is_behind(cpu, id)) {
            return None;
        }
        let lines = self.all_there(cpu, id, 0, &kind.lines, accesses, set.known)?;
        let mut translation = 0.0;
        let mut pages = None;
        let path = &machine.tlb_paths[kind.page];
        if !kind.is_physical && path.is_translated {
            let &tlb = path.levels.first()?;
            pages = Some((tlb, self.all_there(cpu, id, tlb, &kind.pages, accesses, 0.0)?));
            translation = accesses * machine.levels[tlb].latency;
        }
        let (user, share) = self.price(kind, accesses, machine.levels[0].latency, 0.0, translation);
        self.settle_hits(cpu, id, 0, &lines);
        if let Some((tlb, pages)) = &pages {
            self.settle_hits(cpu, id, *tlb, pages);
        }
        self.sets[id.0 as usize].known += lines.unknown;
        let carry = &mut self.carries[cpu];
        Some(Hits { user_cycles: carry.cut_user(user), walk_cycles: carry.cut_walk(translation * share) })
    }

    /// What a level is asked for, if all of it is there.
    #[inline]
    fn all_there(
        &self,
        cpu: usize,
        id: SetId,
        level: usize,
        reuse: &Reuse,
        accesses: f64,
        known: f64,
    ) -> Option<Asked> {
        if !matches!(reuse.order, Order::Cycle) {
            return None;
        }
        let asked = Asked::of(reuse, accesses, known);
        has_all(&self.here(cpu, id, level, reuse), &asked).then_some(asked)
    }

    /// Whether the private caches of another cpu may still hold what was written.
    fn is_behind(&self, cpu: usize, id: SetId) -> bool {
        let Some(last) = self.machine.private_caches.checked_sub(1) else { return false };
        let old = self.places[self.row(cpu, id, last)].cpu;
        old != NOWHERE && usize::from(old) != cpu
    }

    #[inline]
    fn settle_hits(&mut self, cpu: usize, id: SetId, level: usize, asked: &Asked) {
        let row = self.row(cpu, id, level);
        let kind = &self.kinds[self.sets[id.0 as usize].kind as usize];
        let reuse = if level < self.machine.caches { &kind.lines } else { &kind.pages };
        let recency = self.machine.recency(&self.machine.levels[level], cpu);
        settle(&Answer::of_hits(asked), reuse, &mut self.places[row], &mut self.recencies[recency]);
    }
}
