//! The memory system of one cpu, run level by level over chunks of references.

use super::cascade::{Cascade, Input, LevelPlan, Stores};
use super::frames::Frames;
use super::recent::Recent;
use super::segments::{SEGMENT_BITS, Segments};
use super::words::LOOK_AHEAD;
use crate::base::Rng;
use crate::memory::config::{
    Inclusion, MachineConfig, Placement, PrefetcherKind, ReplacementKind, StreamKind, TlbConfig, WritePolicy,
};
use crate::memory::geometry::Geometry;
use crate::memory::placement::FrameAllocator;
use crate::memory::stats::{LevelStats, MemoryStats, TlbStats};

/// References in one chunk: the state of a level and its requests share the host's caches.
pub const CHUNK: usize = 4096;

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
    walk: u64,
}

/// A memory system for the machines that [`refusal`](BatchSystem::refusal) does not refuse.
pub struct BatchSystem {
    segments: Segments,
    frames: Option<Frames>,
    tlbs: Option<Cascade>,
    // For a first TLB of data that is LRU.
    recent: Option<Recent>,
    caches: Cascade,
    costs: Costs,
    // TLBs take fetches too; if not, fetches are not sent to them.
    tlbs_take_fetches: bool,
    references: u64,
    fetches: u64,
    compact: Vec<u64>,
    physical: Vec<u64>,
    taken: Vec<u64>,
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
            (machine.page_walk.is_some(), "page walks read tables"),
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
            (tlbs.iter().any(|t| wide_set(Geometry::of_tlb(t, machine.page_size))), "a TLB spans more than 16 GiB"),
            (unified_front, "a TLB for one kind of reference comes after one for both"),
        ];
        refusals.into_iter().find(|&(refused, _)| refused).map(|(_, why)| why)
    }

    /// Builds the system. The machine has passed its check and is not refused.
    pub fn new(machine: &MachineConfig, seed: u64, simd: bool) -> Self {
        debug_assert_eq!(Self::refusal(machine), None, "the caller asked");
        let caches: Vec<LevelPlan> = machine
            .caches
            .iter()
            .enumerate()
            .map(|(index, cache)| LevelPlan {
                index,
                geometry: Geometry::of_cache(cache),
                replacement: cache.replacement,
                stream: cache.stream_kind(),
                rng: Rng::stream(seed, "cache.victim", 256 * index as u64),
            })
            .collect();
        let tlbs: Vec<LevelPlan> = used_tlbs(machine)
            .map(|(index, tlb)| LevelPlan {
                index,
                geometry: Geometry::of_tlb(tlb, machine.page_size),
                replacement: tlb.replacement,
                stream: tlb.stream_kind(),
                rng: Rng::stream(seed, "tlb.victim", 256 * index as u64),
            })
            .collect();
        let mapped = machine.placement != Placement::Identity;
        let memory_bits = u64::BITS - machine.memory_size.bytes().leading_zeros();
        let page_table_bits = machine.page_size.bits() + TAG_BITS;
        let cache_bits = narrow_bits(&caches);
        let virtual_bits = narrow_bits(&tlbs).min(if mapped { page_table_bits } else { cache_bits });
        let caches_wide = if mapped { memory_bits >= cache_bits } else { virtual_bits <= SEGMENT_BITS };
        let virtual_wide = virtual_bits <= SEGMENT_BITS || (mapped && memory_bits >= page_table_bits);
        let allocator =
            || FrameAllocator::new(machine.placement, machine.memory_size.bytes(), &[machine.page_size], seed);
        let presented = machine.present_write_backs;
        let tlbs_take_fetches = used_tlbs(machine).any(|(_, tlb)| tlb.stream_kind().takes_fetches());
        let listed = (machine.tlbs.len(), machine.caches.len());
        let room = || vec![0; CHUNK + LOOK_AHEAD];
        Self {
            segments: if virtual_wide { Segments::real() } else { Segments::numbered(virtual_bits) },
            frames: mapped.then(|| Frames::new(machine.page_size, allocator(), virtual_wide)),
            recent: first_lru_tlb(machine).map(|sets| Recent::new(machine.page_size, sets, CHUNK)),
            costs: Costs::new(machine),
            tlbs: (!tlbs.is_empty()).then(|| Cascade::new(tlbs, listed.0, Stores::Ignored, CHUNK, virtual_wide, simd)),
            caches: Cascade::new(caches, listed.1, Stores::WriteBack { presented }, CHUNK, caches_wide, simd),
            tlbs_take_fetches,
            references: 0,
            fetches: 0,
            compact: room(),
            physical: room(),
            taken: room(),
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
                let left = recent.filter(compact, frames, &mut self.physical);
                let left = left.map_err(|(index, _)| OutOfFrames { frames: in_use(frames.as_ref()), index })?;
                let tlbs = self.tlbs.as_mut().expect("recent pages are those of a TLB");
                tlbs.count_hits((count - left) as u64);
                tlbs.run(&Input { all: &recent.left[..left], fetches: &[] });
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
                        let done = frames.translate(compact, &mut self.physical);
                        done.map_err(|(index, _)| OutOfFrames { frames: frames.in_use(), index })?;
                        &self.physical[..count]
                    }
                }
            }
        };
        self.caches.run(&Input { all: physical, fetches });
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
        // A walk costs the hit of its path's last TLB too.
        let walk_cycles: u64 = walks.iter().map(|&(last, walks)| walks * (costs.walk + costs.tlbs[last])).sum();
        let latency_cycles = served(&self.caches.stats, &costs.caches)
            + self.caches.unserved.iter().sum::<u64>() * costs.memory
            + served(tlb_stats, &costs.tlbs)
            + walk_cycles;
        MemoryStats {
            references: self.references,
            fetches: self.fetches,
            latency_cycles,
            page_walks,
            levels: vec![self.caches.stats.clone()],
            tlbs,
            coherence: Default::default(),
            walks: None,
        }
    }
}

impl Costs {
    fn new(machine: &MachineConfig) -> Self {
        Self {
            caches: (0..machine.caches.len()).map(|index| u64::from(machine.latency_cycles_of(index))).collect(),
            tlbs: (0..machine.tlbs.len()).map(|index| u64::from(machine.hit_cycles_of(index))).collect(),
            memory: u64::from(machine.memory_latency_cycles),
            walk: u64::from(machine.page_walk_cycles),
        }
    }
}

/// Frames in use; none where addresses are physical.
fn in_use(frames: Option<&Frames>) -> u64 {
    frames.map_or(0, Frames::in_use)
}

/// The references that TLBs take: all, or data alone.
fn take_for_tlbs<'a>(words: &'a [u64], fetches: &'a [bool], all: bool, taken: &'a mut [u64]) -> Input<'a> {
    if all || fetches.is_empty() {
        return Input { all: words, fetches };
    }
    let mut data = 0;
    for (&word, &fetch) in words.iter().zip(fetches) {
        taken[data] = word;
        data += usize::from(!fetch);
    }
    Input { all: &taken[..data], fetches: &[] }
}

/// The TLBs that hold the page size in use, with their places in the machine's list: nothing ever reaches the others.
fn used_tlbs(machine: &MachineConfig) -> impl Iterator<Item = (usize, &TlbConfig)> {
    machine.tlbs.iter().enumerate().filter(|(_, tlb)| tlb.page_sizes.contains(&machine.page_size))
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
    (first.replacement == ReplacementKind::Lru).then(|| Geometry::of_tlb(first, machine.page_size).sets())
}

/// How many bits an address may have so that 32-bit entries can hold its tag in every level.
fn narrow_bits(plans: &[LevelPlan]) -> u32 {
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
