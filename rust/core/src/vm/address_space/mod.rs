//! The regions of one process: what it may touch, and where new regions go.

mod recent;
mod region;

pub(super) use recent::{Recent, Recents};
pub use region::{Access, Permissions, Region, RegionKind};

use super::page_table::TableId;
use crate::base::Rng;
use std::collections::BTreeMap;

/// Pages between a stack and the region beneath it that the stack may not grow into (Linux' `stack_guard_gap`).
pub const GUARD_GAP_PAGES: u64 = 256;

/// Where text begins: the first page of an x86-64 executable that is not position-independent.
pub const TEXT_START_VPN: u64 = 0x400;

/// Where things are put that nobody gave an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// log2 of the pages of user space.
    pub user_bits: u32,
    /// The most pages of the stack.
    pub stack_pages_max: u64,
    /// Whether addresses are drawn from the seed.
    pub aslr: bool,
}

/// Why a range cannot be mapped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The length is 0.
    #[error("a region has at least one page")]
    Empty,
    /// It is in use.
    #[error("{start:#x}..{end:#x} overlaps the region {name} at {at:#x}")]
    Overlap {
        /// First address.
        start: u64,
        /// Address behind the last.
        end: u64,
        /// Region in the way.
        name: String,
        /// Where that begins.
        at: u64,
    },
    /// It ends above user space.
    #[error("{start:#x}..{end:#x} ends above user space, which has {user_bits} bits")]
    OutOfRange {
        /// First address.
        start: u64,
        /// Address behind the last.
        end: u64,
        /// log2 of the bytes of user space.
        user_bits: u32,
    },
    /// No gap is large enough.
    #[error("no gap of {pages} pages is left in the address space")]
    NoGap {
        /// Pages asked for.
        pages: u64,
    },
    /// Program text may not become writable.
    #[error("the text at {at:#x} may not become writable")]
    TextWritable {
        /// Where the text begins.
        at: u64,
    },
    /// Nothing is there.
    #[error("{start:#x}..{end:#x} is not mapped throughout")]
    NotMapped {
        /// First address.
        start: u64,
        /// Address behind the last.
        end: u64,
    },
}

/// One address space.
#[derive(Clone, Debug)]
pub struct AddressSpace {
    /// The root of its page table.
    pub root: TableId,
    /// By first page. invariant: they do not overlap
    regions: BTreeMap<u64, Region>,
    layout: Layout,
    /// Mappings are put below this page.
    mmap_base: u64,
    /// The page behind the stack.
    pub stack_top: u64,
    /// Where the heap begins.
    pub heap_start: u64,
    /// The page behind it, as brk set it last: the range may have holes.
    pub(super) heap_end: u64,
    /// Pages of 4 KiB that are in memory, huge ones as their parts.
    pub resident_pages: u64,
    /// Where the last accesses were: most accesses find the same tables again.
    pub(super) recent: Recents,
}

impl AddressSpace {
    /// No regions; where they will be is drawn from `draws`.
    pub fn new(root: TableId, layout: Layout, data_end: u64, draws: &mut Rng) -> Self {
        let mut draw = |pages: u32| if layout.aslr { u64::from(draws.below(pages)) } else { 0 };
        let stack_top = (1 << layout.user_bits) - draw(1 << 22);
        let mmap_base = stack_top - layout.stack_pages_max - GUARD_GAP_PAGES - draw(1 << 28);
        let heap_start = data_end + draw(1 << 13);
        Self {
            root,
            regions: BTreeMap::new(),
            layout,
            mmap_base,
            stack_top,
            heap_start,
            heap_end: heap_start,
            resident_pages: 0,
            recent: Recents::default(),
        }
    }

    /// Its regions in order of address.
    pub fn regions(&self) -> impl DoubleEndedIterator<Item = &Region> {
        self.regions.values()
    }

    /// The region that a page lies in.
    pub fn region(&self, vpn: u64) -> Option<&Region> {
        let (_, region) = self.regions.range(..=vpn).next_back()?;
        region.contains(vpn).then_some(region)
    }

    /// The region with that name; of several, the one with the lowest address.
    pub fn named(&self, name: &str) -> Option<&Region> {
        self.regions.values().find(|region| region.name == name)
    }

    /// Adds a region at its place.
    pub fn insert(&mut self, region: Region) -> Result<(), MapError> {
        let (start, end) = (region.start << 12, region.end << 12);
        if region.start >= region.end {
            return Err(MapError::Empty);
        }
        if region.end > 1 << self.layout.user_bits {
            return Err(MapError::OutOfRange { start, end, user_bits: self.layout.user_bits + 12 });
        }
        if let Some((_, other)) =
            self.regions.range(..region.end).next_back().filter(|(_, other)| other.end > region.start)
        {
            return Err(MapError::Overlap { start, end, name: other.name.clone(), at: other.start << 12 });
        }
        let (start, end) = (region.start, region.end);
        self.regions.insert(start, region);
        self.join_around(start);
        self.join_around(end);
        Ok(())
    }

