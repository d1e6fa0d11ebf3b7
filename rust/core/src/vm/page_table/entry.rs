//! One entry of a page table, as x86-64 lays it out (Intel SDM volume 3A, 4.5).

use crate::vm::frames::{FRAME_BITS, Pfn};
use std::fmt;

/// Eight bytes of a table.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry(pub u64);

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const HUGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME_MASK: u64 = ((1 << 52) - 1) & !((1 << FRAME_BITS) - 1);

impl Entry {
    /// Nothing is mapped.
    pub const ABSENT: Self = Self(0);

    /// Points to the table in that frame.
    pub const fn table(pfn: Pfn) -> Self {
        Self(pfn.0 << FRAME_BITS | PRESENT | WRITABLE | USER | ACCESSED)
    }

    /// Maps a frame, without writing and executing, or with `is_huge` the block that begins there.
    pub const fn leaf(pfn: Pfn, is_huge: bool) -> Self {
        Self(pfn.0 << FRAME_BITS | PRESENT | USER | ACCESSED | NO_EXECUTE | if is_huge { HUGE } else { 0 })
    }

    /// Says which slot of the swap has the page.
    pub const fn swapped(slot: u64) -> Self {
        // Bit 9 is for the system to use: it keeps slot 0 from looking absent.
        Self(slot << FRAME_BITS | 1 << 9)
    }

    /// Whether the processor follows it.
    pub const fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }

    /// Whether it is neither present nor swapped out.
    pub const fn is_absent(self) -> bool {
        self.0 == 0
    }

    /// Whether it maps more than 4 KiB.
    pub const fn is_huge(self) -> bool {
        self.0 & HUGE != 0
    }

    /// Whether stores pass.
    pub const fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// Whether a program's load, or its store, passes.
    pub const fn allows(self, is_write: bool) -> bool {
        self.has(Self::ABSENT.allowing(is_write))
    }

    /// The same with what lets a program's load, or its store, pass.
    pub const fn allowing(self, is_write: bool) -> Self {
        Self(self.0 | PRESENT | USER | if is_write { WRITABLE } else { 0 })
    }

    /// Whether it has all bits of another one.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The same with or without access for programs.
    pub const fn with_user(self, is_user: bool) -> Self {
        Self(self.0 & !USER | if is_user { USER } else { 0 })
    }

    /// The same with or without instruction fetches.
    pub const fn with_execute(self, is_executable: bool) -> Self {
        Self(self.0 & !NO_EXECUTE | if is_executable { 0 } else { NO_EXECUTE })
    }

    /// Whether instructions can be fetched through it.
    pub const fn is_executable(self) -> bool {
        self.0 & NO_EXECUTE == 0
    }

    /// Whether it allows something that `other` does not.
    pub const fn is_more_than(self, other: Self) -> bool {
        self.0 & !other.0 & (WRITABLE | USER) != 0 || self.is_executable() && !other.is_executable()
    }

    /// Whether something was stored through it.
    pub const fn is_dirty(self) -> bool {
        self.0 & DIRTY != 0
    }

    /// The frame, or the slot of the swap.
    pub const fn pfn(self) -> Pfn {
        Pfn((self.0 & FRAME_MASK) >> FRAME_BITS)
    }

    /// The same without the right to store.
    pub const fn read_only(self) -> Self {
        Self(self.0 & !WRITABLE)
    }

    /// The same with the right to store.
    pub const fn writable(self) -> Self {
        Self(self.0 | WRITABLE)
    }

    /// The same after an access.
    pub const fn used(self, is_write: bool) -> Self {
        Self(self.0 | ACCESSED | if is_write { DIRTY } else { 0 })
    }

    /// The part of a huge entry that begins so many frames behind its start; `is_huge` if the part is huge itself.
    pub const fn part(self, frames: u64, is_huge: bool) -> Self {
        let flags = self.0 & !FRAME_MASK & !HUGE;
        Self((self.pfn().0 + frames) << FRAME_BITS | flags | if is_huge { HUGE } else { 0 })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_absent() {
            return f.write_str("absent");
        }
        if !self.is_present() {
            return write!(f, "swapped {}", self.pfn().0);
        }
        let flag = |is_set: bool, name| if is_set { name } else { "-" };
        let (w, d, h) = (flag(self.is_writable(), "w"), flag(self.is_dirty(), "d"), flag(self.is_huge(), "h"));
        write!(f, "{:#x} {w}{d}{h}", self.pfn().0)
    }
}
