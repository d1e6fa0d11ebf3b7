//! Replay of a memory trace through a machine: `docs/memory-model.md`.
//!
//! A [`Replay`] is built from a checked machine, fed batches of any length, and finished. It drops and warms up as
//! asked, cuts accesses into references, and hands these to an engine: the batch engine where the machine and the
//! options allow it, else the general one. The result is the same for every engine and for every way to cut the trace
//! into batches.

mod cut;
mod error;
mod groups;
pub mod one_pass;
mod options;
mod result;

pub use error::ReplayError;
pub use options::{AddressSpaces, Engine, Region, ReplayOptions};
pub use result::{GroupStats, ReplayResult};

use crate::base::ConfigError;
use crate::memory::MachineConfig;
use crate::memory::batch::{BatchSystem, CHUNK, takes_fetches};
use crate::memory::hierarchy::{MemorySystem, PageRange, Reference};
use crate::memory::stats::{LevelStats, MemoryStats};
use crate::trace::{BatchRef, Columns};
use cut::{Cutter, Pieces};
use groups::Groups;

/// A replay under way: feed it batches, then finish it.
pub struct Replay {
    machine: MachineConfig,
    options: ReplayOptions,
    cutter: Cutter,
    simulator: Simulator,
    groups: Groups,
    // Accesses of the trace so far, and those of them that the machine takes.
    seen: u64,
    taken: u64,
    // What had been counted when counting began.
    start: Option<MemoryStats>,
}

enum Simulator {
    Batch(Box<BatchSystem>),
    General(Box<MemorySystem>),
}

/// What is done with an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Skip,
    Warmup,
    Count,
}

impl Replay {
    /// Builds the machine.
    ///
    /// # Errors
    /// A broken rule of the machine or of the options, with its path.
    pub fn new(machine: &MachineConfig, options: &ReplayOptions) -> Result<Self, ConfigError> {
        machine.check()?;
        options.check(machine)?;
        let refusal = options.refusal().or_else(|| BatchSystem::refusal(machine));
        let simulator = match (options.engine, refusal) {
            (Engine::Batch, Some(why)) => {
                return Err(ConfigError::new("replay.engine", format!("cannot be batch here ({why})"), "batch"));
            }
            (Engine::Batch | Engine::Auto, None) => {
                Simulator::Batch(Box::new(BatchSystem::new(machine, options.seed, true)))
            }
            (Engine::General, _) | (Engine::Auto, Some(_)) => {
                let ranges: Vec<PageRange> = options
                    .regions
                    .iter()
                    .map(|region| PageRange {
                        start: region.start.bytes(),
                        end: region.end.bytes(),
                        page_size: region.page_size.unwrap_or(machine.page_size),
                    })
                    .collect();
                Simulator::General(Box::new(MemorySystem::new(machine, &ranges, options.dependent, options.seed)))
            }
        };
        // The batch engine asks for less of an access.
        let general = matches!(simulator, Simulator::General(_));
        let columns = Columns { sizes: general, fetches: true, threads: general, ips: general };
        Ok(Self {
            machine: machine.clone(),
            options: options.clone(),
            cutter: Cutter::new(machine, takes_fetches(machine), columns),
            simulator,
            groups: Groups::new(options, machine.caches.len()),
            seen: 0,
            taken: 0,
            start: None,
        })
    }

    /// Replays a batch of any length. Returns `false` once `limit` is reached: more would change nothing.
    ///
    /// # Errors
    /// [`ReplayError::OutOfMemory`].
    pub fn feed(&mut self, batch: BatchRef<'_>) -> Result<bool, ReplayError> {
        let mut rest = batch;
        while !rest.is_empty() {
            let (phase, left) = self.phase();
            if left == 0 {
                return Ok(false);
            }
            let most = if phase == Phase::Skip { usize::MAX } else { CHUNK };
            let taken = self.cutter.take(rest, usize::try_from(left).unwrap_or(most).min(most));
            let piece = rest.slice(0, taken.consumed);
            rest = rest.slice(taken.consumed, rest.len());
            if phase == Phase::Count && self.start.is_none() && taken.accesses > 0 {
                self.start = Some(self.simulator.stats());
            }
            if phase != Phase::Skip {
                let pieces = self.cutter.cut(piece);
                let counted = phase == Phase::Count;
                match &mut self.simulator {
                    Simulator::Batch(system) => run_batch(system, &pieces, self.seen)?,
                    Simulator::General(system) => {
                        let groups = if counted && !self.groups.is_empty() { Some(&mut self.groups) } else { None };
                        run_general(system, &pieces, self.seen, &self.machine, &self.options, groups)?;
                    }
                }
            }
            self.seen += taken.consumed as u64;
            self.taken += taken.accesses as u64;
        }
        Ok(self.phase().1 > 0)
    }

