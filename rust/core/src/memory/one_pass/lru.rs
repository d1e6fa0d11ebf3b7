//! All LRU caches of one number of sets: a stack of lines for each set, in the order of their last use.
//!
//! LRU has inclusion (Mattson 1970): a set with one way more holds what one with fewer ways holds. So one stack of
//! `max_ways` lines holds the content of all, and the depth at which a line is found says which of them hit: those with
//! more ways than that.

use super::associativity::{Level, LevelShape};
use super::lru_avx2;
use crate::memory::Geometry;
use crate::memory::batch::entry::Entry;
use crate::memory::batch::kernel::array::{Array, LANES};

/// Depths that are told apart: 32 places, and below them all.
pub(super) const DEPTHS: usize = 64;

/// Counts of depths. Neighbours count in different halves, so that no count waits for the one before.
pub(super) type Histogram = [u64; 2 * DEPTHS];

/// Tags that a set takes.
pub(super) fn stride(max_ways: u32) -> usize {
    (max_ways as usize).next_power_of_two().max(LANES)
}

/// A tag in an array. Compact and real lines leave those free that mean no line.
pub(super) trait Tag: Entry + Eq {
    /// The tag of a line.
    fn of(line: u64, tag_shift: u32) -> Self;

    /// The tag as a number.
    fn number(self) -> u64;
}

impl Tag for u32 {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "compact lines have 32 bits above the sets")]
    fn of(line: u64, tag_shift: u32) -> Self {
        (line >> tag_shift) as u32
    }

    fn number(self) -> u64 {
        u64::from(self)
    }
}

impl Tag for u64 {
    #[inline(always)]
    fn of(line: u64, tag_shift: u32) -> Self {
        line >> tag_shift
    }

    fn number(self) -> u64 {
        self
    }
}

enum Stacks {
    Narrow(Array<u32>),
    Wide(Array<u64>),
}

pub(super) struct LruLevel {
    shape: LevelShape,
    stacks: Stacks,
    depths: Histogram,
}

impl LruLevel {
    pub fn new(shape: LevelShape) -> Self {
        let shape = LevelShape { simd: shape.simd && lru_avx2::is_supported(), ..shape };
        let geometry = Geometry { set_bits: shape.set_bits, ways: shape.max_ways, line_bits: 0 };
        let stacks =
            if shape.is_wide { Stacks::Wide(Array::new(geometry)) } else { Stacks::Narrow(Array::new(geometry)) };
        Self { shape, stacks, depths: [0; 2 * DEPTHS] }
    }
}

impl Level for LruLevel {
    fn run(&mut self, lines: &[u64], count: usize, out: &mut [u64]) -> usize {
        match &mut self.stacks {
            Stacks::Narrow(array) if self.shape.simd => {
                lru_avx2::run(array, self.shape.tag_shift, lines, count, &mut self.depths, out)
            }
            Stacks::Narrow(array) => run(array, self.shape.tag_shift, &lines[..count], &mut self.depths, out),
            Stacks::Wide(array) => run(array, self.shape.tag_shift, &lines[..count], &mut self.depths, out),
        }
    }

    fn widen(&mut self, original: &dyn Fn(u64) -> u64) {
        let Stacks::Narrow(narrow) = &mut self.stacks else { return };
        let mut wide: Array<u64> = Array::new(narrow.geometry);
        let stride = narrow.stride;
        let sets = wide.entries().chunks_exact_mut(stride).zip(narrow.entries().chunks_exact(stride));
        for (set, (wide, narrow)) in sets.enumerate() {
            for (wide, &tag) in wide.iter_mut().zip(narrow).filter(|(_, tag)| **tag != u32::INVALID) {
                *wide = u64::of(original(self.shape.line(tag.number(), set)), self.shape.tag_shift);
            }
        }
        self.stacks = Stacks::Wide(wide);
    }

    fn misses(&self) -> Vec<u64> {
        let (even, odd) = self.depths.split_at(DEPTHS);
        let below = |ways: usize| even[ways..].iter().chain(&odd[ways..]).sum();
        (1..=self.shape.max_ways as usize).map(below).collect()
    }
}

/// What the vector form does.
fn run<T: Tag>(array: &mut Array<T>, tag_shift: u32, lines: &[u64], depths: &mut Histogram, out: &mut [u64]) -> usize {
    let (stride, sets) = (array.stride, array.geometry.sets() as u64);
    let entries = array.entries();
    let mut passed = 0;
    for (index, &line) in lines.iter().enumerate() {
        let set = usize::try_from(line & (sets - 1)).expect("a set of the array");
        let stack = &mut entries[set * stride..][..stride];
        let tag = T::of(line, tag_shift);
        let depth = stack.iter().position(|&held| held == tag).unwrap_or(stride);
        depths[index % 2 * DEPTHS + depth] += 1;
        stack[..=depth.min(stride - 1)].rotate_right(1);
        stack[0] = tag;
        out[passed] = line;
        passed += usize::from(depth > 0);
    }
    passed
}
