//! The stacks of LRU sets in vectors of 32-bit tags: one compare, one shift and one store an access, without a branch.

use super::lru::Histogram;
use crate::memory::batch::kernel::array::Array;

/// Whether this cpu has the instructions.
pub(super) fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// What `run` in `lru` does.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn run(
    _array: &mut Array<u32>,
    _tag_shift: u32,
    _lines: &[u64],
    _count: usize,
    _depths: &mut Histogram,
    _out: &mut [u64],
) -> usize {
    unreachable!("`is_supported` is false on this architecture")
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::run;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::super::associativity::LOOK_AHEAD;
    use super::super::lru::DEPTHS;
    use super::{Array, Histogram};
    use crate::memory::batch::kernel::array::LANES;
    use crate::memory::batch::kernel::order::Lru;
    use crate::memory::batch::kernel::order_avx2::{Set, VectorOrder};
    use std::arch::x86_64::{
        __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_load_si256,
        _mm256_movemask_epi8, _mm256_movemask_ps, _mm256_packs_epi32, _mm256_permute4x64_epi64, _mm256_set1_epi32,
        _mm256_setzero_si256,
    };

    /// Arrays of this many bytes and more have their sets fetched ahead of their use.
    const AHEAD_BYTES: usize = 32 << 10;

    /// What `run` in `lru` does.
    pub(in super::super) fn run(
        array: &mut Array<u32>,
        tag_shift: u32,
        lines: &[u64],
        count: usize,
        depths: &mut Histogram,
        out: &mut [u64],
    ) -> usize {
        assert!(super::is_supported(), "chosen when the level was made");
        assert!(lines.len() >= count + LOOK_AHEAD && out.len() >= count + LOOK_AHEAD);
        let ahead = size_of_val(array.entries()) >= AHEAD_BYTES;
        // SAFETY: the cpu has the features, the lengths were checked, and sets have as many vectors as they say.
        unsafe {
            match (array.stride / LANES, ahead) {
                (1, false) => kernel::<1, false>(array, tag_shift, lines, count, depths, out),
                (1, true) => kernel::<1, true>(array, tag_shift, lines, count, depths, out),
                (2, false) => kernel::<2, false>(array, tag_shift, lines, count, depths, out),
                (2, true) => kernel::<2, true>(array, tag_shift, lines, count, depths, out),
                (_, false) => kernel::<4, false>(array, tag_shift, lines, count, depths, out),
                (_, true) => kernel::<4, true>(array, tag_shift, lines, count, depths, out),
            }
        }
    }

    /// The first lane of a set that is equal to a tag, or `last`; and 1 if none is.
    ///
    /// # Safety
    /// The cpu has AVX2 and BMI1.
    #[inline(always)]
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "the same 32 bits")]
    unsafe fn find<const V: usize>(set: &Set<V>, tag: u32, last: usize) -> (usize, usize) {
        // SAFETY: as the caller promises.
        unsafe {
            let tags = _mm256_set1_epi32(tag as i32);
            let mut equal = [_mm256_setzero_si256(); V];
            for (equal, lanes) in equal.iter_mut().zip(set) {
                *equal = _mm256_cmpeq_epi32(*lanes, tags);
            }
            if V == 2 {
                // Two bits a lane: one pack is cheaper than two masks.
                let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(equal[0], equal[1]));
                let lanes = _mm256_movemask_epi8(both) as u32;
                let place = (lanes | (1 << (2 * last))).trailing_zeros() as usize / 2;
                return (place, usize::from(lanes == 0));
            }
            let mut lanes = 0;
            for (vector, equal) in equal.iter().enumerate() {
                lanes |= (_mm256_movemask_ps(_mm256_castsi256_ps(*equal)) as u32) << (vector * LANES);
            }
            ((lanes | (1 << last)).trailing_zeros() as usize, usize::from(lanes == 0))
        }
    }

    /// The loop for sets of `V` vectors, which are fetched ahead if `AHEAD`.
    ///
    /// # Safety
    /// The cpu has AVX2, BMI1 and BMI2; `lines` and `out` hold `count` lines and [`LOOK_AHEAD`] more; the array has `V`
    /// vectors a set.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    #[allow(clippy::cast_possible_truncation, reason = "tags are 32 bits wide, and sets fit the memory")]
    #[allow(clippy::cast_possible_wrap, reason = "the same 32 bits")]
    unsafe fn kernel<const V: usize, const AHEAD: bool>(
        array: &mut Array<u32>,
        tag_shift: u32,
        lines: &[u64],
        count: usize,
        depths: &mut Histogram,
        out: &mut [u64],
    ) -> usize {
        let set_mask = array.geometry.sets() as u64 - 1;
        let (sets, lines, out) = (array.entries().as_mut_ptr(), lines.as_ptr(), out.as_mut_ptr());
        let depths = depths.as_mut_ptr();
        let last = V * LANES - 1;
        let mut passed = 0;
        for index in 0..count {
            // SAFETY: `index < count`; a set lies in the array, aligned to 32 bytes; a place is at most 31, a depth 32.
            unsafe {
                let line = *lines.add(index);
                if AHEAD {
                    let set = sets.add((*lines.add(index + LOOK_AHEAD) & set_mask) as usize * V * LANES).cast::<i8>();
                    _mm_prefetch::<_MM_HINT_T0>(set);
                    if V > 2 {
                        _mm_prefetch::<_MM_HINT_T0>(set.add(64));
                    }
                }
                let tag = (line >> tag_shift) as u32;
                let memory = sets.add((line & set_mask) as usize * V * LANES);
                let mut set = [_mm256_setzero_si256(); V];
                for (vector, lanes) in set.iter_mut().enumerate() {
                    *lanes = _mm256_load_si256(memory.add(vector * LANES).cast::<__m256i>());
                }
                let (place, miss) = find::<V>(&set, tag, last);
                let depth = place + miss;
                Lru::store_used::<V>(memory, &set, place, _mm256_set1_epi32(tag as i32));
                *depths.add(index % 2 * DEPTHS + depth) += 1;
                *out.add(passed) = line;
                passed += usize::from(depth > 0);
            }
        }
        passed
    }
}
