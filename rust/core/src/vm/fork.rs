//! fork: a second address space that shows the same pages until one of the two writes.

use super::config::ForkPolicy;
use super::frames::ZERO_PAGE;
use super::page_table::{Chunk, Entry, Place, TableId};
use super::virtual_memory::{OutOfMemory, SpaceId, VirtualMemory, order_of};
use super::work::ForkWork;

impl VirtualMemory {
    /// A child of an address space, and what had to be copied for it. Memory for its tables must be had at once.
    pub fn fork(&mut self, parent: SpaceId) -> Result<(SpaceId, ForkWork), OutOfMemory> {
        let is_on_demand = self.config.fork_policy == ForkPolicy::OnDemand;
        let parent_root = self.space(parent).root;
        let counts = self.tables.count_by_level(parent_root, &self.frames);
        let levels_shared = usize::from(is_on_demand);
        self.reserve(counts[levels_shared..].iter().sum())?;
        let tables_before = self.tables.len();
        let root = self.tables.create(&mut self.frames).expect("frames were reserved");
        let mut work = ForkWork::default();
        let regions: Vec<_> =
            self.space(parent).regions().map(|region| (region.start, region.end, region.object)).collect();
        let mut last_pfn = None;
        for &(start, end, object) in &regions {
            if let Some((object, _)) = object {
                self.objects.retain(object, end - start);
                continue;
            }
            for chunk in self.tables.chunks(parent_root, start, end, &self.frames) {
                match chunk {
                    Chunk::Huge { place, vpn } => self.fork_huge(root, place, vpn, &mut work),
                    Chunk::Table { table, parent, vpn, .. } if is_on_demand => {
                        self.share_table(root, table, parent, vpn, &mut work);
                    }
                    Chunk::Table { table, parent, vpn, from, to } => {
                        let table = self.owned(table, parent);
                        self.fork_table(root, table, vpn, from..to, &mut last_pfn, &mut work);
                    }
                }
            }
        }
        work.tables = (self.tables.len() - tables_before) as u64;
        let resident_pages = if is_on_demand {
            let of_objects = regions.iter().filter(|(_, _, object)| object.is_some());
            let left_out: u64 = of_objects.map(|&(start, end, _)| self.not_shared(parent_root, root, start, end)).sum();
            self.space(parent).resident_pages - left_out
        } else {
            work.resident_pages()
        };
        self.space_mut(parent).recent.clear();
        let mut space = self.space(parent).twin(root);
        space.resident_pages = resident_pages;
        Ok((self.add_space(space), work))
    }

    /// Copies entries of a table of level 1: both sides become read-only, frames and slots gain a reference.
    fn fork_table(
        &mut self,
        root: TableId,
        table: TableId,
        vpn: u64,
        range: std::ops::Range<usize>,
        last_pfn: &mut Option<u64>,
        work: &mut ForkWork,
    ) {
        if self.tables.entries(table)[range.clone()].iter().all(|entry| entry.is_absent()) {
            return;
        }
        let copy = self.tables.place(root, vpn, 1, &mut self.frames).expect("frames were reserved").table;
        let (frames, reclaim) = (&mut self.frames, &mut self.reclaim);
        let mut zero_pages = 0;
        self.tables.transform(table, copy, range, |_, entry| {
            if !entry.is_present() {
                reclaim.as_mut().expect("only swap makes such entries").slots.retain(entry.pfn().0);
                work.swapped += 1;
                return (entry, entry);
            }
            let pfn = entry.pfn().0;
            frames.retain(entry.pfn(), 0);
            zero_pages += u64::from(entry.pfn() == ZERO_PAGE);
            let follows = last_pfn.is_none_or(|last| last.abs_diff(pfn) == 1);
            *last_pfn = Some(pfn);
            match (entry.is_writable(), follows) {
                (false, _) => work.clean += 1,
                (true, true) => work.dirtied += 1,
                (true, false) => work.scattered += 1,
            }
            (entry.read_only(), entry.read_only())
        });
        work.zero_pages += zero_pages;
    }

