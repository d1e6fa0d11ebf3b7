//! What a replay tells, and its digest.

use crate::base::rng::{FNV_START, fnv1a, mix};
use crate::memory::stats::{CoherenceStats, LevelStats, PageWalkStats, TlbStats};
use serde::Serialize;

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
    /// Page walks that read tables; absent on a machine where they do not.
    pub page_walk: Option<PageWalkStats>,
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

impl ReplayResult {
    /// Works out the digest over all counters.
    pub(super) fn seal(&mut self) {
        let mut hash = Hash(FNV_START);
        hash.numbers([self.accesses, self.ignored_fetches, self.page_walks, self.latency_cycles, self.cycles]);
        // Without walks that read tables their counters are zero, and no part of the digest.
        let walks = self.page_walk.is_some();
        let counters = |level: &LevelStats| {
            let fields = level.fields().filter(move |(name, _)| walks || !name.starts_with("walk_"));
            fields.map(|(_, value)| value).collect::<Vec<_>>()
        };
        for (name, level) in &self.levels {
            hash.text(name);
            hash.numbers(counters(level));
        }
        for level in self.per_cpu.iter().flatten() {
            hash.numbers(counters(level));
        }
        hash.numbers(self.page_walk.iter().flat_map(PageWalkStats::numbers));
        for (name, tlb) in &self.tlbs {
            hash.text(name);
            hash.numbers(tlb.fields().map(|(_, value)| value));
        }
        hash.numbers(self.coherence.fields().map(|(_, value)| value));
        for group in [&self.threads, &self.regions, &self.ips].into_iter().flatten() {
            hash.text(&group.key);
            hash.numbers([group.references, group.reads, group.writes, group.fetches, group.page_walks]);
            hash.numbers(group.misses.iter().copied());
            hash.numbers([group.latency_cycles]);
        }
        self.digest = format!("{:016x}", mix(hash.0));
    }
}

/// FNV-1a over numbers and names.
struct Hash(u64);

impl Hash {
    fn numbers(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.0 = fnv1a(self.0, &number.to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        self.numbers([text.len() as u64]);
        self.0 = fnv1a(self.0, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_changes_the_digest() {
        let level = LevelStats { reads: 3, ..LevelStats::default() };
        let mut one = ReplayResult { levels: vec![("L1".into(), level)], ..ReplayResult::default() };
        let mut other = one.clone();
        other.levels[0].1.prefetches_late = 1;
        one.seal();
        other.seal();
        assert_eq!(one.digest.len(), 16);
        assert_ne!(one.digest, other.digest);
    }
}
