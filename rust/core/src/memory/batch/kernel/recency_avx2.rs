//! LRU and tree-PLRU with AVX2: the vector form of [`super::recency`], equal to it word for word.
//!
//! A set is 1, 2 or 4 vectors of eight 32-bit entries. One compare a vector finds the line, dirty or not; the place of the
//! first equal lane, or else that of the line to leave, says how the order moves the set. No branch depends on the data
//! but the one that `ask_first` turns on.
//!
//! What counts here is the number of instructions: the loop runs at four and more a cycle.

use super::super::words::Buffer;
use super::array::Array;
use super::{Dirty, Requests, Tally};
use std::marker::PhantomData;

/// What a kernel works on.
pub(super) struct State<'a, O> {
    pub array: &'a mut Array<u32>,
    pub order: PhantomData<O>,
    /// Ways that hold no line yet; not counted for an order that is dense.
    pub room: &'a mut usize,
}

/// Runs the requests. Also returns how many did not hit the first place of their set (0 unless `ask_first`).
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn run<O>(
    _state: State<'_, O>,
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
    use super::super::order_avx2::{Set, VectorOrder};
    use super::{Array, Buffer, Dirty, Requests, State, Tally};
    use crate::trace::batch::WRITE_BIT;
    use std::arch::x86_64::{
        __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_load_si256,
        _mm256_movemask_epi8, _mm256_movemask_ps, _mm256_or_si256, _mm256_packs_epi32, _mm256_permute4x64_epi64,
        _mm256_set1_epi32, _mm256_setzero_si256,
    };
    use std::hint::select_unpredictable;

    /// Arrays of this many bytes and more have their sets fetched ahead of their use.
    const AHEAD_BYTES: usize = 128 << 10;

    /// How a kernel knows the place of a new line: it is always the last one.
    const LAST: u8 = 0;
    /// It is the last one that is a way.
    const LAST_HELD: u8 = 1;
    /// It may be a way without a line.
    const EMPTY: u8 = 2;

    /// Where a line was found.
    struct Found {
        /// Its place, or the last one.
        place: usize,
        /// 0 if it is not in the set.
        lanes: u32,
        /// 1 if it is there and dirty.
        dirty: u32,
    }

    /// Looks for a line in a set; `DIRTY` says whether lines can be dirty.
    ///
    /// # Safety
    /// The cpu has AVX2 and BMI1.
    #[inline(always)]
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "the same 32 bits")]
    unsafe fn find<const V: usize, const DIRTY: bool>(set: &Set<V>, clean: u32, last: usize) -> Found {
        // SAFETY: as the caller promises.
        unsafe {
            let clean_lanes = _mm256_set1_epi32(clean as i32);
            let dirty_lanes = _mm256_set1_epi32((clean | 1) as i32);
            let mut equal = [_mm256_setzero_si256(); V];
            let mut any_dirty = _mm256_setzero_si256();
            for (equal, lanes) in equal.iter_mut().zip(set) {
                *equal = _mm256_cmpeq_epi32(*lanes, clean_lanes);
                if DIRTY {
                    let equal_dirty = _mm256_cmpeq_epi32(*lanes, dirty_lanes);
                    any_dirty = _mm256_or_si256(any_dirty, equal_dirty);
                    *equal = _mm256_or_si256(*equal, equal_dirty);
                }
            }
            let dirty = if DIRTY { u32::from(_mm256_movemask_epi8(any_dirty) != 0) } else { 0 };
            if V == 2 {
                // Two bits a lane: one pack is cheaper than two masks.
                let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(equal[0], equal[1]));
                let lanes = _mm256_movemask_epi8(both) as u32;
                let place = (lanes | (1 << (2 * last))).trailing_zeros() as usize / 2;
                return Found { place, lanes, dirty };
            }
            let mut lanes = 0;
            for (vector, equal) in equal.iter().enumerate() {
                lanes |= (_mm256_movemask_ps(_mm256_castsi256_ps(*equal)) as u32) << (vector * LANES);
            }
            Found { place: (lanes | (1 << last)).trailing_zeros() as usize, lanes, dirty }
        }
    }

    /// The lanes of a set that are equal to an entry.
    ///
    /// # Safety
    /// The cpu has AVX2.
    #[inline(always)]
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "the same 32 bits")]
    unsafe fn lanes_of<const V: usize>(set: &Set<V>, entry: u32) -> u32 {
        let lanes_of = |lanes| {
            // SAFETY: as the caller promises.
            unsafe {
                let equal = _mm256_cmpeq_epi32(lanes, _mm256_set1_epi32(entry as i32));
                _mm256_movemask_ps(_mm256_castsi256_ps(equal)) as u32
            }
        };
        set.iter().enumerate().fold(0, |all, (vector, &lanes)| all | lanes_of(lanes) << (vector * LANES))
    }

    /// The place in a set that a new line takes, and whether it is a way without a line.
    ///
    /// # Safety
    /// The cpu has AVX2.
    #[inline(always)]
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "the same 32 bits")]
    #[allow(clippy::cast_possible_truncation, reason = "a set has at most 32 places")]
    unsafe fn place_for_new<O: VectorOrder, const V: usize>(set: &Set<V>, places: usize) -> (usize, bool) {
        let all = u32::MAX >> (32 - places);
        // SAFETY: as the caller promises.
        let (empty, no_way) = unsafe { (all & lanes_of::<V>(set, u32::INVALID), lanes_of::<V>(set, u32::NO_WAY)) };
        let held = all & !(empty | no_way);
        (O::place_for_new(places as u32, held, empty) as usize, empty != 0)
    }

    /// Runs the requests. Also returns how many did not hit the first place of their set (0 unless `ask_first`).
    pub(in super::super) fn run<O: VectorOrder>(
        state: State<'_, O>,
        requests: Requests<'_>,
        dirty: Dirty,
        ask_first: bool,
        out: &mut Buffer,
    ) -> (Tally, usize) {
        let State { array, room, .. } = state;
        assert!(super::super::has_simd(array.geometry), "chosen at build time");
        assert!(requests.words.len() >= requests.count && out.words.len() > 2 * requests.count);
        let positions = !requests.positions.is_empty();
        assert!(!positions || (requests.positions.len() >= requests.count && out.positions.len() >= out.words.len()));
        let vectors = array.stride / LANES;
        let ahead = !requests.from_cpu
            && size_of_val(array.entries()) >= AHEAD_BYTES
            && requests.words.len() >= requests.count + LOOK_AHEAD;
        let dense = O::IS_DENSE || array.geometry.ways.is_power_of_two();
        let full = O::IS_DENSE || *room == 0;
        // SAFETY: the cpu has the features, and the lengths were checked above: a kernel reads `count` words (and
        // `LOOK_AHEAD` more if `ahead`) and writes at most two words a request and one behind them.
        macro_rules! call {
            ($v:literal, $cpu:literal, $dirty:literal, $positions:literal, $flag:literal) => {
                // An order that is dense has one form.
                if O::IS_DENSE || (full && dense) {
                    unsafe { kernel::<O, $v, $cpu, $dirty, $positions, $flag, LAST>(array, room, requests, out) }
                } else if full {
                    unsafe { kernel::<O, $v, $cpu, $dirty, $positions, $flag, LAST_HELD>(array, room, requests, out) }
                } else {
                    unsafe { kernel::<O, $v, $cpu, $dirty, $positions, $flag, EMPTY>(array, room, requests, out) }
                }
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
    /// The cpu has AVX2, BMI1 and BMI2; `requests.words` holds `count` words, and `LOOK_AHEAD` more when they do
    /// not come from the cpu and `FLAG` is set; `out` has room for two words a request and one more; the same holds for
    /// positions if `POSITIONS`; the array has `V` vectors a set, with places as `NEW` says.
    // LZCNT is left out on purpose: with it the loop for `LAST_HELD` comes out a tenth slower.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "lanes and tags are 32 bits wide")]
    unsafe fn kernel<
        O: VectorOrder,
        const V: usize,
        const FROM_CPU: bool,
        const DIRTY: u8,
        const POSITIONS: bool,
        const FLAG: bool,
        const NEW: u8,
    >(
        array: &mut Array<u32>,
        room: &mut usize,
        requests: Requests<'_>,
        out: &mut Buffer,
    ) -> (Tally, usize) {
        let ask_first = FROM_CPU && FLAG;
        let ahead = !FROM_CPU && FLAG;
        let geometry = array.geometry;
        let tag_shift = array.tag_shift;
        // The bits of an address that say the set, and how far they are from being its offset in bytes.
        let set_bits = ((1u64 << geometry.set_bits) - 1) << geometry.line_bits;
        let to_offset = geometry.line_bits.saturating_sub((V * LANES * size_of::<u32>()).trailing_zeros());
        let line_mask = !((1u64 << geometry.line_bits) - 1) & !WRITE_BIT;
        let places = O::places(geometry.ways as usize);
        let last = places - 1;
        let all_places = u32::MAX >> (32 - places);
        let (words, count, positions) = (requests.words.as_ptr(), requests.count, requests.positions.as_ptr());
        let (sets, out_words, out_positions) =
            (array.entries().as_mut_ptr().cast::<u8>(), out.words.as_mut_ptr(), out.positions.as_mut_ptr());
        let offset_of = |word: u64| {
            if V > 2 {
                // Sets may have more bytes than a line: no shift to the right makes that.
                ((word & set_bits) >> geometry.line_bits) as usize * V * LANES * size_of::<u32>()
            } else {
                ((word & set_bits) >> to_offset) as usize
            }
        };
        let (mut emitted, mut misses, mut hidden_victims, mut not_first) = (0usize, 0u64, 0u64, 0usize);
        for index in 0..count {
            // SAFETY: `index < count`; a set number is below the number of sets, so the set's `V` vectors lie in the
            // array, aligned to 32 bytes; at most two words a request have been emitted before.
            unsafe {
                let word = *words.add(index);
                if ahead {
                    let set = sets.add(offset_of(*words.add(index + LOOK_AHEAD))).cast::<i8>();
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
                let memory = sets.add(offset_of(word)).cast::<u32>();
                if ask_first {
                    let first = *memory;
                    if first & !1 == clean {
                        // Most stores find the line dirty already; not storing it again keeps the set loadable whole.
                        if DIRTY > 0 && first & stores != stores {
                            *memory = first | stores;
                        }
                        continue;
                    }
                    not_first += 1;
                }
                let mut set = [_mm256_setzero_si256(); V];
                for (vector, lanes) in set.iter_mut().enumerate() {
                    *lanes = _mm256_load_si256(memory.add(vector * LANES).cast::<__m256i>());
                }
                let (place_for_new, takes_room) = match NEW {
                    LAST => (last, false),
                    LAST_HELD => (((lanes_of::<V>(&set, u32::NO_WAY) ^ all_places) | 1).ilog2() as usize, false),
                    _ => place_for_new::<O, V>(&set, places),
                };
                let leaving = if DIRTY > 0 { *memory.add(place_for_new) } else { 0 };
                let found =
                    if DIRTY > 0 { find::<V, true>(&set, clean, last) } else { find::<V, false>(&set, clean, last) };
                let miss = u32::from(found.lanes == 0);
                let place =
                    if NEW == LAST { found.place } else { select_unpredictable(miss == 0, found.place, place_for_new) };
                if NEW == EMPTY {
                    *room -= (miss & u32::from(takes_room)) as usize;
                }
                let front = clean | if DIRTY > 0 { stores | found.dirty } else { 0 };
                O::store_used::<V>(memory, &set, place, _mm256_set1_epi32(front as i32));
                *out_words.add(emitted) = if FROM_CPU { word & line_mask | u64::from(stores) } else { word };
                if POSITIONS {
                    *out_positions.add(emitted) = *positions.add(index);
                }
                emitted += (miss & !victim) as usize;
                let write_back = leaving & miss;
                if DIRTY == 1 {
                    hidden_victims += u64::from(write_back);
                }
                if DIRTY == 2 {
                    misses += u64::from(miss);
                    *out_words.add(emitted) = u64::from(leaving >> 1) << tag_shift | word & set_bits | DIRTY_VICTIM;
                    if POSITIONS {
                        *out_positions.add(emitted) = *positions.add(index);
                    }
                    emitted += write_back as usize;
                }
            }
        }
        out.len = emitted;
        if DIRTY != 2 {
            // Each miss emitted one word, and nothing else did.
            misses = emitted as u64;
        }
        (Tally { misses, hidden_victims }, not_first)
    }
}
