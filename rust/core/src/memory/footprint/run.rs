//! A run of accesses: what it costs at every level, and what it leaves behind.

use super::ask::{Asked, Change, Here, ask};
use super::cost::{ByCause, Expected, LEVELS_MAX};
use super::kind::Kind;
use super::level::{NOWHERE, Place, Reuse, settle};
use super::machine::Machine;
use super::profile::Order;
use super::{Cause, Footprint, SetId, WorkingSet};

/// Caches and TLBs of a path together.
const PATH_MAX: usize = 2 * LEVELS_MAX;

/// The answers of all levels to one run.
pub(super) struct Answers {
    levels: [Change; PATH_MAX],
    /// Lines of which it is new that they were touched; draws.
    known: f64,
    /// Lines that came from another cpu's caches.
    transferred: f64,
}

impl Answers {
    pub const EMPTY: Self = Self { levels: [Change::NONE; PATH_MAX], known: 0.0, transferred: 0.0 };
}

impl Footprint {
    /// A working set at a level, as a cpu finds it.
    #[inline]
    pub(super) fn here<'a>(&'a self, cpu: usize, id: SetId, level: usize, reuse: &'a Reuse) -> Here<'a> {
        let machine = &self.machine;
        let at = &machine.levels[level];
        let place = self.place(cpu, id, level);
        Here { reuse, alone: &reuse.alone[level], place, level: at, recency: &self.recencies[machine.recency(at, cpu)] }
    }

    /// What a run costs; changes nothing. Both are empty before.
    #[inline]
    pub(super) fn expect(&self, cpu: usize, id: SetId, accesses: f64, expected: &mut Expected, answers: &mut Answers) {
        let machine = &self.machine;
        let set = &self.sets[id.0 as usize];
        let kind = &self.kinds[set.kind as usize];
        if accesses <= 0.0 {
            return;
        }
        let mut asked = Asked::of(&kind.lines, accesses, set.known);
        answers.known = if matches!(kind.lines.order, Order::Drawn(_)) { asked.first } else { asked.unknown };
        let missing = if set.is_shared && kind.is_write { Cause::Coherence } else { Cause::Migration };
        let mut latency = 0.0;
        for cache in 0..machine.caches {
            let level = &machine.levels[cache];
            let misses = &mut expected.misses[cache];
            let answer = ask(&self.here(cpu, id, cache, &kind.lines), asked, missing, misses);
            let behind = machine.latency_behind(cache) - level.latency;
            for (stall, misses) in expected.stall.iter_mut().zip(*misses) {
                *stall += misses * behind;
            }
            latency += answer.total * behind;
            asked.next(&answer, kind.lines.order_is_drawn());
            if cache + 1 == machine.private_caches && machine.is_coherent {
                let migrated = misses[Cause::Migration as usize].min(set.left_behind);
                let coherent = misses[Cause::Coherence as usize];
                let transferred = migrated + coherent;
                if transferred > 0.0 {
                    let longer = machine.transfer - machine.latency_behind(cache);
                    expected.stall[Cause::Migration as usize] += migrated * longer;
                    expected.stall[Cause::Coherence as usize] += coherent * longer;
                    latency += transferred * longer;
                    asked.drop(transferred, &kind.lines);
                    answers.transferred = transferred;
                }
            }
            answers.levels[cache] = answer.change;
            if answer.total <= 0.0 {
                break;
            }
        }
        let translation = self.translate(cpu, id, kind, accesses, expected, answers);
        let hit = if machine.caches == 0 { machine.memory_latency.min(1.0) } else { machine.levels[0].latency };
        if machine.caches == 0 {
            let misses = accesses * (machine.memory_latency - hit);
            expected.stall[Cause::Capacity as usize] += misses;
            latency += misses;
        }
        let share;
        (expected.user, share) = machine.price(kind, accesses, hit, latency, translation);
        expected.walk = translation * share;
        expected.stall.iter_mut().for_each(|stall| *stall *= share);
    }

