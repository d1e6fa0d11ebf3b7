//! The memory system of one cpu, run level by level over chunks of references.

use super::cascade::{Cascade, Input, LevelPlan, Stores, Walking, Walks};
use super::frames::Frames;
use super::recent::Recent;
use super::segments::{SEGMENT_BITS, Segments};
use super::walks::WalkReads;
use super::words::{LOOK_AHEAD, WALK_TAG_SHIFT_MAX};
use crate::base::Rng;
use crate::memory::config::{
    CacheConfig, Inclusion, MachineConfig, PageSize, Placement, PrefetcherKind, ReplacementKind, StreamKind, TlbConfig,
    WritePolicy,
};
use crate::memory::geometry::Geometry;
use crate::memory::stats::{LevelStats, MemoryStats, TlbStats};

/// References in one chunk: the state of a level and its requests share the host's caches.
pub const CHUNK: usize = 4096;

/// Requests of references and walks that go through the caches at a time: a walk reads 35 entries at most.
const CACHE_CHUNK_WITH_WALKS: usize = 2 * CHUNK;

/// Bits above the tag shift that a 32-bit entry can tell apart.
const TAG_BITS: u32 = 31;
/// Bits of an address in wide form: all.
const WIDE_BITS: u32 = 63;

/// Physical memory is used up at this reference of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames {
    /// Frames in use.
    pub frames: u64,
    /// Index in the chunk.
    pub index: usize,
}

/// Latencies of a path.
struct Costs {
    // By cache, by TLB: what a reference that is served there costs.
    caches: Vec<u64>,
    tlbs: Vec<u64>,
    memory: u64,
    // A walk that reads no tables, and the start of one that does.
    walk: u64,
    walk_start: u64,
}

/// A memory system for the machines that [`refusal`](BatchSystem::refusal) does not refuse.
pub struct BatchSystem {
    segments: Segments,
    frames: Option<Frames>,
    tlbs: Option<Cascade>,
    // For a first TLB of data that is LRU.
    recent: Option<Recent>,
    caches: Cascade,
    // Where walks read tables.
    walks: Option<WalkReads>,
    costs: Costs,
    // TLBs take fetches too; if not, fetches are not sent to them.
    tlbs_take_fetches: bool,
    references: u64,
    fetches: u64,
    compact: Vec<u64>,
    physical: Vec<u64>,
    taken: Taken,
}

