//! What levels ask of one another: the requests of the specification, each a method, passed from the cpu outwards.

use super::super::cache::Victim;
use super::super::causes::{Causes, Departure, Gone, Use};
use super::super::directory::CpuSet;
use super::super::lines::{Filled, Slot};
use super::super::prefetch::{PAGE_BITS, Trigger};
use super::levels::{Levels, MEMORY};

/// Bytes of an entry of a page table.
const ENTRY_BYTES: u32 = 8;

/// What every request of one reference carries along.
pub(super) struct Request {
    pub paddr: u64,
    pub ip: u64,
    pub cpu: usize,
    pub clock: u64,
    /// Another cpu's caches serve what leaves the private ones.
    pub is_transfer: bool,
    /// A bit for each level that missed on demand.
    pub missed: u32,
    /// Why they missed, if that is tracked.
    pub causes: Causes,
}

/// What a level that asked for a line is told.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub latency_cycles: u64,
    /// The line comes out of an exclusive level, dirty, and no level in between has filled it.
    pub is_dirty: bool,
}

impl Answer {
    fn clean(latency_cycles: u64) -> Self {
        Self { latency_cycles, is_dirty: false }
    }
}

impl Levels {
    /// A `read`, or a `write` that fills for a store: ends where the line is, and fills on the way back.
    pub(super) fn read_or_write(&mut self, at: usize, is_write: bool, request: &mut Request) -> Answer {
        let Some(level) = self.levels.get_mut(at) else {
            return Answer::clean(if request.is_transfer { self.transfer_cycles } else { self.memory_latency_cycles });
        };
        if request.is_transfer && level.cpu.is_none() {
            return Answer::clean(self.transfer_cycles);
        }
        let line = level.cache.line_of(request.paddr);
        let is_exclusive = level.cache.rules.is_exclusive;
        let is_prefetching = level.cache.rules.is_prefetching;
        if is_write {
            level.cache.stats.writes += 1;
        } else {
            level.cache.stats.reads += 1;
        }
        let (answer, is_new) = if let Some(slot) = level.cache.lookup(line, false) {
            let hit = level.cache.demand_hit(slot, request.clock);
            self.note_use(at, slot, Use::PRESENT);
            let is_dirty = is_exclusive && self.remove(at, line, Departure::Taken) == Some(true);
            (Answer { latency_cycles: hit.latency_cycles, is_dirty }, hit.is_first_use)
        } else {
            let next = level.next;
            self.count_demand_miss(at, line, is_write, request);
            let mut answer = self.read_or_write(next, is_write, request);
            if !is_exclusive {
                self.fill(at, line, std::mem::take(&mut answer.is_dirty), Use::PRESENT);
            }
            (answer, true)
        };
        if is_prefetching {
            self.prefetch_after(at, line, is_new, request);
        }
        answer
    }

    /// A page walk of a cpu reads an entry. Returns the latency.
    pub(super) fn walk_read(&mut self, cpu: usize, paddr: u64) -> u64 {
        let first = self.first_of_walks[cpu];
        if let Some(tracking) = &mut self.tracking {
            tracking.begin(cpu, false);
        }
        let mut is_transfer = false;
        if self.directory.is_some() && !self.may_read(first, paddr) {
            (is_transfer, _) = self.before_reference(cpu, paddr, ENTRY_BYTES, false);
        }
        let answer = self.read_entry(first, is_transfer, paddr);
        if self.directory.is_some() {
            self.after_reference(cpu, paddr, false);
        }
        answer.latency_cycles
    }

    /// A `walk read`: a `read` that is no demand, and that prefetchers do not see.
    fn read_entry(&mut self, at: usize, is_transfer: bool, paddr: u64) -> Answer {
        let level = self.levels.get_mut(at);
        let Some(level) = level.filter(|level| !is_transfer || level.cpu.is_some()) else {
            self.walk_transfers += u64::from(is_transfer);
            return Answer::clean(if is_transfer { self.transfer_cycles } else { self.memory_latency_cycles });
        };
        let line = level.cache.line_of(paddr);
        let (rules, next) = (level.cache.rules, level.next);
        level.cache.stats.walk_reads += 1;
        if let Some(slot) = level.cache.lookup(line, false) {
            self.note_use(at, slot, Use::PRESENT);
            let is_dirty = rules.is_exclusive && self.remove(at, line, Departure::Taken) == Some(true);
            return Answer { latency_cycles: rules.latency_cycles, is_dirty };
        }
        level.cache.stats.walk_read_misses += 1;
        let mut answer = self.read_entry(next, is_transfer, paddr);
        if !rules.is_exclusive {
            self.fill(at, line, std::mem::take(&mut answer.is_dirty), Use::PRESENT);
        }
        answer
    }

