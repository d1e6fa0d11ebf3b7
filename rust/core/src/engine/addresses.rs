//! Memory at the fidelity `addresses`: every access goes through TLBs, page walks and caches.

use super::books::Books;
use super::footprints::page_of;
use super::hit_row::HitRow;
use super::lines::Lines;
use super::overlap::Overlap;
use crate::base::Picos;
use crate::kernel::{Kernel, Shootdown};
use crate::memory::causes::KERNEL;
use crate::memory::config::{MachineConfig, PageSize};
use crate::memory::{Causes, Mapping, MemorySystem, OutOfMemory, Outcome, Reference};
use crate::trace::batch::AccessKind;
use crate::vm::SpaceId;
use crate::vm::address_space::Access;
use crate::vm::frames::Pfn;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// Cycles whose time is looked up.
const TIMES: u64 = 1024;

/// Pairs of threads that a result lists.
const PAIRS_TOLD: usize = 256;

/// The machine's memory system, and how its cycles become time.
pub(super) struct Addresses {
    system: MemorySystem,
    clock: Clock,
    mlp: u64,
    stream_mlp: u64,
    lines: Lines,
    cpus: u32,
    /// Pages up to which translations are forgotten one by one.
    ceiling: u64,
}

/// How cycles become time.
pub(super) struct Clock {
    frequency_mhz: u32,
    /// By cycles: their time.
    pub times: Box<[Picos]>,
    /// Of a hit.
    hit_cycles: u64,
}

/// What an access took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paid {
    /// Of a hit.
    pub user: Picos,
    /// Waiting for a translation.
    pub walk: Picos,
    /// Waiting for data.
    pub stall: Picos,
    /// Why it missed.
    pub causes: Causes,
}

impl Addresses {
    /// `tracks_causes`: whether misses are told apart.
    pub fn new(machine: &MachineConfig, tracks_causes: bool, seed: u64) -> Self {
        let mut system = MemorySystem::new(machine, &[], false, seed);
        if tracks_causes {
            system.track_causes();
        }
        let hit_cycles = machine.caches.first().map_or(1, |_| u64::from(machine.latency_cycles_of(0)));
        let frequency_mhz = machine.frequency_mhz;
        let times = (0..TIMES).map(|cycles| Picos::from_cycles(cycles, frequency_mhz)).collect();
        Self {
            system,
            clock: Clock { frequency_mhz, times, hit_cycles },
            mlp: u64::from(machine.mlp),
            stream_mlp: u64::from(if machine.stream_mlp == 0 { machine.mlp } else { machine.stream_mlp }),
            lines: Lines::new(machine),
            cpus: machine.cpus,
            ceiling: u64::from(machine.kernel.shootdown.flush_ceiling_pages),
        }
    }

    /// What an access that the kernel has allowed takes. A dependent one waits for all of its latency; of independent
    /// ones `mlp` are under way at a time, more if they come in order (a stream), and one begins each cycle.
    /// `is_refused`: a [row of hits](Addresses::hits) has refused it.
    ///
    /// # Errors
    /// The host of a guest has no memory left.
    #[allow(clippy::too_many_arguments, reason = "an access has as many sides")]
    pub fn access(
        &mut self,
        kernel: &Kernel,
        cpu: usize,
        space: SpaceId,
        vaddr: u64,
        access: Access,
        (pfn, order): (Pfn, u32),
        overlap: Option<(&mut Overlap, bool)>,
        is_refused: bool,
    ) -> Result<Paid, OutOfMemory> {
        let kind = match access {
            Access::Read => AccessKind::Read,
            Access::Write => AccessKind::Write,
            Access::Execute => AccessKind::Fetch,
        };
        let cpu = u32::try_from(cpu).expect("at most 64 cpus");
        let reference = Reference { vaddr, bytes: 1, kind, cpu, asid: space.0, ip: 0 };
        let page_size = page_of(order);
        let path = kernel.vm().path(space, vaddr >> 12);
        let mapping = Mapping { paddr: pfn.0 << 12 | vaddr & 4095, page_size, path: &path };
        let outcome = if is_refused {
            self.system.access_searched(&reference, &mapping)?
        } else {
            self.system.access_mapped(&reference, &mapping)?
        };
        let latency = outcome.latency_cycles;
        let cycles = match overlap {
            None => latency,
            Some((overlap, is_stream)) => {
                let mlp = if is_stream { self.stream_mlp } else { self.mlp };
                overlap.add(latency, outcome.missed, access == Access::Write, mlp, &self.lines)
            }
        };
        Ok(self.clock.paid(cycles, &outcome))
    }