    fn fork_huge(&mut self, root: TableId, place: Place, vpn: u64, work: &mut ForkWork) {
        let entry = self.tables.entry(place);
        self.frames.retain(entry.pfn(), order_of(place.level));
        work.huge_pages += 1 << order_of(place.level);
        if entry.is_writable() {
            work.huge_dirtied += 1;
        } else {
            work.huge_clean += 1;
        }
        self.tables.set(place, entry.read_only());
        let copy = self.tables.place(root, vpn, place.level, &mut self.frames).expect("frames were reserved");
        self.tables.set(copy, entry.read_only());
    }

    /// Lets a child use a table of its parent until one of them changes it.
    fn share_table(&mut self, root: TableId, table: TableId, parent: Place, vpn: u64, work: &mut ForkWork) {
        let copy = self.tables.place(root, vpn, 2, &mut self.frames);
        // Two regions in the same 2 MiB: the table is there already.
        let Some(copy) = copy.filter(|&copy| self.tables.entry(copy).is_absent()) else { return };
        let shared = self.tables.entry(parent).read_only();
        self.tables.set(parent, shared);
        self.tables.set(copy, shared);
        self.frames.retain(self.tables.pfn(table), 0);
        work.shared_tables += 1;
    }

    /// Pages of a range that are in memory for a parent, in tables that its child does not share.
    fn not_shared(&self, parent_root: TableId, root: TableId, start: u64, end: u64) -> u64 {
        let pages = |chunk| match chunk {
            Chunk::Table { table, vpn, from, to, .. } if self.tables.directory(root, vpn, &self.frames).is_none() => {
                self.tables.entries(table)[from..to].iter().filter(|entry| entry.is_present()).count() as u64
            }
            _ => 0,
        };
        self.tables.chunks(parent_root, start, end, &self.frames).into_iter().map(pages).sum()
    }

    /// Whether the table of level 1 above a page is one that a fork left to be copied.
    pub(super) fn shares_table(&self, root: TableId, vpn: u64) -> bool {
        self.tables.directory(root, vpn, &self.frames).is_some_and(|place| !self.tables.entry(place).is_writable())
    }

    /// Makes the table of level 1 above a page this process's own. Returns whether it had to be copied.
    pub(super) fn own_table(&mut self, root: TableId, vpn: u64) -> Result<bool, OutOfMemory> {
        let Some(place) = self.tables.directory(root, vpn, &self.frames) else { return Ok(false) };
        let table = self.tables.table_at(self.tables.entry(place), &self.frames);
        self.reserve(u64::from(self.is_table_shared(table)))?;
        Ok(self.owned(table, place) != table)
    }

    /// Whether another process points to a table of level 1 too.
    pub(super) fn is_table_shared(&self, table: TableId) -> bool {
        self.frames.references(self.tables.pfn(table)) > 1
    }

    /// The table of level 1 that hangs at a place, copied if others use it too. A frame was reserved.
    pub(super) fn owned(&mut self, table: TableId, parent: Place) -> TableId {
        if !self.is_table_shared(table) {
            self.tables.set(parent, Entry::table(self.tables.pfn(table)));
            return table;
        }
        let copy = self.tables.create(&mut self.frames).expect("a frame was reserved");
        let (frames, reclaim) = (&mut self.frames, &mut self.reclaim);
        self.tables.transform(table, copy, 0..512, |_, entry| {
            if entry.is_present() {
                frames.retain(entry.pfn(), 0);
            } else {
                reclaim.as_mut().expect("only swap makes such entries").slots.retain(entry.pfn().0);
            }
            let entry = if entry.is_present() { entry.read_only() } else { entry };
            (entry, entry)
        });
        self.tables.set(parent, Entry::table(self.tables.pfn(copy)));
        self.tables.release(table, &mut self.frames);
        copy
    }
}
