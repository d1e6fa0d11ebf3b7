//! LRU and tree-PLRU: the lines of a set stand in an order of use, the most recent first.
//!
//! A hit moves a line to the front; a miss puts the new line in the place of the one that leaves, the last one once the
//! set is full, and moves it to the front too. Where the others go is the [`Order`]'s to say.

use super::super::entry::Entry;
use super::super::words::{Buffer, DIRTY_VICTIM, FOR_STORE};
use super::array::Array;
use super::order::Order;
use super::order_avx2::VectorOrder;
use super::{Dirty, Kernel, Patience, Requests, Tally};
use crate::memory::geometry::Geometry;
use crate::trace::batch::WRITE_BIT;
use std::marker::PhantomData;

/// An array whose lines stand in the order `O`.
pub(crate) struct Recency<O> {
    lines: Lines,
    order: PhantomData<O>,
    simd: bool,
    // Ways that hold no line yet, counted by the vector form where that matters to it.
    room: usize,
    patience: Patience,
}

enum Lines {
    Narrow(Array<u32>),
    Wide(Array<u64>),
}

impl<O: Order> Recency<O> {
    pub fn new(geometry: Geometry, wide: bool, simd: bool) -> Self {
        let places = O::places(geometry.ways as usize);
        Self {
            lines: if wide {
                Lines::Wide(Array::with_places(geometry, places))
            } else {
                Lines::Narrow(Array::with_places(geometry, places))
            },
            order: PhantomData,
            simd: simd && super::has_simd(geometry),
            room: geometry.lines(),
            patience: Patience::default(),
        }
    }
}

impl<O: VectorOrder> Kernel for Recency<O> {
    fn run(&mut self, requests: Requests<'_>, dirty: Dirty, out: &mut Buffer) -> Tally {
        let ask_first = requests.from_cpu && self.patience.ask_first();
        match &mut self.lines {
            Lines::Narrow(array) if self.simd => {
                let state = super::recency_avx2::State::<O> { array, order: self.order, room: &mut self.room };
                let (tally, not_first) = super::recency_avx2::run(state, requests, dirty, ask_first, out);
                if ask_first {
                    self.patience.learn(requests.count, not_first);
                }
                tally
            }
            Lines::Narrow(array) => run::<u32, O>(array, requests, dirty, out),
            Lines::Wide(array) => run::<u64, O>(array, requests, dirty, out),
        }
    }

    fn widen(&mut self, original: &dyn Fn(u64) -> u64) {
        if let Lines::Narrow(array) = &mut self.lines {
            self.lines = Lines::Wide(array.widen(original));
        }
    }
}

/// The scalar form: what an array in an order does, request by request.
fn run<T: Entry, O: Order>(array: &mut Array<T>, requests: Requests<'_>, dirty: Dirty, out: &mut Buffer) -> Tally {
    let Geometry { set_bits, ways, line_bits } = array.geometry;
    let (tag_shift, stride, places) = (array.tag_shift, array.stride, O::places(ways as usize));
    let set_mask = (1u64 << set_bits) - 1;
    let line_mask = !((1u64 << line_bits) - 1);
    let entries = array.entries();
    let mut tally = Tally::default();
    let mut emitted = 0;
    for (index, &word) in requests.words[..requests.count].iter().enumerate() {
        let mut emit = |word: u64| {
            out.words[emitted] = word;
            if let Some(&position) = requests.positions.get(index) {
                out.positions[emitted] = position;
            }
            emitted += 1;
        };
        // What makes the line dirty, and what the next level would be asked.
        let (address, stores, ask) = if requests.from_cpu {
            let address = word & !WRITE_BIT;
            let write = word >> 63;
            (address, write, Some(address & line_mask | (write * FOR_STORE)))
        } else {
            let victim = word & DIRTY_VICTIM != 0;
            (word, u64::from(victim), (!victim).then_some(word))
        };
        let set_number = (address >> line_bits) & set_mask;
        let start = usize::try_from(set_number).expect("sets fit memory") * stride;
        let set = &mut entries[start..start + places];
        let entry = T::clean(address, tag_shift);
        let found = set.iter().position(|other| other.same_line(entry));
        let place = found.unwrap_or_else(|| place_for_new::<T, O>(set));
        let before = set[place];
        let stores = if dirty == Dirty::Never { 0 } else { stores };
        O::use_place(set, place);
        set[0] = if found.is_some() { before } else { entry }.with_dirty(stores);
        if found.is_none() {
            tally.misses += 1;
            if let Some(word) = ask {
                emit(word);
            }
            match dirty {
                Dirty::Presented if before.dirty() == 1 => {
                    emit(before.tag() << tag_shift | set_number << line_bits | DIRTY_VICTIM);
                }
                Dirty::Presented | Dirty::Never => {}
                Dirty::Counted => tally.hidden_victims += before.dirty(),
            }
        }
    }
    out.len = emitted;
    tally
}