    /// The latency of translations beside the first TLB's.
    #[inline]
    fn translate(
        &self,
        cpu: usize,
        id: SetId,
        kind: &Kind,
        accesses: f64,
        expected: &mut Expected,
        answers: &mut Answers,
    ) -> f64 {
        let machine = &self.machine;
        let path = &machine.tlb_paths[kind.page];
        if kind.is_physical || !path.is_translated {
            return 0.0;
        }
        let mut asked = Asked::of(&kind.pages, accesses, 0.0);
        let mut misses = accesses / kind.pages.accesses_a_touch;
        let mut latency = 0.0;
        let mut before = 0.0;
        let mut lookups = accesses;
        for (tlb, &place) in path.levels.iter().enumerate() {
            let level = &machine.levels[place];
            latency += lookups * (level.latency - before);
            before = level.latency;
            let here = self.here(cpu, id, place, &kind.pages);
            let answer = ask(&here, asked, Cause::Migration, &mut ByCause::default());
            misses = answer.total;
            lookups = misses;
            expected.tlb_misses[tlb] = misses;
            asked.next(&answer, kind.pages.order_is_drawn());
            answers.levels[place] = answer.change;
            if misses <= 0.0 {
                break;
            }
        }
        if path.levels.is_empty() {
            // TLBs that hold no page of this size: every access walks.
            misses = accesses;
        }
        expected.walks = misses;
        latency + misses * kind.walk_cycles
    }

    /// Puts down what a run has changed.
    #[inline]
    pub(super) fn settle(&mut self, cpu: usize, id: SetId, answers: &Answers) {
        let machine = &self.machine;
        let kind = &self.kinds[self.sets[id.0 as usize].kind as usize];
        if machine.is_coherent && kind.is_write {
            self.before_write(cpu, id, answers);
        }
        let machine = &self.machine;
        let kind = &self.kinds[self.sets[id.0 as usize].kind as usize];
        let width = machine.levels.len();
        for level in 0..width {
            let change = &answers.levels[level];
            if change.touched <= 0.0 {
                continue;
            }
            let reuse = if level < machine.caches { &kind.lines } else { &kind.pages };
            let place = &self.machine.levels[level];
            let row = self.row(cpu, id, level);
            let here = &mut self.places[row];
            if !place.is_shared && usize::from(here.cpu) != cpu {
                *here = Place::EMPTY;
            }
            settle(change, reuse, here, &mut self.recencies[machine.recency(place, cpu)]);
            if !place.is_shared {
                here.cpu = u16::try_from(cpu).expect("at most 64 cpus");
            }
        }
        self.sets[id.0 as usize].known += answers.known;
    }

    /// Writes take lines away from other cpus.
    fn before_write(&mut self, cpu: usize, id: SetId, answers: &Answers) {
        let machine = &self.machine;
        let WorkingSet { kind, is_shared, .. } = self.sets[id.0 as usize];
        let kind = &self.kinds[kind as usize];
        let Some(last) = machine.private_caches.checked_sub(1) else { return };
        if !is_shared {
            let row = self.row(cpu, id, last);
            let place = self.places[row];
            let old_cpu = place.cpu;
            if old_cpu != NOWHERE && usize::from(old_cpu) != cpu {
                let level = &machine.levels[last];
                let recency = &self.recencies[machine.recency(level, old_cpu.into())];
                let left = kind.lines.held(&place, level, last, recency);
                self.sets[id.0 as usize].left_behind = left;
            }
            let set = &mut self.sets[id.0 as usize];
            set.left_behind = (set.left_behind - answers.transferred).max(0.0);
            return;
        }
        let share = (answers.levels[0].touched / kind.lines.blocks).min(1.0);
        let rows = (0..machine.cpus).filter(|&other| other != cpu);
        let width = machine.levels.len();
        let first = self.sets[id.0 as usize].row as usize;
        for other in rows {
            for level in 0..machine.private_caches {
                let place = &mut self.places[(first + other) * width + level];
                kind.lines.lose(place, share);
            }
        }
    }
}

impl Machine {
    /// Turns latencies into cycles: dependent accesses wait for all of it, of independent ones `mlp` overlap and one begins
    /// each cycle. Tells the accesses' own cycles, and the share of latencies that is waited for.
    #[inline]
    pub(super) fn price(&self, kind: &Kind, accesses: f64, hit: f64, stall: f64, translation: f64) -> (f64, f64) {
        let mlp = match (kind.is_dependent, kind.is_stream) {
            (true, _) => 1.0,
            (false, true) => self.stream_mlp,
            (false, false) => self.mlp,
        };
        let whole = accesses * hit + stall + translation;
        let cycles = if kind.is_dependent { whole } else { (whole / mlp).max(accesses) };
        // Of an access, the latency of a hit is its own time, and at least the cycle in which it begins.
        let user =
            if kind.is_dependent { accesses * hit } else { (accesses * hit / mlp).max(accesses.min(accesses * hit)) };
        let user = user.min(cycles);
        let waited = stall + translation;
        if waited > 0.0 { (user, (cycles - user) / waited) } else { (cycles, 0.0) }
    }
}
