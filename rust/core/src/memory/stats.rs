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
    prefetches_polluting
});
subtract!(TlbStats { lookups, misses });
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
        }
    }
}
