//! A full MESI directory: which cpus hold a line in their private caches, and which one has modified it (Censier &
//! Feautrier 1978; the states of Papamarcos & Patel 1984).
//!
//! It also tells true from false sharing (after Dubois et al., ISCA 1993): of a line that a cpu lost to another's store it
//! keeps which parts were stored to since. It does nothing to caches: it says what is to be done, and is told what was.
//! Messages, races and directories that are too small are left out.

use super::hash::NumberMap;
use super::owned_lines::{OwnedBy, OwnedLines};
use super::stats::CoherenceStats;

/// A bit for each cpu.
pub type CpuSet = u64;

/// log2 of how many parts of a line are told apart at most.
const PARTS_BITS_MAX: u32 = 6;

/// What is known of one line.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    holders: CpuSet,
    // invariant: empty, or the one holder
    modified: CpuSet,
    // Cpus that lost the line by invalidation and have not asked for it since.
    lost: CpuSet,
}

/// What a reference demands before it is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// These lose all copies.
    pub invalidate: CpuSet,
    /// The copies of this one become clean.
    pub clean: Option<usize>,
    /// The data comes from another cpu's caches.
    pub is_transfer: bool,
    /// The line was shared and is about to be modified.
    pub is_upgrade: bool,
}

/// Who holds what.
pub struct Directory {
    line_bits: u32,
    part_bits: u32,
    entries: NumberMap<u64, Entry>,
    // invariant: one for each bit of each `lost`: the parts of the line that were stored to since.
    stored_since: NumberMap<(u64, u32), u64>,
    // Removals after which a cpu may still hold the line in another cache, or get it there at once.
    unsettled: Vec<(usize, u64)>,
    // A cpu and a line that it holds: one reference fills several of its caches.
    held: Option<(usize, u64)>,
    // invariant: one holder, which has modified them; nobody has lost them
    owned: OwnedLines,
    stats: CoherenceStats,
}

impl Directory {
    /// An empty directory of lines of `1 << line_bits` bytes.
    pub fn new(line_bits: u32, cpus: usize) -> Self {
        Self {
            owned: OwnedLines::new(cpus),
            line_bits,
            part_bits: line_bits.saturating_sub(PARTS_BITS_MAX),
            entries: NumberMap::default(),
            stored_since: NumberMap::default(),
            unsettled: Vec::new(),
            held: None,
            stats: CoherenceStats::default(),
        }
    }

    /// Whether a store of a cpu to a line, if it holds the line, changes and demands nothing. It may be so without being told.
    #[inline(always)]
    pub fn is_owned(&self, cpu: usize, line: u64) -> bool {
        self.owned.of(cpu).contains(line)
    }

