//! A paging-structure cache: entries of one level that point to a table of the level below, LRU.
//!
//! Walks come in millions a second and nearly all hit the lowest of these caches, so a hit costs a few loads: a hint by
//! the low bits of the number says where the entry was seen last. A set is searched only where two entries share a hint.

use super::tables::level_shift;
use crate::base::Rng;
use crate::memory::config::check::WAYS_MAX;
use crate::memory::config::{ReplacementKind, StructureCacheConfig};
use crate::memory::geometry::Geometry;
use crate::memory::lines::LineArray;
use crate::memory::page::Page;
use crate::memory::stats::LookupStats;

/// One structure cache of one cpu.
pub struct StructureCache {
    /// The level of its entries.
    pub level: u32,
    /// What it has counted.
    pub stats: LookupStats,
    // How far an address is shifted to give the number of an entry, and the bits of it that the tables know.
    shift: u32,
    known: u64,
    entries: Entries,
}

enum Entries {
    Few(Few),
    Many(Many),
}

impl StructureCache {
    /// An empty cache of a tree of `levels` levels.
    pub fn new(config: &StructureCacheConfig, levels: u32) -> Self {
        let ways = config.ways();
        let entries = if ways > WAYS_MAX {
            Entries::Many(Many::new(ways))
        } else {
            Entries::Few(Few::new(config.entries as usize, ways as usize))
        };
        let shift = level_shift(config.level);
        Self {
            level: config.level,
            stats: LookupStats::default(),
            shift,
            known: (1 << (level_shift(levels + 1) - shift)) - 1,
            entries,
        }
    }

    /// Where the table is that the entry of an address points to, if the entry is here.
    #[inline(always)]
    pub fn lookup(&mut self, address: u64, asid: u32) -> Option<u64> {
        self.stats.lookups += 1;
        let number = self.number(address);
        let table = match &mut self.entries {
            Entries::Few(few) => few.lookup(number, asid),
            Entries::Many(many) => many.lookup(number, asid),
        };
        self.stats.hits += u64::from(table.is_some());
        table
    }

    /// Puts in an entry that is not here.
    #[inline]
    pub fn fill(&mut self, address: u64, asid: u32, next_table: u64) {
        let number = self.number(address);
        match &mut self.entries {
            Entries::Few(few) => few.fill(number, asid, next_table),
            Entries::Many(many) => many.fill(number, asid, next_table),
        }
    }

    /// Makes it empty.
    pub fn clear(&mut self) {
        match &mut self.entries {
            Entries::Few(few) => few.remove_where(|_| true),
            Entries::Many(many) => many.entries.clear(),
        }
    }

    /// Drops the entries of an address space.
    pub fn remove_asid(&mut self, asid: u32) {
        match &mut self.entries {
            Entries::Few(few) => few.remove_where(|other| other == asid),
            Entries::Many(many) => many.entries.remove_where(|entry| entry.asid() == asid),
        }
    }

    #[inline]
    fn number(&self, address: u64) -> u64 {
        address >> self.shift & self.known
    }
}

/// One set of so many entries that they are found by hash.
struct Many {
    entries: LineArray<Page>,
    // By slot.
    tables: Vec<u64>,
}

impl Many {
    fn new(ways: u32) -> Self {
        let geometry = Geometry { set_bits: 0, ways, line_bits: 0 };
        // LRU draws nothing from a stream.
        let rng = Rng::stream(0, "none", 0);
        Self { entries: LineArray::new(ReplacementKind::Lru, geometry, rng), tables: Vec::new() }
    }

    #[inline(never)]
    fn lookup(&mut self, number: u64, asid: u32) -> Option<u64> {
        self.entries.lookup(Page::numbered(number, asid), false).map(|slot| self.tables[slot])
    }

    fn fill(&mut self, number: u64, asid: u32, table: u64) {
        let slot = self.entries.fill(Page::numbered(number, asid), false).slot;
        if self.tables.len() <= slot {
            self.tables.resize(slot + 1, 0);
        }
        self.tables[slot] = table;
    }
}

