//! Policies that leave lines in their ways, with AVX2: the vector form of [`super::ways`], equal to it word for word.
//!
//! One compare a vector finds the line; the policy's `refer` does the rest, without a branch where the policy can. Sets
//! are stored whole, at an address that is known early.
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
    /// Ways that hold no line yet.
    pub room: &'a mut usize,
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
    use super::{Array, Buffer, Dirty, Requests, State, Tally};
    use crate::memory::replacement::Replacement;
    use crate::trace::batch::WRITE_BIT;
    use std::arch::x86_64::{
        __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_and_si256, _mm256_blendv_epi8, _mm256_castsi256_ps,
        _mm256_cmpeq_epi32, _mm256_load_si256, _mm256_movemask_epi8, _mm256_movemask_ps, _mm256_or_si256,
        _mm256_packs_epi32, _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_store_si256,
    };
    use std::hint::select_unpredictable;

    /// Row `way` is the mask of that lane alone.
    #[repr(align(64))]
    struct Only([[u32; 32]; 32]);

    static ONLY: Only = {
        let mut rows = [[0; 32]; 32];
        let mut way = 0;
        while way < 32 {
            rows[way][way] = u32::MAX;
            way += 1;
        }
        Only(rows)
    };

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
        assert!(requests.from_cpu || (!positions && requests.words.len() >= requests.count + LOOK_AHEAD));
        if ask_first {
            // Other chunks do not keep it up.
            state.touched.fill(u32::INVALID);
        }
        let State { array, policy, touched, room } = state;
        let vectors = array.stride / LANES;
        let shared = Shared { stores: u32::from(dirty != Dirty::Never), touched: touched.as_mut_ptr() };
        // SAFETY: the cpu has the features, and the lengths were checked above.
        macro_rules! call {
            ($v:literal, $cpu:literal, $ask:literal, $positions:literal, $present:literal, $full:literal) => {
                unsafe {
                    kernel::<P, $v, $cpu, $ask, $positions, $present, $full>(array, policy, shared, room, requests, out)
                }
            };
        }
        macro_rules! with_flags {
            ($v:literal, $present:literal, $full:literal) => {
                match (requests.from_cpu, ask_first, positions) {
                    (true, false, false) => call!($v, true, false, false, $present, $full),
                    (true, false, true) => call!($v, true, false, true, $present, $full),
                    (true, true, false) => call!($v, true, true, false, $present, $full),
                    (true, true, true) => call!($v, true, true, true, $present, $full),
                    (false, _, _) => call!($v, false, false, false, $present, $full),
                }
            };
        }
        macro_rules! with_vectors {
            ($present:literal, $full:literal) => {
                // The policy's constant leaves out the sizes that it is not for.
                match vectors {
                    1 if *P::VECTOR_WAYS.start() <= 8 => with_flags!(1, $present, $full),
                    2 if *P::VECTOR_WAYS.start() <= 16 => with_flags!(2, $present, $full),
                    4 if *P::VECTOR_WAYS.end() > 16 => with_flags!(4, $present, $full),
                    _ => unreachable!("the policy is for other sets"),
                }
            };
        }
        match (dirty == Dirty::Presented, *room == 0) {
            (false, false) => with_vectors!(false, false),
            (false, true) => with_vectors!(false, true),
            (true, false) => with_vectors!(true, false),
            (true, true) => with_vectors!(true, true),
        }
    }

    /// Whether a lane is set, and which is the first.
    ///
    /// # Safety
    /// The cpu has AVX2 and BMI1.
    #[inline(always)]
    #[allow(clippy::cast_sign_loss, reason = "the same 32 bits")]
    unsafe fn find<const V: usize>(equal: &[__m256i; V]) -> (bool, usize) {
        // SAFETY: as the caller promises.
        unsafe {
            if V == 2 {
                // Two bits a lane: one pack is cheaper than two masks.
                let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(equal[0], equal[1]));
                let lanes = _mm256_movemask_epi8(both) as u32;
                return (lanes != 0, lanes.trailing_zeros() as usize / 2);
            }
            let lanes = equal.iter().enumerate().fold(0, |lanes, (vector, equal)| {
                lanes | (_mm256_movemask_ps(_mm256_castsi256_ps(*equal)) as u32) << (vector * LANES)
            });
            (lanes != 0, lanes.trailing_zeros() as usize)
        }
    }

    /// What a kernel needs besides.
    #[derive(Clone, Copy)]
    struct Shared {
        /// 1 if stores make lines dirty, else 0.
        stores: u32,
        /// An entry a set.
        touched: *mut u32,
    }

    /// The loop for sets of `V` vectors. `FULL`: no way is without a line.
    ///
    /// # Safety
    /// The cpu has AVX2, BMI1, BMI2 and LZCNT; `requests.words` holds `count` words, and `LOOK_AHEAD` more when they do
    /// not come from the cpu; `out` has room for two words a request and one more; the same holds for positions if
    /// `POSITIONS`; the array has `V` vectors a set, and `touched` an entry a set.
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "lanes and tags are 32 bits wide")]
    unsafe fn kernel<
        P: Replacement,
        const V: usize,
        const FROM_CPU: bool,
        const ASK_FIRST: bool,
        const POSITIONS: bool,
        const PRESENT: bool,
        const FULL: bool,
    >(
        array: &mut Array<u32>,
        policy: &mut P,
        shared: Shared,
        room: &mut usize,
        requests: Requests<'_>,
        out: &mut Buffer,
    ) -> (Tally, usize) {
        let geometry = array.geometry;
        let (line_bits, tag_shift) = (geometry.line_bits, array.tag_shift);
        let set_bits = ((1u64 << geometry.set_bits) - 1) << line_bits;
        let line_mask = !((1u64 << line_bits) - 1) & !WRITE_BIT;
        let ways = geometry.ways as usize;
        let (words, count, positions) = (requests.words.as_ptr(), requests.count, requests.positions.as_ptr());
        let (sets, out_words, out_positions) =
            (array.entries().as_mut_ptr(), out.words.as_mut_ptr(), out.positions.as_mut_ptr());
        let Shared { stores: stores_count, touched } = shared;
        let (mut emitted, mut misses, mut hidden_victims, mut not_first) = (0usize, 0u64, 0u64, 0usize);
        let dirty_bits = _mm256_set1_epi32(1);
        for index in 0..count {
            // SAFETY: `index < count`; a set number is below the number of sets, so the set's `V` vectors lie in the
            // array, aligned to 32 bytes; a way is below the number of ways; at most two words a request have been
            // emitted before.
            unsafe {
                let word = *words.add(index);
                if !FROM_CPU {
                    let set = (*words.add(index + LOOK_AHEAD) & set_bits) >> line_bits;
                    let ahead = sets.add(set as usize * V * LANES).cast::<i8>();
                    _mm_prefetch::<_MM_HINT_T0>(ahead);
                    if V > 2 {
                        _mm_prefetch::<_MM_HINT_T0>(ahead.add(64));
                    }
                    _mm_prefetch::<_MM_HINT_T0>(policy.address(set as usize).cast::<i8>());
                }
                let (address, stores, victim) = if FROM_CPU {
                    (word & !WRITE_BIT, (word >> 63) as u32, 0)
                } else {
                    let victim = if PRESENT { (word / DIRTY_VICTIM) as u32 & 1 } else { 0 };
                    (word, victim, victim)
                };
                let for_store = stores;
                let stores = if PRESENT { stores } else { stores & stores_count };
                let clean = ((address >> tag_shift) as u32) << 1;
                let set_index = ((word & set_bits) >> line_bits) as usize;
                if ASK_FIRST {
                    // A store to a line that is clean so far takes the long way.
                    let last = *touched.add(set_index);
                    if last & !1 == clean && last & stores == stores {
                        continue;
                    }
                    not_first += 1;
                }
                let set = sets.add(set_index * V * LANES);
                // Compared as if all were dirty.
                let dirty_lanes = _mm256_set1_epi32((clean | 1) as i32);
                let mut equal = [_mm256_setzero_si256(); V];
                let mut old = equal;
                for (vector, (lanes, equal)) in old.iter_mut().zip(&mut equal).enumerate() {
                    *lanes = _mm256_load_si256(set.add(vector * LANES).cast::<__m256i>());
                    *equal = _mm256_cmpeq_epi32(_mm256_or_si256(*lanes, dirty_bits), dirty_lanes);
                }
                let (is_hit, found) = find::<V>(&equal);
                let way = if !FULL && *set.add(ways - 1) == u32::INVALID {
                    *room -= usize::from(!is_hit);
                    fill_up::<P>(policy, set, ways, set_index, is_hit.then_some(found))
                } else {
                    policy.refer(set_index, is_hit, found)
                };
                debug_assert!(way < ways, "policies stay within the set");
                let before = *set.add(way);
                let miss = u32::from(!is_hit);
                // A line that was dirty stays so.
                let after = clean | stores | (before & !miss & 1);
                if ASK_FIRST {
                    *touched.add(set_index) = select_unpredictable(is_hit, after, u32::INVALID);
                }
                // The set is stored whole: to store the entry alone would hold up the next load of the set, and loads
                // of other sets too, as long as its address is not known.
                let new_lanes = _mm256_set1_epi32((clean | stores) as i32);
                for (vector, (lanes, equal)) in old.iter().zip(equal).enumerate() {
                    let mask = _mm256_load_si256(ONLY.0.as_ptr().cast::<__m256i>().add(way * 4 + vector));
                    let new = _mm256_blendv_epi8(*lanes, new_lanes, mask);
                    // Again a line that was dirty stays so, but without waiting for its entry to be loaded apart.
                    let new = _mm256_or_si256(new, _mm256_and_si256(*lanes, equal));
                    _mm256_store_si256(set.add(vector * LANES).cast::<__m256i>(), new);
                }
                *out_words.add(emitted) = if FROM_CPU { (word & line_mask) | u64::from(for_store) } else { word };
                if POSITIONS {
                    *out_positions.add(emitted) = *positions.add(index);
                }
                emitted += (miss & (victim ^ 1)) as usize;
                let write_back = before & miss & 1;
                if PRESENT {
                    misses += u64::from(miss);
                    *out_words.add(emitted) = (u64::from(before >> 1) << tag_shift) | (word & set_bits) | DIRTY_VICTIM;
                    if POSITIONS {
                        *out_positions.add(emitted) = *positions.add(index);
                    }
                    emitted += write_back as usize;
                } else {
                    hidden_victims += u64::from(write_back);
                }
            }
        }
        out.len = emitted;
        if !PRESENT {
            // Each miss emitted one word, and nothing else did.
            misses = emitted as u64;
        }
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
        found: Option<usize>,
    ) -> usize {
        if let Some(way) = found {
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
