//! What the [orders](super::order) do to the vectors of a set: their vector forms.

/// Elsewhere there is none, and none is asked for.
#[cfg(not(target_arch = "x86_64"))]
pub(in crate::memory) use super::order::Order as VectorOrder;
#[cfg(target_arch = "x86_64")]
pub(in crate::memory) use x86_64::{Set, VectorOrder};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::super::array::LANES;
    use super::super::order::{Lru, Order, Tree};
    use std::arch::x86_64::{
        __m256i, _mm256_alignr_epi8, _mm256_blend_epi32, _mm256_blendv_epi8, _mm256_load_si256,
        _mm256_permute2x128_si256, _mm256_permutevar8x32_epi32, _mm256_store_si256,
    };

    /// The vectors of a set.
    pub type Set<const V: usize> = [__m256i; V];

    /// An order with a vector form.
    pub trait VectorOrder: Order {
        /// Stores the set with the entry at `place` brought to the front, and in the first lane `front`.
        ///
        /// # Safety
        /// The cpu has AVX2; `memory` points to the set's `V` vectors, aligned to 32 bytes, which `set` holds too;
        /// `place` is below `V * LANES`.
        unsafe fn store_used<const V: usize>(memory: *mut u32, set: &Set<V>, place: usize, front: __m256i);
    }

    /// Row `place` is the mask of the lanes up to `place`.
    #[repr(align(64))]
    struct UpTo([[u32; 32]; 32]);

    static UP_TO: UpTo = {
        let mut rows = [[0; 32]; 32];
        let mut place = 0;
        while place < 32 {
            let mut lane = 0;
            while lane <= place {
                rows[place][lane] = u32::MAX;
                lane += 1;
            }
            place += 1;
        }
        UpTo(rows)
    };

    impl VectorOrder for Lru {
        /// Shifts every vector by one lane, which takes in the last lane of the one before it; a blend under the mask
        /// of the lanes up to `place` keeps the rest.
        #[inline(always)]
        unsafe fn store_used<const V: usize>(memory: *mut u32, set: &Set<V>, place: usize, front: __m256i) {
            // SAFETY: as the caller promises; a row has as many lanes as the largest set.
            unsafe {
                let row = UP_TO.0.as_ptr().cast::<u32>().add(place * 32);
                let mut before = _mm256_permute2x128_si256::<0x20>(front, set[0]);
                for (vector, lanes) in set.iter().enumerate() {
                    let shifted = _mm256_alignr_epi8::<12>(*lanes, before);
                    let mask = _mm256_load_si256(row.add(vector * LANES).cast::<__m256i>());
                    let new = _mm256_blendv_epi8(*lanes, shifted, mask);
                    _mm256_store_si256(memory.add(vector * LANES).cast::<__m256i>(), new);
                    if let Some(next) = set.get(vector + 1) {
                        before = _mm256_permute2x128_si256::<0x21>(*lanes, *next);
                    }
                }
            }
        }
    }

    /// Row `place` says for every lane of a vector from where its entry comes when the one at `place` modulo 8 is used.
    #[repr(align(64))]
    struct From([[u32; LANES]; 32]);

    #[allow(clippy::cast_possible_truncation, reason = "lanes of a vector")]
    static FROM: From = {
        let mut rows = [[0; LANES]; 32];
        let mut place = 0;
        while place < 32 {
            let mut lane = 0;
            while lane < LANES {
                rows[place][lane] = source(lane, place % LANES) as u32;
                lane += 1;
            }
            place += 1;
        }
        From(rows)
    };

    /// The place whose entry comes to `target` when the entry at `used` comes to the front.
    ///
    /// The halves of the nodes above both are exchanged where `used` is in the second. Below where they part, none are.
    const fn source(target: usize, used: usize) -> usize {
        let parting = if target == 0 { 0 } else { target.ilog2() };
        target ^ (used >> parting << parting)
    }

    impl VectorOrder for Tree {
        /// Exchanges whole vectors by where they are loaded from; only the lanes of the first one are mixed.
        #[inline(always)]
        unsafe fn store_used<const V: usize>(memory: *mut u32, set: &Set<V>, place: usize, front: __m256i) {
            // SAFETY: as the caller promises; a table has a row for every place of the largest set.
            unsafe {
                let from = _mm256_load_si256(FROM.0.as_ptr().add(place).cast::<__m256i>());
                let mut new = *set;
                for (vector, lanes) in new.iter_mut().enumerate() {
                    if V > 1 {
                        let source = source(vector, place / LANES);
                        *lanes = _mm256_load_si256(memory.add(source * LANES).cast::<__m256i>());
                    }
                }
                new[0] = _mm256_blend_epi32::<1>(_mm256_permutevar8x32_epi32(new[0], from), front);
                for (vector, lanes) in new.iter().enumerate() {
                    _mm256_store_si256(memory.add(vector * LANES).cast::<__m256i>(), *lanes);
                }
            }
        }
    }
}
