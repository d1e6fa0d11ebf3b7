//! Changing what a range allows, and the size of its pages.

use super::address_space::{MapError, Permissions};
use super::frames::{ORDER_2M, Pfn};
use super::page_table::{Chunk, Entry, Place};
use super::virtual_memory::{OutOfMemory, SpaceId, VirtualMemory};
use super::work::ProtectWork;

/// Permissions that cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtectError {
    /// The range is not mapped throughout.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A huge page could not be split.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl VirtualMemory {
    /// Gives a range of pages other permissions (`mprotect`).
    pub fn protect(
        &mut self,
        id: SpaceId,
        start: u64,
        end: u64,
        permissions: Permissions,
    ) -> Result<ProtectWork, ProtectError> {
        self.space(id).check_protect(start, end, permissions)?;
        let mut work = ProtectWork { tables_copied: self.isolate(id, start, end)?, ..ProtectWork::default() };
        let regions_before = self.space(id).regions().count();
        let regions = self.space_mut(id).protect(start, end, permissions)?;
        work.regions_changed = self.space(id).regions().count().abs_diff(regions_before) as u64;
        self.space_mut(id).recent.clear();
        let root = self.space(id).root;
        for region in regions.into_iter().filter(|region| region.permissions != permissions) {
            for chunk in self.tables.chunks(root, region.start, region.end, &self.frames) {
                let (table, level, range) = match chunk {
                    Chunk::Huge { place, .. } => (place.table, place.level, place.index..place.index + 1),
                    Chunk::Table { table, from, to, .. } => (table, 1, from..to),
                };
                for index in range {
                    self.protect_place(Place { table, index, level }, permissions, region.object.is_some(), &mut work);
                }
            }
        }
        Ok(work)
    }

    fn protect_place(&mut self, place: Place, permissions: Permissions, is_object: bool, work: &mut ProtectWork) {
        let entry = self.tables.entry(place);
        if !entry.is_present() {
            return;
        }
        work.entries += 1;
        let is_own = is_object || self.is_only_reference(entry, place.level);
        let open = entry.with_user(permissions != Permissions::NONE).with_execute(permissions.execute);
        let new = if permissions.write && is_own { open.writable() } else { open.read_only() };
        work.invalidated += u64::from(entry.is_more_than(new));
        self.tables.set(place, new);
    }

    /// Replaces 512 pages that this process alone has, in one aligned 2 MiB of one region, by a huge page with the same
    /// contents (Linux' khugepaged). Returns whether it could.
    pub fn collapse(&mut self, id: SpaceId, vpn: u64) -> Result<bool, OutOfMemory> {
        let first = vpn >> ORDER_2M << ORDER_2M;
        let root = self.space(id).root;
        let is_one_region =
            self.space(id).region(first).is_some_and(|region| region.end >= first + 512 && region.object.is_none());
        let Some(directory) = self.tables.directory(root, first, &self.frames) else { return Ok(false) };
        if !is_one_region || self.shares_table(root, first) {
            return Ok(false);
        }
        let table = self.tables.table_at(self.tables.entry(directory), &self.frames);
        let entries = *self.tables.entries(table);
        let is_own = |entry: &Entry| entry.is_present() && self.is_only_reference(*entry, 1);
        if !entries.iter().all(is_own) {
            return Ok(false);
        }
        let Some(block) = self.frames.allocate(ORDER_2M) else { return Ok(false) };
        self.frames.retain(block, ORDER_2M);
        for (entry, index) in entries.iter().zip(0..) {
            self.frames.copy(entry.pfn(), Pfn(block.0 + index), 0);
            self.drop_leaf(*entry, 0);
            let place = Place { table, index: usize::try_from(index).expect("below 512"), level: 1 };
            self.tables.set(place, Entry::ABSENT);
        }
        let permissions = self.space(id).region(first).map_or(Permissions::NONE, |region| region.permissions);
        let entry = Entry::leaf(block, true).used(true).with_execute(permissions.execute);
        let entry = entry.with_user(permissions != Permissions::NONE);
        self.tables.set(directory, if permissions.write { entry.writable() } else { entry });
        self.tables.release(table, &mut self.frames);
        self.space_mut(id).recent.clear();
        Ok(true)
    }

    /// Splits the huge page around a page into pages of 4 KiB. Returns whether there was one.
    pub fn split(&mut self, id: SpaceId, vpn: u64) -> Result<bool, OutOfMemory> {
        let root = self.space(id).root;
        let mut was_huge = false;
        loop {
            let place = self.tables.find(root, vpn, &self.frames);
            if !self.tables.entry(place).is_huge() {
                return Ok(was_huge);
            }
            if !self.reserve(1)? {
                self.split_entry(place, vpn);
                was_huge = true;
            }
        }
    }
}
