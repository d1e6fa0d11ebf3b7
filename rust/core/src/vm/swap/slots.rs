//! Slots of the swap: pages that are not in memory, and who wants them.

use crate::vm::frames::Pfn;

/// All slots.
#[derive(Debug)]
pub struct Slots {
    slots: Vec<Slot>,
    unused: Vec<u64>,
    size: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    contents: u64,
    /// Entries that name the slot.
    references: u32,
    /// Where the page is in memory as well, since one of those who share it wanted it back.
    frame: Option<Pfn>,
}

impl Slots {
    /// Room for so many pages.
    pub fn new(size: u64) -> Self {
        Self { slots: Vec::new(), unused: Vec::new(), size }
    }

    /// Slots in use.
    pub fn in_use(&self) -> u64 {
        (self.slots.len() - self.unused.len()) as u64
    }

    /// Whether no slot is left.
    pub fn is_full(&self) -> bool {
        self.in_use() >= self.size
    }

    /// Puts a page that so many entries map into a slot.
    pub fn store(&mut self, contents: u64, references: u32) -> u64 {
        assert!(!self.is_full(), "who stores has looked");
        let slot = Slot { contents, references, frame: None };
        if let Some(number) = self.unused.pop() {
            self.slots[to_index(number)] = slot;
            return number;
        }
        self.slots.push(slot);
        self.slots.len() as u64 - 1
    }

    /// What is in a slot.
    pub fn contents(&self, slot: u64) -> u64 {
        self.slots[to_index(slot)].contents
    }

    /// The frame that holds the same page, if one does.
    pub fn frame(&self, slot: u64) -> Option<Pfn> {
        self.slots[to_index(slot)].frame
    }

    /// Entries that name a slot.
    pub fn references(&self, slot: u64) -> u32 {
        self.slots[to_index(slot)].references
    }

    /// Remembers where the page is in memory, or that it is not any more.
    pub fn set_frame(&mut self, slot: u64, frame: Option<Pfn>) {
        self.slots[to_index(slot)].frame = frame;
    }

    /// One more entry names it.
    pub fn retain(&mut self, slot: u64) {
        self.slots[to_index(slot)].references += 1;
    }

    /// One entry less names it. With the last one the slot is empty; returns whether it is.
    pub fn release(&mut self, slot: u64) -> bool {
        let found = &mut self.slots[to_index(slot)];
        found.references -= 1;
        if found.references == 0 {
            *found = Slot::default();
            self.unused.push(slot);
            return true;
        }
        false
    }
}

fn to_index(slot: u64) -> usize {
    usize::try_from(slot).expect("slots are bounded by memory")
}
