//! Radix page tables: real 8-byte entries, each table in a simulated frame of its own.
//!
//! Knows entries and tables, nothing of regions, faults or what an entry means to the kernel. Frames of pages are counted by
//! who sets the entries; frames of tables are counted here.

mod entry;

pub use entry::Entry;

use super::frames::{Frames, Pfn};

/// log2 of the entries of a table.
pub const INDEX_BITS: u32 = 9;

/// Entries of a table.
pub const ENTRIES: usize = 1 << INDEX_BITS;

/// Index of a table in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(u32);

/// One entry's place. Level 1 is that of 4 KiB pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The table.
    pub table: TableId,
    /// Which of its entries.
    pub index: usize,
    /// Its level.
    pub level: u32,
}

/// What lies in a part of a range of pages.
#[derive(Clone, Copy, Debug)]
pub enum Chunk {
    /// Some entries of a table of level 1.
    Table {
        /// The table.
        table: TableId,
        /// Where the table hangs.
        parent: Place,
        /// The page of its entry `from`.
        vpn: u64,
        /// The first entry of the range.
        from: usize,
        /// The one behind the last.
        to: usize,
    },
    /// A huge entry of which the range covers a part or all.
    Huge {
        /// The entry.
        place: Place,
        /// The first page that it maps.
        vpn: u64,
    },
}

#[derive(Debug)]
struct Table {
    entries: [Entry; ENTRIES],
    used: u32,
    pfn: Pfn,
}

/// The tables of all address spaces.
#[derive(Debug)]
pub struct PageTables {
    tables: Vec<Box<Table>>,
    unused: Vec<TableId>,
    levels: u32,
}

impl PageTables {
    /// No tables. `levels` is 4 or 5.
    pub fn new(levels: u32) -> Self {
        Self { tables: Vec::new(), unused: Vec::new(), levels }
    }

    /// Levels of a tree.
    pub fn levels(&self) -> u32 {
        self.levels
    }

