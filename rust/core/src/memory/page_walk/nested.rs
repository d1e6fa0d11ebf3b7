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
    // Pages that were asked for lately and their places, by the low bits of the page. A page never moves.
    recent: Box<[(u64, u64); RECENT_PAGES]>,
}

/// Pages remembered in front of the map, so that most references do without it.
const RECENT_PAGES: usize = 1 << 11;

#[inline(always)]
fn recent_index(page: u64) -> usize {
    usize::try_from(page % RECENT_PAGES as u64).expect("below a usize")
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
            recent: vec![(u64::MAX, 0); RECENT_PAGES].try_into().expect("as many as there are"),
        })
    }

    /// The host-physical address of a guest-physical one, whose page is backed if it was not yet; nothing if memory is full.
    #[inline]
    pub fn back(&mut self, gpaddr: u64) -> Option<u64> {
        let page = self.page_of(gpaddr);
        let index = recent_index(page);
        if self.recent[index].0 != page {
            let place = match self.places.get(&page) {
                Some(&place) => place,
                None => self.place(gpaddr)?,
            };
            self.recent[index] = (page, place);
        }
        Some(self.recent[index].1 | self.offset_of(gpaddr))
    }

    /// The host-physical address of a guest-physical one that was asked for lately.
    #[inline(always)]
    pub fn recent(&self, gpaddr: u64) -> Option<u64> {
        let page = self.page_of(gpaddr);
        let (known, place) = self.recent[recent_index(page)];
        (known == page).then_some(place | self.offset_of(gpaddr))
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
