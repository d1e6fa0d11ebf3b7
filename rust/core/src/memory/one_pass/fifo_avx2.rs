//! The search in FIFO rings with vectors of eight 32-bit tags: one compare and one OR a place.

use super::associativity::LevelShape;
use super::fifo::{LANES, Place};

/// What `run` in `fifo` does.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn run_vectors(
    _shape: LevelShape,
    _rings: &mut [Place<u32>],
    _heads: &mut [[u8; LANES]],
    _misses: &mut [[u64; LANES]; 4],
    _lines: &[u64],
    _out: &mut [u64],
) -> usize {
    unreachable!("`is_supported` is false on this architecture")
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::run_vectors;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::super::fifo::{Search, run};
    use super::super::lru_avx2::is_supported;
    use super::{LANES, LevelShape, Place};
    use std::arch::x86_64::{
        __m256i, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_loadu_si256, _mm256_movemask_ps, _mm256_or_si256,
        _mm256_set1_epi32, _mm256_setzero_si256,
    };

    /// Eight lanes at once.
    struct Vectors;

    impl Search<u32> for Vectors {
        #[inline(always)]
        #[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "the same 32 bits")]
        fn missing(held: &[Place<u32>], tag: u32) -> u32 {
            // SAFETY: `run_vectors` alone uses this form, and it asks the cpu; a place has the eight lanes that are read.
            unsafe {
                let tags = _mm256_set1_epi32(tag as i32);
                let mut found = _mm256_setzero_si256();
                for place in held {
                    let lanes = _mm256_loadu_si256(place.as_ptr().cast::<__m256i>());
                    found = _mm256_or_si256(found, _mm256_cmpeq_epi32(lanes, tags));
                }
                !(_mm256_movemask_ps(_mm256_castsi256_ps(found)) as u32) & ((1 << LANES) - 1)
            }
        }
    }

    /// What `run` in `fifo` does.
    pub(in super::super) fn run_vectors(
        shape: LevelShape,
        rings: &mut [Place<u32>],
        heads: &mut [[u8; LANES]],
        misses: &mut [[u64; LANES]; 4],
        lines: &[u64],
        out: &mut [u64],
    ) -> usize {
        #[target_feature(enable = "avx2,bmi1,bmi2")]
        fn avx2(
            shape: LevelShape,
            rings: &mut [Place<u32>],
            heads: &mut [[u8; LANES]],
            misses: &mut [[u64; LANES]; 4],
            lines: &[u64],
            out: &mut [u64],
        ) -> usize {
            run::<Vectors, u32>(shape, rings, heads, misses, lines, out)
        }
        assert!(is_supported(), "chosen when the level was made");
        // SAFETY: the cpu has the features.
        unsafe { avx2(shape, rings, heads, misses, lines, out) }
    }
}
