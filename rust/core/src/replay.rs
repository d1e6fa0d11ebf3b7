//! Replay of a memory trace through a machine.

use crate::base::ConfigError;
use crate::memory::MachineConfig;
use crate::memory::config::{PageSize, Size};
use crate::memory::stats::{CoherenceStats, LevelStats, TlbStats};
use crate::trace::BatchRef;
use serde::{Deserialize, Serialize};

/// Which address spaces threads live in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressSpaces {
    /// All threads share one.
    #[default]
    Shared,
    /// Every thread has its own; its id is the asid.
    PerThread,
}

/// Which simulator runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The fast one where it can do all that is asked for.
    #[default]
    Auto,
    /// Reference by reference: can do everything.
    General,
    /// Level by level over chunks; an error where it cannot do what is asked for.
    Batch,
}

/// A named range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// What it is called in results.
    pub name: String,
    /// First address.
    pub start: Size,
    /// First address after it.
    pub end: Size,
    /// Page size inside it, if not the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
}

/// What to do with the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayOptions {
    /// Accesses to drop at the start.
    pub skip: u64,
    /// Accesses to simulate without counting, after those.
    pub warmup: u64,
    /// Accesses to count at most; all if absent.
    pub limit: Option<u64>,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether every access waits for the one before.
    pub dependent: bool,
    /// Which address spaces threads live in.
    pub address_spaces: AddressSpaces,
    /// Statistics by thread.
    pub by_thread: bool,
    /// Statistics of that many instruction addresses.
    pub by_ip: u32,
    /// Statistics by range of addresses.
    pub regions: Vec<Region>,
    /// Which simulator runs; results are equal.
    pub engine: Engine,
}

/// A trace that the machine cannot replay to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// More pages than frames.
    #[error("machine.memory_size: out of physical memory: {frames} frames are in use at access {access}")]
    OutOfMemory {
        /// Frames in use.
        frames: u64,
        /// The access that found none, counted from 0 in the trace.
        access: u64,
    },
    /// The trace ended before anything was counted.
    #[error("replay.skip: no access is left to count: the trace has {accesses} and skip + warmup is {dropped}")]
    NothingCounted {
        /// Accesses in the trace.
        accesses: u64,
        /// Accesses asked to be skipped or used as warm-up.
        dropped: u64,
    },
}

/// Counters of one thread, region or instruction address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GroupStats {
    /// Thread id, region name or hexadecimal instruction address.
    pub key: String,
    /// All references.
    pub references: u64,
    /// Loads.
    pub reads: u64,
    /// Stores.
    pub writes: u64,
    /// Instruction fetches.
    pub fetches: u64,
    /// Page walks.
    pub page_walks: u64,
    /// Demand misses by level, in the order of the machine's caches.
    pub misses: Vec<u64>,
    /// Sum of latencies.
    pub latency_cycles: u64,
}

/// What a replay tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayResult {
    /// References counted.
    pub accesses: u64,
    /// Instruction fetches left out because the machine takes data alone.
    pub ignored_fetches: u64,
    /// Levels, in the order of the machine's caches.
    pub levels: Vec<(String, LevelStats)>,
    /// The same for each cpu that has its own: `per_cpu[cpu][level]`; empty on a machine of one cpu.
    pub per_cpu: Vec<Vec<LevelStats>>,
    /// TLBs, in the order of the machine's.
    pub tlbs: Vec<(String, TlbStats)>,
    /// Page walks.
    pub page_walks: u64,
    /// Coherence; zero on a machine of one cpu.
    pub coherence: CoherenceStats,
    /// By thread, ascending; empty unless asked for.
    pub threads: Vec<GroupStats>,
    /// By region, in the order given, `other` last; empty unless asked for.
    pub regions: Vec<GroupStats>,
    /// By instruction address, largest latency first; empty unless asked for.
    pub ips: Vec<GroupStats>,
    /// Sum of the latencies of all counted references.
    pub latency_cycles: u64,
    /// Cycles, with overlap as asked for.
    pub cycles: u64,
    /// Which simulator ran: `batch` or `general`.
    pub engine: String,
    /// 64 bits over all counters, as 16 hexadecimal digits. Equal for every engine, chunking and reader.
    pub digest: String,
}

/// A replay under way: feed it batches, then finish it.
pub struct Replay {}

impl Replay {
    /// Builds the machine.
    ///
    /// # Errors
    /// A broken rule of the machine or of the options, with its path.
    pub fn new(machine: &MachineConfig, _options: &ReplayOptions) -> Result<Self, ConfigError> {
        machine.check()?;
        Ok(Self {})
    }

    /// Replays a batch of any length. Returns `false` once `limit` is reached: more would change nothing.
    ///
    /// # Errors
    /// [`ReplayError::OutOfMemory`].
    pub fn feed(&mut self, _batch: BatchRef<'_>) -> Result<bool, ReplayError> {
        Ok(true)
    }

    /// Ends the replay.
    ///
    /// # Errors
    /// [`ReplayError::NothingCounted`].
    pub fn finish(self) -> Result<ReplayResult, ReplayError> {
        Ok(ReplayResult::default())
    }
}