/// Hints of an array, a power of two.
const HINTS: usize = 1024;

/// No entry has this number: addresses have 57 bits at most.
const NO_NUMBER: u64 = u64::MAX;

/// Sets of at most 32 entries.
struct Few {
    ways: usize,
    set_mask: u64,
    uses: u64,
    slots: Box<[Slot]>,
    // By the low bits of the number: the slot that an entry with these bits was put or found in last.
    hints: Box<[u32; HINTS]>,
    // How many entries have these bits.
    sharing: Box<[u32; HINTS]>,
}

#[derive(Clone, Copy)]
struct Slot {
    number: u64,
    // When it was used last, or 0.
    used: u64,
    // The physical address of the table that the entry points to.
    table: u64,
    asid: u32,
}

impl Slot {
    const EMPTY: Self = Self { number: NO_NUMBER, used: 0, table: 0, asid: 0 };

    #[inline(always)]
    fn is(&self, number: u64, asid: u32) -> bool {
        self.number == number && self.asid == asid
    }

    /// Whether an entry is here that has this hint.
    #[inline(always)]
    fn has_hint(&self, of: usize) -> bool {
        self.number != NO_NUMBER && hint(self.number) == of
    }
}

impl Few {
    fn new(entries: usize, ways: usize) -> Self {
        let slots = vec![Slot::EMPTY; entries].into();
        let (hints, sharing) = (Box::new([0; HINTS]), Box::new([0; HINTS]));
        Self { ways, set_mask: (entries / ways) as u64 - 1, uses: 0, slots, hints, sharing }
    }

    #[inline(always)]
    fn lookup(&mut self, number: u64, asid: u32) -> Option<u64> {
        let slot = &mut self.slots[self.hints[hint(number)] as usize];
        if !slot.is(number, asid) {
            // Others than the one that the hint is about, if it is about one with these bits.
            let others = self.sharing[hint(number)] - u32::from(slot.has_hint(hint(number)));
            return if others == 0 { None } else { self.search(number, asid) };
        }
        self.uses += 1;
        slot.used = self.uses;
        Some(slot.table)
    }

    #[inline(never)]
    fn fill(&mut self, number: u64, asid: u32, table: u64) {
        let start = self.start(number);
        let way = least_recent(&self.slots[start..start + self.ways]);
        self.uses += 1;
        let slot = &mut self.slots[start + way];
        if slot.number != NO_NUMBER {
            self.sharing[hint(slot.number)] -= 1;
        }
        self.sharing[hint(number)] += 1;
        *slot = Slot { number, used: self.uses, table, asid };
        self.note(number, start + way);
    }

    fn remove_where(&mut self, is_meant: impl Fn(u32) -> bool) {
        for slot in self.slots.iter_mut().filter(|slot| slot.number != NO_NUMBER && is_meant(slot.asid)) {
            self.sharing[hint(slot.number)] -= 1;
            *slot = Slot::EMPTY;
        }
    }

    /// An entry that is not where the hint says, used now.
    #[inline(never)]
    fn search(&mut self, number: u64, asid: u32) -> Option<u64> {
        let start = self.start(number);
        let place = start + self.slots[start..start + self.ways].iter().position(|slot| slot.is(number, asid))?;
        self.note(number, place);
        self.uses += 1;
        let slot = &mut self.slots[place];
        slot.used = self.uses;
        Some(slot.table)
    }

    #[allow(clippy::cast_possible_truncation, reason = "entries are a u32")]
    fn note(&mut self, number: u64, place: usize) {
        self.hints[hint(number)] = place as u32;
    }

    #[allow(clippy::cast_possible_truncation, reason = "below the number of sets")]
    fn start(&self, number: u64) -> usize {
        (number & self.set_mask) as usize * self.ways
    }
}

