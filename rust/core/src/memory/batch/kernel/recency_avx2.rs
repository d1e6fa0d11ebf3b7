//! LRU with AVX2: the vector form of [`super::recency`], equal to it word for word.
//!
//! A set is 1 to 4 vectors of eight 32-bit entries. One compare a vector finds the line, dirty or not; the bits of the
//! result say how far the set is to be shifted; a rotation by one lane carries from vector to vector, and a blend under
//! a mask of the lanes up to that place keeps the rest. No branch depends on the data but the one that `ask_first`
//! turns on.

use super::super::words::Buffer;
use super::array::Array;
use super::{Dirty, Requests, Tally};

/// Runs the requests. Also returns how many did not hit the first place of their set (0 unless `ask_first`).
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn run(
    _array: &mut Array<u32>,
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
    use super::super::super::words::{DIRTY_VICTIM, LOOK_AHEAD};
    use super::super::array::LANES;
    use super::{Array, Buffer, Dirty, Requests, Tally};
    use crate::trace::batch::WRITE_BIT;
    use std::arch::x86_64::{
        __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_blend_epi32, _mm256_blendv_epi8, _mm256_castsi256_ps,
        _mm256_cmpeq_epi32, _mm256_load_si256, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_movemask_ps,
        _mm256_or_si256, _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_si256,
        _mm256_store_si256,
    };

    /// Sets of this many bytes and more are fetched ahead of their use.
    const AHEAD_BYTES: usize = 128 << 10;

    /// A window onto this table, starting at `31 - place`, is the mask of the lanes up to `place`.
    static UP_TO: [u32; 64] = {
        let mut table = [0; 64];
        let mut lane = 0;
        while lane < 32 {
            table[lane] = u32::MAX;
            lane += 1;
        }
        table
    };

    /// Runs the requests. Also returns how many did not hit the first place of their set (0 unless `ask_first`).
    pub(in super::super) fn run(
        array: &mut Array<u32>,
        requests: Requests<'_>,
        dirty: Dirty,
        ask_first: bool,
        out: &mut Buffer,
    ) -> (Tally, usize) {
        assert!(super::super::has_simd(), "chosen at build time");
        assert!(requests.words.len() >= requests.count && out.words.len() > 2 * requests.count);
        let positions = !requests.positions.is_empty();
        assert!(!positions || (requests.positions.len() >= requests.count && out.positions.len() >= out.words.len()));
        let vectors = array.stride / LANES;
        let ahead = !requests.from_cpu
            && size_of_val(array.entries()) >= AHEAD_BYTES
            && requests.words.len() >= requests.count + LOOK_AHEAD;
        // SAFETY: the cpu has the features, and the lengths were checked above: a kernel reads `count` words (and
        // `LOOK_AHEAD` more if `ahead`) and writes at most two words a request and one behind them.
        macro_rules! call {
            ($v:literal, $cpu:literal, $dirty:literal, $positions:literal, $flag:literal) => {
                unsafe { kernel::<$v, $cpu, $dirty, $positions, $flag>(array, requests, out) }
            };
        }
        // The last constant is `ask_first` for requests of the cpu, `ahead` for others.
        macro_rules! with_flags {
            ($v:literal, $dirty:literal) => {
                match (requests.from_cpu, positions, if requests.from_cpu { ask_first } else { ahead }) {
                    (true, false, false) => call!($v, true, $dirty, false, false),
                    (true, false, true) => call!($v, true, $dirty, false, true),
                    (true, true, false) => call!($v, true, $dirty, true, false),
                    (true, true, true) => call!($v, true, $dirty, true, true),
                    (false, false, false) => call!($v, false, $dirty, false, false),
                    (false, false, true) => call!($v, false, $dirty, false, true),
                    (false, true, false) => call!($v, false, $dirty, true, false),
                    (false, true, true) => call!($v, false, $dirty, true, true),
                }
            };
        }
        macro_rules! with_vectors {
            ($dirty:literal) => {
                match vectors {
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
    /// if `POSITIONS`; the array has `V` vectors a set.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "lanes and tags are 32 bits wide")]
    unsafe fn kernel<const V: usize, const FROM_CPU: bool, const DIRTY: u8, const POSITIONS: bool, const FLAG: bool>(
        array: &mut Array<u32>,
        requests: Requests<'_>,
        out: &mut Buffer,
    ) -> (Tally, usize) {
        let ask_first = FROM_CPU && FLAG;
        let ahead = !FROM_CPU && FLAG;
        let geometry = array.geometry;
        let (line_bits, tag_shift) = (geometry.line_bits, array.tag_shift);
        let set_mask = (1u64 << geometry.set_bits) - 1;
        let line_mask = !((1u64 << line_bits) - 1) & !WRITE_BIT;
        let last = geometry.ways as usize - 1;
        let (words, count, positions) = (requests.words.as_ptr(), requests.count, requests.positions.as_ptr());
        let (sets, out_words, out_positions) =
            (array.entries().as_mut_ptr(), out.words.as_mut_ptr(), out.positions.as_mut_ptr());
        let up_to = UP_TO.as_ptr();
        let rotation = _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6);
        let (mut emitted, mut misses, mut dirty_victims, mut not_first) = (0usize, 0u64, 0u64, 0usize);
        for index in 0..count {
            // SAFETY: `index < count`; a set number is below the number of sets, so the set's `V` vectors lie in the
            // array, aligned to 32 bytes; at most two words a request have been emitted before.
            unsafe {
                let word = *words.add(index);
                if ahead {
                    let set = (*words.add(index + LOOK_AHEAD) >> line_bits) & set_mask;
                    let set = sets.add(set as usize * V * LANES).cast::<i8>();
                    _mm_prefetch::<_MM_HINT_T0>(set);
                    if V > 2 {
                        _mm_prefetch::<_MM_HINT_T0>(set.add(64));
                    }
                }
                // What of the word makes the line dirty: a store at the first level, a dirty victim further out.
                let (tag_part, stores, victim) = if FROM_CPU {
                    ((word & !WRITE_BIT) >> tag_shift, (word >> 63) as u32, 0)
                } else {
                    let victim = if DIRTY > 0 { (word / DIRTY_VICTIM) as u32 & 1 } else { 0 };
                    (word >> tag_shift, victim, victim)
                };
                let clean = (tag_part as u32) << 1;
                let set_number = (word >> line_bits) & set_mask;
                let set = sets.add(set_number as usize * V * LANES);
                if ask_first {
                    let first = *set;
                    if first & !1 == clean {
                        // Most stores find the line dirty already; not storing it again keeps the set loadable whole.
                        if DIRTY > 0 && first & stores != stores {
                            *set = first | stores;
                        }
                        continue;
                    }
                    not_first += 1;
                }
                let leaving = if DIRTY > 0 { *set.add(last) } else { 0 };
                let mut old = [_mm256_setzero_si256(); V];
                let clean_lanes = _mm256_set1_epi32(clean as i32);
                let dirty_lanes = _mm256_set1_epi32((clean | 1) as i32);
                let mut found = 0u32;
                let mut found_dirty = _mm256_setzero_si256();
                for (vector, old) in old.iter_mut().enumerate() {
                    *old = _mm256_load_si256(set.add(vector * LANES).cast::<__m256i>());
                    let mut equal = _mm256_cmpeq_epi32(*old, clean_lanes);
                    if DIRTY > 0 {
                        let equal_dirty = _mm256_cmpeq_epi32(*old, dirty_lanes);
                        equal = _mm256_or_si256(equal, equal_dirty);
                        found_dirty = _mm256_or_si256(found_dirty, equal_dirty);
                    }
                    found |= (_mm256_movemask_ps(_mm256_castsi256_ps(equal)) as u32) << (vector * LANES);
                }
                let miss = u32::from(found == 0);
                let place = (found | 1 << last).trailing_zeros() as usize;
                let mut carry = if DIRTY > 0 {
                    let was_dirty = u32::from(_mm256_movemask_epi8(found_dirty) != 0);
                    _mm256_set1_epi32((clean | stores | was_dirty) as i32)
                } else {
                    clean_lanes
                };
                for (vector, old) in old.iter().enumerate() {
                    let rotated = _mm256_permutevar8x32_epi32(*old, rotation);
                    let shifted = _mm256_blend_epi32::<1>(rotated, carry);
                    let mask = _mm256_loadu_si256(up_to.add(31 - place + vector * LANES).cast::<__m256i>());
                    let new = _mm256_blendv_epi8(*old, shifted, mask);
                    _mm256_store_si256(set.add(vector * LANES).cast::<__m256i>(), new);
                    carry = rotated;
                }
                *out_words.add(emitted) = if FROM_CPU { word & line_mask | u64::from(stores) } else { word };
                if POSITIONS {
                    *out_positions.add(emitted) = *positions.add(index);
                }
                emitted += (miss & (victim ^ 1)) as usize;
                misses += u64::from(miss);
                if DIRTY > 0 {
                    let write_back = leaving & miss;
                    dirty_victims += u64::from(write_back);
                    if DIRTY == 2 {
                        *out_words.add(emitted) =
                            u64::from(leaving >> 1) << tag_shift | set_number << line_bits | DIRTY_VICTIM;
                        if POSITIONS {
                            *out_positions.add(emitted) = *positions.add(index);
                        }
                        emitted += write_back as usize;
                    }
                }
            }
        }
        out.len = emitted;
        (Tally { misses, dirty_victims }, not_first)
    }
}
