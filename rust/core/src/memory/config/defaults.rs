//! What a level costs where the configuration does not say: defaults that depend on the levels before it.

use super::{MachineConfig, StreamKind, TlbConfig};

/// Load-to-use latency of the first, second and third cache of a path, and of all others.
const LATENCY_CYCLES: [u32; 4] = [4, 14, 50, 100];

/// What a hit in a TLB behind another one adds.
const OUTER_TLB_HIT_CYCLES: u32 = 7;

impl MachineConfig {
    /// Load-to-use latency of the cache at `level` of the list.
    pub fn latency_cycles_of(&self, level: usize) -> u32 {
        let cache = &self.caches[level];
        let is_fetched_from = cache.stream_kind() == StreamKind::Instruction;
        let is_on_path = |kind: StreamKind| if is_fetched_from { kind.takes_fetches() } else { kind.takes_data() };
        let before = self.caches[..level].iter().filter(|inner| is_on_path(inner.stream_kind())).count();
        cache.latency_cycles.unwrap_or(LATENCY_CYCLES[before.min(LATENCY_CYCLES.len() - 1)])
    }

    /// What a hit in the TLB at `place` of the list adds to a translation.
    pub fn hit_cycles_of(&self, place: usize) -> u32 {
        let tlb = &self.tlbs[place];
        let is_behind_another = self.tlbs[..place].iter().any(|inner| have_references_in_common(inner, tlb));
        tlb.hit_cycles.unwrap_or(if is_behind_another { OUTER_TLB_HIT_CYCLES } else { 0 })
    }
}

/// Whether there are references that both take: of a kind and of a page size.
fn have_references_in_common(inner: &TlbConfig, outer: &TlbConfig) -> bool {
    let (one, other) = (inner.stream_kind(), outer.stream_kind());
    let in_kind = one.takes_data() && other.takes_data() || one.takes_fetches() && other.takes_fetches();
    in_kind && inner.page_sizes.iter().any(|page| outer.page_sizes.contains(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn latency_goes_by_the_place_on_the_path() {
        let names = ["L1I", "L1D", "L1.5I", "L2", "L3", "L4"];
        let mut caches: Vec<_> = names.map(|name| json!({"name": name, "size": "1KiB", "ways": 1})).into();
        caches[3]["latency_cycles"] = json!(15);
        let machine = MachineConfig::from_value(json!({"caches": caches})).unwrap();
        let latencies: Vec<_> = (0..names.len()).map(|level| machine.latency_cycles_of(level)).collect();
        assert_eq!(latencies, [4, 4, 14, 15, 50, 100]);
    }

    #[test]
    fn tlb_behind_another_costs_if_they_have_references_in_common() {
        let machine = MachineConfig::from_value(json!({"tlbs": [
            {"name": "L1 iTLB", "entries": 64, "ways": 4},
            {"name": "L1 dTLB", "entries": 64, "ways": 4},
            {"name": "L1 dTLB 2M", "entries": 32, "ways": 4, "page_sizes": ["2MiB"]},
            {"name": "L2", "entries": 1024, "ways": 4},
            {"name": "L2 1G", "entries": 16, "ways": 4, "page_sizes": ["1GiB"]},
            {"name": "L3", "entries": 1024, "ways": 4, "page_sizes": ["1GiB", "4KiB"], "hit_cycles": 9},
        ]}));
        let machine = machine.unwrap();
        let cycles: Vec<_> = (0..6).map(|place| machine.hit_cycles_of(place)).collect();
        assert_eq!(cycles, [0, 0, 0, 7, 0, 9]);
    }
}
