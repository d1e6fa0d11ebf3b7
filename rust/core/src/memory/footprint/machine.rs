//! The machine as the model sees it: paths of caches and TLBs, their sets, and latencies.

use super::cost::LEVELS_MAX;
use super::level::Level;
use super::recency::Recency;
use super::sets::{Shape, Spread};
use crate::base::ConfigError;
use crate::memory::Geometry;
use crate::memory::config::{MachineConfig, PageSize, Placement};

/// What is behind so many times a cache's lines has left it under any policy.
const REACH: f64 = 3.0;

/// All page sizes, by their place in lists.
pub(super) const PAGES: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];

/// A TLB path, by page size.
#[derive(Clone, Debug, Default)]
pub(super) struct TlbPath {
    /// Places in the list of all levels.
    pub levels: Vec<usize>,
    /// Whether some TLB takes data: without one translation costs nothing.
    pub is_translated: bool,
}

/// Latencies, levels and their sets.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub cpus: usize,
    /// Caches of the data path, then TLBs.
    pub levels: Vec<Level>,
    pub caches: usize,
    /// Caches of the path that are not shared come first.
    pub private_caches: usize,
    pub tlb_paths: [TlbPath; 3],
    pub line_bytes: u64,
    pub memory_latency: f64,
    pub transfer: f64,
    pub walk: Walk,
    pub mlp: f64,
    pub stream_mlp: f64,
    pub is_coherent: bool,
}

/// What a walk costs.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Without reads.
    pub start: f64,
    /// Entries that it reads beside the leaf, by the bytes of the working set above which another one is read.
    pub upper_reads: Vec<f64>,
    /// Leaf entries that it reads: two where a guest's page is a host's.
    pub leaf_reads: f64,
    /// The cache that reads ask first.
    pub first_cache: usize,
}

impl Machine {
    /// The model of a checked machine, and the order of touches at every cache and TLB.
    pub fn new(config: &MachineConfig) -> Result<(Self, Vec<Recency>), ConfigError> {
        let data: Vec<usize> =
            (0..config.caches.len()).filter(|&cache| config.caches[cache].stream_kind().takes_data()).collect();
        let tlbs: Vec<usize> =
            (0..config.tlbs.len()).filter(|&tlb| config.tlbs[tlb].stream_kind().takes_data()).collect();
        for (path, count) in [("caches", data.len()), ("tlbs", tlbs.len())] {
            if count > LEVELS_MAX {
                let rule = format!("must have at most {LEVELS_MAX} levels on the path of data at this fidelity");
                return Err(ConfigError::new(path, rule, count));
            }
        }
        let cpus = config.cpus as usize;
        let line_bytes = data.first().map_or(64, |&cache| config.caches[cache].line_size.bytes());
        let mut machine = Self {
            cpus,
            levels: Vec::new(),
            caches: data.len(),
            private_caches: data.iter().filter(|&&cache| !config.caches[cache].shared).count(),
            tlb_paths: Default::default(),
            line_bytes,
            memory_latency: config.memory_latency_cycles.into(),
            transfer: config.transfer_cycles.into(),
            walk: walk(config, &data),
            mlp: config.mlp.into(),
            stream_mlp: if config.stream_mlp == 0 { config.mlp } else { config.stream_mlp }.into(),
            is_coherent: cpus > 1 && config.coherence == crate::memory::config::Coherence::Mesi,
        };
        let mut recencies = Vec::new();
        for &cache in &data {
            let cache_config = &config.caches[cache];
            let geometry = Geometry::of_cache(cache_config);
            let sets = geometry.sets() as f64 * (cache_config.line_size.bytes() / line_bytes) as f64;
            let page_lines = (1u64 << config.physical_page_size().bits()) / line_bytes;
            let spread = match config.placement {
                Placement::Random => Spread::of_random_pages(sets / page_lines as f64),
                Placement::Identity | Placement::Contiguous => Spread::Even,
            };
            let latency = config.latency_cycles_of(cache).into();
            machine.add(
                &mut recencies,
                (cache_config.replacement, cache_config.ways, spread),
                sets,
                latency,
                cache_config.shared,
            );
        }
        for &tlb in &tlbs {
            let tlb_config = &config.tlbs[tlb];
            let sets = f64::from(tlb_config.entries / tlb_config.ways);
            let latency = config.hit_cycles_of(tlb).into();
            machine.add(
                &mut recencies,
                (tlb_config.replacement, tlb_config.ways, Spread::Even),
                sets,
                latency,
                tlb_config.shared,
            );
        }
        machine.tlb_paths = PAGES.map(|page| {
            let held = config.tlb_page_size(page);
            let holds = |place: &usize| config.tlbs[tlbs[*place]].page_sizes.contains(&held);
            let levels = (0..tlbs.len()).filter(holds).map(|place| data.len() + place).collect();
            TlbPath { levels, is_translated: !tlbs.is_empty() }
        });
        Ok((machine, recencies))
    }

    fn add(&mut self, recencies: &mut Vec<Recency>, shape: Shape, count: f64, latency: f64, is_shared: bool) {
        self.levels.push(Level::new(count, shape, latency, is_shared, recencies.len()));
        let capacity = count * f64::from(shape.1);
        let copies = if is_shared { 1 } else { self.cpus };
        recencies.extend((0..copies).map(|_| Recency::new(capacity, REACH * capacity, is_shared && self.cpus > 1)));
    }

    /// The place of the order of touches of a cpu at a level.
    #[inline]
    pub fn recency(&self, level: &Level, cpu: usize) -> usize {
        if level.is_shared { level.first } else { level.first + cpu }
    }

    /// What the level after a cache of the path takes.
    pub fn latency_behind(&self, cache: usize) -> f64 {
        if cache + 1 < self.caches { self.levels[cache + 1].latency } else { self.memory_latency }
    }
}

/// What walks read. Entries of the upper levels are taken to be in the first cache that walks ask.
fn walk(config: &MachineConfig, data: &[usize]) -> Walk {
    let Some(tables) = &config.page_walk else {
        let start = config.page_walk_cycles.into();
        return Walk { start, upper_reads: Vec::new(), leaf_reads: 0.0, first_cache: 0 };
    };
    let first_cache =
        config.first_walk_cache().and_then(|first| data.iter().position(|&cache| cache == first)).unwrap_or(0);
    // An entry of level 2 covers 2 MiB, and so on; a structure cache spares its reads while it covers the working set.
    let upper_reads = (2..=tables.levels)
        .map(|level| {
            let covered = 2f64 * f64::from(1 << 20) * libm::pow(512.0, f64::from(level - 2));
            let spared = tables.structure_caches.iter().filter(|cache| cache.level <= level);
            spared.map(|cache| f64::from(cache.entries) * covered).fold(0.0, f64::max)
        })
        .collect();
    let is_nested = tables.host_page_size.is_some();
    Walk { start: tables.start_cycles.into(), upper_reads, leaf_reads: if is_nested { 2.0 } else { 1.0 }, first_cache }
}
