//! The host's side of nested paging: guest-physical pages in host-physical memory.

use super::tables::{Path, Tables, leaf_level};
use crate::memory::config::{MachineConfig, PageSize};
use crate::memory::hash::NumberMap;
use crate::memory::placement::FrameAllocator;

/// A host that backs its guest by pages of one size.
pub struct Host {
    page: PageSize,
    frames: FrameAllocator,
    tables: Tables,
    // By guest-physical page, the host-physical address of its first byte.
    places: NumberMap<u64, u64>,
    // What was asked for last: references stay in a page for a while.
    last: (u64, u64),
}

/// The host has one tree of tables.
const HOST_ASID: u32 = 0;

impl Host {
    /// A host that backs nothing yet, or none if the machine's walks are not nested.
    pub fn new(machine: &MachineConfig, seed: u64) -> Option<Self> {
        let walk = machine.page_walk.as_ref()?;
        let page = walk.host_page_size?;
        Some(Self {
            page,
            frames: FrameAllocator::new(machine.placement, machine.memory_size.bytes(), &[page], seed),
            tables: Tables::new(walk.host_levels),
            places: NumberMap::default(),
            last: (u64::MAX, 0),
        })
    }

    /// The host-physical address of a guest-physical one, whose page is backed if it was not yet; nothing if memory is full.
    #[inline]
    pub fn back(&mut self, gpaddr: u64) -> Option<u64> {
        let page = self.page_of(gpaddr);
        if self.last.0 != page {
            let place = match self.places.get(&page) {
                Some(&place) => place,
                None => self.place(gpaddr)?,
            };
            self.last = (page, place);
        }
        Some(self.last.1 | self.offset_of(gpaddr))
    }

    /// The host-physical address of a guest-physical one whose page is backed.
    pub fn paddr(&self, gpaddr: u64) -> u64 {
        self.places[&self.page_of(gpaddr)] | self.offset_of(gpaddr)
    }

    /// The guest-physical page that an address lies in.
    pub fn page_of(&self, gpaddr: u64) -> u64 {
        gpaddr >> self.page.bits()
    }

    /// The level of the leaves.
    pub fn leaf_level(&self) -> u32 {
        leaf_level(self.page)
    }

    /// The entries that translate a guest-physical address whose page is backed.
    pub fn path(&self, gpaddr: u64) -> Path<'_> {
        self.tables.path(gpaddr, HOST_ASID)
    }

    /// Frames of 4 KiB that are taken.
    pub fn frames_in_use(&self) -> u64 {
        self.frames.frames_in_use()
    }

    #[cold]
    fn place(&mut self, gpaddr: u64) -> Option<u64> {
        let Self { frames, tables, .. } = self;
        tables.complete(gpaddr, HOST_ASID, leaf_level(self.page), || frames.allocate_table())?;
        let place = frames.allocate(self.page)?;
        self.places.insert(self.page_of(gpaddr), place);
        Some(place)
    }

    fn offset_of(&self, gpaddr: u64) -> u64 {
        gpaddr & ((1 << self.page.bits()) - 1)
    }
}