impl BatchSystem {
    /// Why this engine cannot simulate a machine, or `None` if it can.
    ///
    /// It does one cpu with non-inclusive write-back caches that allocate, without prefetchers, and TLBs that hold the
    /// one page size in use: then no level changes one inside it, and chunks may go through level by level.
    pub fn refusal(machine: &MachineConfig) -> Option<&'static str> {
        let caches = &machine.caches;
        let tlbs: Vec<&TlbConfig> = used_tlbs(machine).map(|(_, tlb)| tlb).collect();
        let has = |stream| caches.iter().any(|cache| cache.stream_kind() == stream);
        let one_front = has(StreamKind::Data) != has(StreamKind::Instruction) && has(StreamKind::Unified);
        let unified_front = tlbs
            .iter()
            .skip_while(|tlb| tlb.stream_kind() != StreamKind::Unified)
            .any(|tlb| tlb.stream_kind() != StreamKind::Unified);
        let wide_set = |geometry: Geometry| geometry.set_bits + geometry.line_bits > SEGMENT_BITS;
        let refusals = [
            (machine.cpus > 1, "it has more than one cpu"),
            (caches.iter().any(|c| c.inclusion != Inclusion::NonInclusive), "a cache is inclusive or exclusive"),
            (caches.iter().any(|c| c.write_policy != WritePolicy::WriteBack), "a cache writes through"),
            (caches.iter().any(|c| !c.write_allocate), "a cache does not allocate on writes"),
            (caches.iter().any(|c| c.prefetcher != PrefetcherKind::None), "a cache has a prefetcher"),
            (caches.iter().any(|c| c.ways > 32), "a cache has more than 32 ways"),
            (caches.iter().any(|c| wide_set(Geometry::of_cache(c))), "a way is larger than 16 GiB"),
            (takes_fetches(machine) && one_front, "data and fetches do not both have a cache of their own"),
            (tlbs.iter().any(|t| t.ways > 32), "a TLB has more than 32 ways"),
            (!holds_pages(machine), "no TLB of a path holds the page size"),
            (
                tlbs.iter().any(|t| wide_set(Geometry::of_tlb(t, tlb_page_size(machine)))),
                "a TLB spans more than 16 GiB",
            ),
            (walks_too_far(machine), "memory or a way of a cache is too large for reads of page walks"),
            (unified_front, "a TLB for one kind of reference comes after one for both"),
        ];
        refusals.into_iter().find(|&(refused, _)| refused).map(|(_, why)| why)
    }

    /// Builds the system. The machine has passed its check and is not refused.
    pub fn new(machine: &MachineConfig, seed: u64, simd: bool) -> Self {
        debug_assert_eq!(Self::refusal(machine), None, "the caller asked");
        let caches = cache_plans(machine, seed);
        let tlbs = tlb_plans(machine, seed);
        let mapped = machine.placement != Placement::Identity;
        let memory_bits = u64::BITS - machine.memory_size.bytes().leading_zeros();
        let page_table_bits = tlb_page_size(machine).bits() + TAG_BITS;
        let cache_bits = narrow_bits(&caches);
        let virtual_bits = narrow_bits(&tlbs).min(if mapped { page_table_bits } else { cache_bits });
        let caches_wide = if mapped { memory_bits >= cache_bits } else { virtual_bits <= SEGMENT_BITS };
        let virtual_wide = virtual_bits <= SEGMENT_BITS || (mapped && memory_bits >= page_table_bits);
        let presented = machine.present_write_backs;
        let tlbs_take_fetches = used_tlbs(machine).any(|(_, tlb)| tlb.stream_kind().takes_fetches());
        let listed = (machine.tlbs.len(), machine.caches.len());
        let room = || vec![0; CHUNK + LOOK_AHEAD];
        let walks = machine.page_walk.is_some();
        let first_of_walks = machine.first_walk_cache().filter(|_| walks);
        let entry = first_of_walks.map_or(Walking::No, Walking::EntersAt);
        let causes = if walks { Walking::Causes } else { Walking::No };
        let cache_chunk = if walks { CACHE_CHUNK_WITH_WALKS } else { CHUNK };
        let stores = Stores::WriteBack { presented };
        Self {
            segments: if virtual_wide { Segments::real() } else { Segments::numbered(virtual_bits) },
            frames: mapped.then(|| Frames::new(machine, seed, virtual_wide)),
            recent: first_lru_tlb(machine).map(|sets| Recent::new(tlb_page_size(machine), sets, CHUNK)),
            costs: Costs::new(machine),
            tlbs: (!tlbs.is_empty())
                .then(|| Cascade::new(tlbs, listed.0, Stores::Ignored, causes, CHUNK, virtual_wide, simd)),
            caches: Cascade::new(caches, listed.1, stores, entry, cache_chunk, caches_wide, simd),
            walks: WalkReads::new(machine),
            tlbs_take_fetches,
            references: 0,
            fetches: 0,
            compact: room(),
            physical: room(),
            taken: Taken { words: room(), positions: vec![0; CHUNK] },
        }
    }

    /// Runs at most [`CHUNK`] references: words of the raw trace format, and which of them are fetches (empty: none).
    ///
    /// # Errors
    /// [`OutOfFrames`]; counters mean nothing then.
    pub fn run(&mut self, words: &[u64], fetches: &[bool]) -> Result<(), OutOfFrames> {
        assert!(words.len() <= CHUNK && (fetches.is_empty() || fetches.len() == words.len()));
        let fetch_count = fetches.iter().filter(|&&fetch| fetch).count();
        let fetches = if fetch_count == 0 { &[] } else { fetches };
        let count = words.len();
        let compact: &[u64] = if self.segments.unchanged(words) {
            words
        } else if self.segments.compact(words, &mut self.compact).is_ok() {
            &self.compact[..count]
        } else {
            self.widen();
            words
        };
        let asked = self.recent.as_mut().is_some_and(|recent| fetches.is_empty() && recent.is_worth_it());
        let filter = self.recent.as_mut().filter(|_| asked);
        let physical: &[u64] = match (filter, &mut self.frames) {
            (Some(recent), frames) => {
                let left = recent.filter(compact, words, frames, &mut self.physical);
                let left = left.map_err(|(index, _)| OutOfFrames { frames: in_use(frames.as_ref()), index })?;
                let tlbs = self.tlbs.as_mut().expect("recent pages are those of a TLB");
                tlbs.count_hits((count - left) as u64);
                let positions = &recent.positions[..left];
                tlbs.run(&Input { all: &recent.left[..left], fetches: &[], positions, walks: Walks::default() });
                &self.physical[..count]
            }
            (None, frames) => {
                if let Some(tlbs) = &mut self.tlbs {
                    let taken = take_for_tlbs(compact, fetches, self.tlbs_take_fetches, &mut self.taken);
                    tlbs.run(&taken);
                }
                match frames {
                    None => compact,
                    Some(frames) => {
                        let done = frames.translate(compact, words, &mut self.physical);
                        done.map_err(|(index, _)| OutOfFrames { frames: frames.in_use(), index })?;
                        &self.physical[..count]
                    }
                }
            }
        };
        match (&mut self.walks, &self.frames, &self.tlbs) {
            (Some(walks), Some(frames), Some(tlbs)) => {
                walks.walk(words, &tlbs.unserved_positions, frames);
                for piece in walks.pieces(count, CACHE_CHUNK_WITH_WALKS) {
                    let fetches = if fetches.is_empty() { &[] } else { &fetches[piece.references.clone()] };
                    let all = &physical[piece.references];
                    self.caches.run(&Input { all, fetches, positions: &[], walks: piece.walks });
                }
            }
            _ => self.caches.run(&Input { all: physical, fetches, positions: &[], walks: Walks::default() }),
        }
        self.references += count as u64;
        self.fetches += fetch_count as u64;
        Ok(())
    }

    /// Goes over to 64-bit entries everywhere that compact virtual addresses are used.
    fn widen(&mut self) {
        let original = self.segments.widen();
        if let Some(tlbs) = &mut self.tlbs {
            tlbs.widen(&original);
        }
        match &mut self.frames {
            Some(frames) => frames.widen(&original),
            None => self.caches.widen(&original),
        }
    }

    /// What has been counted so far.
    pub fn stats(&self) -> MemoryStats {
        let unused = vec![LevelStats::default(); self.costs.tlbs.len()];
        let tlb_stats = self.tlbs.as_ref().map_or(&unused, |tlbs| &tlbs.stats);
        let tlbs: Vec<TlbStats> =
            tlb_stats.iter().map(|s| TlbStats { lookups: s.reads + s.writes, misses: s.misses }).collect();
        // References of a kind that no TLB takes are translated at no cost.
        let unserved = |tlbs: &Cascade| {
            let paths = tlbs.last_of_paths().into_iter().zip(tlbs.unserved);
            paths.filter_map(|(last, walks)| last.map(|last| (last, walks))).collect::<Vec<(usize, u64)>>()
        };
        let walks = self.tlbs.as_ref().map_or(Vec::new(), unserved);
        let page_walks = walks.iter().map(|(_, walks)| walks).sum();
        let served = |levels: &[LevelStats], costs: &[u64]| -> u64 {
            levels.iter().zip(costs).map(|(s, cost)| (s.reads + s.writes - s.misses) * cost).sum()
        };
        let costs = &self.costs;
        let levels = vec![self.caches.stats.clone()];
        let page_walk = self.walks.as_ref().map(|reads| {
            let mut walks = reads.walker.stats().with_levels(&levels);
            let served: u64 = walks.reads_served.iter().zip(&costs.caches).map(|(reads, cost)| reads * cost).sum();
            walks.walk_cycles = walks.walks * costs.walk_start + served + walks.reads_from_memory * costs.memory;
            walks
        });
        // A walk costs the hit of its path's last TLB too.
        let walk_cycles: u64 = walks.iter().map(|&(last, walks)| walks * (costs.walk + costs.tlbs[last])).sum();
        let latency_cycles = served(&self.caches.stats, &costs.caches)
            + self.caches.unserved.iter().sum::<u64>() * costs.memory
            + served(tlb_stats, &costs.tlbs)
            + walk_cycles
            + page_walk.as_ref().map_or(0, |walk| walk.walk_cycles);
        MemoryStats {
            references: self.references,
            fetches: self.fetches,
            latency_cycles,
            page_walks,
            levels,
            tlbs,
            coherence: Default::default(),
            walks: page_walk,
        }
    }
}