/// The place that a new line takes.
fn place_for_new<T: Entry, O: Order>(set: &[T]) -> usize {
    let (mut held, mut empty) = (0u32, 0u32);
    for (place, &entry) in set.iter().enumerate() {
        held |= u32::from(!entry.same_line(T::INVALID)) << place;
        empty |= u32::from(entry == T::INVALID) << place;
    }
    let places = u32::try_from(set.len()).expect("sets are small");
    O::place_for_new(places, held, empty) as usize
}

#[cfg(test)]
mod tests {
    use super::super::super::words::LOOK_AHEAD;
    use super::super::Ways;
    use super::super::order::{Lru, Tree};
    use super::*;
    use crate::base::Rng;
    use crate::memory::replacement::TreePlru;
    use proptest::prelude::*;

    fn serve(kernel: &mut dyn Kernel, words: &[u64], from_cpu: bool, dirty: Dirty) -> (Tally, Vec<u64>, Vec<u16>) {
        let mut padded = words.to_vec();
        padded.resize(words.len() + LOOK_AHEAD, 0);
        let positions: Vec<u16> = (0..u16::try_from(words.len()).unwrap()).collect();
        let mut out = Buffer::with_capacity(2 * words.len(), true);
        let requests = Requests { words: &padded, count: words.len(), positions: &positions, from_cpu };
        let tally = kernel.run(requests, dirty, &mut out);
        (tally, out.words().to_vec(), out.positions[..out.len].to_vec())
    }

    fn geometry(ways: u32) -> Geometry {
        Geometry { set_bits: 1, ways, line_bits: 6 }
    }

    #[test]
    fn least_recent_line_leaves_and_its_write_back_follows_the_demand() {
        let mut kernel = Recency::<Lru>::new(geometry(2), false, false);
        let line = |n: u64| n * 128;
        let words = [line(0) | WRITE_BIT, line(1), line(0), line(2), line(3)];
        let (tally, out, _) = serve(&mut kernel, &words, true, Dirty::Presented);
        assert_eq!(out, [line(0) | FOR_STORE, line(1), line(2), line(3), line(0) | DIRTY_VICTIM]);
        assert_eq!(tally, Tally { misses: 4, hidden_victims: 0 });
    }

    fn request() -> impl Strategy<Value = u64> {
        (0u64..24, 0u64..4, any::<bool>())
            .prop_map(|(line, far, write)| (line * 64 + far * (1 << 36) + 8) | if write { WRITE_BIT } else { 0 })
    }

    fn kernel<O: VectorOrder + 'static>(ways: u32, simd: bool) -> Box<dyn Kernel> {
        Box::new(Recency::<O>::new(geometry(ways), false, simd))
    }

    /// Serves the chunks with all, of which the last is widened after the first chunk, and compares with the first.
    fn compare(
        mut kernels: Vec<Box<dyn Kernel>>,
        chunks: &[Vec<u64>],
        from_cpu: bool,
        dirty: Dirty,
    ) -> Result<(), TestCaseError> {
        for (index, chunk) in chunks.iter().enumerate() {
            let words: Vec<u64> = if from_cpu {
                chunk.clone()
            } else {
                // Bit 63 becomes the mark of a dirty victim, where there are any.
                let victim = if dirty == Dirty::Presented { DIRTY_VICTIM } else { 0 };
                chunk.iter().map(|word| word & !WRITE_BIT & !63 | ((word >> 63) * victim)).collect()
            };
            let served: Vec<_> =
                kernels.iter_mut().map(|kernel| serve(&mut **kernel, &words, from_cpu, dirty)).collect();
            for other in &served[1..] {
                prop_assert_eq!(other, &served[0]);
            }
            if index == 0 {
                kernels.last_mut().expect("there are some").widen(&|compact| compact);
            }
        }
        Ok(())
    }

    const DIRTY: [Dirty; 3] = [Dirty::Never, Dirty::Counted, Dirty::Presented];

    proptest! {
        #[test]
        fn vector_and_wide_forms_equal_the_scalar_one(
            ways in 1u32..=32,
            chunks in prop::collection::vec(prop::collection::vec(request(), 0..200), 1..4),
            from_cpu in any::<bool>(),
            dirty in prop::sample::select(DIRTY.to_vec()),
        ) {
            let forms = [false, true, true].map(|simd| kernel::<Lru>(ways, simd));
            compare(forms.into(), &chunks, from_cpu, dirty)?;
        }

        #[test]
        fn order_of_a_tree_equals_the_policy_that_keeps_a_tree(
            ways in 1u32..=32,
            chunks in prop::collection::vec(prop::collection::vec(request(), 0..300), 1..5),
            from_cpu in any::<bool>(),
            dirty in prop::sample::select(DIRTY.to_vec()),
        ) {
            let rng = Rng::stream(1, "test", 0);
            let policy: Box<dyn Kernel> = Box::new(Ways::<TreePlru>::new(geometry(ways), rng, false, false));
            let orders = [false, true, true].map(|simd| kernel::<Tree>(ways, simd));
            compare(std::iter::once(policy).chain(orders).collect(), &chunks, from_cpu, dirty)?;
        }
    }
}