    /// Tables that exist.
    pub fn len(&self) -> usize {
        self.tables.len() - self.unused.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new, empty table with one reference, or nothing if memory is full.
    pub fn create(&mut self, frames: &mut Frames) -> Option<TableId> {
        let pfn = frames.allocate(0)?;
        frames.retain(pfn, 0);
        let table = Box::new(Table { entries: [Entry::ABSENT; ENTRIES], used: 0, pfn });
        let id = match self.unused.pop() {
            Some(id) => {
                self.tables[id.0 as usize] = table;
                id
            }
            None => {
                self.tables.push(table);
                TableId(u32::try_from(self.tables.len() - 1).expect("fewer tables than frames"))
            }
        };
        frames.set_contents(pfn, u64::from(id.0));
        Some(id)
    }

    /// Takes a reference from a table; with the last one the table goes. Its entries are the caller's affair.
    pub fn release(&mut self, table: TableId, frames: &mut Frames) -> bool {
        let is_gone = frames.release(self.get(table).pfn, 0);
        if is_gone {
            self.unused.push(table);
        }
        is_gone
    }

    /// The frame that the table is in.
    pub fn pfn(&self, table: TableId) -> Pfn {
        self.get(table).pfn
    }

    /// The table that an entry of a higher level points to.
    pub fn table_at(&self, entry: Entry, frames: &Frames) -> TableId {
        debug_assert!(entry.is_present() && !entry.is_huge(), "only such an entry points to a table");
        TableId(u32::try_from(frames.contents(entry.pfn())).expect("the frame of a table holds its index"))
    }

    /// All entries of a table.
    pub fn entries(&self, table: TableId) -> &[Entry; ENTRIES] {
        &self.get(table).entries
    }

    /// A page's entry in its table of level 1, to be changed but not made absent, nor present.
    #[inline(always)]
    pub(super) fn entry_mut(&mut self, table: TableId, vpn: u64) -> &mut Entry {
        &mut self.tables[table.0 as usize].entries[index_of(vpn, 1)]
    }

    /// Entries of a table that are not absent.
    pub fn used(&self, table: TableId) -> u32 {
        self.get(table).used
    }

    /// Copies a table's entries from one of another, which is changed by `f` on the way: it returns what stays and what
    /// the copy gets.
    pub fn transform(
        &mut self,
        from: TableId,
        to: TableId,
        range: std::ops::Range<usize>,
        mut f: impl FnMut(usize, Entry) -> (Entry, Entry),
    ) {
        assert_ne!(from, to, "a table is not copied to itself");
        let [source, target] =
            self.tables.get_disjoint_mut([from.0 as usize, to.0 as usize]).expect("two tables of the arena");
        for index in range {
            let entry = source.entries[index];
            if entry.is_absent() {
                continue;
            }
            debug_assert!(target.entries[index].is_absent(), "a copy goes to an empty place");
            let (stays, copy) = f(index, entry);
            debug_assert!(!stays.is_absent(), "copying takes nothing away");
            source.entries[index] = stays;
            target.used += u32::from(!copy.is_absent());
            target.entries[index] = copy;
        }
    }

    /// The entry at a place.
    pub fn entry(&self, place: Place) -> Entry {
        self.get(place.table).entries[place.index]
    }

    /// Changes the entry at a place.
    pub fn set(&mut self, place: Place, entry: Entry) {
        let table = &mut self.tables[place.table.0 as usize];
        let old = std::mem::replace(&mut table.entries[place.index], entry);
        table.used = table.used + u32::from(old.is_absent()) - u32::from(entry.is_absent());
    }

    /// Goes down from the root as far as there are tables: to a leaf, or to the entry where the page is missing.
    pub fn find(&self, root: TableId, vpn: u64, frames: &Frames) -> Place {
        let mut place = Place { table: root, index: index_of(vpn, self.levels), level: self.levels };
        loop {
            let entry = self.entry(place);
            if place.level == 1 || !entry.is_present() || entry.is_huge() {
                return place;
            }
            let level = place.level - 1;
            place = Place { table: self.table_at(entry, frames), index: index_of(vpn, level), level };
        }
    }

    /// The entry of level 2 that points to the table of level 1 above a page, if there is such a table.
    pub fn directory(&self, root: TableId, vpn: u64, frames: &Frames) -> Option<Place> {
        let mut table = root;
        for level in (2..=self.levels).rev() {
            let place = Place { table, index: index_of(vpn, level), level };
            let entry = self.entry(place);
            if !entry.is_present() || entry.is_huge() {
                return None;
            }
            if level == 2 {
                return Some(place);
            }
            table = self.table_at(entry, frames);
        }
        None
    }

    /// The physical addresses of the entries that a walk reads, from the root to where it ends.
    pub fn walk(&self, root: TableId, vpn: u64, frames: &Frames) -> Vec<u64> {
        let end = self.find(root, vpn, frames);
        (end.level..=self.levels).rev().map(|level| self.entry_paddr(root, vpn, level, frames)).collect()
    }

    /// The physical address of the entry of that level on the way to a page; a walk must get that far.
    pub fn entry_paddr(&self, root: TableId, vpn: u64, level: u32, frames: &Frames) -> u64 {
        let mut table = root;
        for above in (level + 1..=self.levels).rev() {
            table = self.table_at(self.get(table).entries[index_of(vpn, above)], frames);
        }
        (self.pfn(table).0 << super::frames::FRAME_BITS) + index_of(vpn, level) as u64 * 8
    }

    /// The place of a page's entry at `level`, with the tables above it made where they are missing. Nothing if memory
    /// is full: tables made by then stay. No huge entry may be in the way.
    pub fn place(&mut self, root: TableId, vpn: u64, level: u32, frames: &mut Frames) -> Option<Place> {
        loop {
            let place = self.find(root, vpn, frames);
            if place.level <= level {
                return (place.level == level).then_some(place);
            }
            assert!(self.entry(place).is_absent(), "a huge entry is split before pages in it are mapped");
            let table = self.create(frames)?;
            self.set(place, Entry::table(self.pfn(table)));
        }
    }

    /// Frees the tables on the way to a page that have become empty; the root stays. Returns how many.
    pub fn prune(&mut self, root: TableId, vpn: u64, frames: &mut Frames) -> u32 {
        let mut freed = 0;
        loop {
            let (mut parent, mut table) = (None, root);
            for level in (2..=self.levels).rev() {
                let place = Place { table, index: index_of(vpn, level), level };
                let entry = self.entry(place);
                if !entry.is_present() || entry.is_huge() {
                    break;
                }
                parent = Some(place);
                table = self.table_at(entry, frames);
            }
            let Some(parent) = parent.filter(|_| self.get(table).used == 0) else { return freed };
            self.set(parent, Entry::ABSENT);
            self.release(table, frames);
            freed += 1;
        }
    }

    /// What lies in the pages from `start` to before `end`, in order. What is absent is left out.
    pub fn chunks(&self, root: TableId, start: u64, end: u64, frames: &Frames) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        self.collect(root, self.levels, 0, start..end, frames, &mut chunks);
        chunks
    }