    /// The start of the highest gap below the base of mappings with room for so many pages.
    pub fn gap(&self, pages: u64, page_order: u32) -> Result<u64, MapError> {
        if pages == 0 {
            return Err(MapError::Empty);
        }
        let align = if pages >> page_order == 0 { 1 } else { 1 << page_order };
        let mut ceiling = self.mmap_base;
        for region in self.regions.range(..self.mmap_base).rev().map(|(_, region)| region) {
            if let Some(start) = fit(region.end, ceiling, pages, align) {
                return Ok(start);
            }
            ceiling = ceiling.min(region.start);
        }
        fit(TEXT_START_VPN, ceiling, pages, align).ok_or(MapError::NoGap { pages })
    }

    /// Takes out what lies in a range of pages, cutting regions at its ends.
    pub fn remove(&mut self, start: u64, end: u64) -> Vec<Region> {
        self.cut(start);
        self.cut(end);
        let starts: Vec<u64> = self.regions.range(start..end).map(|(&start, _)| start).collect();
        starts.into_iter().filter_map(|start| self.regions.remove(&start)).collect()
    }

    /// Gives all pages of a range other permissions. Returns the parts with what they had before.
    pub fn protect(&mut self, start: u64, end: u64, permissions: Permissions) -> Result<Vec<Region>, MapError> {
        self.check_protect(start, end, permissions)?;
        self.cut(start);
        self.cut(end);
        let before: Vec<Region> = self.regions.range(start..end).map(|(_, region)| region.clone()).collect();
        for region in self.regions.range_mut(start..end).map(|(_, region)| region) {
            region.permissions = permissions;
        }
        for region in &before {
            self.join_around(region.start);
        }
        self.join_around(end);
        Ok(before)
    }

    /// Whether `protect` would do what it is asked for.
    pub fn check_protect(&self, start: u64, end: u64, permissions: Permissions) -> Result<(), MapError> {
        if start >= end {
            return Err(MapError::Empty);
        }
        if !self.covers(start, end) {
            return Err(MapError::NotMapped { start: start << 12, end: end << 12 });
        }
        let mut beneath = self.regions.range(..end).map(|(_, region)| region);
        let text = beneath.find(|region| region.kind == RegionKind::Text && region.end > start);
        match text.filter(|_| permissions.write) {
            Some(text) => Err(MapError::TextWritable { at: text.start << 12 }),
            None => Ok(()),
        }
    }

    /// Whether every page of a range lies in a region.
    pub fn covers(&self, start: u64, end: u64) -> bool {
        let mut next = start;
        while next < end {
            match self.region(next) {
                Some(region) => next = region.end,
                None => return false,
            }
        }
        true
    }

    /// Moves the end of the heap, which is made when it first grows. Returns the pages that it lost.
    pub fn set_heap_end(&mut self, end: u64) -> Result<Option<(u64, u64)>, MapError> {
        let (start, old) = (self.heap_start, self.heap_end);
        if end < start {
            return Err(MapError::NotMapped { start: end << 12, end: start << 12 });
        }
        if end > old {
            self.insert(Region {
                start: old,
                end,
                kind: RegionKind::Heap,
                name: "heap".into(),
                permissions: Permissions::READ_WRITE,
                page_order: 0,
                object: None,
                pages_max: 0,
            })?;
            self.heap_end = end;
        }
        Ok((end < old).then_some((end, old)))
    }

    /// Grows the stack to a page beneath it if it allows the access, and its limit and the gap to the region beneath do.
    /// Returns where it began before.
    pub fn grow_stack(&mut self, vpn: u64, access: Access) -> Option<u64> {
        let (&start, stack) = self.regions.range(vpn..).next()?;
        let beneath = self.regions.range(..vpn).next_back().map_or(0, |(_, region)| region.end);
        let is_allowed = stack.kind == RegionKind::Stack && stack.permissions.allow(access);
        if !is_allowed || stack.end - vpn > stack.pages_max || vpn < beneath + GUARD_GAP_PAGES {
            return None;
        }
        self.move_start(start, vpn);
        Some(start)
    }

    /// Takes back what `grow_stack` did.
    pub fn shrink_stack(&mut self, vpn: u64, start: u64) {
        self.move_start(vpn, start);
    }

    fn move_start(&mut self, from: u64, to: u64) {
        let mut region = self.regions.remove(&from).expect("it was just found");
        region.start = to;
        self.regions.insert(to, region);
    }

