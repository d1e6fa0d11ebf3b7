//! Where the pages lie that were touched so far: from virtual addresses to physical ones.
//!
//! Pages are mapped on first touch and never unmapped. What a walk of the table costs is for [`super::page_walk`] to say.

use super::config::{MachineConfig, PageSize, Placement};
use super::hash::NumberMap;
use super::page::Page;
use super::page_walk::AddressSpaces;
use crate::base::rng::mix;

/// Pages remembered in front of the table, so that most references do without a hash map.
const RECENT_PAGES: usize = 1 << 12;

/// All address spaces.
pub struct PageTable {
    /// What gives places to pages that are touched for the first time, and knows where their tables are.
    pub spaces: AddressSpaces,
    places: NumberMap<Page, u64>,
    recent: Vec<(Page, u64)>,
}

impl PageTable {
    /// An empty table, or none where addresses are physical already.
    pub fn new(machine: &MachineConfig, pages: &[PageSize], seed: u64) -> Option<Self> {
        (machine.placement != Placement::Identity).then(|| Self {
            spaces: AddressSpaces::new(machine, pages, seed),
            places: NumberMap::default(),
            recent: vec![(Page::default(), NOWHERE); RECENT_PAGES],
        })
    }

    /// The physical address of `vaddr`, which lies in a page of that size, or nothing if memory is full. It is
    /// guest-physical under nested paging.
    pub fn paddr(&mut self, vaddr: u64, size: PageSize, asid: u32) -> Option<u64> {
        let page = Page::of(vaddr, size, asid);
        let hash = mix(vaddr >> size.bits() ^ u64::from(asid) << 40);
        let index = usize::try_from(hash % RECENT_PAGES as u64).expect("below a usize");
        let (known, place) = self.recent[index];
        let place = if known == page && place != NOWHERE { place } else { self.place(page, vaddr, size, asid)? };
        self.recent[index] = (page, place);
        Some(place | vaddr & ((1 << size.bits()) - 1))
    }

    /// Frames of 4 KiB that pages take.
    pub fn frames_in_use(&self) -> u64 {
        self.spaces.frames_in_use()
    }

    fn place(&mut self, page: Page, vaddr: u64, size: PageSize, asid: u32) -> Option<u64> {
        if let Some(&place) = self.places.get(&page) {
            return Some(place);
        }
        let place = self.spaces.place(vaddr, size, asid)?;
        self.places.insert(page, place);
        Some(place)
    }
}

/// A place that no page has: it is not a multiple of a page.
const NOWHERE: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use PageSize::{Size2M, Size4K};
    use serde_json::json;

    fn table(placement: &str, memory_size: u64, pages: &[PageSize], seed: u64) -> Option<PageTable> {
        let machine = json!({"placement": placement, "memory_size": memory_size});
        PageTable::new(&MachineConfig::from_value(machine).unwrap(), pages, seed)
    }

    #[test]
    fn pages_get_frames_in_order_of_first_touch() {
        let mut table = table("contiguous", 1 << 30, &[Size4K], 0).unwrap();
        let mut paddr = |vaddr, asid| table.paddr(vaddr, Size4K, asid).unwrap();
        assert_eq!(paddr(0x7123, 0), 0x123);
        assert_eq!(paddr(0x3fff, 0), 0x1fff);
        assert_eq!(paddr(0x7000, 0), 0);
        assert_eq!(paddr(0x7000, 1), 0x2000);
        assert_eq!(table.frames_in_use(), 3);
    }

    #[test]
    fn many_pages_keep_their_places() {
        let mut table = table("random", 1 << 30, &[Size4K], 5).unwrap();
        let mut all = || (0..20_000).map(|page| table.paddr(page << 12, Size4K, 0).unwrap()).collect::<Vec<_>>();
        assert_eq!(all(), all());
    }

    #[test]
    fn full_memory_has_no_place_for_another_page() {
        let mut table = table("contiguous", 2 << 21, &[Size4K, Size2M], 0).unwrap();
        assert_eq!(table.paddr(0, Size4K, 0), Some(0));
        assert_eq!(table.paddr(0, Size2M, 0), Some(2 << 20));
        assert_eq!(table.paddr(4096, Size4K, 0), None);
        assert_eq!(table.paddr(5, Size4K, 0), Some(5));
    }

    #[test]
    fn identity_needs_no_table() {
        assert!(table("identity", 1 << 30, &[Size4K], 0).is_none());
    }
}
