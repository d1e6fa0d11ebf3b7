//! LRU: the lines of a set stand in order of use, the most recent first.
//!
//! A hit moves a line to the front, a miss pushes the new line in at the front and the least recent one out at the end:
//! both shift the entries before a place by one. Invalid entries gather at the end by themselves.

use super::super::entry::Entry;
use super::super::words::{Buffer, DIRTY_VICTIM, FOR_STORE};
use super::array::Array;
use super::{Dirty, Kernel, Patience, Requests, Tally};
use crate::memory::geometry::Geometry;
use crate::trace::batch::WRITE_BIT;

/// An LRU array.
pub(crate) struct Recency {
    lines: Lines,
    simd: bool,
    patience: Patience,
}

enum Lines {
    Narrow(Array<u32>),
    Wide(Array<u64>),
}

impl Recency {
    pub fn new(geometry: Geometry, wide: bool, simd: bool) -> Self {
        let lines = if wide { Lines::Wide(Array::new(geometry)) } else { Lines::Narrow(Array::new(geometry)) };
        Self { lines, simd: simd && super::has_simd(geometry), patience: Patience::default() }
    }
}

impl Kernel for Recency {
    fn run(&mut self, requests: Requests<'_>, dirty: Dirty, out: &mut Buffer) -> Tally {
        let ask_first = requests.from_cpu && self.patience.ask_first();
        match &mut self.lines {
            Lines::Narrow(array) if self.simd => {
                let (tally, not_first) = super::recency_avx2::run(array, requests, dirty, ask_first, out);
                if ask_first {
                    self.patience.learn(requests.count, not_first);
                }
                tally
            }
            Lines::Narrow(array) => run(array, requests, dirty, out),
            Lines::Wide(array) => run(array, requests, dirty, out),
        }
    }

    fn widen(&mut self, original: &dyn Fn(u64) -> u64) {
        if let Lines::Narrow(array) = &mut self.lines {
            self.lines = Lines::Wide(array.widen(original));
        }
    }
}

/// The scalar form: what an LRU array does, request by request.
fn run<T: Entry>(array: &mut Array<T>, requests: Requests<'_>, dirty: Dirty, out: &mut Buffer) -> Tally {
    let Geometry { set_bits, ways, line_bits } = array.geometry;
    let (tag_shift, stride, last) = (array.tag_shift, array.stride, ways as usize - 1);
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
        let set = &mut entries[start..start + stride];
        let entry = T::clean(address, tag_shift);
        let found = set[..=last].iter().position(|other| other.same_line(entry));
        let place = found.unwrap_or(last);
        let before = set[place];
        let stores = if dirty == Dirty::Never { 0 } else { stores };
        set.copy_within(..place, 1);
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

#[cfg(test)]
mod tests {
    use super::super::super::words::LOOK_AHEAD;
    use super::*;
    use proptest::prelude::*;

    fn serve(kernel: &mut Recency, words: &[u64], from_cpu: bool, dirty: Dirty) -> (Tally, Vec<u64>, Vec<u16>) {
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
        let mut kernel = Recency::new(geometry(2), false, false);
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

    proptest! {
        #[test]
        fn vector_and_wide_forms_equal_the_scalar_one(
            ways in 1u32..=32,
            chunks in prop::collection::vec(prop::collection::vec(request(), 0..200), 1..4),
            from_cpu in any::<bool>(),
            dirty in prop::sample::select(vec![Dirty::Never, Dirty::Counted, Dirty::Presented]),
        ) {
            let mut scalar = Recency::new(geometry(ways), false, false);
            let mut vector = Recency::new(geometry(ways), false, true);
            let mut wide = Recency::new(geometry(ways), false, true);
            for (index, chunk) in chunks.iter().enumerate() {
                let words: Vec<u64> = if from_cpu {
                    chunk.clone()
                } else {
                    // Bit 63 becomes the mark of a dirty victim, where there are any.
                    let victim = if dirty == Dirty::Presented { DIRTY_VICTIM } else { 0 };
                    chunk.iter().map(|word| word & !WRITE_BIT & !63 | ((word >> 63) * victim)).collect()
                };
                let expected = serve(&mut scalar, &words, from_cpu, dirty);
                prop_assert_eq!(&serve(&mut vector, &words, from_cpu, dirty), &expected);
                prop_assert_eq!(&serve(&mut wide, &words, from_cpu, dirty), &expected);
                if index == 0 {
                    wide.widen(&|compact| compact);
                }
            }
        }
    }
}
