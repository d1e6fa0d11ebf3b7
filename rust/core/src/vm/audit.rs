//! Checks the books of memory from scratch: slow, for tests.

use super::frames::ZERO_PAGE;
use super::page_table::{Entry, TableId};
use super::virtual_memory::{VirtualMemory, frame_in, order_of};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Books {
    /// Leaf entries and objects by frame.
    references: BTreeMap<u64, u32>,
    /// Entries and address spaces by frame of a table.
    tables: BTreeMap<u64, u32>,
    slots: BTreeMap<u64, u32>,
    seen: BTreeSet<TableId>,
}

impl VirtualMemory {
    /// Counts all references from the page tables up and compares them with those of the frames. The error says what
    /// differs first.
    pub fn audit(&self) -> Result<(), String> {
        let mut books = Books::default();
        for (id, space) in self.spaces() {
            let before = books.references.len();
            let resident = self.audit_table(space.root, self.tables.levels(), 0, &mut books);
            if resident != space.resident_pages {
                return Err(format!(
                    "space {} has {resident} resident pages, not {} ({before})",
                    id.0, space.resident_pages
                ));
            }
        }
        for pfn in self.objects.frames() {
            *books.references.entry(pfn.0).or_default() += 1;
        }
        let mut in_use = books.tables.len() as u64;
        for (&pfn, &count) in books.references.iter().chain(&books.tables) {
            let found = self.frames.references(super::frames::Pfn(pfn));
            if found != count {
                return Err(format!("frame {pfn:#x} has {found} references, not {count}"));
            }
        }
        in_use += books.references.len() as u64;
        let expected = self.frames_at_start - in_use;
        if self.frames.free() != expected {
            return Err(format!("{} frames are free, not {expected}", self.frames.free()));
        }
        let slots = books.slots.len() as u64;
        if slots != self.swap_pages_in_use() {
            return Err(format!("{} slots are in use, not {slots}", self.swap_pages_in_use()));
        }
        Ok(())
    }

    /// Counts what a table and those below it refer to; each table once. Returns the resident pages under it.
    fn audit_table(&self, table: TableId, level: u32, vpn: u64, books: &mut Books) -> u64 {
        *books.tables.entry(self.tables.pfn(table).0).or_default() += 1;
        let is_new = books.seen.insert(table);
        let mut resident = 0;
        for (index, &entry) in self.tables.entries(table).iter().enumerate() {
            if entry.is_absent() {
                continue;
            }
            let vpn = vpn + ((index as u64) << order_of(level));
            if level > 1 && entry.is_present() && !entry.is_huge() {
                let below = self.tables.table_at(entry, &self.frames);
                if is_new {
                    resident += self.audit_table(below, level - 1, vpn, books);
                } else {
                    resident += self.resident_below(below, level - 1);
                }
                continue;
            }
            resident += resident_of(entry, level);
            if is_new {
                self.audit_leaf(entry, level, vpn, books);
            }
        }
        resident
    }

    fn audit_leaf(&self, entry: Entry, level: u32, vpn: u64, books: &mut Books) {
        if !entry.is_present() {
            *books.slots.entry(entry.pfn().0).or_default() += 1;
            return;
        }
        if entry.pfn() == ZERO_PAGE {
            return;
        }
        let first = frame_in(entry, level, vpn).0;
        for pfn in first..first + (1 << order_of(level)) {
            *books.references.entry(pfn).or_default() += 1;
        }
    }

    fn resident_below(&self, table: TableId, level: u32) -> u64 {
        let below = |&entry: &Entry| {
            if level > 1 && entry.is_present() && !entry.is_huge() {
                self.resident_below(self.tables.table_at(entry, &self.frames), level - 1)
            } else {
                resident_of(entry, level)
            }
        };
        self.tables.entries(table).iter().map(below).sum()
    }
}

fn resident_of(entry: Entry, level: u32) -> u64 {
    if entry.is_present() && entry.pfn() != ZERO_PAGE { 1 << order_of(level) } else { 0 }
}
