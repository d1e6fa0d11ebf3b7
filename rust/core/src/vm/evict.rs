//! Making room: which page goes to the swap when no frame is free, and how it comes back.

use super::frames::{Pfn, ZERO_PAGE};
use super::page_table::{Entry, Place};
use super::reclaim::index;
use super::virtual_memory::{OutOfMemory, SpaceId, VirtualMemory, order_of};
use super::work::{FaultKind, Touch};

impl VirtualMemory {
    /// Pages that went to the swap so far.
    pub fn swap_outs(&self) -> u64 {
        self.reclaim.as_ref().map_or(0, |reclaim| reclaim.swap_outs)
    }

    /// Sees to it that so many frames are free. Returns whether pages had to go for that: entries may have changed.
    pub(super) fn reserve(&mut self, wanted: u64) -> Result<bool, OutOfMemory> {
        let mut has_changed = false;
        while self.frames.free() < wanted {
            if !self.evict() {
                return Err(OutOfMemory { wanted, free: self.frames.free(), total: self.frames.total() });
            }
            has_changed = true;
        }
        Ok(has_changed)
    }

    /// The policy hears of an access.
    pub(super) fn note_use(&mut self, pfn: Pfn) {
        if let Some(reclaim) = &mut self.reclaim {
            reclaim.note_use(pfn);
        }
    }

    /// The policy hears of a page.
    pub(super) fn track(&mut self, pfn: Pfn, vpn: u64) {
        if let Some(reclaim) = &mut self.reclaim {
            reclaim.track(pfn, vpn);
        }
    }

    /// Whether an entry shows frames that no other shows, nor finds through a slot of the swap.
    pub(super) fn is_only_reference(&self, entry: Entry, level: u32) -> bool {
        let pfn = entry.pfn();
        if level > 1 {
            return self.frames.is_block_exclusive(pfn, order_of(level));
        }
        let is_cached = self.reclaim.as_ref().is_some_and(|reclaim| reclaim.cached.contains_key(&pfn));
        pfn != ZERO_PAGE && self.frames.references(pfn) == 1 && !is_cached
    }

    /// The frame that the policy names. It forgets those that a huge entry maps too.
    fn victim(&mut self) -> Option<Pfn> {
        let reclaim = self.reclaim.as_mut().filter(|reclaim| !reclaim.slots.is_full())?;
        loop {
            let pfn = Pfn(u64::from(reclaim.policy.victim()?));
            if !self.frames.is_mapped_huge(pfn) {
                return Some(pfn);
            }
            reclaim.forget(pfn);
        }
    }

    /// Sends one page to the swap.
    fn evict(&mut self) -> bool {
        let Some(pfn) = self.victim() else { return false };
        let reclaim = self.reclaim.as_ref().expect("it named the victim");
        let vpn = reclaim.pages[index(pfn)];
        let holders: Vec<(SpaceId, Place)> = self
            .spaces()
            .filter_map(|(id, space)| {
                let place = self.tables.find(space.root, vpn, &self.frames);
                let entry = self.tables.entry(place);
                (place.level == 1 && entry.is_present() && entry.pfn() == pfn).then_some((id, place))
            })
            .collect();
        let mut places: Vec<Place> = Vec::new();
        for &(id, place) in &holders {
            self.space_mut(id).resident_pages -= 1;
            self.space_mut(id).recent.clear();
            // A table that several spaces share is changed once.
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let references = u32::try_from(places.len()).expect("fewer address spaces than frames");
        debug_assert_eq!(references, self.frames.references(pfn), "a page is at one address in all who share it");
        let contents = self.frames.contents(pfn);
        let reclaim = self.reclaim.as_mut().expect("it was just there");
        // Those who still wait in a slot for the same page keep that slot.
        let slot = match reclaim.cached.remove(&pfn) {
            Some(slot) if reclaim.slots.contents(slot) == contents => {
                reclaim.slots.set_frame(slot, None);
                (0..references).for_each(|_| reclaim.slots.retain(slot));
                slot
            }
            other => {
                if let Some(slot) = other {
                    reclaim.slots.set_frame(slot, None);
                }
                reclaim.slots.store(contents, references)
            }
        };
        reclaim.swap_outs += 1;
        for place in places {
            self.tables.set(place, Entry::swapped(slot));
            self.frames.release(pfn, 0);
        }
        self.reclaim.as_mut().expect("it was just there").forget(pfn);
        true
    }

    /// Brings a page back: for a read the frame that another read has brought back, for a write one of its own.
    pub(super) fn swap_in(
        &mut self,
        id: SpaceId,
        vpn: u64,
        is_write: bool,
        place: Place,
        touch: &mut Touch,
    ) -> Result<bool, OutOfMemory> {
        let slot = self.tables.entry(place).pfn().0;
        let known = self.reclaim.as_ref().and_then(|reclaim| reclaim.slots.frame(slot)).filter(|_| !is_write);
        if known.is_none() && self.reserve(1)? {
            return Ok(false);
        }
        let pfn = known.unwrap_or_else(|| self.frames.allocate(0).expect("a frame was reserved"));
        self.frames.retain(pfn, 0);
        let is_executable = self.space(id).region(vpn).is_some_and(|region| region.permissions.execute);
        let entry = Entry::leaf(pfn, false).with_execute(is_executable);
        self.tables.set(place, if is_write { entry.writable() } else { entry });
        self.space_mut(id).resident_pages += 1;
        let reclaim = self.reclaim.as_mut().expect("only swap makes such entries");
        if known.is_none() {
            self.frames.set_contents(pfn, reclaim.slots.contents(slot));
            reclaim.track(pfn, vpn);
            if !is_write && reclaim.slots.references(slot) > 1 {
                reclaim.slots.set_frame(slot, Some(pfn));
                reclaim.cached.insert(pfn, slot);
            }
        }
        reclaim.release_slot(slot);
        touch.fault = Some(FaultKind::SwapIn);
        Ok(false)
    }
}