    /// What is done with the next access, and how many more like it there are at most.
    fn phase(&self) -> (Phase, u64) {
        let ReplayOptions { skip, warmup, limit, .. } = self.options;
        if self.taken < skip {
            (Phase::Skip, skip - self.taken)
        } else if self.taken < skip + warmup {
            (Phase::Warmup, skip + warmup - self.taken)
        } else {
            let counted = self.taken - skip - warmup;
            (Phase::Count, limit.map_or(u64::MAX, |limit| limit - counted))
        }
    }

    /// Ends the replay.
    ///
    /// # Errors
    /// [`ReplayError::NothingCounted`].
    pub fn finish(self) -> Result<ReplayResult, ReplayError> {
        let Some(start) = &self.start else {
            let dropped = self.options.skip + self.options.warmup;
            return Err(ReplayError::NothingCounted { accesses: self.taken, dropped });
        };
        let stats = self.simulator.stats().since(start);
        let machine = &self.machine;
        let overlapped = stats.latency_cycles.div_ceil(u64::from(machine.mlp));
        let cycles = if self.options.dependent { stats.latency_cycles } else { overlapped.max(stats.references) };
        let total = |level: usize| stats.levels.iter().fold(LevelStats::default(), |sum, cpu| sum.plus(&cpu[level]));
        let names = machine.caches.iter().map(|cache| cache.name.clone());
        let private: Vec<usize> = (0..machine.caches.len()).filter(|&level| !machine.caches[level].shared).collect();
        let per_cpu = |cpu: &Vec<LevelStats>| private.iter().map(|&level| cpu[level]).collect();
        let mut result = ReplayResult {
            accesses: stats.references,
            ignored_fetches: self.seen - self.taken,
            levels: names.enumerate().map(|(level, name)| (name, total(level))).collect(),
            per_cpu: if machine.cpus > 1 { stats.levels.iter().map(per_cpu).collect() } else { Vec::new() },
            tlbs: machine.tlbs.iter().map(|tlb| tlb.name.clone()).zip(stats.tlbs).collect(),
            page_walks: stats.page_walks,
            coherence: stats.coherence,
            page_walk: stats.walks,
            threads: self.groups.threads(),
            regions: self.groups.regions(),
            ips: self.groups.ips(),
            latency_cycles: stats.latency_cycles,
            cycles,
            engine: match self.simulator {
                Simulator::Batch(_) => "batch".into(),
                Simulator::General(_) => "general".into(),
            },
            digest: String::new(),
        };
        result.seal();
        Ok(result)
    }
}

impl Simulator {
    fn stats(&self) -> MemoryStats {
        match self {
            Self::Batch(system) => system.stats(),
            Self::General(system) => system.stats(),
        }
    }
}

/// The access in the trace that a piece belongs to; `base` is the number of the batch's first access.
fn access_of(pieces: &Pieces<'_>, index: usize, base: u64) -> u64 {
    base + pieces.origins.get(index).copied().unwrap_or(index) as u64
}

fn run_batch(system: &mut BatchSystem, pieces: &Pieces<'_>, base: u64) -> Result<(), ReplayError> {
    let batch = pieces.batch;
    for start in (0..batch.len()).step_by(CHUNK) {
        let chunk = batch.slice(start, batch.len().min(start + CHUNK));
        system.run(chunk.words, chunk.fetches).map_err(|error| ReplayError::OutOfMemory {
            frames: error.frames,
            access: access_of(pieces, start + error.index, base),
        })?;
    }
    Ok(())
}

fn run_general(
    system: &mut MemorySystem,
    pieces: &Pieces<'_>,
    base: u64,
    machine: &MachineConfig,
    options: &ReplayOptions,
    mut groups: Option<&mut Groups>,
) -> Result<(), ReplayError> {
    for index in 0..pieces.batch.len() {
        let access = pieces.batch.get(index);
        let reference = Reference {
            vaddr: access.address,
            bytes: access.size,
            kind: access.kind,
            cpu: access.thread % machine.cpus,
            asid: if options.address_spaces == AddressSpaces::PerThread { access.thread } else { 0 },
            ip: access.ip,
        };
        let outcome = system.access(&reference).map_err(|error| ReplayError::OutOfMemory {
            frames: error.frames,
            access: access_of(pieces, index, base),
        })?;
        if let Some(groups) = &mut groups {
            groups.count(&access, &options.regions, &outcome, system.missed_again());
        }
    }
    Ok(())
}
