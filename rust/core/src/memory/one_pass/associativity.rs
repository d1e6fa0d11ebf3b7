//! Caches of every number of ways, for several numbers of sets, in one pass.
//!
//! Levels stand in a row by their number of sets, fewest first. A chunk of lines goes through the first, which passes on
//! what was not the line that its set was used for last. What was, is that line in all further levels too, since a set
//! of theirs holds a part of the lines of one here; it hits there with any number of ways and changes nothing under LRU
//! and FIFO. So repeated uses are dropped as early as possible.

use super::fifo::FifoLevel;
use super::lru::LruLevel;
use crate::memory::batch::segments::{SEGMENT_BITS, Segments};
use crate::trace::batch::WRITE_BIT;

/// Lines that go through a level at a time.
const CHUNK: usize = 2048;

/// How far ahead a level may read: that much of a buffer behind its lines means nothing.
pub(super) const LOOK_AHEAD: usize = 16;

/// Bits of a narrow tag.
const TAG_BITS: u32 = 32;
/// Bits of an address.
const ADDRESS_BITS: u32 = 63;

/// Which line leaves a full set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least recently used.
    Lru,
    /// The one that came in first.
    Fifo,
}

/// All caches of one number of sets.
pub(super) trait Level: Send {
    /// Takes the first `count` lines, in order; the others are slack. Writes those to `out` that their set was not used
    /// for last, and returns how many these are.
    fn run(&mut self, lines: &[u64], count: usize, out: &mut [u64]) -> usize;

    /// Goes over to real line numbers; `original` gives the real one of a compact one.
    fn widen(&mut self, original: &dyn Fn(u64) -> u64);

    /// Misses by the number of ways, from 1.
    fn misses(&self) -> Vec<u64>;
}

/// Asks the cpu to fetch an element that is used soon.
#[inline(always)]
pub(super) fn prefetch<T>(array: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address lies in the array; a prefetch reads nothing anyway.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(array.as_ptr().add(index.min(array.len())).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (array, index);
}

/// What a level is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelShape {
    /// log2 of the number of sets.
    pub set_bits: u32,
    pub max_ways: u32,
    /// How far a line number is shifted to give its tag: as many bits as the smallest level has for its sets, so that
    /// all levels have the same tags.
    pub tag_shift: u32,
    /// Line numbers are real ones, and tags 64 bits wide.
    pub is_wide: bool,
    /// Vector instructions may be used.
    pub simd: bool,
}

impl LevelShape {
    pub fn sets(self) -> usize {
        1 << self.set_bits
    }

    /// The line of a tag in a set.
    pub fn line(self, tag: u64, set: usize) -> u64 {
        tag << self.tag_shift | (set as u64 & ((1 << self.tag_shift) - 1))
    }
}

/// Bytes that a number of sets takes while it is simulated, before tags are widened to twice that.
pub fn state_bytes(order: Order, sets: u64, max_ways: u32) -> u64 {
    let tags = match order {
        Order::Lru => super::lru::stride(max_ways),
        Order::Fifo => super::fifo::stride(max_ways),
    };
    sets.saturating_mul(4 * tags as u64)
}

/// The pass: feed it words, then ask for the misses.
pub struct AllAssociativity {
    line_bits: u32,
    segments: Segments,
    levels: Vec<Box<dyn Level>>,
    // The line before, as the levels know it.
    last: u64,
    compact: Vec<u64>,
    lines: Vec<u64>,
    passed: Vec<u64>,
}

impl AllAssociativity {
    /// Caches with lines of `1 << line_bits` bytes and `1 << set_bits` sets for each of `set_bits`, which ascend, with 1
    /// to `max_ways` ways. `simd` allows vector instructions.
    pub fn new(order: Order, line_bits: u32, set_bits: &[u32], max_ways: u32, simd: bool) -> Self {
        assert!(set_bits.is_sorted() && (1..=32).contains(&max_ways), "the caller checked");
        let (first, last) = (set_bits[0], set_bits[set_bits.len() - 1]);
        let narrow_bits = (TAG_BITS + line_bits + first).min(ADDRESS_BITS);
        let is_wide = narrow_bits <= SEGMENT_BITS || line_bits + last > SEGMENT_BITS;
        let level = |&set_bits: &u32| -> Box<dyn Level> {
            let shape = LevelShape { set_bits, max_ways, tag_shift: first, is_wide, simd };
            match order {
                Order::Lru => Box::new(LruLevel::new(shape)),
                Order::Fifo => Box::new(FifoLevel::new(shape)),
            }
        };
        Self {
            line_bits,
            segments: if is_wide { Segments::real() } else { Segments::numbered(narrow_bits) },
            levels: set_bits.iter().map(level).collect(),
            last: u64::MAX,
            compact: vec![0; CHUNK],
            lines: vec![0; CHUNK + LOOK_AHEAD],
            passed: vec![0; CHUNK + LOOK_AHEAD],
        }
    }

