//! Radix tables of pages: where their entries lie in physical memory.
//!
//! Only the places of tables are kept. What an entry says is known elsewhere, so nothing is stored for it.

use super::nested::Host;
use crate::memory::config::{MachineConfig, PageSize, Placement};
use crate::memory::hash::NumberMap;
use crate::memory::page::Page;
use crate::memory::placement::FrameAllocator;
use std::collections::hash_map::Entry;

/// log2 of the bytes of an entry.
const ENTRY_BITS: u32 = 3;

/// log2 of the entries of a table.
const INDEX_BITS: u32 = 9;

/// log2 of the bytes of a table.
pub const TABLE_BITS: u32 = ENTRY_BITS + INDEX_BITS;

/// Frames of a guest: as many as anybody could touch.
const GUEST_MEMORY_SIZE: u64 = 1 << 62;

/// The entries that translate one address, by level: 1 is that of a page table, 4 or 5 that of the root.
///
/// A walker asks for those alone that it reads.
pub trait TablePath {
    /// The physical address of the entry at a level, which is between the leaf's and the root's; guest-physical under
    /// nested paging.
    fn entry_paddr(&self, level: u32) -> u64;
}

/// The level of the entry that maps a page of a size.
pub fn leaf_level(size: PageSize) -> u32 {
    size as u32 + 1
}

/// The lowest bit of an address that indexes tables of a level.
#[inline]
pub(super) fn level_shift(level: u32) -> u32 {
    TABLE_BITS + INDEX_BITS * (level - 1)
}

/// How far into its table the entry of an address lies.
#[inline]
pub(super) fn entry_offset(address: u64, level: u32) -> u64 {
    (address >> level_shift(level) & ((1 << INDEX_BITS) - 1)) << ENTRY_BITS
}

/// The tables of all address spaces, or of a host.
pub struct Tables {
    levels: u32,
    // By level and the bits above those that index the table.
    places: NumberMap<Page, u64>,
}

impl Tables {
    /// No tables yet.
    pub fn new(levels: u32) -> Self {
        Self { levels, places: NumberMap::default() }
    }

    /// Gives places to the tables on the path to a leaf that are not there yet, from the root on; nothing if `place` has
    /// none left.
    pub fn complete(
        &mut self,
        address: u64,
        asid: u32,
        leaf: u32,
        mut place: impl FnMut() -> Option<u64>,
    ) -> Option<()> {
        // A table is never there without those above it.
        if self.places.contains_key(&self.key(address, asid, leaf)) {
            return Some(());
        }
        for level in (leaf..=self.levels).rev() {
            if let Entry::Vacant(table) = self.places.entry(self.key(address, asid, level)) {
                table.insert(place()?);
            }
        }
        Some(())
    }

    /// The path of an address that has its tables.
    pub fn path(&self, address: u64, asid: u32) -> Path<'_> {
        Path { tables: self, address, asid }
    }

    fn key(&self, address: u64, asid: u32, level: u32) -> Page {
        let known = address & ((1 << level_shift(self.levels + 1)) - 1);
        Page::numbered(known >> level_shift(level + 1) << 3 | u64::from(level), asid)
    }
}

/// An address in its tables.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    tables: &'a Tables,
    address: u64,
    asid: u32,
}

impl TablePath for Path<'_> {
    fn entry_paddr(&self, level: u32) -> u64 {
        let key = self.tables.key(self.address, self.asid, level);
        self.tables.places[&key] + entry_offset(self.address, level)
    }
}

/// What is touched for the first time gets its place here: pages, and on a machine whose walks read tables, those.
pub struct AddressSpaces {
    frames: FrameAllocator,
    tables: Option<Tables>,
    host: Option<Host>,
}

impl AddressSpaces {
    /// Nothing is touched yet. `pages` are the page sizes in use.
    pub fn new(machine: &MachineConfig, pages: &[PageSize], seed: u64) -> Self {
        let host = Host::new(machine, seed);
        let frames = match host {
            Some(_) => FrameAllocator::new(Placement::Contiguous, GUEST_MEMORY_SIZE, pages, seed),
            None => FrameAllocator::new(machine.placement, machine.memory_size.bytes(), pages, seed),
        };
        Self { frames, tables: machine.page_walk.as_ref().map(|walk| Tables::new(walk.levels)), host }
    }

