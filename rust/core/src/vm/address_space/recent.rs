//! Which tables the last accesses found, so that the next ones need not go down from the root.
//!
//! Several, since stack, heap and what threads have of their own lie far apart.

use crate::vm::page_table::TableId;

/// Tables that are kept.
const KEPT: usize = 4;

/// A table of level 1 through which stores may go, and what is known about the region around it.
#[derive(Clone, Copy, Debug)]
pub(in crate::vm) struct Recent {
    /// The table.
    pub table: TableId,
    /// Pages of anonymous, writable memory without huge pages: absent ones need no more than a frame.
    pub plain: (u64, u64),
}

/// The last ones, each by the low bits of the number of the 2 MiB that it maps, which stands beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::vm) struct Recents([Option<(u64, Recent)>; KEPT]);

impl Recents {
    /// The table that has a page, if it is kept.
    #[inline(always)]
    pub fn of(&self, vpn: u64) -> Option<Recent> {
        self.0[place(vpn)].filter(|&(base, _)| base == vpn >> 9).map(|(_, recent)| recent)
    }

    /// Keeps the table that has a page; with nothing, none for what lies there.
    pub fn put(&mut self, vpn: u64, recent: Option<Recent>) {
        self.0[place(vpn)] = recent.map(|recent| (vpn >> 9, recent));
    }

    /// Forgets all: entries may have moved.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[inline(always)]
fn place(vpn: u64) -> usize {
    usize::try_from(vpn >> 9).expect("64 bits") % KEPT
}