    fn collect(
        &self,
        table: TableId,
        level: u32,
        base: u64,
        range: std::ops::Range<u64>,
        frames: &Frames,
        chunks: &mut Vec<Chunk>,
    ) {
        let shift = INDEX_BITS * (level - 1);
        let first = range.start.saturating_sub(base) >> shift;
        let last = ((range.end - base).div_ceil(1 << shift)).min(ENTRIES as u64);
        for index in first..last {
            let vpn = base + (index << shift);
            let place = Place { table, index: to_index(index), level };
            let entry = self.entry(place);
            if !entry.is_present() {
                continue;
            }
            if entry.is_huge() {
                chunks.push(Chunk::Huge { place, vpn });
            } else if level == 2 {
                let from = range.start.max(vpn);
                let to = range.end.min(vpn + ENTRIES as u64);
                let table = self.table_at(entry, frames);
                chunks.push(Chunk::Table {
                    table,
                    parent: place,
                    vpn: from,
                    from: to_index(from - vpn),
                    to: to_index(to - vpn),
                });
            } else {
                self.collect(self.table_at(entry, frames), level - 1, vpn, range.clone(), frames, chunks);
            }
        }
    }

    /// Tables under a root by level, from level 1 upwards, the root included. Shared ones count for each who shares.
    pub fn count_by_level(&self, root: TableId, frames: &Frames) -> Vec<u64> {
        let mut counts = vec![0; self.levels as usize];
        self.count_below(root, self.levels, frames, &mut counts);
        counts
    }

    fn count_below(&self, table: TableId, level: u32, frames: &Frames, counts: &mut [u64]) {
        counts[level as usize - 1] += 1;
        if level > 1 {
            for &entry in self.entries(table).iter().filter(|entry| entry.is_present() && !entry.is_huge()) {
                self.count_below(self.table_at(entry, frames), level - 1, frames, counts);
            }
        }
    }

    fn get(&self, table: TableId) -> &Table {
        &self.tables[table.0 as usize]
    }
}

/// Which entry of a table of that level is on the way to a page.
pub fn index_of(vpn: u64, level: u32) -> usize {
    to_index(vpn >> (INDEX_BITS * (level - 1)) & (ENTRIES as u64 - 1))
}

fn to_index(index: u64) -> usize {
    usize::try_from(index).expect("at most 512")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::frames::FramePlacement;

    fn tree(levels: u32) -> (Frames, PageTables, TableId) {
        let mut frames = Frames::new(4096, FramePlacement::Contiguous, 0);
        let mut tables = PageTables::new(levels);
        let root = tables.create(&mut frames).unwrap();
        (frames, tables, root)
    }

    #[test]
    fn page_is_found_where_it_was_put() {
        for levels in [4, 5] {
            let (mut frames, mut tables, root) = tree(levels);
            let vpn = 0x7_1234_5678;
            let place = tables.place(root, vpn, 1, &mut frames).unwrap();
            tables.set(place, Entry::leaf(Pfn(77), false));
            assert_eq!(tables.find(root, vpn, &frames), place);
            assert_eq!(tables.entry(place).pfn(), Pfn(77));
            assert_eq!(tables.len(), levels as usize);
            assert_eq!(tables.walk(root, vpn, &frames).len(), levels as usize);
            assert_eq!(tables.find(root, vpn + (1 << 18), &frames).level, 3);
            assert_eq!(tables.count_by_level(root, &frames), vec![1; levels as usize]);
        }
    }

    #[test]
    fn empty_tables_go() {
        let (mut frames, mut tables, root) = tree(4);
        let free = frames.free();
        let place = tables.place(root, 5, 1, &mut frames).unwrap();
        tables.set(place, Entry::leaf(Pfn(77), false));
        assert_eq!(tables.prune(root, 5, &mut frames), 0);
        tables.set(place, Entry::ABSENT);
        assert_eq!(tables.prune(root, 5, &mut frames), 3);
        assert_eq!((tables.len(), frames.free()), (1, free));
    }

    #[test]
    fn range_is_cut_at_tables() {
        let (mut frames, mut tables, root) = tree(4);
        for vpn in [510, 511, 512, 2048] {
            let place = tables.place(root, vpn, 1, &mut frames).unwrap();
            tables.set(place, Entry::leaf(Pfn(vpn), false));
        }
        let huge = tables.place(root, 1024, 2, &mut frames).unwrap();
        tables.set(huge, Entry::leaf(Pfn(512), true));
        let cut = |start, end| -> Vec<(u64, usize, usize)> {
            tables
                .chunks(root, start, end, &frames)
                .iter()
                .map(|&chunk| match chunk {
                    Chunk::Table { vpn, from, to, .. } => (vpn, from, to),
                    Chunk::Huge { vpn, .. } => (vpn, 0, 0),
                })
                .collect()
        };
        assert_eq!(cut(511, 600), [(511, 511, 512), (512, 0, 88)]);
        assert_eq!(cut(1030, 2049), [(1024, 0, 0), (2048, 0, 1)]);
    }
}
