//! Counters of the memory system: plain data that subtract, so that a region of interest is its end minus its start.

use serde::Serialize;

/// Counters of one cache level, over all its cpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LevelStats {
    /// Demand reads.
    pub reads: u64,
    /// Demand writes.
    pub writes: u64,
    /// Demand reads that missed.
    pub read_misses: u64,
    /// Demand writes that missed.
    pub write_misses: u64,
    /// `read_misses + write_misses`.
    pub misses: u64,
    /// Dirty victims that left.
    pub write_backs: u64,
    /// Dirty victims of the inner level presented here.
    pub write_backs_in: u64,
    /// Those of them that were not here.
    pub write_back_misses: u64,
    /// Stores sent on by a write-through level.
    pub write_throughs: u64,
    /// Victims of the inner level taken in by an exclusive level.
    pub victims_in: u64,
    /// Lines invalidated in inner levels by victims of this inclusive one.
    pub back_invalidations: u64,
    /// Requests of prefetchers of inner levels.
    pub prefetch_reads: u64,
    /// Those of them that missed.
    pub prefetch_misses: u64,
    /// Lines that this level's own prefetcher asked for.
    pub prefetches_issued: u64,
    /// Prefetched lines that were used.
    pub prefetches_useful: u64,
    /// Used ones that had not arrived yet.
    pub prefetches_late: u64,
    /// Demand misses on lines that a prefetch had evicted.
    pub prefetches_polluting: u64,
    /// Entries of page tables that walks read.
    pub walk_reads: u64,
    /// Those of them that missed.
    pub walk_read_misses: u64,
}

/// Counters of one TLB, over all its cpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TlbStats {
    /// Translations asked for here.
    pub lookups: u64,
    /// Those that were not here.
    pub misses: u64,
}

/// Counters of coherence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CoherenceStats {
    /// Copies that a store took from other cpus.
    pub invalidations: u64,
    /// Lines that came modified from another cpu.
    pub transfers: u64,
    /// Stores to lines that were shared.
    pub upgrades: u64,
    /// Misses for bytes that another cpu had stored to.
    pub true_sharing_misses: u64,
    /// Misses because another cpu had stored to other bytes of the line.
    pub false_sharing_misses: u64,
}

/// Counters of what a page walk looks up before it reads: structure caches, the nested TLB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LookupStats {
    /// Lookups.
    pub lookups: u64,
    /// Those that found an entry.
    pub hits: u64,
}

/// Counters of page walks that read tables, over all cpus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PageWalkStats {
    /// Walks.
    pub walks: u64,
    /// Entries that they read: the sum of both lists by level, and of what served them.
    pub reads: u64,
    /// Reads of the tables of address spaces, level 1 first.
    pub reads_by_level: Vec<u64>,
    /// Structure caches, in the order of the machine's.
    pub structure_caches: Vec<LookupStats>,
    /// Translations of guest-physical addresses that the nested TLB did not have.
    pub host_walks: u64,
    /// Reads of the host's tables, level 1 first; empty without a host.
    pub host_reads_by_level: Vec<u64>,
    /// Structure caches of the host's tables, in the order of the machine's.
    pub host_structure_caches: Vec<LookupStats>,
    /// The nested TLB.
    pub nested_tlb: LookupStats,
    /// Reads by the cache that had the line, in the order of the machine's.
    pub reads_served: Vec<u64>,
    /// Reads that no cache served.
    pub reads_from_memory: u64,
    /// Reads that another cpu's private caches served.
    pub reads_from_other_cpus: u64,
    /// Cycles of walks: their start and their reads, without the hits of TLBs.
    pub walk_cycles: u64,
}

impl PageWalkStats {
    /// What was counted since `start`, an earlier state of the same counters.
    #[must_use]
    pub fn since(&self, start: &Self) -> Self {
        let numbers =
            |now: &[u64], then: &[u64]| -> Vec<u64> { now.iter().zip(then).map(|(now, then)| now - then).collect() };
        let lookups = |now: &[LookupStats], then: &[LookupStats]| -> Vec<LookupStats> {
            now.iter().zip(then).map(|(now, then)| now.since(then)).collect()
        };
        Self {
            walks: self.walks - start.walks,
            reads: self.reads - start.reads,
            reads_by_level: numbers(&self.reads_by_level, &start.reads_by_level),
            structure_caches: lookups(&self.structure_caches, &start.structure_caches),
            host_walks: self.host_walks - start.host_walks,
            host_reads_by_level: numbers(&self.host_reads_by_level, &start.host_reads_by_level),
            host_structure_caches: lookups(&self.host_structure_caches, &start.host_structure_caches),
            nested_tlb: self.nested_tlb.since(&start.nested_tlb),
            reads_served: numbers(&self.reads_served, &start.reads_served),
            reads_from_memory: self.reads_from_memory - start.reads_from_memory,
            reads_from_other_cpus: self.reads_from_other_cpus - start.reads_from_other_cpus,
            walk_cycles: self.walk_cycles - start.walk_cycles,
        }
    }