    /// A `store`: changes the line here, or goes on.
    pub(super) fn store(&mut self, at: usize, request: &mut Request, is_from_cpu: bool) -> u64 {
        let Some(level) = self.levels.get_mut(at) else { return self.memory_latency_cycles };
        let (rules, next) = (level.cache.rules, level.next);
        // A transfer spares the shared levels the request that leaves the private ones, but not what they do for a store.
        request.is_transfer &= level.cpu.is_some();
        let line = level.cache.line_of(request.paddr);
        level.cache.stats.writes += 1;
        let mut is_new = true;
        let latency_cycles;
        if let Some(slot) = level.cache.lookup(line, rules.is_write_back) {
            let hit = level.cache.demand_hit(slot, request.clock);
            latency_cycles = hit.latency_cycles;
            is_new = hit.is_first_use;
            self.note_use(at, slot, Use::PRESENT);
        } else {
            self.count_demand_miss(at, line, true, request);
            if rules.is_allocating && !rules.is_exclusive {
                let answer = self.read_or_write(next, true, request);
                self.fill(at, line, answer.is_dirty || rules.is_write_back, Use::PRESENT);
                latency_cycles = answer.latency_cycles;
            } else {
                latency_cycles = rules.latency_cycles;
                if rules.is_write_back {
                    self.store(next, request, false);
                }
            }
        }
        if !rules.is_write_back {
            self.levels[at].cache.stats.write_throughs += 1;
            self.store(next, request, false);
        }
        if is_from_cpu && rules.is_prefetching {
            self.prefetch_after(at, line, is_new, request);
        }
        latency_cycles
    }

    fn count_demand_miss(&mut self, at: usize, line: u64, is_write: bool, request: &mut Request) {
        let level = &mut self.levels[at];
        if is_write {
            level.cache.stats.write_misses += 1;
        } else {
            level.cache.stats.read_misses += 1;
        }
        level.cache.demand_miss(line);
        let bit = 1 << level.place;
        if request.missed & bit != 0 {
            self.missed_again.push(level.place);
        }
        let (place, is_first) = (level.place, request.missed & bit == 0);
        request.missed |= bit;
        if let Some(tracking) = self.tracking.as_mut().filter(|_| is_first) {
            let levels = &self.levels;
            request.causes.note(place, tracking.cause(at, line, |peer| levels[peer].cache.find(line)));
        }
    }

    /// A dirty victim of the level inside, with its last use there. Where there is no level, memory takes it.
    pub(super) fn write_back(&mut self, at: usize, paddr: u64, used: Use) {
        let Some(level) = self.levels.get_mut(at) else { return };
        let (rules, next) = (level.cache.rules, level.next);
        let line = level.cache.line_of(paddr);
        level.cache.stats.write_backs_in += 1;
        let is_sent_on = if let Some(slot) = level.cache.lookup(line, rules.is_write_back) {
            self.note_use(at, slot, used);
            !rules.is_write_back
        } else {
            level.cache.stats.write_back_misses += 1;
            if rules.is_allocating {
                self.fill(at, line, rules.is_write_back, used);
            }
            !(rules.is_allocating && rules.is_write_back)
        };
        if is_sent_on {
            self.write_back(next, paddr, used);
        }
    }

    /// A victim of the level inside, clean or dirty, for an exclusive level.
    fn take_victim(&mut self, at: usize, victim: Victim, used: Use) {
        let cache = &mut self.levels[at].cache;
        cache.stats.victims_in += 1;
        match cache.lookup(victim.line, victim.is_dirty) {
            Some(slot) => self.note_use(at, slot, used),
            None => self.fill(at, victim.line, victim.is_dirty, used),
        }
    }

    /// Puts a line in, and passes on what made room for it. A line from the level inside has its last use there.
    fn fill(&mut self, at: usize, line: u64, is_dirty: bool, used: Use) {
        let filled = self.levels[at].cache.fill(line, is_dirty);
        self.after_fill(at, line, filled, used);
    }

    #[inline]
    fn after_fill(&mut self, at: usize, line: u64, filled: Filled<u64>, used: Use) {
        let victim = filled.evicted;
        let mut gone = Gone::default();
        if let Some(tracking) = &mut self.tracking {
            gone = tracking.note_fill(at, filled.slot, victim.map(|victim| victim.line), used);
        }
        if let Some(directory) = &mut self.directory
            && let Some(cpu) = self.levels[at].cpu
        {
            directory.note_fill(cpu, line);
            if let Some(victim) = victim {
                directory.note_removal(cpu, victim.line);
            }
        }
        if let Some(victim) = victim {
            self.evict(at, victim, gone);
        }
    }

    /// What becomes of a line that made room.
    fn evict(&mut self, at: usize, mut victim: Victim, gone: Gone) {
        if self.levels[at].cache.rules.is_inclusive {
            victim.is_dirty |= self.back_invalidate(at, victim.line, gone);
        }
        let level = &mut self.levels[at];
        level.cache.stats.write_backs += u64::from(victim.is_dirty);
        if level.is_next_exclusive {
            let next = level.next;
            self.take_victim(next, victim, gone.last);
        } else if victim.is_dirty && self.presents_write_backs && level.next != MEMORY {
            let (next, paddr) = (level.next, victim.line << level.cache.rules.line_bits);
            self.write_back(next, paddr, gone.last);
        }
    }

