//! The memory system of a machine, one reference at a time: translation, coherence, caches, prefetchers.
//!
//! Everything that `docs/memory-model.md` says of a reference is here; how a trace is cut into references, what is counted
//! apart and how latencies become cycles of the whole is the replay's. References follow one another: nothing of one is
//! left when the next begins, but for the arrival of prefetched lines.

mod coherence;
mod hit;
mod hits;
mod levels;
mod near;
mod requests;
#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod tests;

use super::causes::Causes;
use super::config::{MachineConfig, PageSize};
use super::page::PageSizes;
use super::page_table::PageTable;
use super::page_walk::{TablePath, Walk, Walker, leaf_level, tables};
use super::stats::{LevelStats, MemoryStats, PageWalkStats};
use super::tlb::{Translated, Translation};
use crate::trace::batch::AccessKind;
use levels::Levels;
use requests::Request;

pub use super::page::PageRange;
pub use hits::Hits;

/// One piece of an access, within one line of the first cache on its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Virtual address, below 2^63.
    pub vaddr: u64,
    /// Bytes from there on; 0 counts as 1.
    pub bytes: u32,
    /// Load, store or fetch.
    pub kind: AccessKind,
    /// The cpu that makes it, below the machine's number.
    pub cpu: u32,
    /// Its address space.
    pub asid: u32,
    /// Address of the instruction; 0 if unknown.
    pub ip: u64,
}

/// A translation that somebody else has: page tables of an operating system in simulated frames.
///
/// Under nested paging its addresses are guest-physical, and the machine's host backs them where they are touched.
pub struct Mapping<'a, P> {
    /// Where the reference's first byte lies.
    pub paddr: u64,
    /// Size of the page.
    pub page_size: PageSize,
    /// The entries on the way to the page, for a walk.
    pub path: &'a P,
}

/// What became of a reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Cycles from issue to use, translation included.
    pub latency_cycles: u64,
    /// Of these, cycles until the address was translated.
    pub translation_cycles: u64,
    /// Whether there was a page walk.
    pub walked: bool,
    /// Bit `i` is set if cache `i` of the machine's list missed on demand; see [`MemorySystem::missed_again`].
    pub missed: u32,
    /// Why they missed; empty unless causes are tracked ([`MemorySystem::track_causes`]).
    pub causes: Causes,
}

/// A page was touched for the first time and physical memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Frames of 4 KiB that pages take.
    pub frames: u64,
}

/// Everything between the cpus of a machine and its memory.
pub struct MemorySystem {
    levels: Levels,
    translation: Option<Translation>,
    page_table: Option<PageTable>,
    walker: Option<Walker>,
    start_cycles: u64,
    walk_cycles: u64,
    // TLB entries are of pages no larger than the host's.
    tlb_page_size_max: PageSize,
    page_sizes: PageSizes,
    // Whether anything asks for the time.
    has_clock: bool,
    dependent: bool,
    mlp: u64,
    references: u64,
    fetches: u64,
    latency_cycles: u64,
}

impl MemorySystem {
    /// Builds a machine whose configuration was checked, with everything empty. The first of `ranges` that contains an
    /// address says its page size, else the machine does. `dependent` says whether accesses wait for one another: arrivals
    /// of prefetched lines depend on the clock.
    pub fn new(machine: &MachineConfig, ranges: &[PageRange], dependent: bool, seed: u64) -> Self {
        let page_sizes = PageSizes::new(ranges, machine.page_size);
        let pages = page_sizes.in_use();
        let levels = Levels::new(machine, seed);
        Self {
            has_clock: levels.levels.iter().any(|level| level.cache.rules.is_prefetching),
            levels,
            translation: Translation::new(machine, seed),
            page_table: PageTable::new(machine, &pages, seed),
            walker: Walker::new(machine),
            start_cycles: machine.page_walk.as_ref().map_or(0, |walk| walk.start_cycles.into()),
            walk_cycles: 0,
            tlb_page_size_max: machine.tlb_page_size(PageSize::Size1G),
            page_sizes,
            dependent,
            mlp: u64::from(machine.mlp),
            references: 0,
            fetches: 0,
            latency_cycles: 0,
        }
    }

