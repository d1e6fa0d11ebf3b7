//! The page walker: which entries a walk reads, in which order, and what it learns from them.

use super::nested::Host;
use super::structure_cache::StructureCache;
use super::tables::{TABLE_BITS, TablePath, entry_offset};
use crate::base::Rng;
use crate::memory::config::{MachineConfig, ReplacementKind, StructureCacheConfig};
use crate::memory::geometry::Geometry;
use crate::memory::lines::LineArray;
use crate::memory::stats::{LookupStats, PageWalkStats};

/// A translation that no TLB held.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// The cpu that walks.
    pub cpu: usize,
    /// The address space.
    pub asid: u32,
    /// The address to translate.
    pub vaddr: u64,
    /// The level of the leaf.
    pub leaf: u32,
    /// Where it is translated to; guest-physical under nested paging.
    pub paddr: u64,
}

/// The walkers of all cpus.
pub struct Walker {
    levels: u32,
    host_levels: u32,
    asid_tagged: bool,
    cpus: Vec<Cpu>,
    walks: u64,
    host_walks: u64,
    reads_by_level: [u64; LEVELS_MAX],
    host_reads_by_level: [u64; LEVELS_MAX],
    // The levels of structure caches, in the order of the machine's.
    listed: Vec<u32>,
    host_listed: Vec<u32>,
}

/// Levels of a tree.
const LEVELS_MAX: usize = 5;

/// What one cpu remembers of walks.
struct Cpu {
    // From the root down.
    caches: Vec<StructureCache>,
    host_caches: Vec<StructureCache>,
    nested_tlb: Option<LineArray<u64>>,
    nested: LookupStats,
    // How often the address space had changed when the caches were last known to belong to the present one.
    switches: u64,
}

impl Walker {
    /// Walkers with nothing remembered, or none if the machine's walks read no tables.
    pub fn new(machine: &MachineConfig) -> Option<Self> {
        let walk = machine.page_walk.as_ref()?;
        let caches = |configs: &[StructureCacheConfig], levels| -> Vec<StructureCache> {
            let mut caches: Vec<_> = configs.iter().map(|config| StructureCache::new(config, levels)).collect();
            caches.sort_by_key(|cache| std::cmp::Reverse(cache.level));
            caches
        };
        let nested = Geometry { set_bits: 0, ways: walk.nested_tlb_entries, line_bits: 0 };
        let cpu = |_| Cpu {
            caches: caches(&walk.structure_caches, walk.levels),
            host_caches: caches(&walk.host_structure_caches, walk.host_levels),
            nested_tlb: (walk.nested_tlb_entries > 0)
                .then(|| LineArray::new(ReplacementKind::Lru, nested, Rng::stream(0, "none", 0))),
            nested: LookupStats::default(),
            switches: 0,
        };
        let host_levels = if walk.host_page_size.is_some() { walk.host_levels } else { 0 };
        Some(Self {
            levels: walk.levels,
            host_levels,
            asid_tagged: walk.asid_tagged,
            cpus: (0..machine.cpus).map(cpu).collect(),
            walks: 0,
            host_walks: 0,
            reads_by_level: [0; LEVELS_MAX],
            host_reads_by_level: [0; LEVELS_MAX],
            listed: walk.structure_caches.iter().map(|cache| cache.level).collect(),
            host_listed: walk.host_structure_caches.iter().map(|cache| cache.level).collect(),
        })
    }

    /// Levels of the tables of address spaces.
    pub fn levels(&self) -> u32 {
        self.levels
    }

    /// Says how often the address space of a cpu has changed, before a walk.
    #[inline]
    pub fn note_switches(&mut self, cpu: usize, switches: u64) {
        let cpu = &mut self.cpus[cpu];
        if cpu.switches != switches {
            cpu.switches = switches;
            if !self.asid_tagged {
                cpu.caches.iter_mut().for_each(StructureCache::clear);
            }
        }
    }

    /// Walks: hands the host-physical addresses of the entries that it reads to `read`, one after the other.
    ///
    /// `path` has the entries of the address; with a `host` they and `walk.paddr` are guest-physical and backed.
    #[inline]
    pub fn walk(&mut self, walk: Walk, path: &impl TablePath, host: Option<&Host>, read: &mut impl FnMut(u64)) {
        self.walks += 1;
        let Walk { cpu, asid, vaddr, leaf, paddr } = walk;
        let (mut level, mut known_table) = deepest(&mut self.cpus[cpu].caches, vaddr, asid, leaf, self.levels);
        loop {
            let entry = match known_table.take() {
                Some(table) => table | entry_offset(vaddr, level),
                None => {
                    let mut entry = path.entry_paddr(level);
                    if let Some(host) = host {
                        self.host_walk(cpu, entry, host, read);
                        entry = host.paddr(entry);
                    }
                    remember(&mut self.cpus[cpu].caches, level + 1, vaddr, asid, entry);
                    entry
                }
            };
            read(entry);
            self.reads_by_level[level as usize - 1] += 1;
            if level == leaf {
                break;
            }
            level -= 1;
        }
        if let Some(host) = host {
            self.host_walk(cpu, paddr, host, read);
        }
    }

