//! What working sets of one profile have in common: blocks, what a thread finds that is alone, what a walk costs.

use super::Footprint;
use super::hits::{HitPrice, ShortWay};
use super::level::{Alone, Reuse};
use super::machine::PAGES;
use super::profile::{Blocks, Order, Pattern, Profile};

/// What working sets of one profile have in common.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub lines: Reuse,
    pub pages: Reuse,
    pub page: usize,
    pub walk_cycles: f64,
    pub is_dependent: bool,
    pub is_write: bool,
    /// They come in order, and prefetchers run ahead.
    pub is_stream: bool,
    /// They go past all TLBs.
    pub is_physical: bool,
    /// Whether runs that miss nothing may go the short way.
    pub short_way: ShortWay,
    /// What such a run cost the last time.
    pub hits: HitPrice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ProfileKey([u64; 7]);

impl Footprint {
    /// The kind of a profile, made where it is new.
    pub(super) fn kind(&mut self, profile: &Profile) -> u32 {
        let key = ProfileKey::of(profile);
        if let Some(&kind) = self.kinds_by_profile.get(&key) {
            return kind;
        }
        let page_bytes = 1u64 << profile.page.bits();
        let lines = self.reuse(profile.blocks(self.machine.line_bytes), page_bytes / self.machine.line_bytes);
        let pages = self.reuse(profile.blocks(page_bytes), 1);
        let bytes = profile.units as f64 * profile.unit_bytes as f64;
        let mut kind = Kind {
            walk_cycles: self.walk_cycles(&lines, &pages, bytes),
            lines,
            pages,
            page: PAGES.iter().position(|&page| page == profile.page).expect("all page sizes are listed"),
            is_dependent: profile.is_dependent,
            is_write: profile.is_write,
            is_stream: !profile.is_scattered && matches!(profile.pattern, Pattern::Sequential | Pattern::Strided(_)),
            is_physical: profile.is_physical,
            short_way: ShortWay::None,
            hits: HitPrice::default(),
        };
        kind.short_way = self.short_way(&kind);
        self.kinds.push(kind);
        let place = u32::try_from(self.kinds.len() - 1).expect("fewer than 2^32 kinds");
        self.kinds_by_profile.insert(key, place);
        place
    }

    /// What a thread that is alone finds at each level. `page_blocks`: of one page, whose places are consecutive.
    fn reuse(&self, blocks: Blocks, page_blocks: u64) -> Reuse {
        let Blocks { count, touches_a_run, spacing, order } = blocks;
        let machine = &self.machine;
        let alone = machine.levels.iter().map(|level| {
            let sets = &level.sets;
            // Units further apart than a block leave sets out.
            let used = (level.count / spacing.min(page_blocks as f64)).max(1.0);
            let density = 1.0 / used;
            let own = count * density;
            let time = match &order {
                Order::Cycle => f64::INFINITY,
                Order::Drawn(draws) => draws.time_of(sets.kept(own, 0.0) / own),
            };
            let [touched, misses] = match &order {
                Order::Cycle => [1.0, sets.misses(own, 0.0) / own],
                Order::Drawn(draws) => draws.at(time),
            };
            Alone { density, misses, kept: sets.kept(own, 0.0) / own, time, touched }
        });
        Reuse { blocks: count, accesses_a_touch: touches_a_run, alone: alone.collect(), order }
    }

    /// A walk of a working set whose tables are warm.
    fn walk_cycles(&self, lines: &Reuse, pages: &Reuse, bytes: f64) -> f64 {
        let walk = &self.machine.walk;
        if walk.leaf_reads == 0.0 {
            return walk.start;
        }
        let machine = &self.machine;
        let caches = &machine.levels[..machine.caches];
        let Some(first) = caches.get(walk.first_cache) else {
            let reads = walk.leaf_reads + walk.upper_reads.iter().filter(|&&covered| bytes > covered).count() as f64;
            return walk.start + reads * machine.memory_latency;
        };
        // Eight leaf entries share a line. Pages in order come to a line eight times in a row; a drawn page finds its line
        // where as many other lines fit as were touched in between.
        let table_lines = (pages.blocks / 8.0).max(1.0);
        let mut leaf = first.latency;
        for (cache, level) in caches.iter().enumerate().skip(walk.first_cache) {
            let misses = match pages.order {
                Order::Cycle => lines.alone[cache].misses / 8.0,
                Order::Drawn(_) => {
                    let own = 2.0 * table_lines / level.count;
                    level.sets.misses(own, 0.0) / own
                }
            };
            leaf += misses * (machine.latency_behind(cache) - level.latency);
        }
        let upper = walk.upper_reads.iter().filter(|&&covered| bytes > covered).count() as f64;
        walk.start + walk.leaf_reads * leaf + upper * walk.leaf_reads * first.latency
    }
}

impl ProfileKey {
    pub fn of(profile: &Profile) -> Self {
        let (order, first, second) = match profile.pattern {
            Pattern::Sequential => (0, 0, 0),
            Pattern::Strided(stride) => (1, stride, 0),
            Pattern::Chase => (2, 0, 0),
            Pattern::Uniform => (3, 0, 0),
            Pattern::Zipf(skew) => (4, skew.to_bits(), 0),
            Pattern::Hot { fraction, probability } => (5, fraction.to_bits(), probability.to_bits()),
        };
        let flags = [profile.is_scattered, profile.is_dependent, profile.is_write, profile.is_physical];
        let flags = flags.into_iter().fold(0, |bits, flag| bits << 1 | u64::from(flag));
        Self([profile.units, profile.unit_bytes, profile.page.bits().into(), order, first, second, flags])
    }
}