    /// The lines of a cpu of which that is so.
    #[inline]
    pub fn owned_by(&self, cpu: usize) -> OwnedBy<'_> {
        self.owned.of(cpu)
    }

    /// What was counted so far.
    pub fn stats(&self) -> CoherenceStats {
        self.stats
    }

    /// The line that an address lies in.
    pub fn line_of(&self, paddr: u64) -> u64 {
        paddr >> self.line_bits
    }

    /// A cpu is about to refer to `bytes` bytes from `paddr` on. Counts, and takes what is demanded as done.
    pub fn before(&mut self, cpu: usize, paddr: u64, bytes: u32, is_store: bool) -> Demands {
        debug_assert!(self.unsettled.is_empty(), "the reference before was settled");
        self.held = None;
        let line = self.line_of(paddr);
        if self.is_owned(cpu, line) {
            return Demands::default();
        }
        let Some(entry) = self.entries.get_mut(&line) else { return Demands::default() };
        let mine = 1 << cpu;
        let others = entry.holders & !mine;
        let is_held = entry.holders & mine != 0;
        if entry.modified & others != 0 {
            self.owned.forget(entry.modified.trailing_zeros() as usize, line);
        }
        let is_transfer = !is_held && entry.modified & others != 0;
        let clean = (is_transfer && !is_store).then(|| entry.modified.trailing_zeros() as usize);
        let invalidate = if is_store { others } else { 0 };
        let is_upgrade = is_store && is_held && others != 0;
        if is_store || clean.is_some() {
            entry.modified &= if is_store { mine } else { 0 };
        }
        entry.holders &= !invalidate;
        let has_lost = entry.lost & mine != 0;
        let still_lost = entry.lost & !mine;
        entry.lost = still_lost | invalidate;
        self.stats.transfers += u64::from(is_transfer);
        self.stats.upgrades += u64::from(is_upgrade);
        self.stats.invalidations += u64::from(invalidate.count_ones());
        if has_lost || (is_store && still_lost | invalidate != 0) {
            self.track_sharing(line, cpu, self.parts(paddr, bytes), is_store, still_lost, invalidate);
        }
        Demands { invalidate, clean, is_transfer, is_upgrade }
    }

    /// Says which kind of sharing a miss on a lost line is, and notes a store for those who have lost the line.
    fn track_sharing(&mut self, line: u64, cpu: usize, parts: u64, is_store: bool, lost: CpuSet, invalidated: CpuSet) {
        if let Some(stored) = self.stored_since.remove(&(line, number(cpu))) {
            self.stats.true_sharing_misses += u64::from(stored & parts != 0);
            self.stats.false_sharing_misses += u64::from(stored & parts == 0);
        }
        if is_store {
            for other in cpus(lost) {
                *self.stored_since.get_mut(&(line, number(other))).expect("the line is lost there") |= parts;
            }
            for other in cpus(invalidated) {
                self.stored_since.insert((line, number(other)), parts);
            }
        }
    }

    /// The parts of a line that `bytes` bytes from `paddr` on touch, as bits; what is beyond the line's end wraps.
    fn parts(&self, paddr: u64, bytes: u32) -> u64 {
        let count = 1u64 << (self.line_bits - self.part_bits);
        let first = paddr >> self.part_bits;
        let touched = (((paddr + u64::from(bytes) - 1) >> self.part_bits) - first + 1).min(count);
        let ones = |count: u64| u64::MAX >> (64 - count);
        let start = first % count;
        let wrapped = if start == 0 { 0 } else { ones(touched) >> (count - start) };
        (ones(touched) << start | wrapped) & ones(count)
    }

    /// A private cache of `cpu` was filled with a line.
    #[inline]
    pub fn note_fill(&mut self, cpu: usize, line: u64) {
        if self.held != Some((cpu, line)) {
            self.held = Some((cpu, line));
            if self.is_owned(cpu, line) {
                return;
            }
            self.entries.entry(line).or_default().holders |= 1 << cpu;
        }
    }

    /// A line left a private cache of `cpu`; [`Directory::settle`] will ask whether it was the last copy.
    #[inline]
    pub fn note_removal(&mut self, cpu: usize, line: u64) {
        self.unsettled.push((cpu, line));
    }

    /// Forgets the holders of lines whose last copy has left. `holds` says whether a cpu has a line in any of its caches.
    pub fn settle(&mut self, holds: impl Fn(usize, u64) -> bool) {
        while let Some((cpu, line)) = self.unsettled.pop() {
            if !holds(cpu, line)
                && let Some(entry) = self.entries.get_mut(&line)
            {
                self.held = None;
                self.owned.forget(cpu, line);
                entry.holders &= !(1 << cpu);
                entry.modified &= !(1 << cpu);
                if entry.holders | entry.lost == 0 {
                    self.entries.remove(&line);
                }
            }
        }
    }

    /// A store is done. All is settled.
    pub fn after_store(&mut self, cpu: usize, paddr: u64) {
        let line = self.line_of(paddr);
        if self.is_owned(cpu, line) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&line)
            && entry.holders & 1 << cpu != 0
        {
            entry.modified = 1 << cpu;
            if entry.lost == 0 {
                self.owned.put(cpu, line);
            }
        }
    }

    /// Cpus that may hold a line: those that do, and some whose last copy has just left.
    fn holders(&self, line: u64) -> CpuSet {
        self.entries.get(&line).map_or(0, |entry| entry.holders)
    }

    /// Cpus that may hold any line of the `bytes` bytes from `paddr` on.
    pub fn holders_within(&self, paddr: u64, bytes: u64) -> CpuSet {
        let lines = self.line_of(paddr)..=self.line_of(paddr + bytes - 1);
        lines.fold(0, |holders, line| holders | self.holders(line))
    }

    /// Whether a prefetch on behalf of `cpu` leaves a line alone: another cpu has it modified or exclusive. All is settled.
    pub fn is_owned_by_another(&self, cpu: usize, line: u64) -> bool {
        let holders = self.holders(line);
        holders.count_ones() == 1 && holders != 1 << cpu
    }

    /// A prefetch has brought a line to `cpu`: if it had lost it, that will be no coherence miss.
    pub fn note_prefetch(&mut self, cpu: usize, line: u64) {
        if let Some(entry) = self.entries.get_mut(&line)
            && entry.lost & 1 << cpu != 0
        {
            entry.lost &= !(1 << cpu);
            self.stored_since.remove(&(line, number(cpu)));
        }
    }
}

/// The cpus of a set.
pub fn cpus(mut set: CpuSet) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let cpu = set.trailing_zeros();
        set &= set.checked_sub(1)?;
        Some(cpu as usize)
    })
}

