//! Taking mappings away: munmap, a shrinking heap, the end of a process.

use super::address_space::MapError;
use super::frames::ZERO_PAGE;
use super::page_table::{Chunk, ENTRIES, Entry, Place, TableId};
use super::virtual_memory::{OutOfMemory, SpaceId, VirtualMemory, order_of};
use super::work::TeardownWork;

impl VirtualMemory {
    /// Removes all regions from a range of pages.
    pub fn unmap(&mut self, id: SpaceId, start: u64, end: u64) -> Result<TeardownWork, OutOfMemory> {
        let mut work = TeardownWork { tables_copied: self.isolate(id, start, end)?, ..TeardownWork::default() };
        self.drop_range(id, start, end, &mut work);
        for region in self.space_mut(id).remove(start, end) {
            if let Some((object, _)) = region.object {
                self.objects.release(object, region.pages(), &mut self.frames);
            }
        }
        Ok(work)
    }

    /// Gives the memory of a range back, and keeps the regions (`madvise(MADV_DONTNEED)`).
    pub fn discard(&mut self, id: SpaceId, start: u64, end: u64) -> Result<TeardownWork, OutOfMemory> {
        let mut work = TeardownWork { tables_copied: self.isolate(id, start, end)?, ..TeardownWork::default() };
        self.drop_range(id, start, end, &mut work);
        Ok(work)
    }

    /// Moves the end of the heap.
    pub fn set_heap_end(&mut self, id: SpaceId, end: u64) -> Result<TeardownWork, HeapError> {
        match self.space_mut(id).set_heap_end(end)? {
            Some((start, end)) => {
                let work = self.unmap(id, start, end)?;
                self.space_mut(id).heap_end = start;
                Ok(work)
            }
            None => Ok(TeardownWork::default()),
        }
    }

    /// One process less runs in an address space; with the last one all of it goes.
    pub fn exit(&mut self, id: SpaceId) -> TeardownWork {
        let mut work = TeardownWork::default();
        if !self.unshare_space(id) {
            return work;
        }
        let root = self.space(id).root;
        self.drop_tree(root, self.tables.levels(), &mut work);
        for region in self.take_space(id).regions() {
            if let Some((object, _)) = region.object {
                self.objects.release(object, region.pages(), &mut self.frames);
            }
        }
        work
    }

    /// Prepares a range for changes: tables in it are this process's own, and huge pages do not reach beyond it.
    /// Returns how many tables had to be made for that.
    pub(super) fn isolate(&mut self, id: SpaceId, start: u64, end: u64) -> Result<u64, OutOfMemory> {
        let root = self.space(id).root;
        let mut tables = 0;
        loop {
            let chunks = self.tables.chunks(root, start, end, &self.frames);
            let found = chunks.into_iter().find(|&chunk| match chunk {
                Chunk::Table { parent, .. } => !self.tables.entry(parent).is_writable(),
                Chunk::Huge { place, vpn } => vpn < start || vpn + (1 << order_of(place.level)) > end,
            });
            let Some(chunk) = found else {
                if tables > 0 {
                    self.space_mut(id).recent.clear();
                }
                return Ok(tables);
            };
            let makes_table = match chunk {
                Chunk::Table { table, .. } => self.is_table_shared(table),
                Chunk::Huge { .. } => true,
            };
            if self.reserve(u64::from(makes_table))? {
                continue;
            }
            match chunk {
                Chunk::Table { table, parent, .. } => tables += u64::from(self.owned(table, parent) != table),
                Chunk::Huge { place, vpn } => {
                    self.split_entry(place, vpn);
                    tables += 1;
                }
            }
        }
    }

    fn drop_range(&mut self, id: SpaceId, start: u64, end: u64, work: &mut TeardownWork) {
        let root = self.space(id).root;
        let mut resident = 0;
        for chunk in self.tables.chunks(root, start, end, &self.frames) {
            match chunk {
                Chunk::Huge { place, vpn } => {
                    resident += 1 << order_of(place.level);
                    self.drop_place(place, work);
                    work.tables += u64::from(self.tables.prune(root, vpn, &mut self.frames));
                }
                Chunk::Table { table, vpn, from, to, .. } => {
                    for index in from..to {
                        let place = Place { table, index, level: 1 };
                        let entry = self.tables.entry(place);
                        resident += u64::from(entry.is_present() && entry.pfn() != ZERO_PAGE);
                        self.drop_place(place, work);
                    }
                    work.tables += u64::from(self.tables.prune(root, vpn, &mut self.frames));
                }
            }
        }
        let space = self.space_mut(id);
        space.resident_pages -= resident;
        space.recent.clear();
    }

    /// Drops all that hangs under a table, and the table. Its entries need not be cleared: nobody sees them any more.
    fn drop_tree(&mut self, table: TableId, level: u32, work: &mut TeardownWork) {
        for index in 0..ENTRIES {
            let entry = self.tables.entries(table)[index];
            if entry.is_absent() {
                continue;
            }
            if level == 1 || !entry.is_present() || entry.is_huge() {
                self.drop_entry(entry, level, work);
                continue;
            }
            let below = self.tables.table_at(entry, &self.frames);
            if self.frames.references(self.tables.pfn(below)) > 1 {
                self.tables.release(below, &mut self.frames);
                work.shared_tables += 1;
            } else {
                self.drop_tree(below, level - 1, work);
            }
        }
        self.tables.release(table, &mut self.frames);
        work.tables += 1;
    }

    fn drop_place(&mut self, place: Place, work: &mut TeardownWork) {
        let entry = self.tables.entry(place);
        if !entry.is_absent() {
            self.tables.set(place, Entry::ABSENT);
            self.drop_entry(entry, place.level, work);
        }
    }

    fn drop_entry(&mut self, entry: Entry, level: u32, work: &mut TeardownWork) {
        let is_freed = self.drop_leaf(entry, order_of(level));
        if !entry.is_present() {
            work.swapped += 1;
            return;
        }
        work.invalidated += 1;
        match (level > 1, is_freed) {
            (false, false) => work.shared += 1,
            (false, true) => work.private += 1,
            (true, false) => work.huge_shared += 1,
            (true, true) => work.huge_private += 1,
        }
    }
}

/// A heap end that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeapError {
    /// Something is in the way, or it is below the start.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A huge page could not be split.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}