impl Costs {
    fn new(machine: &MachineConfig) -> Self {
        Self {
            caches: (0..machine.caches.len()).map(|index| u64::from(machine.latency_cycles_of(index))).collect(),
            tlbs: (0..machine.tlbs.len()).map(|index| u64::from(machine.hit_cycles_of(index))).collect(),
            memory: u64::from(machine.memory_latency_cycles),
            walk: if machine.page_walk.is_some() { 0 } else { machine.page_walk_cycles.into() },
            walk_start: machine.page_walk.as_ref().map_or(0, |walk| walk.start_cycles.into()),
        }
    }
}

/// The levels of the caches.
/// The TLBs that hold the page size in use.
pub(super) fn tlb_plans(machine: &MachineConfig, seed: u64) -> Vec<LevelPlan> {
    let plan = |(index, tlb): (usize, &TlbConfig)| LevelPlan {
        index,
        geometry: Geometry::of_tlb(tlb, tlb_page_size(machine)),
        replacement: tlb.replacement,
        stream: tlb.stream_kind(),
        rng: Rng::stream(seed, "tlb.victim", 256 * index as u64),
    };
    used_tlbs(machine).map(plan).collect()
}

pub(super) fn cache_plans(machine: &MachineConfig, seed: u64) -> Vec<LevelPlan> {
    let plan = |(index, cache): (usize, &CacheConfig)| LevelPlan {
        index,
        geometry: Geometry::of_cache(cache),
        replacement: cache.replacement,
        stream: cache.stream_kind(),
        rng: Rng::stream(seed, "cache.victim", 256 * index as u64),
    };
    machine.caches.iter().enumerate().map(plan).collect()
}