    /// Simulates a reference.
    ///
    /// # Errors
    /// The reference touches a page for the first time, and no frame is left for it.
    pub fn access(&mut self, reference: &Reference) -> Result<Outcome, OutOfMemory> {
        let &Reference { vaddr, .. } = reference;
        debug_assert!(vaddr >> 63 == 0, "addresses lie below 2^63");
        if self.translation.is_none() && self.page_table.is_none() {
            self.begin(reference.cpu, false);
            return Ok(self.refer(reference, Translated::default(), vaddr));
        }
        let (translated, paddr) = self.translate(reference)?;
        self.begin(reference.cpu, false);
        Ok(self.refer(reference, translated, paddr))
    }

    /// Simulates a reference whose translation is supplied: TLBs and walks are those of this machine, tables are not.
    ///
    /// # Errors
    /// Under nested paging, the host has no frame left for what is touched for the first time.
    pub fn access_mapped<P: TablePath>(
        &mut self,
        reference: &Reference,
        mapping: &Mapping<'_, P>,
    ) -> Result<Outcome, OutOfMemory> {
        match self.known_hit(reference, mapping.paddr, mapping.page_size) {
            Some(outcome) => Ok(outcome),
            None => self.access_searched(reference, mapping),
        }
    }

    /// The same, of a reference that [`Hits::take`] has refused.
    ///
    /// # Errors
    /// As of [`MemorySystem::access_mapped`].
    pub fn access_searched<P: TablePath>(
        &mut self,
        reference: &Reference,
        mapping: &Mapping<'_, P>,
    ) -> Result<Outcome, OutOfMemory> {
        let &Mapping { paddr: place, page_size, path } = mapping;
        let mut translated = self.look_up(reference, page_size);
        let paddr = self.back(place)?;
        if translated.walked && self.walker.is_some() {
            let levels = self.walker.as_ref().map_or(0, Walker::levels);
            for level in leaf_level(page_size)..=levels {
                self.back(path.entry_paddr(level))?;
            }
            translated.latency_cycles += self.walk(reference, page_size, place, Some(path));
        }
        self.begin(reference.cpu, false);
        Ok(self.refer(reference, translated, paddr))
    }

    /// Simulates an access of the kernel to data of its own: no translation and no TLB, but coherence and caches. The address
    /// is physical, and the host's under nested paging; it may lie beyond the machine's memory.
    pub fn access_physical(&mut self, cpu: u32, paddr: u64, kind: AccessKind) -> Outcome {
        debug_assert!(paddr >> 63 == 0, "addresses lie below 2^63");
        let reference = Reference { vaddr: paddr, bytes: 1, kind, cpu, asid: 0, ip: 0 };
        self.begin(cpu, true);
        self.refer(&reference, Translated::default(), paddr)
    }

    /// From now on outcomes tell why references missed. What the caches hold by then is nobody's. Nothing else changes: with
    /// or without it, latencies and counters are the same. Costs 8 bytes a line of each cache, and 16 a line that ever left it.
    pub fn track_causes(&mut self) {
        self.levels.track_causes();
    }

    /// Tells who runs on a cpu from now on: whose accesses the next ones are, for the causes of misses. `u32::MAX` is the
    /// kernel, whose also the accesses of [`MemorySystem::access_physical`] are, whoever runs, and which runs on all cpus in
    /// the beginning. Any other thread runs on one cpu at a time. Does nothing unless causes are tracked.
    pub fn set_thread(&mut self, cpu: u32, thread: u32) {
        if let Some(tracking) = &mut self.levels.tracking {
            tracking.set_thread(cpu as usize, thread);
        }
    }

    /// Who replaced whose lines: victim, evictor, and how many lines the victim then missed, over all levels of caches. At
    /// most 4096 pairs, in the order of their numbers; nothing unless causes are tracked.
    pub fn pollution_matrix(&self) -> impl Iterator<Item = (u32, u32, u64)> + use<> {
        self.levels.tracking.as_ref().map(|tracking| tracking.pollution().0).into_iter().flatten()
    }

    /// What pairs have counted that the matrix has no room for.
    pub fn pollution_beyond(&self) -> u64 {
        self.levels.tracking.as_ref().map_or(0, |tracking| tracking.pollution().1)
    }

