//! Every policy but LRU: lines stay in their ways, the policy says which one leaves.
//!
//! Ways fill from the lowest; nothing is ever invalidated here, so a set is full once its last way is.

use super::super::entry::Entry;
use super::super::words::{Buffer, DIRTY_VICTIM, FOR_STORE};
use super::array::{Array, LANES};
use super::{Dirty, Kernel, Requests, Tally};
use crate::base::Rng;
use crate::memory::geometry::Geometry;
use crate::memory::replacement::Replacement;
use crate::trace::batch::WRITE_BIT;

/// An array under the policy `P`.
pub(crate) struct Ways<P> {
    lines: Lines,
    policy: P,
    simd: bool,
}

enum Lines {
    Narrow(Array<u32>),
    Wide(Array<u64>),
}

impl<P: Replacement> Ways<P> {
    pub fn new(geometry: Geometry, rng: Rng, wide: bool, simd: bool) -> Self {
        let lines = if wide { Lines::Wide(Array::new(geometry)) } else { Lines::Narrow(Array::new(geometry)) };
        Self { lines, policy: P::new(geometry, rng), simd: simd && super::has_simd() }
    }
}

impl<P: Replacement + Send> Kernel for Ways<P> {
    fn run(&mut self, requests: Requests<'_>, dirty: Dirty, out: &mut Buffer) -> Tally {
        let policy = &mut self.policy;
        match &mut self.lines {
            Lines::Narrow(array) if self.simd => avx2::run(array, policy, requests, dirty, out),
            Lines::Narrow(array) => run(array, policy, requests, dirty, out, find),
            Lines::Wide(array) => run(array, policy, requests, dirty, out, find),
        }
    }

    fn widen(&mut self) {
        if let Lines::Narrow(array) = &mut self.lines {
            self.lines = Lines::Wide(array.widen());
        }
    }
}

/// The lowest way of a set that holds the line, if any.
fn find<T: Entry>(set: &[T], entry: T) -> Option<usize> {
    set.iter().position(|other| other.same_line(entry))
}

/// Serves the requests; `find` says how a set is searched.
#[inline(always)]
fn run<T: Entry, P: Replacement>(
    array: &mut Array<T>,
    policy: &mut P,
    requests: Requests<'_>,
    dirty: Dirty,
    out: &mut Buffer,
    find: impl Fn(&[T], T) -> Option<usize>,
) -> Tally {
    match (requests.from_cpu, requests.positions.is_empty()) {
        (true, true) => serve::<T, P, true, false>(array, policy, requests, dirty, out, find),
        (true, false) => serve::<T, P, true, true>(array, policy, requests, dirty, out, find),
        (false, true) => serve::<T, P, false, false>(array, policy, requests, dirty, out, find),
        (false, false) => serve::<T, P, false, true>(array, policy, requests, dirty, out, find),
    }
}

#[inline(always)]
fn serve<T: Entry, P: Replacement, const FROM_CPU: bool, const POSITIONS: bool>(
    array: &mut Array<T>,
    policy: &mut P,
    requests: Requests<'_>,
    dirty: Dirty,
    out: &mut Buffer,
    find: impl Fn(&[T], T) -> Option<usize>,
) -> Tally {
    let Geometry { set_bits, ways, line_bits } = array.geometry;
    let (tag_shift, stride, ways) = (array.tag_shift, array.stride, ways as usize);
    let set_mask = (1u64 << set_bits) - 1;
    let line_mask = !((1u64 << line_bits) - 1);
    let entries = array.entries();
    let mut tally = Tally::default();
    let mut emitted = 0;
    for (index, &word) in requests.words[..requests.count].iter().enumerate() {
        let (address, stores, asks) = if FROM_CPU {
            (word & !WRITE_BIT, word >> 63, true)
        } else {
            let victim = word & DIRTY_VICTIM != 0;
            (word, u64::from(victim), !victim)
        };
        let stores = if dirty == Dirty::Never { 0 } else { stores };
        let set_number = (address >> line_bits) & set_mask;
        let set_index = usize::try_from(set_number).expect("sets fit memory");
        let set = &mut entries[set_index * stride..][..stride];
        let entry = T::clean(address, tag_shift);
        if let Some(way) = find(set, entry) {
            policy.touch(set_index, way);
            // Most stores find the line dirty already; not storing it again keeps the set loadable as a whole.
            if set[way].dirty() < stores {
                set[way] = set[way].with_dirty(1);
            }
            continue;
        }
        tally.misses += 1;
        let way = if set[ways - 1] == T::INVALID {
            set[..ways].iter().position(|&other| other == T::INVALID).expect("the last way is invalid")
        } else {
            policy.victim(set_index)
        };
        let leaving = set[way];
        set[way] = entry.with_dirty(stores);
        policy.fill(set_index, way);
        if asks {
            out.words[emitted] = if FROM_CPU { address & line_mask | ((word >> 63) * FOR_STORE) } else { word };
            if POSITIONS {
                out.positions[emitted] = requests.positions[index];
            }
            emitted += 1;
        }
        if leaving.dirty() == 1 {
            tally.dirty_victims += 1;
            if dirty == Dirty::Presented {
                out.words[emitted] = leaving.tag() << tag_shift | set_number << line_bits | DIRTY_VICTIM;
                if POSITIONS {
                    out.positions[emitted] = requests.positions[index];
                }
                emitted += 1;
            }
        }
    }
    out.len = emitted;
    tally
}