    /// Translates a guest-physical address: by the nested TLB, or else by the host's tables.
    fn host_walk(&mut self, cpu: usize, gpaddr: u64, host: &Host, read: &mut impl FnMut(u64)) {
        let Cpu { host_caches, nested_tlb, nested, .. } = &mut self.cpus[cpu];
        if let Some(tlb) = nested_tlb {
            nested.lookups += 1;
            if tlb.lookup(host.page_of(gpaddr), false).is_some() {
                nested.hits += 1;
                return;
            }
            tlb.fill(host.page_of(gpaddr), false);
        }
        self.host_walks += 1;
        let path = host.path(gpaddr);
        let (mut level, mut known_table) = deepest(host_caches, gpaddr, 0, host.leaf_level(), self.host_levels);
        loop {
            let entry = match known_table.take() {
                Some(table) => table | entry_offset(gpaddr, level),
                None => {
                    let entry = path.entry_paddr(level);
                    remember(host_caches, level + 1, gpaddr, 0, entry);
                    entry
                }
            };
            read(entry);
            self.host_reads_by_level[level as usize - 1] += 1;
            if level == host.leaf_level() {
                return;
            }
            level -= 1;
        }
    }

    /// Forgets the entries of an address space on a cpu: what `invlpg` of any of its pages does too.
    pub fn invalidate_asid(&mut self, cpu: usize, asid: u32) {
        self.cpus[cpu].caches.iter_mut().for_each(|cache| cache.remove_asid(asid));
    }

    /// Forgets the entries of all address spaces on a cpu, not those of the host.
    pub fn invalidate_all(&mut self, cpu: usize) {
        self.cpus[cpu].caches.iter_mut().for_each(StructureCache::clear);
    }

    /// What was counted here so far; what the reads met in the caches is for others to add.
    pub fn stats(&self) -> PageWalkStats {
        let of_level = |caches: fn(&Cpu) -> &Vec<StructureCache>, level: u32| {
            let caches = self.cpus.iter().flat_map(caches).filter(|cache| cache.level == level);
            caches.fold(LookupStats::default(), |sum, cache| sum.plus(&cache.stats))
        };
        let caches = self.listed.iter().map(|&level| of_level(|cpu| &cpu.caches, level));
        let host_caches = self.host_listed.iter().map(|&level| of_level(|cpu| &cpu.host_caches, level));
        PageWalkStats {
            walks: self.walks,
            reads: self.reads_by_level.iter().chain(&self.host_reads_by_level).sum(),
            reads_by_level: self.reads_by_level[..self.levels as usize].to_vec(),
            structure_caches: caches.collect(),
            host_walks: self.host_walks,
            host_reads_by_level: self.host_reads_by_level[..self.host_levels as usize].to_vec(),
            host_structure_caches: host_caches.collect(),
            nested_tlb: self.cpus.iter().fold(LookupStats::default(), |sum, cpu| sum.plus(&cpu.nested)),
            ..PageWalkStats::default()
        }
    }
}

/// Looks up all structure caches above the leaf. Returns the level to go on at, and its table if a cache knows it.
#[inline(always)]
fn deepest(caches: &mut [StructureCache], address: u64, asid: u32, leaf: u32, levels: u32) -> (u32, Option<u64>) {
    let mut deepest = (levels, None);
    for cache in caches.iter_mut().take_while(|cache| cache.level > leaf) {
        if let Some(table) = cache.lookup(address, asid) {
            deepest = (cache.level - 1, Some(table));
        }
    }
    deepest
}

/// Puts an entry that was read into its level's structure cache: it points to the table that `next_entry` lies in.
#[inline]
fn remember(caches: &mut [StructureCache], level: u32, address: u64, asid: u32, next_entry: u64) {
    if let Some(cache) = caches.iter_mut().find(|cache| cache.level == level) {
        cache.fill(address, asid, next_entry >> TABLE_BITS << TABLE_BITS);
    }
}