    /// Drops the translation of the page of that size around `vaddr` from the TLBs of a cpu, and what its structure caches
    /// hold of the address space, as `invlpg` does.
    pub fn invalidate_page(&mut self, cpu: u32, asid: u32, vaddr: u64, page_size: PageSize) {
        if let Some(translation) = &mut self.translation {
            translation.invalidate_page(cpu as usize, vaddr, page_size.bits(), asid);
        }
        if let Some(walker) = &mut self.walker {
            walker.invalidate_asid(cpu as usize, asid);
        }
    }

    /// Drops all translations of an address space from the TLBs and structure caches of a cpu.
    pub fn invalidate_asid(&mut self, cpu: u32, asid: u32) {
        if let Some(translation) = &mut self.translation {
            translation.invalidate_asid(cpu as usize, asid);
        }
        if let Some(walker) = &mut self.walker {
            walker.invalidate_asid(cpu as usize, asid);
        }
    }

    /// Empties the TLBs and structure caches of a cpu, shared TLBs included; the host's are kept.
    pub fn invalidate_all(&mut self, cpu: u32) {
        if let Some(translation) = &mut self.translation {
            translation.invalidate_all(cpu as usize);
        }
        if let Some(walker) = &mut self.walker {
            walker.invalidate_all(cpu as usize);
        }
    }

    /// Lets the causes of misses know whose reference comes.
    #[inline(always)]
    fn begin(&mut self, cpu: u32, is_kernel: bool) {
        if let Some(tracking) = &mut self.levels.tracking {
            tracking.begin(cpu as usize, is_kernel);
        }
    }

    /// A reference that is translated, through coherence and caches.
    #[inline]
    fn refer(&mut self, reference: &Reference, translated: Translated, paddr: u64) -> Outcome {
        let &Reference { bytes, kind, cpu, ip, .. } = reference;
        let cpu = cpu as usize;
        let is_fetch = kind == AccessKind::Fetch;
        if let Some(latency_cycles) = self.levels.quiet_hit(cpu, paddr, kind) {
            let latency_cycles = translated.latency_cycles + latency_cycles;
            self.references += 1;
            self.fetches += u64::from(is_fetch);
            self.latency_cycles += latency_cycles;
            let Translated { latency_cycles: translation_cycles, walked } = translated;
            return Outcome { latency_cycles, translation_cycles, walked, ..Outcome::default() };
        }
        let clock = if self.has_clock { self.clock() } else { 0 };
        let request = Request { paddr, ip, cpu, clock, is_transfer: false, missed: 0, causes: Causes::default() };
        let (latency_cycles, missed, causes) = self.levels.reference(request, bytes.max(1), kind);
        let latency_cycles = translated.latency_cycles + latency_cycles;
        self.references += 1;
        self.fetches += u64::from(is_fetch);
        self.latency_cycles += latency_cycles;
        let Translated { latency_cycles: translation_cycles, walked } = translated;
        Outcome { latency_cycles, translation_cycles, walked, missed, causes }
    }

    /// Levels that the last reference missed at once more than [`Outcome::missed`] tells: one item for each time.
    ///
    /// A store that is sent on can miss at a level that the same store has asked for the line before: at an exclusive
    /// level, or where a prefetch took the line's place in between.
    pub fn missed_again(&self) -> &[u8] {
        &self.levels.missed_again
    }

    /// What was counted since the machine was built.
    pub fn stats(&self) -> MemoryStats {
        let mut levels = vec![Vec::new(); self.levels.first.len()];
        for level in &self.levels.levels {
            let of_cpu: &mut Vec<LevelStats> = &mut levels[level.cpu.unwrap_or(0)];
            let mut stats = level.cache.stats;
            stats.misses = stats.read_misses + stats.write_misses;
            of_cpu.resize(level.place.into(), LevelStats::default());
            of_cpu.push(stats);
        }
        let places = levels[0].len();
        levels.iter_mut().for_each(|of_cpu| of_cpu.resize(places, LevelStats::default()));
        let walks = self.walker.as_ref().map(|walker| {
            let reads_from_other_cpus = self.levels.walk_transfers;
            let walks = PageWalkStats { reads_from_other_cpus, walk_cycles: self.walk_cycles, ..walker.stats() };
            walks.with_levels(&levels)
        });
        MemoryStats {
            walks,
            references: self.references,
            fetches: self.fetches,
            latency_cycles: self.latency_cycles,
            page_walks: self.translation.as_ref().map_or(0, Translation::page_walks),
            levels,
            tlbs: self.translation.as_ref().map_or_else(Vec::new, Translation::stats),
            coherence: self.levels.directory.as_ref().map(|directory| directory.stats()).unwrap_or_default(),
        }
    }

