//! What swap knows: pages that could go, in the order of a policy, and slots of those that went.

use super::config::VmConfig;
use super::frames::Pfn;
use super::swap::{PageReplacement, Slots};
use std::collections::BTreeMap;

/// No page: the frame is not one that the policy knows.
pub(super) const UNTRACKED: u64 = u64::MAX;

/// What is known about pages that could go.
#[derive(Debug)]
pub(super) struct Reclaim {
    pub(super) slots: Slots,
    pub(super) policy: Box<dyn PageReplacement>,
    /// By frame: the page that it shows, the same in every address space that shares it.
    pub(super) pages: Vec<u64>,
    /// Frames whose page is in a slot as well.
    pub(super) cached: BTreeMap<Pfn, u64>,
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

    /// The policy hears of an access.
    pub(super) fn note_use(&mut self, pfn: Pfn) {
        if self.pages[index(pfn)] != UNTRACKED {
            self.policy.touch(name(pfn));
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

pub(super) fn index(pfn: Pfn) -> usize {
    usize::try_from(pfn.0).expect("memory sizes are bounded")
}

pub(super) fn name(pfn: Pfn) -> u32 {
    u32::try_from(pfn.0).expect("memory with swap has below 2^32 frames")
}
