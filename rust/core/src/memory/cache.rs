//! One cache: which lines it holds, which of them are dirty, which a prefetcher brought, and what it has counted.
//!
//! What it asks of other levels is the hierarchy's business; here a level only answers for itself.

use super::config::{Inclusion, MachineConfig, WritePolicy};
use super::geometry::Geometry;
use super::lines::{Evicted, Filled, Known, KnownLines, LineArray, Slot};
use super::prefetch::{self, Prefetcher};
use super::stats::LevelStats;
use crate::base::Rng;

/// A cache of one cpu, or a shared one.
pub struct Cache {
    /// What the configuration says of it.
    pub rules: Rules,
    /// What it has counted. `misses` is left at 0: it is a sum.
    pub stats: LevelStats,
    geometry: Geometry,
    lines: LineArray<u64>,
    prefetching: Option<Box<Prefetching>>,
}

/// What does not change while a cache is used.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// log2 of the bytes of a line.
    pub line_bits: u32,
    /// Load-to-use latency.
    pub latency_cycles: u64,
    /// It holds all lines of the levels inside.
    pub is_inclusive: bool,
    /// It holds victims of the level inside, and a line that is wanted leaves it.
    pub is_exclusive: bool,
    /// It keeps dirty lines.
    pub is_write_back: bool,
    /// A store that misses brings the line in.
    pub is_allocating: bool,
    /// It has a prefetcher.
    pub is_prefetching: bool,
}

/// What a level with a prefetcher keeps.
struct Prefetching {
    prefetcher: Box<dyn Prefetcher>,
    // By slot: 0, or for a prefetched line that was not used yet the clock at its arrival + 1.
    arrivals: Vec<u64>,
    // By line mod the number of lines: 0, or a line that a prefetch evicted + 1.
    polluted: Vec<u64>,
}

/// A line that made room for another.
pub type Victim = Evicted<u64>;

/// A hit of a demand request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemandHit {
    /// Cycles until the data is there.
    pub latency_cycles: u64,
    /// Whether it was the first on a prefetched line.
    pub is_first_use: bool,
}

impl Cache {
    /// The cache at `level` of the machine's list, empty. `cpu` is 0 for a shared one.
    pub fn new(machine: &MachineConfig, level: usize, cpu: usize, seed: u64) -> Self {
        let config = &machine.caches[level];
        let geometry = Geometry::of_cache(config);
        let rng = Rng::stream(seed, "cache.victim", (256 * level + cpu) as u64);
        let prefetching = prefetch::build(config, geometry.line_bits).map(|prefetcher| {
            let lines = geometry.lines();
            Box::new(Prefetching { prefetcher, arrivals: vec![0; lines], polluted: vec![0; lines] })
        });
        let rules = Rules {
            line_bits: geometry.line_bits,
            latency_cycles: u64::from(machine.latency_cycles_of(level)),
            is_inclusive: config.inclusion == Inclusion::Inclusive,
            is_exclusive: config.inclusion == Inclusion::Exclusive,
            is_write_back: config.write_policy == WritePolicy::WriteBack,
            is_allocating: config.write_allocate,
            is_prefetching: prefetching.is_some(),
        };
        let lines = LineArray::new(config.replacement, geometry, rng);
        Self { rules, stats: LevelStats::default(), geometry, lines, prefetching }
    }

    /// Its shape.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The line that an address lies in.
    #[inline]
    pub fn line_of(&self, paddr: u64) -> u64 {
        paddr >> self.rules.line_bits
    }

    /// Where a line is. Changes nothing.
    #[inline]
    pub fn find(&self, line: u64) -> Option<Slot> {
        self.lines.find(line)
    }

    /// Where a line is; tells the policy that it was used, and makes the line dirty if asked to.
    #[inline]
    pub fn lookup(&mut self, line: u64, makes_dirty: bool) -> Option<Slot> {
        self.lines.lookup(line, makes_dirty)
    }

    /// Where a line is, if that is known without a search. Changes nothing.
    #[inline(always)]
    pub fn known(&self, line: u64) -> Option<Known> {
        self.lines.known(line)
    }

    /// Where a line is, by a search if need be, to be used then without another one. Changes nothing.
    #[inline]
    pub fn seek(&self, line: u64) -> Option<Known> {
        self.lines.seek(line)
    }

    /// Does what [`Cache::lookup`] does to a line that is known.
    #[inline(always)]
    pub fn use_known(&mut self, line: u64, known: Known, makes_dirty: bool) {
        self.lines.use_known(line, known, makes_dirty);
    }

    /// Its lines, to be found without a search, and its counters; nothing where no line can be.
    pub fn known_lines(&mut self) -> Option<(KnownLines<'_, u64>, &mut LevelStats)> {
        Some((self.lines.known_lines()?, &mut self.stats))
    }

    /// Makes a line clean, if it is there.
    pub fn clean(&mut self, line: u64) {
        self.lines.clean(line);
    }

    /// Takes a line out. Returns whether it was dirty, or nothing if it was not there.
    pub fn remove(&mut self, line: u64) -> Option<bool> {
        self.lines.remove(line)
    }