    /// Takes a line out of all levels inside an inclusive one. Returns whether a copy was dirty.
    fn back_invalidate(&mut self, at: usize, line: u64, gone: Gone) -> bool {
        let level = &self.levels[at];
        let line_bits = level.cache.rules.line_bits;
        // The directory spares the search of the caches of cpus that do not have the line.
        let holders = match &self.directory {
            Some(directory) if level.cpu.is_none() => directory.holders_within(line << line_bits, 1 << line_bits),
            _ => CpuSet::MAX,
        };
        let departure = Departure::BackInvalidated { is_reordered: gone.is_reordered };
        let (mut copies, mut is_dirty) = (0, false);
        for place in 0..level.inside.len() {
            let (inner, cpu) = self.levels[at].inside[place];
            if cpu.is_some_and(|cpu| holders & 1 << cpu == 0) {
                continue;
            }
            let extra_bits = line_bits - self.levels[inner].cache.rules.line_bits;
            for inner_line in line << extra_bits..(line + 1) << extra_bits {
                if let Some(was_dirty) = self.remove(inner, inner_line, departure) {
                    copies += 1;
                    is_dirty |= was_dirty;
                }
            }
        }
        self.levels[at].cache.stats.back_invalidations += copies;
        is_dirty
    }

    /// Takes a line out of a level. Returns whether it was dirty, or nothing if it was not there.
    fn remove(&mut self, at: usize, line: u64, departure: Departure) -> Option<bool> {
        self.note_departure(at, line, departure);
        let level = &mut self.levels[at];
        let was_dirty = level.cache.remove(line)?;
        if let Some(directory) = &mut self.directory
            && let Some(cpu) = level.cpu
        {
            directory.note_removal(cpu, line);
        }
        Some(was_dirty)
    }

    /// Lets the causes of misses know that a line is used, or that a level inside gives it back with its last use there.
    #[inline(always)]
    fn note_use(&mut self, at: usize, slot: Slot, used: Use) {
        if let Some(tracking) = &mut self.tracking {
            tracking.note_use(at, slot, used);
        }
    }

    /// Lets the causes of misses know that a line leaves, if it is there.
    #[inline(always)]
    pub(super) fn note_departure(&mut self, at: usize, line: u64, departure: Departure) {
        if let Some(tracking) = &mut self.tracking
            && let Some(slot) = self.levels[at].cache.find(line)
        {
            tracking.note_departure(at, slot, line, departure);
        }
    }

    /// Lets a level's prefetcher act on a demand request that is done.
    fn prefetch_after(&mut self, at: usize, line: u64, is_new: bool, request: &Request) {
        let trigger = Trigger { paddr: request.paddr, line, ip: request.ip, is_new };
        let named = self.levels[at].cache.observe(&trigger);
        for &line in named.lines() {
            self.issue(at, line, request);
        }
    }

    /// Fetches a line that a prefetcher named, unless it is here, in another page, or owned by another cpu.
    fn issue(&mut self, at: usize, line: u64, request: &Request) {
        let level = &self.levels[at];
        let paddr = line << level.cache.rules.line_bits;
        if paddr >> PAGE_BITS != request.paddr >> PAGE_BITS || level.cache.find(line).is_some() {
            return;
        }
        let (next, cpu) = (level.next, level.cpu);
        if self.is_owned_by_another(request.cpu, paddr) {
            return;
        }
        let arrival = request.clock + self.prefetch(next, paddr);
        let cache = &mut self.levels[at].cache;
        cache.stats.prefetches_issued += 1;
        let filled = cache.fill_prefetched(line, arrival);
        self.after_fill(at, line, filled, Use::PRESENT);
        if let Some(directory) = &mut self.directory
            && let Some(cpu) = cpu
        {
            directory.note_prefetch(cpu, line);
        }
    }

    /// A request of a prefetcher inside. Returns the latency of the place that serves it.
    fn prefetch(&mut self, at: usize, paddr: u64) -> u64 {
        let Some(level) = self.levels.get_mut(at) else { return self.memory_latency_cycles };
        let (rules, next) = (level.cache.rules, level.next);
        let line = level.cache.line_of(paddr);
        level.cache.stats.prefetch_reads += 1;
        if level.cache.find(line).is_some() {
            return rules.latency_cycles;
        }
        level.cache.stats.prefetch_misses += 1;
        let latency_cycles = self.prefetch(next, paddr);
        if !rules.is_exclusive {
            self.fill(at, line, false, Use::PRESENT);
        }
        latency_cycles
    }
}
