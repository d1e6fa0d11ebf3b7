//! A paging-structure cache: entries of one level that point to a table of the level below, LRU.

use super::tables::level_shift;
use crate::base::Rng;
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
    // The bits of an address that its tables know, from the level's up.
    known: u64,
    entries: LineArray<Page>,
    // By slot, the physical address of the table that the entry points to.
    next_tables: Vec<u64>,
}

impl StructureCache {
    /// An empty cache of a tree of `levels` levels.
    pub fn new(config: &StructureCacheConfig, levels: u32) -> Self {
        let ways = config.ways();
        let geometry = Geometry { set_bits: (config.entries / ways).trailing_zeros(), ways, line_bits: 0 };
        Self {
            level: config.level,
            stats: LookupStats::default(),
            known: (1 << level_shift(levels + 1)) - 1,
            // LRU draws nothing from a stream.
            entries: LineArray::new(ReplacementKind::Lru, geometry, Rng::stream(0, "none", 0)),
            next_tables: Vec::new(),
        }
    }

    /// Where the table is that the entry of an address points to, if the entry is here.
    #[inline]
    pub fn lookup(&mut self, address: u64, asid: u32) -> Option<u64> {
        self.stats.lookups += 1;
        let slot = self.entries.lookup(self.key(address, asid), false)?;
        self.stats.hits += 1;
        Some(self.next_tables[slot])
    }

    /// Puts in an entry that is not here.
    #[inline]
    pub fn fill(&mut self, address: u64, asid: u32, next_table: u64) {
        let slot = self.entries.fill(self.key(address, asid), false).slot;
        if self.next_tables.len() <= slot {
            self.next_tables.resize(slot + 1, 0);
        }
        self.next_tables[slot] = next_table;
    }

    /// Makes it empty.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Drops the entries of an address space.
    pub fn remove_asid(&mut self, asid: u32) {
        self.entries.remove_where(|entry| entry.asid() == asid);
    }

    #[inline]
    fn key(&self, address: u64, asid: u32) -> Page {
        Page::numbered((address & self.known) >> level_shift(self.level), asid)
    }
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
    fn entries_of_one_large_set_keep_their_tables() {
        let mut cache = cache(100, 100);
        (0..100).for_each(|n| cache.fill(n << 21, 0, n << 12));
        (0..100).for_each(|n| assert_eq!(cache.lookup(n << 21, 0), Some(n << 12)));
    }
}