/// The place of the slot of a set that was used the longest ago.
fn least_recent(set: &[Slot]) -> usize {
    // Four searches beside one another: one would wait for itself at every slot.
    let mut least = [u64::MAX; 4];
    let used_at = |slot: &Slot, place: usize| slot.used << PLACE_BITS | place as u64;
    let (fours, rest) = set.as_chunks::<4>();
    for (index, four) in fours.iter().enumerate() {
        for (lane, slot) in four.iter().enumerate() {
            least[lane] = least[lane].min(used_at(slot, 4 * index + lane));
        }
    }
    for (lane, slot) in rest.iter().enumerate() {
        least[lane] = least[lane].min(used_at(slot, 4 * fours.len() + lane));
    }
    let least = least.into_iter().min().expect("four of them");
    usize::try_from(least & ((1 << PLACE_BITS) - 1)).expect("a few bits")
}

/// Bits of a place in a set.
const PLACE_BITS: u32 = 5;

#[allow(clippy::cast_possible_truncation, reason = "the low bits are meant")]
#[inline(always)]
fn hint(number: u64) -> usize {
    number as usize % HINTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: u32, ways: u32) -> StructureCache {
        StructureCache::new(&StructureCacheConfig { level: 2, entries, ways: Some(ways) }, 4)
    }

    #[test]
    fn least_recent_entry_leaves() {
        let mut cache = cache(2, 2);
        (0..2).for_each(|n| cache.fill(n << 21, 0, n << 12));
        assert_eq!(cache.lookup(5, 0), Some(0));
        cache.fill(2 << 21, 0, 2 << 12);
        assert_eq!([0, 1, 2].map(|n| cache.lookup(n << 21, 0)), [Some(0), None, Some(2 << 12)]);
        assert_eq!(cache.stats, LookupStats { lookups: 4, hits: 3 });
    }

    #[test]
    fn entry_is_found_by_set_by_address_space_and_by_what_the_tables_know() {
        let mut cache = cache(4, 1);
        cache.fill(5 << 21, 3, 7);
        assert_eq!(cache.lookup(5 << 21 | 1 << 48, 3), Some(7));
        assert_eq!((cache.lookup(5 << 21, 4), cache.lookup(1 << 21, 3)), (None, None));
        cache.fill(6 << 21, 4, 8);
        cache.remove_asid(3);
        assert_eq!((cache.lookup(5 << 21, 3), cache.lookup(6 << 21, 4)), (None, Some(8)));
        cache.clear();
        assert_eq!(cache.lookup(6 << 21, 4), None);
    }

    #[test]
    fn few_and_many_entries_are_kept_alike() {
        let mut draws = Rng::stream(1, "test", 0);
        for ways in [1, 2, 5, 32] {
            let (mut few, mut many) = (cache(ways, ways), cache(ways, ways));
            many.entries = Entries::Many(Many::new(ways));
            for step in 0..4000 {
                // Some numbers have the same hint.
                let step_of = if draws.below(2) == 0 { 1 << 21 } else { (HINTS as u64) << 21 };
                let address = u64::from(draws.below(2 * ways)) * step_of;
                let asid = draws.below(2);
                match draws.below(500) {
                    0 => (few.clear(), many.clear()).1,
                    1 => (few.remove_asid(asid), many.remove_asid(asid)).1,
                    _ => {
                        let found = few.lookup(address, asid);
                        assert_eq!(found, many.lookup(address, asid), "{ways} ways, step {step}");
                        if found.is_none() {
                            few.fill(address, asid, step);
                            many.fill(address, asid, step);
                        }
                    }
                }
            }
            assert!(few.stats.hits > 100);
        }
    }

    #[test]
    fn entries_of_one_large_set_keep_their_tables() {
        let mut cache = cache(100, 100);
        (0..100).for_each(|n| cache.fill(n << 21, 0, n << 12));
        (0..100).for_each(|n| assert_eq!(cache.lookup(n << 21, 0), Some(n << 12)));
    }
}
