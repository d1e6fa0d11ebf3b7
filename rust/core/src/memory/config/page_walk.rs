//! Page walks through the caches, as a user writes them.

use super::{MachineConfig, PageSize};
use serde::{Deserialize, Serialize};

/// Page tables in memory, and what spares a walk some of their entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageWalkConfig {
    /// Levels of the radix tree.
    pub levels: u32,
    /// Cycles of a walk beside its reads.
    pub start_cycles: u32,
    /// The cache that reads of entries ask first; the first one of the data path if absent.
    pub first_cache: Option<String>,
    /// Entries of the structure caches carry an address-space id; otherwise a switch of address spaces flushes.
    pub asid_tagged: bool,
    /// Paging-structure caches, at most one a level.
    pub structure_caches: Vec<StructureCacheConfig>,
    /// Nested paging: the page size by which the host backs the guest.
    pub host_page_size: Option<PageSize>,
    /// Levels of the host's radix tree.
    pub host_levels: u32,
    /// Translations of guest-physical pages that each cpu keeps.
    pub nested_tlb_entries: u32,
    /// Paging-structure caches for the host's tables.
    pub host_structure_caches: Vec<StructureCacheConfig>,
}

/// A cache of the entries of one level of page tables: those that point to a table of the level below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StructureCacheConfig {
    /// The level of its entries: 2 page directory, 3 page-directory pointers, 4 PML4, 5 PML5.
    pub level: u32,
    /// Number of entries.
    pub entries: u32,
    /// Entries a set; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ways: Option<u32>,
}

impl Default for PageWalkConfig {
    fn default() -> Self {
        Self {
            levels: 4,
            start_cycles: 10,
            first_cache: None,
            asid_tagged: true,
            structure_caches: Vec::new(),
            host_page_size: None,
            host_levels: 4,
            nested_tlb_entries: 0,
            host_structure_caches: Vec::new(),
        }
    }
}

impl StructureCacheConfig {
    /// Entries a set.
    pub fn ways(&self) -> u32 {
        self.ways.unwrap_or(self.entries)
    }
}

impl MachineConfig {
    /// The page size of the TLB entry that translates a page of this size: under nested paging the smaller of the guest's
    /// and the host's.
    pub fn tlb_page_size(&self, page: PageSize) -> PageSize {
        let host = self.page_walk.as_ref().and_then(|walk| walk.host_page_size);
        host.map_or(page, |host| host.min(page))
    }

    /// The page size that physical memory is given out in where no region says otherwise: the host's, if there is one.
    pub fn physical_page_size(&self) -> PageSize {
        self.page_walk.as_ref().and_then(|walk| walk.host_page_size).unwrap_or(self.page_size)
    }

    /// The place in the list of the cache that a walk's reads ask first; nothing if the data path has no cache.
    pub fn first_walk_cache(&self) -> Option<usize> {
        let name = self.page_walk.as_ref().and_then(|walk| walk.first_cache.as_ref());
        let mut path = self.caches.iter().enumerate().filter(|(_, cache)| cache.stream_kind().takes_data());
        path.find(|(_, cache)| name.is_none_or(|name| *name == cache.name)).map(|(place, _)| place)
    }

    /// Writes out what the machine's walks leave open.
    pub(super) fn resolve_page_walk(&mut self) {
        let first = self.first_walk_cache().map(|place| self.caches[place].name.clone());
        let Some(walk) = &mut self.page_walk else { return };
        walk.first_cache = first;
        for cache in walk.structure_caches.iter_mut().chain(&mut walk.host_structure_caches) {
            cache.ways = Some(cache.ways());
        }
    }
}