    /// Works out which cache served the reads, from the counters `levels[cpu][level]`.
    #[must_use]
    pub fn with_levels(mut self, levels: &[Vec<LevelStats>]) -> Self {
        let served = |level: usize| levels.iter().map(|cpu| cpu[level].walk_reads - cpu[level].walk_read_misses).sum();
        self.reads_served = (0..levels[0].len()).map(served).collect();
        self.reads_from_memory = self.reads - self.reads_from_other_cpus - self.reads_served.iter().sum::<u64>();
        self
    }

    /// All numbers, in the order of the fields.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let lookups =
            |all: &[LookupStats]| -> Vec<u64> { all.iter().flat_map(|one| [one.lookups, one.hits]).collect() };
        [
            vec![self.walks, self.reads],
            self.reads_by_level.clone(),
            lookups(&self.structure_caches),
            vec![self.host_walks],
            self.host_reads_by_level.clone(),
            lookups(&self.host_structure_caches),
            lookups(&[self.nested_tlb]),
            self.reads_served.clone(),
            vec![self.reads_from_memory, self.reads_from_other_cpus, self.walk_cycles],
        ]
        .into_iter()
        .flatten()
    }
}

/// Everything a memory system has counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// References.
    pub references: u64,
    /// References that were fetches.
    pub fetches: u64,
    /// Sum of the latencies of all references, in cycles.
    pub latency_cycles: u64,
    /// Page walks.
    pub page_walks: u64,
    /// Caches: `levels[cpu][level]`, a shared level at cpu 0.
    pub levels: Vec<Vec<LevelStats>>,
    /// TLBs, in the order of the machine's, over all cpus.
    pub tlbs: Vec<TlbStats>,
    /// Coherence.
    pub coherence: CoherenceStats,
    /// Page walks that read tables, on a machine that has them.
    pub walks: Option<PageWalkStats>,
}

/// Subtraction of counters, field by field.
macro_rules! subtract {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $type {
            /// What was counted since `start`, an earlier state of the same counters.
            #[must_use]
            pub fn since(&self, start: &Self) -> Self {
                Self { $($field: self.$field - start.$field),* }
            }

            /// Both counters together.
            #[must_use]
            pub fn plus(&self, other: &Self) -> Self {
                Self { $($field: self.$field + other.$field),* }
            }

            /// Names and values, in the order of the fields.
            pub fn fields(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field)),*].into_iter()
            }
        }
    };
}

subtract!(LevelStats {
    reads,
    writes,
    read_misses,
    write_misses,
    misses,
    write_backs,
    write_backs_in,
    write_back_misses,
    write_throughs,
    victims_in,
    back_invalidations,
    prefetch_reads,
    prefetch_misses,
    prefetches_issued,
    prefetches_useful,
    prefetches_late,
    prefetches_polluting,
    walk_reads,
    walk_read_misses
});
subtract!(TlbStats { lookups, misses });
subtract!(LookupStats { lookups, hits });
subtract!(CoherenceStats { invalidations, transfers, upgrades, true_sharing_misses, false_sharing_misses });

impl MemoryStats {
    /// What was counted since `start`, an earlier state of the same counters.
    #[must_use]
    pub fn since(&self, start: &Self) -> Self {
        let levels = |(now, then): (&Vec<LevelStats>, &Vec<LevelStats>)| {
            now.iter().zip(then).map(|(now, then)| now.since(then)).collect()
        };
        Self {
            references: self.references - start.references,
            fetches: self.fetches - start.fetches,
            latency_cycles: self.latency_cycles - start.latency_cycles,
            page_walks: self.page_walks - start.page_walks,
            levels: self.levels.iter().zip(&start.levels).map(levels).collect(),
            tlbs: self.tlbs.iter().zip(&start.tlbs).map(|(now, then)| now.since(then)).collect(),
            coherence: self.coherence.since(&start.coherence),
            walks: self.walks.as_ref().zip(start.walks.as_ref()).map(|(now, then)| now.since(then)),
        }
    }
}
