//! All FIFO caches of one number of sets.
//!
//! FIFO has no inclusion (Belady, Nelson, Shedler, "An anomaly in space-time characteristics of certain programs running
//! in a paging machine", CACM 12(6), 1969), so one stack cannot stand for all. But a line that hits changes nothing; and
//! the cache of one way holds what the set was used for last, which every other cache of this number of sets holds too.
//! So a set has a ring of tags for each number of ways, side by side; a line that is not in the first is looked for in
//! all of them at once and written to those that miss it.
//!
//! Rings of 1 to 8 ways are the lanes of 8 vectors, those of 9 to 16 ways of 16, and so on: the vector at a place has the
//! tags that stand there in each of eight rings. Then one compare a vector, and an OR of all, say which rings hold a line.

use super::associativity::{Level, LevelShape, prefetch};
use super::lru::Tag;
use super::{fifo_avx2, lru_avx2};
use crate::memory::batch::entry::Entry;

/// Rings that stand side by side.
pub(super) const LANES: usize = 8;
const LANES_U32: u32 = 8;

/// Requests from one set that is fetched to the next that is used.
const AHEAD: usize = 4;

/// One place of eight rings.
pub(super) type Place<T> = [T; LANES];

/// Places of a set: the rings of `LANES * groups` ways at most.
const fn places(groups: usize) -> usize {
    LANES * groups * (groups + 1) / 2
}

/// Tags that a set takes.
pub(super) fn stride(max_ways: u32) -> usize {
    LANES * places((max_ways as usize).div_ceil(LANES))
}

enum Rings {
    Narrow(Vec<Place<u32>>),
    Wide(Vec<Place<u64>>),
}

pub(super) struct FifoLevel {
    shape: LevelShape,
    rings: Rings,
    // By set and group of eight rings: the place that the next line takes.
    heads: Vec<[u8; LANES]>,
    // By group of eight rings.
    misses: [[u64; LANES]; 4],
}

impl FifoLevel {
    pub fn new(shape: LevelShape) -> Self {
        let shape = LevelShape { simd: shape.simd && lru_avx2::is_supported(), ..shape };
        let groups = (shape.max_ways as usize).div_ceil(LANES);
        let all = shape.sets() * places(groups);
        let rings = if shape.is_wide {
            Rings::Wide(vec![[u64::INVALID; LANES]; all])
        } else {
            Rings::Narrow(vec![[u32::INVALID; LANES]; all])
        };
        Self { shape, rings, heads: vec![[0; LANES]; shape.sets() * groups], misses: [[0; LANES]; 4] }
    }
}

impl Level for FifoLevel {
    fn run(&mut self, lines: &[u64], count: usize, out: &mut [u64]) -> usize {
        let (lines, heads, misses) = (&lines[..count], &mut self.heads[..], &mut self.misses);
        match &mut self.rings {
            Rings::Narrow(rings) if self.shape.simd => {
                fifo_avx2::run_vectors(self.shape, rings, heads, misses, lines, out)
            }
            Rings::Narrow(rings) => run::<Lanes, u32>(self.shape, rings, heads, misses, lines, out),
            Rings::Wide(rings) => run::<Lanes, u64>(self.shape, rings, heads, misses, lines, out),
        }
    }

    fn widen(&mut self, original: &dyn Fn(u64) -> u64) {
        let Rings::Narrow(narrow) = &self.rings else { return };
        let places = narrow.len() / self.shape.sets();
        let widened = |(index, place): (usize, &Place<u32>)| {
            place.map(|tag| match tag {
                u32::INVALID => u64::INVALID,
                _ => u64::of(original(self.shape.line(tag.number(), index / places)), self.shape.tag_shift),
            })
        };
        self.rings = Rings::Wide(narrow.iter().enumerate().map(widened).collect());
    }

    fn misses(&self) -> Vec<u64> {
        self.misses.iter().flatten().copied().take(self.shape.max_ways as usize).collect()
    }
}

/// Says in which of eight rings a tag is not; bit 0 is the first.
pub(super) trait Search<T> {
    fn missing(held: &[Place<T>], tag: T) -> u32;
}

