//! What the kernel did, counted: the events that a machine puts a price on.

use super::frames::Pfn;
use serde::{Deserialize, Serialize};
use std::ops::{AddAssign, Index, IndexMut};

/// Why the processor handed an access to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A load of anonymous memory that nobody wrote: it shows the zero page.
    ZeroPage,
    /// The first store: a zeroed frame.
    FirstTouch,
    /// The first touch of a huge page.
    HugeFirstTouch,
    /// The first store after loads showed the zero page.
    WriteAfterZero,
    /// A store to a page that others map too: a copy.
    CowCopy,
    /// A store to a page that others mapped, and do no longer.
    Reuse,
    /// A store to a huge page that others map too: it is split, and 4 KiB are copied.
    HugeCow,
    /// A page that was swapped out.
    SwapIn,
    /// A page of an object: program text, a shared mapping.
    File,
    /// The stack grew; beside the fault of the page itself.
    StackGrowth,
    /// An access that the region forbids, or none is there: the process ends.
    Protection,
}

impl FaultKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::ZeroPage,
        Self::FirstTouch,
        Self::HugeFirstTouch,
        Self::WriteAfterZero,
        Self::CowCopy,
        Self::Reuse,
        Self::HugeCow,
        Self::SwapIn,
        Self::File,
        Self::StackGrowth,
        Self::Protection,
    ];

    /// What results call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ZeroPage => "zero_page",
            Self::FirstTouch => "first_touch",
            Self::HugeFirstTouch => "huge_first_touch",
            Self::WriteAfterZero => "write_after_zero",
            Self::CowCopy => "cow_copy",
            Self::Reuse => "reuse",
            Self::HugeCow => "huge_cow",
            Self::SwapIn => "swap_in",
            Self::File => "file",
            Self::StackGrowth => "stack_growth",
            Self::Protection => "protection",
        }
    }
}

/// Faults by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts([u64; FaultKind::ALL.len()]);

impl FaultCounts {
    /// All faults. Growth of the stack comes with another fault and is none of its own.
    pub fn total(&self) -> u64 {
        self.0.iter().sum::<u64>() - self[FaultKind::StackGrowth]
    }
}

impl Index<FaultKind> for FaultCounts {
    type Output = u64;
    fn index(&self, kind: FaultKind) -> &u64 {
        &self.0[kind as usize]
    }
}

impl IndexMut<FaultKind> for FaultCounts {
    fn index_mut(&mut self, kind: FaultKind) -> &mut u64 {
        &mut self.0[kind as usize]
    }
}

impl AddAssign for FaultCounts {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

/// An access that memory allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touch {
    /// The fault that it cost.
    pub fault: Option<FaultKind>,
    /// Whether the stack grew as well.
    pub stack_grew: bool,
    /// Pages that TLBs may hold as they were before.
    pub invalidated: u64,
    /// Tables that were copied since another process shared them.
    pub tables_copied: u64,
    /// Whether the page of an object had to be made.
    pub is_fresh: bool,
    /// The frame.
    pub pfn: Pfn,
    /// log2 of the frames of its page.
    pub order: u32,
}

/// What a fork copied: leaf entries of the parent by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForkWork {
    /// Entries that were read-only already: not written since the last fork.
    pub clean: u64,
    /// Entries that were writable, their frames next to one another.
    pub dirtied: u64,
    /// Entries that were writable, their frames elsewhere than the one before.
    pub scattered: u64,
    /// Huge entries that were read-only.
    pub huge_clean: u64,
    /// Huge entries that were writable.
    pub huge_dirtied: u64,
    /// Of the clean ones, those that show the zero page.
    pub zero_pages: u64,
    /// Pages of 4 KiB under huge entries.
    pub huge_pages: u64,
    /// Entries that named a slot of the swap.
    pub swapped: u64,
    /// Tables made for the child.
    pub tables: u64,
    /// Tables of level 1 that the child shares with the parent.
    pub shared_tables: u64,
}

impl ForkWork {
    /// Pages of 4 KiB that the child has in memory.
    pub fn resident_pages(&self) -> u64 {
        self.clean + self.dirtied + self.scattered - self.zero_pages + self.huge_pages
    }
}

/// What the removal of a range, or of all, dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TeardownWork {
    /// Entries of frames that others keep, the zero page's among them.
    pub shared: u64,
    /// Entries whose frames were freed.
    pub private: u64,
    /// Huge entries of blocks that others keep.
    pub huge_shared: u64,
    /// Huge entries whose blocks were freed.
    pub huge_private: u64,
    /// Entries that named a slot of the swap.
    pub swapped: u64,
    /// Tables freed.
    pub tables: u64,
    /// Shared tables that were left to others.
    pub shared_tables: u64,
    /// Pages that TLBs may hold.
    pub invalidated: u64,
    /// Tables that had to be copied, and huge pages that had to be split, before a part could go.
    pub tables_copied: u64,
}

impl AddAssign for TeardownWork {
    fn add_assign(&mut self, more: Self) {
        self.shared += more.shared;
        self.private += more.private;
        self.huge_shared += more.huge_shared;
        self.huge_private += more.huge_private;
        self.swapped += more.swapped;
        self.tables += more.tables;
        self.shared_tables += more.shared_tables;
        self.invalidated += more.invalidated;
        self.tables_copied += more.tables_copied;
    }
}

/// What a change of permissions changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtectWork {
    /// Regions more or fewer than before.
    pub regions_changed: u64,
    /// Present entries that were looked at.
    pub entries: u64,
    /// Pages that allow less than before.
    pub invalidated: u64,
    /// Tables that had to be copied, and huge pages that had to be split, before a part could change.
    pub tables_copied: u64,
}
