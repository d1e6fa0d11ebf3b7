//! The machine as a user writes it: caches, TLBs, latencies, placement.
//!
//! A configuration is a value: complete, comparable, serialisable. [`MachineConfig::check`] holds all its rules; a
//! simulator is built from a checked configuration and never meets a broken one. `docs/memory-model.md` says what every
//! field does.

mod atomics;
pub mod check;
mod defaults;
pub mod kernel;
mod page_walk;
mod parse;
mod set;
mod size;

use crate::base::Picos;
pub use atomics::AtomicsConfig;
pub use check::RegionRef;
pub use kernel::KernelConfig;
pub use page_walk::{PageWalkConfig, StructureCacheConfig};
pub use parse::{from_tree, tree_from_json};
pub use set::{apply_set, apply_set_value};
pub use size::Size;

use serde::{Deserialize, Serialize};
use std::fmt;

/// Which references a cache or TLB takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamKind {
    /// Loads and stores.
    Data,
    /// Instruction fetches.
    Instruction,
    /// Both.
    Unified,
}

/// Which line of a full set makes room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplacementKind {
    /// Least recently used.
    #[default]
    Lru,
    /// Most recently used.
    Mru,
    /// LRU, but a new line starts as the least recent one.
    Lip,
    /// First in, first out.
    Fifo,
    /// A way drawn from the seed.
    Random,
    /// A binary tree of pointers away from the recently used half.
    TreePlru,
    /// One bit a way.
    BitPlru,
    /// Two bits of age a line, as Intel's L2 has them.
    Qlru,
    /// Static re-reference interval prediction.
    Srrip,
    /// Bimodal re-reference interval prediction.
    Brrip,
    /// Set dueling between SRRIP and BRRIP.
    Drrip,
}

/// What a level promises about the lines of the levels inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inclusion {
    /// Nothing.
    #[default]
    NonInclusive,
    /// It holds all of them; its victims are invalidated inside.
    Inclusive,
    /// It holds victims of the inner level, and a line that is wanted leaves it.
    Exclusive,
}

/// When a store reaches the next level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WritePolicy {
    /// When the line is evicted.
    #[default]
    WriteBack,
    /// At once.
    WriteThrough,
}

/// What fetches lines before they are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrefetcherKind {
    /// Nothing.
    #[default]
    None,
    /// The lines after a miss.
    NextLine,
    /// Constant strides by instruction address.
    Stride,
    /// Runs of lines in one direction within a page.
    Stream,
}

/// Where pages lie in physical memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The trace's addresses are physical.
    #[default]
    Identity,
    /// Frames in order of first touch.
    Contiguous,
    /// Frames in an order drawn from the seed.
    Random,
}

/// How private caches are kept in agreement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coherence {
    /// MESI with a full directory.
    #[default]
    Mesi,
    /// They are not.
    None,
}

/// The size of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PageSize {
    /// 4 KiB.
    #[default]
    #[serde(rename = "4KiB")]
    Size4K,
    /// 2 MiB.
    #[serde(rename = "2MiB")]
    Size2M,
    /// 1 GiB.
    #[serde(rename = "1GiB")]
    Size1G,
}

impl PageSize {
    /// log2 of the size in bytes: 12, 21 or 30.
    pub fn bits(self) -> u32 {
        match self {
            Self::Size4K => 12,
            Self::Size2M => 21,
            Self::Size1G => 30,
        }
    }
}

/// Prints a value as it is written in a configuration.
macro_rules! print_as_written {
    ($($kind:ty),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}

print_as_written!(StreamKind, ReplacementKind, Inclusion, WritePolicy, PrefetcherKind, Placement, Coherence, PageSize);

/// A cache level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// Unique among caches, for example `L1D`.
    pub name: String,
    /// Capacity in bytes.
    pub size: Size,
    /// Lines a set.
    pub ways: u32,
    /// Bytes a line.
    #[serde(default = "Size::line")]
    pub line_size: Size,
    /// Which references it takes; by the name's last letter if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<StreamKind>,
    /// Replacement policy.
    #[serde(default)]
    pub replacement: ReplacementKind,
    /// One for all cpus instead of one for each.
    #[serde(default)]
    pub shared: bool,
    /// Relation to the levels inside.
    #[serde(default)]
    pub inclusion: Inclusion,
    /// When stores go on.
    #[serde(default)]
    pub write_policy: WritePolicy,
    /// Whether a store that misses brings the line in.
    #[serde(default = "yes")]
    pub write_allocate: bool,
    /// Load-to-use latency; by position if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_cycles: Option<u32>,
    /// What a line takes at least to come in, however many are in flight: of independent accesses of a program.
    #[serde(default)]
    pub line_fill_ns: Picos,
    /// What a line that is written takes more: another one, dirty, has to go out.
    #[serde(default)]
    pub line_write_back_ns: Picos,
    /// Prefetcher that fills this level.
    #[serde(default)]
    pub prefetcher: PrefetcherKind,
    /// Lines it asks for at a time.
    #[serde(default = "one")]
    pub prefetch_degree: u32,
}