/// One lane after the other; what the vector form does.
pub(super) struct Lanes;

impl<T: Tag> Search<T> for Lanes {
    fn missing(held: &[Place<T>], tag: T) -> u32 {
        (0..LANES).fold(0, |missing, lane| missing | u32::from(held.iter().all(|place| place[lane] != tag)) << lane)
    }
}

/// Runs lines through all rings, for one to four groups of them.
#[inline(always)]
pub(super) fn run<S: Search<T>, T: Tag>(
    shape: LevelShape,
    rings: &mut [Place<T>],
    heads: &mut [[u8; LANES]],
    misses: &mut [[u64; LANES]; 4],
    lines: &[u64],
    out: &mut [u64],
) -> usize {
    match shape.max_ways {
        1..=8 => run_groups::<S, T, 1>(shape, rings, heads, misses, lines, out),
        9..=16 => run_groups::<S, T, 2>(shape, rings, heads, misses, lines, out),
        17..=24 => run_groups::<S, T, 3>(shape, rings, heads, misses, lines, out),
        _ => run_groups::<S, T, 4>(shape, rings, heads, misses, lines, out),
    }
}

#[inline(always)]
fn run_groups<S: Search<T>, T: Tag, const GROUPS: usize>(
    shape: LevelShape,
    rings: &mut [Place<T>],
    heads: &mut [[u8; LANES]],
    misses: &mut [[u64; LANES]; 4],
    lines: &[u64],
    out: &mut [u64],
) -> usize {
    let set_of = |line: u64| usize::try_from(line & (shape.sets() as u64 - 1)).expect("a set of the array");
    let mut passed = 0;
    for (index, &line) in lines.iter().enumerate() {
        let set = set_of(line);
        if let Some(&next) = lines.get(index + AHEAD) {
            let start = set_of(next) * places(GROUPS);
            for place in (0..places(GROUPS)).step_by(2) {
                prefetch(rings, start + place);
            }
        }
        let rings = &mut rings[set * places(GROUPS)..][..places(GROUPS)];
        let tag = T::of(line, shape.tag_shift);
        if rings[0][0] == tag {
            continue;
        }
        out[passed] = line;
        passed += 1;
        let heads: &mut [[u8; LANES]; GROUPS] =
            (&mut heads[set * GROUPS..][..GROUPS]).try_into().expect("a row for each group");
        for group in 0..GROUPS {
            let held = &mut rings[places(group)..places(group + 1)];
            let ways = u32::try_from(LANES * group).expect("few") + 1;
            miss::<S, T>(held, tag, &mut heads[group], &mut misses[group], ways, shape.max_ways);
        }
    }
    passed
}

/// Puts a tag into those of eight rings that do not hold it; the first has `ways` ways.
#[inline(always)]
fn miss<S: Search<T>, T: Tag>(
    held: &mut [Place<T>],
    tag: T,
    heads: &mut [u8; LANES],
    misses: &mut [u64; LANES],
    ways: u32,
    max_ways: u32,
) {
    let mut missing = S::missing(held, tag);
    // The last group may have lanes that are no ring.
    missing &= u32::MAX >> (u32::BITS - (max_ways + 1 - ways).min(LANES_U32));
    if missing == u32::MAX >> (u32::BITS - LANES_U32) {
        // On hard traces most lines miss everywhere: then nothing branches, and all but the writes is vectors.
        for lane in 0..LANES {
            held[usize::from(heads[lane])][lane] = tag;
        }
        for (lane, head) in (0u32..).zip(heads) {
            *head = if u32::from(*head) + 1 == ways + lane { 0 } else { *head + 1 };
        }
        for misses in misses {
            *misses += 1;
        }
        return;
    }
    while missing != 0 {
        let lane = missing.trailing_zeros() as usize;
        missing &= missing - 1;
        let head = usize::from(heads[lane]);
        held[head][lane] = tag;
        heads[lane] = if head + 1 == ways as usize + lane { 0 } else { heads[lane] + 1 };
        misses[lane] += 1;
    }
}
