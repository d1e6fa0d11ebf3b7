//! Making room: which page goes to the swap when no frame is free, and how it comes back.

use super::fault::Touch;
use super::frames::{Pfn, ZERO_PAGE};
use super::page_table::{Entry, Place};
use super::swap::{PageReplacement, Slots};
use super::virtual_memory::{OutOfMemory, SpaceId, VirtualMemory, VmConfig, order_of};
use super::work::FaultKind;
use std::collections::BTreeMap;

/// No page: the frame is not one that the policy knows.
const UNTRACKED: u64 = u64::MAX;

/// What is known about pages that could go.
#[derive(Debug)]
pub(super) struct Reclaim {
    pub(super) slots: Slots,
    policy: Box<dyn PageReplacement>,
    /// By frame: the page that it shows, the same in every address space that shares it.
    pages: Vec<u64>,
    /// Frames whose page is in a slot as well.
    cached: BTreeMap<Pfn, u64>,
    /// Pages that went to the swap so far.
    pub(super) swap_outs: u64,
}

impl Reclaim {
    pub(super) fn new(config: &VmConfig) -> Self {
        let frames = usize::try_from(config.frames).expect("memory sizes are bounded");
        Self {
            slots: Slots::new(config.swap_pages),
            policy: config.swap_policy.build(config.seed).expect("the configuration was checked"),
            pages: vec![UNTRACKED; frames],
            cached: BTreeMap::new(),
            swap_outs: 0,
        }
    }

    /// A frame got its first mapping as a page of 4 KiB; both sides of a fork may split the same huge page.
    pub(super) fn track(&mut self, pfn: Pfn, vpn: u64) {
        if std::mem::replace(&mut self.pages[index(pfn)], vpn) == UNTRACKED {
            self.policy.insert(name(pfn));
        }
    }

    /// A frame was freed.
    pub(super) fn forget(&mut self, pfn: Pfn) {
        if std::mem::replace(&mut self.pages[index(pfn)], UNTRACKED) != UNTRACKED {
            self.policy.remove(name(pfn));
        }
        if let Some(slot) = self.cached.remove(&pfn) {
            self.slots.set_frame(slot, None);
        }
    }

    /// An entry that named a slot is gone.
    pub(super) fn release_slot(&mut self, slot: u64) {
        let frame = self.slots.frame(slot);
        if self.slots.release(slot)
            && let Some(pfn) = frame
        {
            self.cached.remove(&pfn);
        }
    }
}

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
        if let Some(reclaim) = &mut self.reclaim
            && reclaim.pages[index(pfn)] != UNTRACKED
        {
            reclaim.policy.touch(name(pfn));
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
            self.space_mut(id).recent = None;
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

fn index(pfn: Pfn) -> usize {
    usize::try_from(pfn.0).expect("memory sizes are bounded")
}

fn name(pfn: Pfn) -> u32 {
    u32::try_from(pfn.0).expect("memory with swap has below 2^32 frames")
}
