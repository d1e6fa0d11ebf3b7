//! The memory system of a machine, one reference at a time: translation, coherence, caches, prefetchers.
//!
//! Everything that `docs/memory-model.md` says of a reference is here; how a trace is cut into references, what is counted
//! apart and how latencies become cycles of the whole is the replay's. References follow one another: nothing of one is
//! left when the next begins, but for the arrival of prefetched lines.

mod coherence;
mod levels;
mod requests;
#[cfg(test)]
mod tests;

use super::config::{MachineConfig, PageSize};
use super::page::PageSizes;
use super::page_table::PageTable;
use super::stats::{LevelStats, MemoryStats};
use super::tlb::{Translated, Translation};
use crate::trace::batch::AccessKind;
use levels::Levels;
use requests::Request;

pub use super::page::PageRange;

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

/// What became of a reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Cycles from issue to use, translation included.
    pub latency_cycles: u64,
    /// Whether there was a page walk.
    pub walked: bool,
    /// Bit `i` is set if cache `i` of the machine's list missed on demand; see [`MemorySystem::missed_again`].
    pub missed: u32,
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
            page_table: PageTable::new(machine.placement, machine.memory_size.bytes(), &pages, seed),
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
        let &Reference { vaddr, bytes, kind, cpu, asid, ip } = reference;
        debug_assert!(vaddr >> 63 == 0, "addresses lie below 2^63");
        let cpu = cpu as usize;
        let is_fetch = kind == AccessKind::Fetch;
        let (translated, paddr) = if self.translation.is_none() && self.page_table.is_none() {
            (Translated::default(), vaddr)
        } else {
            self.translate(vaddr, cpu, is_fetch, asid)?
        };
        let clock = if self.has_clock { self.clock() } else { 0 };
        let request = Request { paddr, ip, cpu, clock, is_transfer: false, missed: 0 };
        let (latency_cycles, missed) = self.levels.reference(request, bytes.max(1), kind);
        let latency_cycles = translated.latency_cycles + latency_cycles;
        self.references += 1;
        self.fetches += u64::from(is_fetch);
        self.latency_cycles += latency_cycles;
        Ok(Outcome { latency_cycles, walked: translated.walked, missed })
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
        MemoryStats {
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

    fn translate(
        &mut self,
        vaddr: u64,
        cpu: usize,
        is_fetch: bool,
        asid: u32,
    ) -> Result<(Translated, u64), OutOfMemory> {
        let size: PageSize = self.page_sizes.at(vaddr);
        let translated = match &mut self.translation {
            Some(translation) => translation.translate(cpu, is_fetch, vaddr, size, asid),
            None => Translated::default(),
        };
        let paddr = match &mut self.page_table {
            Some(table) => {
                table.paddr(vaddr, size, asid).ok_or_else(|| OutOfMemory { frames: table.frames_in_use() })?
            }
            None => vaddr,
        };
        Ok((translated, paddr))
    }
}

impl Levels {
    /// A reference of a cpu. Returns its latency and the levels that missed.
    fn reference(&mut self, mut request: Request, bytes: u32, kind: AccessKind) -> (u64, u32) {
        let (cpu, paddr) = (request.cpu, request.paddr);
        let is_store = kind == AccessKind::Write;
        self.missed_again.clear();
        let first = self.first[cpu][usize::from(kind == AccessKind::Fetch)];
        let mut upgrade_cycles = 0;
        if self.directory.is_some() {
            (request.is_transfer, upgrade_cycles) = self.before_reference(first, cpu, paddr, bytes, is_store);
        }
        let latency_cycles = if is_store {
            self.store(first, &mut request, true)
        } else {
            self.read_or_write(first, false, &mut request).latency_cycles
        };
        if self.directory.is_some() {
            self.after_reference(cpu, paddr, is_store);
        }
        (latency_cycles + upgrade_cycles, request.missed)
    }
}