#[cfg(not(target_arch = "x86_64"))]
mod avx2 {
    use super::*;

    pub(super) fn run<P: Replacement>(
        array: &mut Array<u32>,
        policy: &mut P,
        requests: Requests<'_>,
        dirty: Dirty,
        out: &mut Buffer,
    ) -> Tally {
        super::run(array, policy, requests, dirty, out, find)
    }
}

/// The same loop, compiled for AVX2, with a vector search.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Array, Buffer, Dirty, LANES, Replacement, Requests, Tally};
    use std::arch::x86_64::{
        __m256i, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_loadu_si256, _mm256_movemask_ps, _mm256_or_si256,
        _mm256_set1_epi32,
    };

    pub(super) fn run<P: Replacement>(
        array: &mut Array<u32>,
        policy: &mut P,
        requests: Requests<'_>,
        dirty: Dirty,
        out: &mut Buffer,
    ) -> Tally {
        assert!(super::super::has_simd(), "chosen at build time");
        // SAFETY: the cpu has the features.
        unsafe {
            match array.stride / LANES {
                1 => kernel::<P, 1>(array, policy, requests, dirty, out),
                2 => kernel::<P, 2>(array, policy, requests, dirty, out),
                3 => kernel::<P, 3>(array, policy, requests, dirty, out),
                _ => kernel::<P, 4>(array, policy, requests, dirty, out),
            }
        }
    }

    /// # Safety
    /// The cpu has AVX2, BMI1 and BMI2.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    unsafe fn kernel<P: Replacement, const V: usize>(
        array: &mut Array<u32>,
        policy: &mut P,
        requests: Requests<'_>,
        dirty: Dirty,
        out: &mut Buffer,
    ) -> Tally {
        // SAFETY: as above, and `run` hands over whole sets.
        super::run(array, policy, requests, dirty, out, |set, entry| unsafe { find::<V>(set, entry) })
    }

    /// # Safety
    /// The cpu has AVX2.
    #[inline(always)]
    #[allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "the same 32 bits")]
    unsafe fn find<const V: usize>(set: &[u32], entry: u32) -> Option<usize> {
        assert!(set.len() >= V * LANES);
        // SAFETY: the loads lie within the set.
        unsafe {
            let one = _mm256_set1_epi32(1);
            let wanted = _mm256_set1_epi32((entry | 1) as i32);
            let mut found = 0u32;
            for vector in 0..V {
                let lanes = _mm256_loadu_si256(set.as_ptr().add(vector * LANES).cast::<__m256i>());
                let equal = _mm256_cmpeq_epi32(_mm256_or_si256(lanes, one), wanted);
                found |= (_mm256_movemask_ps(_mm256_castsi256_ps(equal)) as u32) << (vector * LANES);
            }
            (found != 0).then(|| found.trailing_zeros() as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::words::{Buffer, LOOK_AHEAD};
    use super::super::{Dirty, Kernel, Requests, Tally, build};
    use crate::base::Rng;
    use crate::memory::config::ReplacementKind;
    use crate::memory::geometry::Geometry;
    use proptest::prelude::*;

    fn serve(kernel: &mut dyn Kernel, words: &[u64], dirty: Dirty) -> (Tally, Vec<u64>) {
        let mut padded = words.to_vec();
        padded.resize(words.len() + LOOK_AHEAD, 0);
        let mut out = Buffer::with_capacity(2 * words.len(), false);
        let requests = Requests { words: &padded, count: words.len(), positions: &[], from_cpu: true };
        (kernel.run(requests, dirty, &mut out), out.words().to_vec())
    }

    const KINDS: [ReplacementKind; 9] = [
        ReplacementKind::Mru,
        ReplacementKind::Lip,
        ReplacementKind::Fifo,
        ReplacementKind::Random,
        ReplacementKind::TreePlru,
        ReplacementKind::BitPlru,
        ReplacementKind::Srrip,
        ReplacementKind::Brrip,
        ReplacementKind::Drrip,
    ];

    proptest! {
        #[test]
        fn vector_and_wide_forms_equal_the_scalar_one(
            ways in 1u32..=32,
            kind in prop::sample::select(KINDS.to_vec()),
            chunks in prop::collection::vec(prop::collection::vec((0u64..96, any::<bool>()), 0..300), 1..4),
            dirty in prop::sample::select(vec![Dirty::Never, Dirty::Counted, Dirty::Presented]),
        ) {
            let geometry = Geometry { set_bits: 1, ways, line_bits: 6 };
            let kernel = |simd| build(geometry, kind, Rng::stream(1, "test", 0), false, simd);
            let (mut scalar, mut vector, mut wide) = (kernel(false), kernel(true), kernel(true));
            for (index, chunk) in chunks.iter().enumerate() {
                let words: Vec<u64> =
                    chunk.iter().map(|&(line, write)| (line * 64 + 8) | (u64::from(write) << 63)).collect();
                let expected = serve(&mut *scalar, &words, dirty);
                prop_assert_eq!(&serve(&mut *vector, &words, dirty), &expected);
                prop_assert_eq!(&serve(&mut *wide, &words, dirty), &expected);
                if index == 0 {
                    wide.widen();
                }
            }
        }
    }
}