    /// A demand request hits: a prefetched line is counted and loses its mark.
    #[inline]
    pub fn demand_hit(&mut self, slot: Slot, clock: u64) -> DemandHit {
        let latency_cycles = self.rules.latency_cycles;
        if let Some(prefetching) = &mut self.prefetching
            && let Some(arrival) = std::mem::take(&mut prefetching.arrivals[slot]).checked_sub(1)
        {
            let remaining = arrival.saturating_sub(clock);
            self.stats.prefetches_useful += 1;
            self.stats.prefetches_late += u64::from(remaining > 0);
            return DemandHit { latency_cycles: latency_cycles.max(remaining), is_first_use: true };
        }
        DemandHit { latency_cycles, is_first_use: false }
    }

    /// A demand request misses: it may be that a prefetch evicted the line.
    #[inline]
    pub fn demand_miss(&mut self, line: u64) {
        if let Some(prefetching) = &mut self.prefetching {
            self.stats.prefetches_polluting += u64::from(prefetching.forget_polluted(line));
        }
    }

    /// Puts a line in that is not there. Returns where it is, and the line that made room for it.
    #[inline]
    pub fn fill(&mut self, line: u64, is_dirty: bool) -> Filled<u64> {
        let filled = self.lines.fill(line, is_dirty);
        if let Some(prefetching) = &mut self.prefetching {
            prefetching.forget_polluted(line);
            prefetching.arrivals[filled.slot] = 0;
        }
        filled
    }

    /// Puts a line in that this level's prefetcher asked for and that will be there at `arrival`.
    pub fn fill_prefetched(&mut self, line: u64, arrival: u64) -> Filled<u64> {
        let filled = self.lines.fill(line, false);
        let prefetching = self.prefetching.as_mut().expect("a level without a prefetcher asks for nothing");
        prefetching.forget_polluted(line);
        prefetching.arrivals[filled.slot] = arrival + 1;
        if let Some(evicted) = filled.evicted {
            prefetching.note_polluted(evicted.line);
        }
        filled
    }

    /// Lets the prefetcher, if there is one, see a demand request.
    pub fn observe(&mut self, trigger: &prefetch::Trigger) -> prefetch::Named {
        let mut named = prefetch::Named::default();
        if let Some(prefetching) = &mut self.prefetching {
            prefetching.prefetcher.observe(trigger, &mut named);
        }
        named
    }
}

impl Prefetching {
    fn pollution_slot(&self, line: u64) -> usize {
        usize::try_from(line % self.polluted.len() as u64).expect("below a usize")
    }

    fn note_polluted(&mut self, line: u64) {
        let slot = self.pollution_slot(line);
        self.polluted[slot] = line + 1;
    }

    /// Clears the record of a line that a prefetch evicted. Returns whether there was one.
    fn forget_polluted(&mut self, line: u64) -> bool {
        let slot = self.pollution_slot(line);
        let was_polluted = self.polluted[slot] == line + 1;
        if was_polluted {
            self.polluted[slot] = 0;
        }
        was_polluted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Two sets of one way, with a prefetcher.
    fn cache() -> Cache {
        let config = json!({"name": "L1", "size": 128, "ways": 1, "prefetcher": "next-line"});
        Cache::new(&MachineConfig::from_value(json!({"caches": [config]})).unwrap(), 0, 0, 0)
    }

    #[test]
    fn victim_is_as_dirty_as_its_line_was() {
        let mut cache = cache();
        assert_eq!(cache.fill(0, true).evicted, None);
        assert_eq!(cache.fill(2, false).evicted, Some(Victim { line: 0, is_dirty: true }));
        assert!(cache.lookup(2, true).is_some());
        cache.clean(2);
        assert_eq!(cache.fill(4, false).evicted, Some(Victim { line: 2, is_dirty: false }));
        assert_eq!(cache.remove(4), Some(false));
        assert_eq!(cache.remove(4), None);
    }

    #[test]
    fn first_use_of_a_prefetched_line_waits_for_its_arrival() {
        let mut cache = cache();
        cache.fill_prefetched(7, 100);
        let slot = cache.lookup(7, false).unwrap();
        assert_eq!(cache.demand_hit(slot, 90), DemandHit { latency_cycles: 10, is_first_use: true });
        assert_eq!(cache.demand_hit(slot, 91), DemandHit { latency_cycles: 4, is_first_use: false });
        cache.fill_prefetched(8, 100);
        assert_eq!(cache.demand_hit(cache.find(8).unwrap(), 98).latency_cycles, 4);
        cache.fill_prefetched(10, 100);
        assert_eq!(cache.demand_hit(cache.find(10).unwrap(), 100).latency_cycles, 4);
        assert_eq!((cache.stats.prefetches_useful, cache.stats.prefetches_late), (3, 2));
    }

    #[test]
    fn line_loses_its_mark_when_another_takes_its_place() {
        let mut cache = cache();
        cache.fill_prefetched(0, 100);
        cache.fill(2, false);
        assert!(!cache.demand_hit(cache.find(2).unwrap(), 0).is_first_use);
    }

    #[test]
    fn miss_on_a_line_that_a_prefetch_evicted_is_pollution_once() {
        let mut cache = cache();
        cache.fill(0, false);
        cache.fill_prefetched(2, 0);
        cache.demand_miss(0);
        cache.demand_miss(0);
        assert_eq!(cache.stats.prefetches_polluting, 1);
    }

    #[test]
    fn pollution_is_forgotten_when_the_line_comes_back() {
        let mut cache = cache();
        cache.fill(0, false);
        cache.fill_prefetched(2, 0);
        cache.fill(0, false);
        cache.fill(4, false);
        cache.demand_miss(0);
        assert_eq!(cache.stats.prefetches_polluting, 0);
    }
}