    /// Takes accesses: words of the raw trace format.
    pub fn feed(&mut self, words: &[u64]) {
        for words in words.chunks(CHUNK) {
            if self.segments.unchanged(words) {
                self.run(words.len(), |index| words[index]);
            } else if self.segments.compact(words, &mut self.compact).is_ok() {
                let compact = std::mem::take(&mut self.compact);
                self.run(words.len(), |index| compact[index]);
                self.compact = compact;
            } else {
                self.widen();
                self.run(words.len(), |index| words[index]);
            }
        }
    }

    /// Misses by the number of sets, then by the number of ways, from 1.
    pub fn misses(&self) -> Vec<Vec<u64>> {
        self.levels.iter().map(|level| level.misses()).collect()
    }

    fn run(&mut self, count: usize, word: impl Fn(usize) -> u64) {
        let mut left = 0;
        for index in 0..count {
            let line = (word(index) & !WRITE_BIT) >> self.line_bits;
            self.lines[left] = line;
            left += usize::from(line != self.last);
            self.last = line;
        }
        for level in &mut self.levels {
            if left == 0 {
                return;
            }
            left = level.run(&self.lines, left, &mut self.passed);
            std::mem::swap(&mut self.lines, &mut self.passed);
        }
    }

    fn widen(&mut self) {
        let original = self.segments.widen();
        let line_bits = self.line_bits;
        for level in &mut self.levels {
            level.widen(&|line| original(line << line_bits) >> line_bits);
        }
        self.last = u64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    /// Misses of one cache, the obvious way.
    fn misses(order: Order, words: &[u64], line_bits: u32, sets: u64, ways: usize) -> u64 {
        let mut cache = vec![Vec::new(); usize::try_from(sets).unwrap()];
        let mut misses = 0;
        for word in words {
            let line = (word & !WRITE_BIT) >> line_bits;
            let set: &mut Vec<u64> = &mut cache[usize::try_from(line % sets).unwrap()];
            match set.iter().position(|&held| held == line) {
                Some(place) if order == Order::Lru => set[..=place].rotate_right(1),
                Some(_) => {}
                None => {
                    misses += 1;
                    set.insert(0, line);
                    set.truncate(ways);
                }
            }
        }
        misses
    }

    fn trace(seed: u64, lines: u32, segments: u32) -> Vec<u64> {
        let mut rng = Rng::stream(seed, "test", 0);
        let word = |rng: &mut Rng| {
            let near = u64::from(rng.below(lines)).min(u64::from(rng.below(lines))) << 6;
            let far = u64::from(rng.below(segments)) << (SEGMENT_BITS + 12);
            (near + far + u64::from(rng.below(64))) | (u64::from(rng.below(2)) << 63)
        };
        (0..4000).map(|_| word(&mut rng)).collect()
    }

    fn assert_counts(order: Order, words: &[u64], set_bits: &[u32], max_ways: u32, simd: bool) {
        let mut pass = AllAssociativity::new(order, 6, set_bits, max_ways, simd);
        for piece in words.chunks(777) {
            pass.feed(piece);
        }
        for (bits, by_ways) in set_bits.iter().zip(pass.misses()) {
            let expected: Vec<u64> =
                (1..=max_ways).map(|ways| misses(order, words, 6, 1 << bits, ways as usize)).collect();
            assert_eq!(by_ways, expected, "{order:?}, {} sets, simd {simd}", 1 << bits);
        }
    }

    #[test]
    fn one_pass_counts_as_one_cache_after_the_other() {
        for order in [Order::Lru, Order::Fifo] {
            for simd in [false, true] {
                for (seed, max_ways) in [(1, 1), (2, 4), (3, 8), (4, 12), (5, 16), (6, 27), (7, 32)] {
                    assert_counts(order, &trace(seed, 300, 1), &[0, 1, 3, 6], max_ways, simd);
                }
            }
        }
    }

    #[test]
    fn far_segments_are_told_apart_and_widening_loses_nothing() {
        for order in [Order::Lru, Order::Fifo] {
            for (seed, segments) in [(1, 3), (2, 9), (3, 5000)] {
                assert_counts(order, &trace(seed, 20, segments), &[0, 2], 8, true);
                assert_counts(order, &trace(seed, 20, segments), &[4, 5], 20, true);
            }
        }
    }
}