    /// Cycles that have gone by.
    fn clock(&self) -> u64 {
        if self.dependent { self.latency_cycles } else { self.references.max(self.latency_cycles / self.mlp) }
    }

    fn translate(&mut self, reference: &Reference) -> Result<(Translated, u64), OutOfMemory> {
        let &Reference { vaddr, asid, .. } = reference;
        let size: PageSize = self.page_sizes.at(vaddr);
        let mut translated = self.look_up(reference, size);
        let Some(table) = &mut self.page_table else { return Ok((translated, vaddr)) };
        let place = table.paddr(vaddr, size, asid);
        let (Some(place), Some(paddr)) = (place, place.and_then(|place| table.spaces.back(place))) else {
            return Err(OutOfMemory { frames: table.frames_in_use() });
        };
        if translated.walked && self.walker.is_some() {
            translated.latency_cycles += self.walk::<tables::Path<'_>>(reference, size, place, None);
        }
        Ok((translated, paddr))
    }

    /// Asks the TLBs for a page of that size.
    #[inline]
    fn look_up(&mut self, reference: &Reference, size: PageSize) -> Translated {
        let &Reference { vaddr, kind, cpu, asid, .. } = reference;
        let Some(translation) = &mut self.translation else { return Translated::default() };
        let size = size.min(self.tlb_page_size_max);
        translation.translate(cpu as usize, kind == AccessKind::Fetch, vaddr, size, asid)
    }

    /// The physical address of a place that may be guest-physical.
    fn back(&mut self, place: u64) -> Result<u64, OutOfMemory> {
        let Some(table) = &mut self.page_table else { return Ok(place) };
        table.spaces.back(place).ok_or_else(|| OutOfMemory { frames: table.frames_in_use() })
    }

    /// A walk through the caches, by somebody else's tables or by this machine's own. Returns its cycles.
    fn walk<P: TablePath>(&mut self, reference: &Reference, size: PageSize, paddr: u64, path: Option<&P>) -> u64 {
        let &Reference { vaddr, cpu, asid, .. } = reference;
        let cpu = cpu as usize;
        let walker = self.walker.as_mut().expect("walks read tables here");
        let spaces = &self.page_table.as_ref().expect("tables have places").spaces;
        walker.note_switches(cpu, self.translation.as_ref().map_or(0, |translation| translation.switches(cpu)));
        let walk = Walk { cpu, asid, vaddr, leaf: leaf_level(size), paddr };
        let mut cycles = self.start_cycles;
        let levels = &mut self.levels;
        let mut read = |paddr| cycles += levels.walk_read(cpu, paddr);
        match path {
            Some(path) => walker.walk(walk, path, spaces.host(), &mut read),
            None => walker.walk(walk, &spaces.path(vaddr, asid), spaces.host(), &mut read),
        }
        self.walk_cycles += cycles;
        cycles
    }
}

impl Levels {
    /// A reference of a cpu that is no [quiet hit](Self::quiet_hit). Returns its latency, the levels that missed, and why.
    fn reference(&mut self, mut request: Request, bytes: u32, kind: AccessKind) -> (u64, u32, Causes) {
        let (cpu, paddr) = (request.cpu, request.paddr);
        let is_store = kind == AccessKind::Write;
        self.missed_again.clear();
        let first = self.first[cpu][usize::from(kind == AccessKind::Fetch)];
        let mut upgrade_cycles = 0;
        if self.directory.is_some() {
            // A quiet level was asked before, and does not have what is read.
            let is_absent = self.levels.get(first).is_some_and(|level| level.is_quiet);
            if is_store || is_absent || !self.may_read(first, paddr) {
                (request.is_transfer, upgrade_cycles) = self.before_reference(cpu, paddr, bytes, is_store);
            }
        }
        let latency_cycles = if is_store {
            self.store(first, &mut request, true)
        } else {
            self.read_or_write(first, false, &mut request).latency_cycles
        };
        if self.directory.is_some() {
            self.after_reference(cpu, paddr, is_store);
        }
        (latency_cycles + upgrade_cycles, request.missed, request.causes)
    }
}
