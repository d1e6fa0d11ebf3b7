//! Kernels: a run of references through one set-associative array.
//!
//! A kernel takes a chunk of requests in order, looks each up, and writes what it asks of the next level, in order, to a
//! buffer: the demand that missed, then the dirty victim. It does nothing else: readers of the words count them.
//!
//! [`Recency`] does LRU and tree-PLRU: it keeps a set's lines in an order of use, so that a hit or miss is one compare,
//! one permutation of the set, and one store. [`Ways`] does every other policy: lines stay in their ways. Both have a
//! scalar form, which defines what they do, and a form for AVX2, chosen at run time, which is held against it by the
//! tests.

pub(in crate::memory) mod array;
pub(in crate::memory) mod order;
pub(in crate::memory) mod order_avx2;
mod recency;
mod recency_avx2;
mod ways;
mod ways_avx2;

pub(super) use recency::Recency;
pub(super) use ways::Ways;

use super::words::Buffer;
use crate::base::Rng;
use crate::memory::config::ReplacementKind;
use crate::memory::geometry::Geometry;
use crate::with_policy;
use order::{Lru, Tree};

/// log2 of the shortest line of the fast kernels: that many bytes as a set of two vectors has.
const SIMD_LINE_BITS: u32 = 6;

/// What happens to dirty lines at a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dirty {
    /// No request makes a line dirty here: TLBs, and outer levels that see no write-backs.
    Never = 0,
    /// Dirty victims are counted.
    Counted = 1,
    /// Dirty victims are counted and presented to the next level.
    Presented = 2,
}

/// Requests for a kernel.
#[derive(Clone, Copy)]
pub(super) struct Requests<'a> {
    /// The words; those behind `count` are slack that may be read and means nothing.
    pub words: &'a [u64],
    /// How many there are.
    pub count: usize,
    /// Position of each in the chunk, or empty if nobody asks.
    pub positions: &'a [u16],
    /// They come from the cpu: bit 63 says write, the low bits are part of the address. Else flags, see `words`.
    pub from_cpu: bool,
}

/// What a kernel counted that its output does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Requests of all kinds that missed.
    pub misses: u64,
    /// Dirty victims that were not presented.
    pub hidden_victims: u64,
}

/// An array that requests run through.
pub(super) trait Kernel: Send {
    /// Serves the requests in order and fills `out` with what the next level is asked.
    fn run(&mut self, requests: Requests<'_>, dirty: Dirty, out: &mut Buffer) -> Tally;

    /// Goes over to 64-bit entries and real addresses; `original` gives the real address of a compact one.
    fn widen(&mut self, original: &dyn Fn(u64) -> u64);
}

/// The kernel of a level. `simd` allows vector instructions if the cpu has them.
pub(super) fn build(geometry: Geometry, kind: ReplacementKind, rng: Rng, wide: bool, simd: bool) -> Box<dyn Kernel> {
    match kind {
        ReplacementKind::Lru => Box::new(Recency::<Lru>::new(geometry, wide, simd)),
        ReplacementKind::TreePlru => Box::new(Recency::<Tree>::new(geometry, wide, simd)),
        _ => with_policy!(kind, geometry.ways, P => Box::new(Ways::<P>::new(geometry, rng, wide, simd))),
    }
}

/// Whether the fast kernels can do an array: this cpu has their instructions, and lines are long enough that the place
/// of a set in memory is its address shifted right.
fn has_simd(geometry: Geometry) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        geometry.line_bits >= SIMD_LINE_BITS
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = geometry;
        false
    }
}

/// Whether to compare with the line that a set was last used for before anything else.
///
/// On friendly traces nearly all requests find it, and the branch breaks the chain of dependence through a hot set. On
/// hard traces the branch is mispredicted again and again. So it is tried on one chunk of [`PROBE_PERIOD`], and on the
/// next chunks too if it served most of that one. The result is the same either way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    chunks: u8,
}

/// Chunks from one trial to the next.
const PROBE_PERIOD: u8 = 16;

impl Patience {
    pub fn ask_first(&mut self) -> bool {
        let ask = self.chunks == 0;
        self.chunks = self.chunks.saturating_sub(1);
        ask
    }

    /// Says how a trial went: how many requests there were and how many found another line.
    pub fn learn(&mut self, requests: usize, not_first: usize) {
        self.chunks = if not_first * 5 > requests { PROBE_PERIOD - 1 } else { 0 };
    }
}
