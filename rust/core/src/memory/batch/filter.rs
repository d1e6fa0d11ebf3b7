//! What a row of levels leaves to whoever stands behind it: the references that none of them serves.
//!
//! Without back-invalidation nothing behind a row changes it, so its misses, in order, are all that an outer level sees
//! of the demand, whatever that outer level is.

use super::kernel::{self, Dirty, Kernel, Requests};
use super::segments::{SEGMENT_BITS, Segments};
use super::system::{BatchSystem, CHUNK, cache_plans, narrow_bits, tlb_plans};
use super::words::{Buffer, LOOK_AHEAD};
use crate::memory::MachineConfig;

/// The levels.
pub struct MissFilter {
    levels: Vec<(Box<dyn Kernel>, Buffer)>,
    segments: Segments,
    compact: Vec<u64>,
    // Ascending: where requests of a chunk stand.
    in_order: Vec<u16>,
}

impl MissFilter {
    /// Why a machine cannot be a row, or `None` if it can: it must be one that the batch engine does.
    pub fn refusal(machine: &MachineConfig) -> Option<&'static str> {
        BatchSystem::refusal(machine)
    }

    /// The caches of a machine in a row; or its TLBs, if it has no caches. It has passed its check and is not refused.
    pub fn new(machine: &MachineConfig, seed: u64, simd: bool) -> Self {
        let plans = if machine.caches.is_empty() { tlb_plans(machine, seed) } else { cache_plans(machine, seed) };
        let bits = narrow_bits(&plans);
        let wide = bits <= SEGMENT_BITS;
        let level = |plan: super::cascade::LevelPlan| {
            let kernel = kernel::build(plan.geometry, plan.replacement, plan.rng, wide, simd);
            (kernel, Buffer::with_capacity(2 * CHUNK + 1, true))
        };
        Self {
            levels: plans.into_iter().map(level).collect(),
            segments: if wide { Segments::real() } else { Segments::numbered(bits) },
            compact: vec![0; CHUNK + LOOK_AHEAD],
            in_order: (0..=u16::MAX).take(CHUNK).collect(),
        }
    }

    /// Sends at most [`CHUNK`] references through the levels, and writes to `out` those that none of them serves.
    pub fn run(&mut self, words: &[u64], out: &mut Vec<u64>) {
        assert!(words.len() <= CHUNK);
        let compact: &[u64] = if self.segments.unchanged(words) {
            words
        } else if self.segments.compact(words, &mut self.compact).is_ok() {
            &self.compact[..words.len()]
        } else {
            let original = self.segments.widen();
            for (kernel, _) in &mut self.levels {
                kernel.widen(&original);
            }
            words
        };
        let positions = &self.in_order[..words.len()];
        let mut requests = Requests { words: compact, count: words.len(), positions, from_cpu: true };
        for (kernel, buffer) in &mut self.levels {
            kernel.run(requests, Dirty::Never, buffer);
            requests =
                Requests { words: &buffer.words, count: buffer.len, positions: &buffer.positions, from_cpu: false };
        }
        out.clear();
        out.extend(requests.positions[..requests.count].iter().map(|&position| words[usize::from(position)]));
    }
}