/// Whether the mark of reads of page walks would reach the tags of a cache.
fn walks_too_far(machine: &MachineConfig) -> bool {
    let plans = cache_plans(machine, 0);
    let memory_bits = u64::BITS - machine.memory_size.bytes().leading_zeros();
    let too_large = |plan: &LevelPlan| plan.geometry.line_bits + plan.geometry.set_bits > WALK_TAG_SHIFT_MAX;
    machine.page_walk.is_some() && (memory_bits >= narrow_bits(&plans) || plans.iter().any(too_large))
}

/// What a TLB entry covers.
fn tlb_page_size(machine: &MachineConfig) -> PageSize {
    machine.tlb_page_size(machine.page_size)
}

/// Frames in use; none where addresses are physical.
fn in_use(frames: Option<&Frames>) -> u64 {
    frames.map_or(0, Frames::in_use)
}

/// References picked from a chunk, and where they stood.
struct Taken {
    words: Vec<u64>,
    positions: Vec<u16>,
}

/// The references that TLBs take: all, or data alone.
fn take_for_tlbs<'a>(words: &'a [u64], fetches: &'a [bool], all: bool, taken: &'a mut Taken) -> Input<'a> {
    let walks = Walks::default();
    if all || fetches.is_empty() {
        return Input { all: words, fetches, positions: &[], walks };
    }
    let mut data = 0;
    for ((position, &word), &fetch) in (0..=u16::MAX).zip(words).zip(fetches) {
        taken.words[data] = word;
        taken.positions[data] = position;
        data += usize::from(!fetch);
    }
    Input { all: &taken.words[..data], fetches: &[], positions: &taken.positions[..data], walks }
}

/// The TLBs that hold the page size in use, with their places in the machine's list: nothing ever reaches the others.
fn used_tlbs(machine: &MachineConfig) -> impl Iterator<Item = (usize, &TlbConfig)> {
    machine.tlbs.iter().enumerate().filter(|(_, tlb)| tlb.page_sizes.contains(&tlb_page_size(machine)))
}

/// Whether each kind of reference that TLBs take has one that holds the page size: otherwise it walks every time.
fn holds_pages(machine: &MachineConfig) -> bool {
    let kinds: [fn(StreamKind) -> bool; 2] = [StreamKind::takes_data, StreamKind::takes_fetches];
    kinds.into_iter().all(|takes| {
        let taken = machine.tlbs.iter().any(|tlb| takes(tlb.stream_kind()));
        !taken || used_tlbs(machine).any(|(_, tlb)| takes(tlb.stream_kind()))
    })
}

/// Sets of the first TLB of data, if there is one and it is LRU.
fn first_lru_tlb(machine: &MachineConfig) -> Option<usize> {
    let (_, first) = used_tlbs(machine).find(|(_, tlb)| tlb.stream_kind().takes_data())?;
    (first.replacement == ReplacementKind::Lru).then(|| Geometry::of_tlb(first, tlb_page_size(machine)).sets())
}

/// How many bits an address may have so that 32-bit entries can hold its tag in every level.
pub(super) fn narrow_bits(plans: &[LevelPlan]) -> u32 {
    let shift = plans.iter().map(|plan| plan.geometry.line_bits + plan.geometry.set_bits).min();
    shift.map_or(WIDE_BITS, |shift| shift + TAG_BITS).min(WIDE_BITS)
}

/// Whether the machine takes instruction fetches at all.
pub fn takes_fetches(machine: &MachineConfig) -> bool {
    match machine.caches.first() {
        Some(first) => {
            first.stream_kind() == StreamKind::Unified
                || machine.caches.iter().any(|cache| cache.stream_kind() == StreamKind::Instruction)
        }
        None => machine.tlbs.iter().any(|tlb| tlb.stream_kind().takes_fetches()),
    }
}
