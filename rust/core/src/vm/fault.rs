//! One access to memory, and the fault that it may cost.

use super::address_space::{Access, Recent, Region};
use super::frames::ZERO_PAGE;
use super::page_table::{Entry, Place};
use super::virtual_memory::{OutOfMemory, SpaceId, VirtualMemory, frame_in, order_of};
use super::work::{FaultKind, Touch};
use std::fmt;

/// An access outside of all regions, or one that the region does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SegmentationFault {
    /// The address.
    pub vaddr: u64,
    /// What was tried.
    pub access: Access,
    /// The region, as a line of its process's map; nothing if there is none.
    pub region: Option<String>,
}

impl fmt::Display for SegmentationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segmentation fault: {} of {:#x}, ", self.access, self.vaddr)?;
        match &self.region {
            Some(region) => write!(f, "which lies in {region}"),
            None => f.write_str("which is not mapped"),
        }
    }
}

/// An access that ends its process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// It is forbidden.
    #[error(transparent)]
    Segmentation(#[from] SegmentationFault),
    /// There is no memory for it.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl VirtualMemory {
    /// Accesses an address: gives it memory if it has none yet.
    pub fn access(&mut self, id: SpaceId, vaddr: u64, access: Access) -> Result<Touch, AccessError> {
        let vpn = vaddr >> 12;
        if let Some(touch) = self.access_again(id, vpn, access) {
            return Ok(touch);
        }
        let stack_start = self.admit(id, vaddr, access)?;
        let mut touch = Touch { stack_grew: stack_start.is_some(), ..Touch::default() };
        // What makes room by eviction may change the very entry: look again until nothing has to be made.
        loop {
            match self.try_access(id, vpn, access, &mut touch) {
                Ok(true) => return Ok(touch),
                Ok(false) => {}
                Err(error) => {
                    // The access will be tried again, and the stack then grows again.
                    if let Some(start) = stack_start {
                        self.space_mut(id).shrink_stack(vpn, start);
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// Writes a page as a whole: the number that stands for its bytes.
    pub fn write(&mut self, id: SpaceId, vaddr: u64, contents: u64) -> Result<Touch, AccessError> {
        let touch = self.access(id, vaddr, Access::Write)?;
        self.frames.set_contents(touch.pfn, contents);
        Ok(touch)
    }

    /// Reads a page as a whole.
    pub fn read(&mut self, id: SpaceId, vaddr: u64) -> Result<(u64, Touch), AccessError> {
        let touch = self.access(id, vaddr, Access::Read)?;
        Ok((self.frames.contents(touch.pfn), touch))
    }

    /// The way of most accesses: a table of level 1 that served one of the last has the page and allows it, or lies in
    /// plain memory that nobody touched yet.
    fn access_again(&mut self, id: SpaceId, vpn: u64, access: Access) -> Option<Touch> {
        if let Some(pfn) = self.access_known(id, vpn, access) {
            return Some(Touch { pfn, ..Touch::default() });
        }
        let Recent { table, plain } = self.space(id).recent.of(vpn).filter(|_| access != Access::Execute)?;
        let index = usize::try_from(vpn & 511).expect("below 512");
        let entry = self.tables.entries(table)[index];
        let is_write = access == Access::Write;
        let place = Place { table, index, level: 1 };
        if !entry.is_absent() || !is_write || !(plain.0..plain.1).contains(&vpn) {
            return None;
        }
        let pfn = self.frames.allocate(0)?;
        self.frames.retain(pfn, 0);
        self.tables.set(place, Entry::leaf(pfn, false).writable().used(true));
        self.track(pfn, vpn);
        self.note_use(pfn);
        self.space_mut(id).resident_pages += 1;
        Some(Touch { fault: Some(FaultKind::FirstTouch), pfn, ..Touch::default() })
    }

    /// Whether regions allow the access; grows a stack if that makes it so, and says where that began before.
    fn admit(&mut self, id: SpaceId, vaddr: u64, access: Access) -> Result<Option<u64>, SegmentationFault> {
        let vpn = vaddr >> 12;
        let region = self.space(id).region(vpn);
        if region.is_some_and(|region| region.permissions.allow(access)) {
            return Ok(None);
        }
        let denied = SegmentationFault { vaddr, access, region: region.map(Region::to_string) };
        if region.is_some() {
            return Err(denied);
        }
        self.space_mut(id).grow_stack(vpn, access).map(Some).ok_or(denied)
    }

    /// One attempt. Returns whether it came to an end; if not, the page tables have changed and it starts again.
    fn try_access(&mut self, id: SpaceId, vpn: u64, access: Access, touch: &mut Touch) -> Result<bool, OutOfMemory> {
        let root = self.space(id).root;
        let place = self.tables.find(root, vpn, &self.frames);
        let entry = self.tables.entry(place);
        let is_write = access == Access::Write;
        let is_change = !entry.is_present() || is_write;
        let shares_table = self.shares_table(root, vpn);
        if is_change && shares_table {
            if self.own_table(root, vpn)? {
                touch.tables_copied += 1;
            }
            return Ok(false);
        }
        if entry.is_absent() {
            return self.map_in(id, vpn, access, place, touch);
        }
        if !entry.is_present() {
            return self.swap_in(id, vpn, is_write, place, touch);
        }
        if is_write && !entry.is_writable() && self.is_private(id, vpn) {
            return self.write_protected(id, vpn, place, touch);
        }
        let entry = if is_write && !entry.is_writable() {
            // A page of an object, read-only since its table was shared.
            touch.fault = Some(touch.fault.unwrap_or(FaultKind::Reuse));
            entry.writable()
        } else {
            entry
        };
        self.tables.set(place, entry.used(is_write));
        (touch.pfn, touch.order) = (frame_in(entry, place.level, vpn), order_of(place.level));
        self.note_use(touch.pfn);
        self.remember(id, vpn, place, shares_table);
        Ok(true)
    }

    /// Maps what was never mapped: a page of an object, a huge page, the zero page or a fresh frame.
    fn map_in(
        &mut self,
        id: SpaceId,
        vpn: u64,
        access: Access,
        place: Place,
        touch: &mut Touch,
    ) -> Result<bool, OutOfMemory> {
        let region = self.space(id).region(vpn).expect("the access was admitted");
        let (order, is_writable, is_executable) =
            (region.page_order, region.permissions.write, region.permissions.execute);
        let object = region.object.map(|(object, first)| (object, first + (vpn - region.start)));
        if let Some((object, page)) = object {
            let known = self.objects.page(object, page);
            if self.reserve(u64::from(place.level) - u64::from(known.is_some()))? {
                return Ok(false);
            }
            let pfn = known.unwrap_or_else(|| {
                let pfn = self.frames.allocate(0).expect("a frame was reserved");
                self.objects.set_page(object, page, pfn, &mut self.frames);
                pfn
            });
            let entry = Entry::leaf(pfn, false).with_execute(is_executable);
            let entry = if is_writable { entry.writable() } else { entry };
            self.put(id, vpn, 0, entry.used(access == Access::Write));
            touch.fault = Some(FaultKind::File);
            touch.is_fresh = known.is_none();
            return Ok(false);
        }
        let start = vpn >> order << order;
        if order > 0
            && start >= region.start
            && start + (1 << order) <= region.end
            && let Some(entry) = self.huge_block(order, place)
        {
            let entry = entry.with_execute(is_executable);
            self.put(id, start, order, if is_writable { entry.writable() } else { entry });
            touch.fault = Some(FaultKind::HugeFirstTouch);
            return Ok(false);
        }
        let is_write = access == Access::Write;
        if self.reserve(u64::from(place.level) - u64::from(!is_write))? {
            return Ok(false);
        }
        if is_write {
            let pfn = self.frames.allocate(0).expect("a frame was reserved");
            self.put(id, vpn, 0, Entry::leaf(pfn, false).with_execute(is_executable).writable().used(true));
            self.track(pfn, vpn);
            touch.fault = Some(FaultKind::FirstTouch);
        } else {
            self.put(id, vpn, 0, Entry::leaf(ZERO_PAGE, false).with_execute(is_executable));
            touch.fault = Some(FaultKind::ZeroPage);
        }
        Ok(false)
    }

    /// A block for a huge page, if memory has one and its tables, and no smaller pages are in its place.
    fn huge_block(&mut self, order: u32, place: Place) -> Option<Entry> {
        let level = order / 9 + 1;
        if place.level < level {
            return None;
        }
        let first = self.frames.allocate(order)?;
        if self.frames.free() < u64::from(place.level - level) {
            self.frames.retain(first, order);
            self.frames.release(first, order);
            return None;
        }
        Some(Entry::leaf(first, true))
    }

    /// A store to an entry that is read-only though its region is not.
    fn write_protected(&mut self, id: SpaceId, vpn: u64, place: Place, touch: &mut Touch) -> Result<bool, OutOfMemory> {
        let entry = self.tables.entry(place);
        if entry.is_huge() {
            if self.is_only_reference(entry, place.level) {
                self.tables.set(place, entry.writable());
                touch.fault = Some(touch.fault.unwrap_or(FaultKind::Reuse));
            } else if !self.reserve(2)? {
                self.split_entry(place, vpn);
                touch.fault = Some(FaultKind::HugeCow);
                touch.invalidated = 1;
            }
            return Ok(false);
        }
        let old = entry.pfn();
        if self.is_only_reference(entry, 1) {
            self.tables.set(place, entry.writable());
            touch.fault = Some(touch.fault.unwrap_or(FaultKind::Reuse));
            return Ok(false);
        }
        if self.reserve(1)? {
            return Ok(false);
        }
        let new = self.frames.allocate(0).expect("a frame was reserved");
        self.frames.copy(old, new, 0);
        self.frames.retain(new, 0);
        let copy = Entry::leaf(new, false).with_execute(entry.is_executable());
        self.tables.set(place, copy.writable().used(true));
        if old == ZERO_PAGE {
            self.space_mut(id).resident_pages += 1;
        } else {
            self.drop_leaf(entry, 0);
        }
        self.track(new, vpn);
        let kind = if old == ZERO_PAGE { FaultKind::WriteAfterZero } else { FaultKind::CowCopy };
        touch.fault = Some(touch.fault.unwrap_or(kind));
        touch.invalidated = 1;
        Ok(false)
    }

    /// Sets a leaf entry where there is none, counts its frames and makes the tables above. Frames were reserved.
    fn put(&mut self, id: SpaceId, vpn: u64, order: u32, entry: Entry) {
        let root = self.space(id).root;
        let place = self.tables.place(root, vpn, order / 9 + 1, &mut self.frames).expect("frames were reserved");
        self.frames.retain(entry.pfn(), order);
        self.tables.set(place, entry);
        if entry.pfn() != ZERO_PAGE {
            self.space_mut(id).resident_pages += 1 << order;
        }
    }

    /// Whether stores by one process are hidden from the others here.
    fn is_private(&self, id: SpaceId, vpn: u64) -> bool {
        self.space(id).region(vpn).is_none_or(|region| region.object.is_none())
    }

    /// Keeps the table for the next access, unless a store through it has to be seen by the slow way.
    fn remember(&mut self, id: SpaceId, vpn: u64, place: Place, shares_table: bool) {
        if place.level > 1 {
            return;
        }
        let region = self.space(id).region(vpn).expect("the access was admitted");
        let is_plain = region.object.is_none() && region.page_order == 0;
        let is_plain = is_plain && region.permissions.write && !region.permissions.execute;
        let plain = if is_plain { (region.start, region.end) } else { (0, 0) };
        let recent = (!shares_table).then_some(Recent { table: place.table, plain });
        self.space_mut(id).recent.put(vpn, recent);
    }
}