/// A translation lookaside buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlbConfig {
    /// Unique among TLBs, for example `L1 dTLB`.
    pub name: String,
    /// Number of translations.
    pub entries: u32,
    /// Translations a set; equal to `entries` for a fully associative one.
    pub ways: u32,
    /// Which references it takes; by the name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<StreamKind>,
    /// Page sizes that it holds.
    #[serde(default = "base_page")]
    pub page_sizes: Vec<PageSize>,
    /// Replacement policy.
    #[serde(default)]
    pub replacement: ReplacementKind,
    /// One for all cpus instead of one for each.
    #[serde(default)]
    pub shared: bool,
    /// Entries carry an address-space id; otherwise a switch of address spaces flushes.
    #[serde(default = "yes")]
    pub asid_tagged: bool,
    /// Cycles a hit here adds; by position if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_cycles: Option<u32>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MachineConfig {
    /// What it is called in results.
    pub name: String,
    /// Number of cpus.
    pub cpus: u32,
    /// Clock rate, for turning cycles into time.
    pub frequency_mhz: u32,
    /// Load-to-use latency of memory.
    pub memory_latency_cycles: u32,
    /// Latency of a line from another cpu's private caches.
    pub transfer_cycles: u32,
    /// Latency of a page walk that reads no tables.
    pub page_walk_cycles: u32,
    /// Page walks that read tables through the caches.
    pub page_walk: Option<PageWalkConfig>,
    /// Independent accesses in flight.
    pub mlp: u32,
    /// The same of accesses of a program in order, which prefetchers run ahead of; 0 for `mlp`.
    pub stream_mlp: u32,
    /// Where pages lie in physical memory.
    pub placement: Placement,
    /// Page size where no region says otherwise.
    pub page_size: PageSize,
    /// Physical memory in bytes.
    pub memory_size: Size,
    /// Whether dirty victims are presented to the next level.
    pub present_write_backs: bool,
    /// How private caches are kept in agreement.
    pub coherence: Coherence,
    /// Caches, from the cpu outwards.
    pub caches: Vec<CacheConfig>,
    /// TLBs, from the cpu outwards.
    pub tlbs: Vec<TlbConfig>,
    /// Accesses to words that cpus share.
    pub atomics: AtomicsConfig,
    /// The kernel that runs on it, and what its events cost.
    pub kernel: KernelConfig,
}

impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            name: "machine".into(),
            cpus: 1,
            frequency_mhz: 1000,
            memory_latency_cycles: 200,
            transfer_cycles: 100,
            page_walk_cycles: 30,
            page_walk: None,
            mlp: 1,
            stream_mlp: 0,
            placement: Placement::default(),
            page_size: PageSize::default(),
            memory_size: Size::from_bytes(64 << 30),
            present_write_backs: true,
            coherence: Coherence::default(),
            caches: Vec::new(),
            tlbs: Vec::new(),
            atomics: AtomicsConfig::default(),
            kernel: KernelConfig::default(),
        }
    }
}

impl MachineConfig {
    /// The same machine with the kinds and latencies written out that it leaves open.
    pub fn resolved(&self) -> Self {
        let mut machine = self.clone();
        for (level, cache) in machine.caches.iter_mut().enumerate() {
            cache.kind = Some(cache.stream_kind());
            cache.latency_cycles = Some(self.latency_cycles_of(level));
        }
        for (level, tlb) in machine.tlbs.iter_mut().enumerate() {
            tlb.kind = Some(tlb.stream_kind());
            tlb.hit_cycles = Some(self.hit_cycles_of(level));
        }
        machine.resolve_page_walk();
        machine
    }
}

impl CacheConfig {
    /// Which references it takes.
    pub fn stream_kind(&self) -> StreamKind {
        self.kind.unwrap_or(match self.name.chars().last() {
            Some('D' | 'd') => StreamKind::Data,
            Some('I' | 'i') => StreamKind::Instruction,
            _ => StreamKind::Unified,
        })
    }
}

impl TlbConfig {
    /// Which references it takes.
    pub fn stream_kind(&self) -> StreamKind {
        self.kind.unwrap_or(if self.name.contains("dTLB") {
            StreamKind::Data
        } else if self.name.contains("iTLB") {
            StreamKind::Instruction
        } else {
            StreamKind::Unified
        })
    }
}

impl StreamKind {
    /// Whether loads and stores go here.
    pub fn takes_data(self) -> bool {
        self != Self::Instruction
    }

    /// Whether instruction fetches go here.
    pub fn takes_fetches(self) -> bool {
        self != Self::Data
    }
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn base_page() -> Vec<PageSize> {
    vec![PageSize::Size4K]
}