    /// A row of accesses to pages of 4 KiB that hit the first TLB and the first cache, for no more cycles than a hit takes, or
    /// else the second ones; nothing if there may be none. `overlap` is of independent ones.
    pub fn hits(
        &mut self,
        cpu: usize,
        space: SpaceId,
        access: Access,
        overlap: Option<(Overlap, bool)>,
    ) -> Option<HitRow<'_>> {
        let kind = match access {
            Access::Read => AccessKind::Read,
            Access::Write => AccessKind::Write,
            Access::Execute => return None,
        };
        let cpu = u32::try_from(cpu).expect("at most 64 cpus");
        let hits = self.system.hits(cpu, space.0, kind, PageSize::Size4K)?;
        let latency = hits.latency_cycles();
        let hit_cycles = self.clock.hit_cycles;
        let is_plain = latency <= hit_cycles && hit_cycles < TIMES && hit_cycles > 0;
        let pace = overlap.map(|(overlap, is_stream)| {
            let mlp = if is_stream { self.stream_mlp } else { self.mlp };
            overlap.of_hits(latency, mlp, self.lines.has_caches())
        });
        let is_write = access == Access::Write;
        is_plain.then(|| HitRow::new(hits, latency, pace, is_write, &self.clock, &self.lines))
    }

    /// Tells whose accesses the next ones of a cpu are.
    pub fn set_thread(&mut self, cpu: usize, thread: u32) {
        self.system.set_thread(u32::try_from(cpu).expect("at most 64 cpus"), thread);
    }

    /// The kernel goes through some lines of its own data. Returns what it waits for those that the first cache does not
    /// have, `mlp` of them at a time.
    pub fn touch_kernel(&mut self, cpu: usize, paddr: u64, lines: u64, mlp: u64, books: &mut Books) -> Picos {
        let cpu = u32::try_from(cpu).expect("at most 64 cpus");
        let mut cycles = 0;
        let mut whole = Picos::ZERO;
        for line in 0..lines {
            let outcome = self.system.access_physical(cpu, paddr + 64 * line, AccessKind::Read);
            let beyond = outcome.latency_cycles.saturating_sub(self.clock.hit_cycles);
            if beyond > 0 {
                cycles += beyond;
                let so_far = Picos::from_cycles(cycles.div_ceil(mlp), self.clock.frequency_mhz);
                books.note(None, outcome.causes, so_far - whole, Picos::ZERO);
                whole = so_far;
            }
        }
        whole
    }

    /// Drops the translations that a cpu has of an address space.
    pub fn forget_space(&mut self, cpu: usize, space: SpaceId) {
        self.system.invalidate_asid(u32::try_from(cpu).expect("at most 64 cpus"), space.0);
    }

    /// Drops all translations of a cpu.
    pub fn forget_all(&mut self, cpu: usize) {
        self.system.invalidate_all(u32::try_from(cpu).expect("at most 64 cpus"));
    }

    /// What a miss of each cache costs beyond its own latency, if the next one on the way of data has the line.
    pub fn beyond(machine: &MachineConfig) -> Vec<u64> {
        let latency = |level: usize| u64::from(machine.latency_cycles_of(level));
        let next = |level: usize| {
            let outer =
                (level + 1..machine.caches.len()).find(|&outer| machine.caches[outer].stream_kind().takes_data());
            outer.map_or(u64::from(machine.memory_latency_cycles), latency)
        };
        (0..machine.caches.len()).map(|level| next(level).saturating_sub(latency(level)).max(1)).collect()
    }

    /// Makes all cpus forget what is no longer valid.
    pub fn shoot_down(&mut self, shootdowns: &[Shootdown]) {
        for &Shootdown { space, pages } in shootdowns {
            for cpu in 0..self.cpus {
                match pages.filter(|(start, end)| end - start <= self.ceiling) {
                    Some((start, end)) => {
                        for vpn in start..end {
                            for size in [PageSize::Size4K, PageSize::Size2M] {
                                self.system.invalidate_page(cpu, space.0, vpn << 12, size);
                            }
                        }
                    }
                    None => self.system.invalidate_asid(cpu, space.0),
                }
            }
        }
    }

    /// Who took whose lines: pairs of threads, the kernel as nothing, with the misses that came of it, most first.
    pub fn pollution(&self) -> Value {
        let name = |thread: u32| if thread == KERNEL { Value::Null } else { thread.into() };
        let mut pairs: Vec<_> = self.system.pollution_matrix().collect();
        pairs.sort_by_key(|&(victim, evictor, count)| (Reverse(count), victim, evictor));
        let rows = pairs
            .into_iter()
            .take(PAIRS_TOLD)
            .map(|(victim, evictor, count)| json!({"victim": name(victim), "evictor": name(evictor), "misses": count}));
        rows.collect()
    }

    /// What was counted.
    pub fn system(&self) -> &MemorySystem {
        &self.system
    }
}

impl Clock {
    /// What an access took that made its touch longer by so many cycles.
    pub fn paid(&self, cycles: u64, outcome: &Outcome) -> Paid {
        let causes = outcome.causes;
        if cycles <= self.hit_cycles {
            return Paid { user: self.time(cycles), walk: Picos::ZERO, stall: Picos::ZERO, causes };
        }
        let user = self.hit_cycles;
        let beyond = cycles - user;
        // Of what is waited for, translation has the share that it has in the whole latency.
        let walk = (beyond * outcome.translation_cycles)
            .checked_div(outcome.latency_cycles.saturating_sub(self.hit_cycles))
            .unwrap_or(0)
            .min(beyond);
        // Rounded once, so that the parts add up to the whole.
        let (whole, user, walk) = (self.time(cycles), self.time(user), self.time(walk));
        let walk = walk.min(whole.saturating_sub(user));
        Paid { user, walk, stall: whole - user - walk, causes }
    }

    /// Cycles as time: looked up where they are few, since a division takes as long as a hit.
    #[inline]
    fn time(&self, cycles: u64) -> Picos {
        let known = usize::try_from(cycles).ok().and_then(|index| self.times.get(index));
        known.copied().unwrap_or_else(|| Picos::from_cycles(cycles, self.frequency_mhz))
    }
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addresses").field("cpus", &self.cpus).finish_non_exhaustive()
    }
}
