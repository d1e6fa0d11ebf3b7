//! Accesses that find everything as it is: no fault, a page of 4 KiB, in a table that served one of the last accesses.

use super::address_space::{Access, Recents};
use super::frames::Pfn;
use super::page_table::{Entry, PageTables};
use super::reclaim::Reclaim;
use super::virtual_memory::{SpaceId, VirtualMemory};

/// No page has this number.
const NO_PAGE: u64 = u64::MAX;

/// Such accesses of one kind in one address space, in a row.
pub struct KnownPages<'a> {
    recent: &'a Recents,
    tables: &'a mut PageTables,
    reclaim: Option<&'a mut Reclaim>,
    // What an entry must have, so that the access passes and changes nothing of it.
    wanted: Entry,
    access: Access,
    // The page before, and its frame.
    last: (u64, Pfn),
}

impl VirtualMemory {
    /// A row of accesses.
    pub fn known_pages(&mut self, id: SpaceId, access: Access) -> KnownPages<'_> {
        let (recent, tables, reclaim) = self.recent_parts(id);
        let wanted = Entry::ABSENT.allowing(access == Access::Write).used(access == Access::Write);
        KnownPages { recent, tables, reclaim, wanted, access, last: (NO_PAGE, Pfn(0)) }
    }

    /// One such access: what [`VirtualMemory::access`] would do. Returns the frame, or nothing, and then nothing has
    /// happened yet.
    #[inline]
    pub fn access_known(&mut self, id: SpaceId, vpn: u64, access: Access) -> Option<Pfn> {
        self.known_pages(id, access).access(vpn)
    }
}

impl KnownPages<'_> {
    /// Accesses a page. Returns its frame, or nothing, and then nothing has happened.
    #[inline(always)]
    pub fn access(&mut self, vpn: u64) -> Option<Pfn> {
        // The entry of the page before is marked as used by now.
        let (last, pfn) = self.last;
        let pfn = if last == vpn { pfn } else { self.look_up(vpn)? };
        if let Some(reclaim) = &mut self.reclaim {
            reclaim.note_use(pfn);
        }
        Some(pfn)
    }

    #[inline(always)]
    fn look_up(&mut self, vpn: u64) -> Option<Pfn> {
        let recent = self.recent.of(vpn).filter(|_| self.access != Access::Execute)?;
        let entry = self.tables.entry_mut(recent.table, vpn);
        if !entry.has(self.wanted) {
            let is_write = self.access == Access::Write;
            if !entry.allows(is_write) {
                return None;
            }
            *entry = entry.used(is_write);
        }
        self.last = (vpn, entry.pfn());
        Some(entry.pfn())
    }
}