fn number(cpu: usize) -> u32 {
    u32::try_from(cpu).expect("cpus are at most 64")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reference that leaves the line in the cpu's caches.
    fn refer(directory: &mut Directory, cpu: usize, paddr: u64, bytes: u32, is_store: bool) -> Demands {
        let demands = directory.before(cpu, paddr, bytes, is_store);
        directory.note_fill(cpu, directory.line_of(paddr));
        if is_store {
            directory.after_store(cpu, paddr);
        }
        demands
    }

    fn load(directory: &mut Directory, cpu: usize, paddr: u64) -> Demands {
        refer(directory, cpu, paddr, 4, false)
    }

    fn store(directory: &mut Directory, cpu: usize, paddr: u64) -> Demands {
        refer(directory, cpu, paddr, 4, true)
    }

    #[test]
    fn store_to_a_shared_line_is_an_upgrade_that_invalidates_the_others() {
        let mut d = Directory::new(6, 4);
        (0..3).for_each(|cpu| assert_eq!(load(&mut d, cpu, 64), Demands::default()));
        let demands = store(&mut d, 1, 64);
        assert_eq!(demands, Demands { invalidate: 0b101, is_upgrade: true, ..Demands::default() });
        assert_eq!(d.holders(1), 0b010);
        assert_eq!(store(&mut d, 1, 64), Demands::default());
        assert_eq!((d.stats.invalidations, d.stats.upgrades, d.stats.transfers), (2, 1, 0));
    }

    #[test]
    fn load_of_a_modified_line_is_a_transfer_that_leaves_it_clean() {
        let mut d = Directory::new(6, 4);
        store(&mut d, 0, 64);
        assert_eq!(load(&mut d, 1, 64), Demands { is_transfer: true, clean: Some(0), ..Demands::default() });
        assert_eq!(load(&mut d, 2, 64), Demands::default());
        assert_eq!(d.stats.transfers, 1);
    }

    #[test]
    fn store_to_a_line_modified_elsewhere_is_a_transfer_and_no_upgrade() {
        let mut d = Directory::new(6, 4);
        store(&mut d, 0, 64);
        assert_eq!(store(&mut d, 1, 64), Demands { is_transfer: true, invalidate: 1, ..Demands::default() });
        assert_eq!(store(&mut d, 0, 64), Demands { is_transfer: true, invalidate: 2, ..Demands::default() });
        assert_eq!((d.stats.invalidations, d.stats.upgrades), (2, 0));
    }

    #[test]
    fn load_of_an_exclusive_line_is_no_transfer() {
        let mut d = Directory::new(6, 4);
        load(&mut d, 0, 64);
        assert!(d.is_owned_by_another(1, 1) && !d.is_owned_by_another(0, 1));
        assert_eq!(load(&mut d, 1, 64), Demands::default());
        assert!(!d.is_owned_by_another(2, 1));
    }

    #[test]
    fn miss_is_true_sharing_if_it_touches_bytes_stored_to_since() {
        let mut d = Directory::new(6, 4);
        for (paddr, truly, falsely) in [(64, 1, 0), (72, 1, 0), (68, 0, 1), (80, 0, 1)] {
            load(&mut d, 0, 64);
            store(&mut d, 1, 64);
            store(&mut d, 1, 72);
            let before = d.stats;
            load(&mut d, 0, paddr);
            let counted = d.stats.since(&before);
            assert_eq!((counted.true_sharing_misses, counted.false_sharing_misses), (truly, falsely), "{paddr}");
        }
        assert!(d.stored_since.is_empty());
    }

    #[test]
    fn loss_is_counted_once_and_forgotten_with_a_prefetch() {
        let mut d = Directory::new(6, 4);
        load(&mut d, 0, 64);
        store(&mut d, 1, 64);
        d.note_prefetch(0, 1);
        load(&mut d, 0, 64);
        load(&mut d, 0, 64);
        assert_eq!((d.stats.true_sharing_misses, d.stats.false_sharing_misses), (0, 0));
    }

    #[test]
    fn line_whose_last_copy_has_left_is_held_and_modified_no_more() {
        let mut d = Directory::new(6, 4);
        store(&mut d, 0, 64);
        d.note_removal(0, 1);
        d.settle(|_, _| true);
        assert_eq!(d.holders(1), 1);
        d.note_removal(0, 1);
        d.settle(|_, _| false);
        assert_eq!(load(&mut d, 1, 64), Demands::default());
        assert_eq!(d.entries.len(), 1);
    }

    #[test]
    fn modified_line_is_owned_until_others_want_it_or_it_leaves() {
        let mut d = Directory::new(6, 4);
        store(&mut d, 0, 64);
        assert!(d.is_owned(0, 1) && !d.is_owned(1, 1));
        load(&mut d, 1, 64);
        assert!(!d.is_owned(0, 1));
        // Cpu 1 has lost it: what is stored from now on matters to it.
        store(&mut d, 0, 64);
        assert!(!d.is_owned(0, 1));
        store(&mut d, 2, 128);
        d.note_removal(2, 2);
        d.settle(|_, _| false);
        assert!(!d.is_owned(2, 2));
    }

    #[test]
    fn parts_of_long_lines_are_several_bytes_each() {
        let d = Directory::new(8, 4);
        assert_eq!(d.parts(0, 4), 0b1);
        assert_eq!(d.parts(256 + 7, 2), 0b110);
        assert_eq!(d.parts(255, 1), 1 << 63);
        assert_eq!(d.parts(0, 256), u64::MAX);
    }

    #[test]
    fn parts_of_short_lines_are_bytes_and_wrap() {
        let d = Directory::new(4, 4);
        assert_eq!(d.parts(17, 3), 0b1110);
        assert_eq!(d.parts(31, 2), 0x8001);
        assert_eq!(d.parts(16, 64), 0xffff);
    }
}