    /// Gives a page that was never touched, and its tables, their places. Returns the page's, guest-physical under nested
    /// paging, or nothing if memory is full.
    pub fn place(&mut self, vaddr: u64, size: PageSize, asid: u32) -> Option<u64> {
        let Self { frames, tables, host } = self;
        if let Some(tables) = tables {
            tables.complete(vaddr, asid, leaf_level(size), || {
                let table = frames.allocate_table()?;
                if let Some(host) = host {
                    host.back(table)?;
                }
                Some(table)
            })?;
        }
        frames.allocate(size)
    }

    /// The physical address of a place that was given, or nothing if memory is full.
    #[inline]
    pub fn back(&mut self, place: u64) -> Option<u64> {
        match &mut self.host {
            Some(host) => host.back(place),
            None => Some(place),
        }
    }

    /// The path of an address whose page was touched, on a machine whose walks read tables.
    pub fn path(&self, vaddr: u64, asid: u32) -> Path<'_> {
        self.tables.as_ref().expect("walks read tables here").path(vaddr, asid)
    }

    /// The host, under nested paging.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// Frames of 4 KiB that are taken of physical memory.
    pub fn frames_in_use(&self) -> u64 {
        self.host.as_ref().map_or(self.frames.frames_in_use(), Host::frames_in_use)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spaces(fields: &serde_json::Value) -> AddressSpaces {
        let mut machine = json!({"placement": "contiguous", "tlbs": [{"name": "T", "entries": 1, "ways": 1}]});
        machine["page_walk"] = fields.clone();
        AddressSpaces::new(&MachineConfig::from_json(&machine.to_string()).unwrap(), &[PageSize::Size4K], 0)
    }

    fn entries(spaces: &AddressSpaces, vaddr: u64) -> Vec<u64> {
        let path = spaces.path(vaddr, 0);
        (1..=4).rev().map(|level| path.entry_paddr(level)).collect()
    }

    #[test]
    fn tables_come_before_their_page_from_the_root_on() {
        let mut spaces = spaces(&json!({}));
        let vaddr = 1 << 39 | 2 << 30 | 3 << 21 | 4 << 12 | 5;
        assert_eq!(spaces.place(vaddr, PageSize::Size4K, 0), Some(4 << 12));
        assert_eq!(entries(&spaces, vaddr), [8, (1 << 12) + 16, (2 << 12) + 24, (3 << 12) + 32]);
        assert_eq!(spaces.place(vaddr + (1 << 12), PageSize::Size4K, 0), Some(5 << 12));
        assert_eq!(spaces.place(vaddr + (1 << 30), PageSize::Size4K, 0), Some(8 << 12));
        assert_eq!(spaces.place(vaddr, PageSize::Size4K, 1), Some(13 << 12));
    }

    #[test]
    fn large_page_has_no_table_below_its_leaf() {
        let mut spaces = spaces(&json!({"levels": 5}));
        assert_eq!(spaces.place(0, PageSize::Size1G, 0), Some(1 << 30));
        assert_eq!(spaces.path(0, 0).entry_paddr(3), 2 << 12);
    }

    #[test]
    fn bits_above_the_root_are_ignored() {
        let mut spaces = spaces(&json!({}));
        spaces.place(0, PageSize::Size4K, 0);
        assert_eq!(spaces.place(1 << 48, PageSize::Size4K, 0), Some(5 << 12));
        assert_eq!(entries(&spaces, 1 << 48), entries(&spaces, 0));
    }

    #[test]
    fn host_backs_a_guest_page_where_it_is_touched() {
        let mut spaces = spaces(&json!({"host_page_size": "4KiB"}));
        let place = spaces.place(0, PageSize::Size2M, 0).unwrap();
        assert_eq!(place, 1 << 21);
        // Four host tables for the first guest table, then three guest tables; the page's own come with its backing.
        assert_eq!(spaces.frames_in_use(), 4 + 3);
        assert_eq!(spaces.back(place + 5), Some((8 << 12) + 5));
        assert_eq!(spaces.back(place + 4096), Some(9 << 12));
        assert_eq!(spaces.frames_in_use(), 4 + 3 + 1 + 2);
    }
}
