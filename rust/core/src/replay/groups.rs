//! Statistics apart: by thread, by region, by instruction address.

use super::options::{Region, ReplayOptions};
use super::result::GroupStats;
use crate::memory::hierarchy::Outcome;
use crate::trace::{Access, AccessKind};
use std::collections::HashMap;

/// Counters of one group; the key stands beside it.
type Group = GroupStats;

/// All groups that were asked for.
#[derive(Default)]
pub(super) struct Groups {
    levels: usize,
    threads: Option<HashMap<u32, Group>>,
    ips: Option<HashMap<u64, Group>>,
    ips_kept: usize,
    // One for each region and one for the rest; empty if there are no regions.
    regions: Vec<Group>,
}

impl Groups {
    pub fn new(options: &ReplayOptions, levels: usize) -> Self {
        let named = |name: &str| Group { key: name.into(), misses: vec![0; levels], ..Group::default() };
        let names = options.regions.iter().map(|region| region.name.as_str());
        Self {
            levels,
            threads: options.by_thread.then(HashMap::new),
            ips: (options.by_ip > 0).then(HashMap::new),
            ips_kept: options.by_ip as usize,
            regions: if options.regions.is_empty() { Vec::new() } else { names.chain(["other"]).map(named).collect() },
        }
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.threads.is_none() && self.ips.is_none() && self.regions.is_empty()
    }

    /// Counts a reference; `missed_again` are the levels that it missed once more than the outcome says.
    pub fn count(&mut self, access: &Access, regions: &[Region], outcome: &Outcome, missed_again: &[u8]) {
        let fresh = || Group { misses: vec![0; self.levels], ..Group::default() };
        if let Some(threads) = &mut self.threads {
            add(threads.entry(access.thread).or_insert_with(fresh), access.kind, outcome, missed_again);
        }
        if let Some(ips) = &mut self.ips {
            add(ips.entry(access.ip).or_insert_with(fresh), access.kind, outcome, missed_again);
        }
        if !self.regions.is_empty() {
            let index = region_of(regions, access.address).unwrap_or(regions.len());
            add(&mut self.regions[index], access.kind, outcome, missed_again);
        }
    }

    /// By thread, ascending.
    pub fn threads(&self) -> Vec<GroupStats> {
        keyed(self.threads.as_ref(), u32::to_string).into_iter().map(|(_, group)| group).collect()
    }

    /// The instruction addresses with the largest latency, ties by address.
    pub fn ips(&self) -> Vec<GroupStats> {
        let mut ips = keyed(self.ips.as_ref(), |ip| format!("{ip:#x}"));
        ips.sort_by_key(|(ip, group)| (std::cmp::Reverse(group.latency_cycles), *ip));
        ips.into_iter().take(self.ips_kept).map(|(_, group)| group).collect()
    }

    /// By region, in the order given.
    pub fn regions(&self) -> Vec<GroupStats> {
        self.regions.clone()
    }
}

/// The first region that contains the address.
pub(super) fn region_of(regions: &[Region], address: u64) -> Option<usize> {
    regions.iter().position(|region| (region.start.bytes()..region.end.bytes()).contains(&address))
}

/// Groups with their keys written into them, by ascending key.
fn keyed<K: Copy + Ord>(groups: Option<&HashMap<K, Group>>, name: impl Fn(&K) -> String) -> Vec<(K, GroupStats)> {
    let mut keyed: Vec<(K, GroupStats)> = groups
        .into_iter()
        .flatten()
        .map(|(key, group)| (*key, GroupStats { key: name(key), ..group.clone() }))
        .collect();
    keyed.sort_by_key(|&(key, _)| key);
    keyed
}

fn add(group: &mut Group, kind: AccessKind, outcome: &Outcome, missed_again: &[u8]) {
    group.references += 1;
    match kind {
        AccessKind::Read => group.reads += 1,
        AccessKind::Write => group.writes += 1,
        AccessKind::Fetch => group.fetches += 1,
    }
    group.page_walks += u64::from(outcome.walked);
    for (level, misses) in group.misses.iter_mut().enumerate() {
        *misses += u64::from((outcome.missed >> level) & 1);
    }
    for &level in missed_again {
        group.misses[usize::from(level)] += 1;
    }
    group.latency_cycles += outcome.latency_cycles;
}