    /// The same regions over another page table, for the child of a fork.
    pub fn twin(&self, root: TableId) -> Self {
        Self { root, recent: Recents::default(), resident_pages: 0, ..self.clone() }
    }

    fn cut(&mut self, vpn: u64) {
        if let Some((_, region)) = self.regions.range_mut(..vpn).next_back().filter(|(_, region)| region.end > vpn) {
            let rest = region.split_off(vpn);
            self.regions.insert(vpn, rest);
        }
    }

    /// Joins the region that starts at a page with the one before it if they are alike.
    fn join_around(&mut self, start: u64) {
        let Some(region) = self.regions.get(&start).cloned() else { return };
        if let Some((_, before)) = self.regions.range_mut(..start).next_back()
            && before.joins(&region)
        {
            before.end = region.end;
            self.regions.remove(&start);
        }
    }
}

/// The highest aligned start of so many pages between two pages.
fn fit(floor: u64, ceiling: u64, pages: u64, align: u64) -> Option<u64> {
    let start = ceiling.checked_sub(pages)? / align * align;
    (start >= floor).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::frames::{FramePlacement, Frames};
    use crate::vm::page_table::PageTables;

    fn space(aslr: bool) -> AddressSpace {
        let mut frames = Frames::new(64, FramePlacement::Contiguous, 0);
        let root = PageTables::new(4).create(&mut frames).unwrap();
        let layout = Layout { user_bits: 35, stack_pages_max: 2048, aslr };
        AddressSpace::new(root, layout, 0x500, &mut Rng::stream(1, "test", 0))
    }

    fn region(start: u64, end: u64, name: &str) -> Region {
        Region {
            start,
            end,
            kind: RegionKind::Mapping,
            name: name.into(),
            permissions: Permissions::READ_WRITE,
            page_order: 0,
            object: None,
            pages_max: 0,
        }
    }

    fn extents(space: &AddressSpace) -> Vec<(u64, u64, String)> {
        space.regions().map(|region| (region.start, region.end, region.permissions.to_string())).collect()
    }

    #[test]
    fn overlap_names_what_is_in_the_way() {
        let mut space = space(false);
        space.insert(region(0x1000, 0x1010, "cache")).unwrap();
        let error = space.insert(region(0x100f, 0x1020, "other")).unwrap_err();
        assert_eq!(error.to_string(), "0x100f000..0x1020000 overlaps the region cache at 0x1000000");
        space.insert(region(0x1010, 0x1020, "other")).unwrap();
    }

    #[test]
    fn mappings_go_downwards_and_fill_gaps() {
        let mut space = space(false);
        let base = (1 << 35) - 2048 - GUARD_GAP_PAGES;
        for name in ["a", "b", "c"] {
            let start = space.gap(10, 0).unwrap();
            space.insert(region(start, start + 10, name)).unwrap();
        }
        assert_eq!(space.named("c").unwrap().start, base - 30);
        space.remove(base - 20, base - 10);
        assert_eq!(space.gap(10, 0), Ok(base - 20));
        assert_eq!(space.gap(11, 0), Ok(base - 41));
        assert_eq!(space.gap(1024, 9).unwrap() % 512, 0);
    }

    #[test]
    fn protecting_cuts_and_joins() {
        let mut space = space(false);
        space.insert(region(100, 200, "m")).unwrap();
        space.protect(120, 150, Permissions::READ).unwrap();
        let names =
            |parts: &[(u64, u64, &str)]| parts.iter().map(|&(a, b, p)| (a, b, p.to_owned())).collect::<Vec<_>>();
        assert_eq!(extents(&space), names(&[(100, 120, "rw-"), (120, 150, "r--"), (150, 200, "rw-")]));
        space.protect(120, 150, Permissions::READ_WRITE).unwrap();
        assert_eq!(extents(&space), names(&[(100, 200, "rw-")]));
        assert!(matches!(space.protect(190, 210, Permissions::READ), Err(MapError::NotMapped { .. })));
    }

    #[test]
    fn stack_grows_to_its_limit_and_keeps_its_distance() {
        let mut space = space(false);
        let top = space.stack_top;
        let stack = Region { kind: RegionKind::Stack, pages_max: 2048, ..region(top - 32, top, "stack") };
        space.insert(stack).unwrap();
        assert_eq!(space.grow_stack(top - 100, Access::Write), Some(top - 32));
        assert_eq!(space.grow_stack(top - 2049, Access::Write), None);
        assert_eq!(space.grow_stack(top - 2048, Access::Execute), None);
        assert_eq!(space.grow_stack(top - 2048, Access::Read), Some(top - 100));
    }

    #[test]
    fn addresses_differ_by_seed_only_with_aslr() {
        assert_eq!(space(false).stack_top, 1 << 35);
        assert_ne!(space(true).stack_top, 1 << 35);
    }
}
