//! Policies but LRU with AVX2: the vector form of [`super::ways`], equal to it word for word.
//!
//! One compare a vector finds the line; the policy's `refer` does the rest, without a branch where the policy can. An
//! entry that does not change is stored beside the array, since a store to part of a set would hold up the next load of
//! the whole set.
//!
//! `touched` holds for every set the entry that its last reference touched. Touching it again changes nothing, so that a
//! request for it is done with one compare; `ask_first` turns this on.

use super::super::words::Buffer;
use super::array::Array;
use super::{Dirty, Requests, Tally};

/// What a kernel works on.
pub(super) struct State<'a, P> {
    pub array: &'a mut Array<u32>,
    pub policy: &'a mut P,
    /// By set: the entry that was touched last, or invalid if the last reference filled a way.
    pub touched: &'a mut [u32],
}

/// Runs the requests. Also returns how many did not find what was touched last (0 unless `ask_first`).
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn run<P>(
    _state: State<'_, P>,
    _requests: Requests<'_>,
    _dirty: Dirty,
    _ask_first: bool,
    _out: &mut Buffer,
) -> (Tally, usize) {
    unreachable!("`has_simd` is false on this architecture")
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::run;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::super::super::entry::Entry;
    use super::super::super::words::{DIRTY_VICTIM, LOOK_AHEAD};
    use super::super::array::LANES;
    use super::{Buffer, Dirty, Requests, State, Tally};
    use crate::memory::replacement::Replacement;
    use crate::trace::batch::WRITE_BIT;
    use std::arch::x86_64::{
        __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_load_si256,
        _mm256_movemask_ps, _mm256_or_si256, _mm256_set1_epi32,
    };
    use std::hint::select_unpredictable;

    /// Sets of this many bytes and more are fetched ahead of their use.
    const AHEAD_BYTES: usize = 128 << 10;

    /// Runs the requests. Also returns how many did not find what was touched last (0 unless `ask_first`).
    pub(in super::super) fn run<P: Replacement>(
        state: State<'_, P>,
        requests: Requests<'_>,
        dirty: Dirty,
        ask_first: bool,
        out: &mut Buffer,
    ) -> (Tally, usize) {
        assert!(super::super::has_simd(state.array.geometry), "chosen at build time");
        assert!(requests.words.len() >= requests.count && out.words.len() > 2 * requests.count);
        let positions = !requests.positions.is_empty();
        assert!(!positions || (requests.positions.len() >= requests.count && out.positions.len() >= out.words.len()));
        assert_eq!(state.touched.len(), state.array.geometry.sets());
        let ahead = !requests.from_cpu
            && size_of_val(state.array.entries()) >= AHEAD_BYTES
            && requests.words.len() >= requests.count + LOOK_AHEAD;
        if ask_first {
            // Other chunks do not keep it up.
            state.touched.fill(u32::INVALID);
        }
        // SAFETY: the cpu has the features, and the lengths were checked above.
        macro_rules! call {
            ($v:literal, $cpu:literal, $dirty:literal, $flag:literal) => {
                unsafe { kernel::<P, $v, $cpu, $dirty, $flag>(state, requests, positions, out) }
            };
        }
        // The last constant is `ask_first` for requests of the cpu, `ahead` for others.
        macro_rules! with_flags {
            ($v:literal, $dirty:literal) => {
                match (requests.from_cpu, if requests.from_cpu { ask_first } else { ahead }) {
                    (true, false) => call!($v, true, $dirty, false),
                    (true, true) => call!($v, true, $dirty, true),
                    (false, false) => call!($v, false, $dirty, false),
                    (false, true) => call!($v, false, $dirty, true),
                }
            };
        }
        macro_rules! with_vectors {
            ($dirty:literal) => {
                match state.array.stride / LANES {
                    1 => with_flags!(1, $dirty),
                    2 => with_flags!(2, $dirty),
                    3 => with_flags!(3, $dirty),
                    _ => with_flags!(4, $dirty),
                }
            };
        }
        match dirty {
            Dirty::Never => with_vectors!(0),
            Dirty::Counted => with_vectors!(1),
            Dirty::Presented => with_vectors!(2),
        }
    }

    /// The loop for sets of `V` vectors.
    ///
    /// # Safety
    /// The cpu has AVX2, BMI1 and BMI2; `requests.words` holds `count` words, and `LOOK_AHEAD` more when they do not come
    /// from the cpu and `FLAG` is set; `out` has room for two words a request and one more; the same holds for positions
    /// if there are any; the array has `V` vectors a set; `touched` has an entry a set.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "lanes and tags are 32 bits wide")]
    unsafe fn kernel<P: Replacement, const V: usize, const FROM_CPU: bool, const DIRTY: u8, const FLAG: bool>(
        state: State<'_, P>,
        requests: Requests<'_>,
        with_positions: bool,
        out: &mut Buffer,
    ) -> (Tally, usize) {
        let ask_first = FROM_CPU && FLAG;
        let ahead = !FROM_CPU && FLAG;
        let State { array, policy, touched } = state;
        let geometry = array.geometry;
        let (line_bits, tag_shift) = (geometry.line_bits, array.tag_shift);
        let set_mask = (1u64 << geometry.set_bits) - 1;
        let line_mask = !((1u64 << line_bits) - 1) & !WRITE_BIT;
        let ways = geometry.ways as usize;
        let (words, count, positions) = (requests.words.as_ptr(), requests.count, requests.positions.as_ptr());
        let (sets, out_words, out_positions, touched) =
            (array.entries().as_mut_ptr(), out.words.as_mut_ptr(), out.positions.as_mut_ptr(), touched.as_mut_ptr());
        let one = _mm256_set1_epi32(1);
        let mut beside = 0u32;
        let beside: *mut u32 = &raw mut beside;
        let (mut emitted, mut misses, mut hidden_victims, mut not_first) = (0usize, 0u64, 0u64, 0usize);
        for index in 0..count {
            // SAFETY: `index < count`; a set number is below the number of sets, so the set's `V` vectors lie in the
            // array, aligned to 32 bytes; a way is below the number of ways; at most two words a request have been
            // emitted before.
            unsafe {
                let word = *words.add(index);
                if ahead {
                    let set = (*words.add(index + LOOK_AHEAD) >> line_bits) & set_mask;
                    _mm_prefetch::<_MM_HINT_T0>(sets.add(set as usize * V * LANES).cast::<i8>());
                }
                let (address, stores, victim) = if FROM_CPU {
                    (word & !WRITE_BIT, (word >> 63) as u32, 0)
                } else {
                    let victim = if DIRTY > 0 { (word / DIRTY_VICTIM) as u32 & 1 } else { 0 };
                    (word, victim, victim)
                };
                let for_store = stores;
                let stores = if DIRTY > 0 { stores } else { 0 };
                let clean = ((address >> tag_shift) as u32) << 1;
                let set_number = (address >> line_bits) & set_mask;
                let set_index = set_number as usize;
                if ask_first {
                    // A store to a line that is clean so far takes the long way.
                    let last = *touched.add(set_index);
                    if last & !1 == clean && last & stores == stores {
                        continue;
                    }
                    not_first += 1;
                }
                let set = sets.add(set_index * V * LANES);
                let wanted = _mm256_set1_epi32((clean | 1) as i32);
                let mut found = 0u32;
                for vector in 0..V {
                    let lanes = _mm256_load_si256(set.add(vector * LANES).cast::<__m256i>());
                    let equal = _mm256_cmpeq_epi32(_mm256_or_si256(lanes, one), wanted);
                    found |= (_mm256_movemask_ps(_mm256_castsi256_ps(equal)) as u32) << (vector * LANES);
                }
                let hit = found != 0;
                let way = if *set.add(ways - 1) == u32::INVALID {
                    fill_up::<P>(policy, set, ways, set_index, found)
                } else {
                    policy.refer(set_index, hit, found.trailing_zeros() as usize & 31)
                };
                debug_assert!(way < ways, "policies stay within the set");
                let before = *set.add(way);
                let kept = select_unpredictable(hit, before, clean);
                let after = kept | stores;
                if ask_first {
                    *touched.add(set_index) = select_unpredictable(hit, after, u32::INVALID);
                }
                *select_unpredictable(after != before, set.add(way), beside) = after;
                let miss = u32::from(!hit);
                *out_words.add(emitted) = if FROM_CPU { (word & line_mask) | u64::from(for_store) } else { word };
                if with_positions {
                    *out_positions.add(emitted) = *positions.add(index);
                }
                emitted += (miss & (victim ^ 1)) as usize;
                misses += u64::from(miss);
                if DIRTY > 0 {
                    let write_back = before & miss & 1;
                    if DIRTY == 1 {
                        hidden_victims += u64::from(write_back);
                    }
                    if DIRTY == 2 {
                        *out_words.add(emitted) =
                            (u64::from(before >> 1) << tag_shift) | (set_number << line_bits) | DIRTY_VICTIM;
                        if with_positions {
                            *out_positions.add(emitted) = *positions.add(index);
                        }
                        emitted += write_back as usize;
                    }
                }
            }
        }
        out.len = emitted;
        (Tally { misses, hidden_victims }, not_first)
    }

    /// A reference to a set that still has invalid ways: the lowest one is filled.
    ///
    /// # Safety
    /// `set` points to at least `ways` entries.
    #[inline(never)]
    unsafe fn fill_up<P: Replacement>(
        policy: &mut P,
        set: *const u32,
        ways: usize,
        set_index: usize,
        found: u32,
    ) -> usize {
        if found != 0 {
            let way = found.trailing_zeros() as usize;
            policy.touch(set_index, way);
            return way;
        }
        // SAFETY: as the caller promises.
        let set = unsafe { std::slice::from_raw_parts(set, ways) };
        let way = set.iter().position(|&entry| entry == u32::INVALID).expect("the last way is invalid");
        policy.fill(set_index, way);
        way
    }
}
