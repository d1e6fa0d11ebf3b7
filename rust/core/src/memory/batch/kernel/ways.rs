//! Every policy but LRU and tree-PLRU: lines stay in their ways, the policy says which one leaves.
//!
//! Ways fill from the lowest; nothing is ever invalidated here, so a set is full once its last way is.

use super::super::entry::Entry;
use super::super::words::{Buffer, DIRTY_VICTIM, FOR_STORE};
use super::array::Array;
use super::{Dirty, Kernel, Patience, Requests, Tally};
use crate::base::Rng;
use crate::memory::geometry::Geometry;
use crate::memory::replacement::Replacement;
use crate::trace::batch::WRITE_BIT;

/// An array under the policy `P`.
pub(crate) struct Ways<P> {
    lines: Lines,
    policy: P,
    simd: bool,
    // What the last reference of each set touched, see `ways_avx2`.
    touched: Vec<u32>,
    // Ways that hold no line yet, for the vector form.
    room: usize,
    patience: Patience,
}

enum Lines {
    Narrow(Array<u32>),
    Wide(Array<u64>),
}

impl<P: Replacement> Ways<P> {
    pub fn new(geometry: Geometry, rng: Rng, wide: bool, simd: bool) -> Self {
        let lines = if wide { Lines::Wide(Array::new(geometry)) } else { Lines::Narrow(Array::new(geometry)) };
        Self {
            lines,
            policy: P::new(geometry, rng),
            simd: simd && super::has_simd(geometry),
            touched: vec![u32::INVALID; geometry.sets()],
            room: geometry.lines(),
            patience: Patience::default(),
        }
    }
}

impl<P: Replacement + Send> Kernel for Ways<P> {
    fn run(&mut self, requests: Requests<'_>, dirty: Dirty, out: &mut Buffer) -> Tally {
        let policy = &mut self.policy;
        // Positions are asked for at the first level alone, but for machines with fronts of more than one level.
        if !P::VECTOR_WAYS.is_empty()
            && self.simd
            && (requests.from_cpu || requests.positions.is_empty())
            && let Lines::Narrow(array) = &mut self.lines
        {
            let ask_first = requests.from_cpu && self.patience.ask_first();
            let state = super::ways_avx2::State { array, policy, touched: &mut self.touched, room: &mut self.room };
            let (tally, not_first) = super::ways_avx2::run(state, requests, dirty, ask_first, out);
            if ask_first {
                self.patience.learn(requests.count, not_first);
            }
            return tally;
        }
        match &mut self.lines {
            Lines::Narrow(array) => run(array, policy, requests, dirty, out),
            Lines::Wide(array) => run(array, policy, requests, dirty, out),
        }
    }

    fn widen(&mut self, original: &dyn Fn(u64) -> u64) {
        if let Lines::Narrow(array) = &mut self.lines {
            self.lines = Lines::Wide(array.widen(original));
        }
    }
}

/// The scalar form: what an array under a policy does, request by request.
fn run<T: Entry, P: Replacement>(
    array: &mut Array<T>,
    policy: &mut P,
    requests: Requests<'_>,
    dirty: Dirty,
    out: &mut Buffer,
) -> Tally {
    let Geometry { set_bits, ways, line_bits } = array.geometry;
    let (tag_shift, stride, ways) = (array.tag_shift, array.stride, ways as usize);
    let set_mask = (1u64 << set_bits) - 1;
    let line_mask = !((1u64 << line_bits) - 1);
    let entries = array.entries();
    let mut tally = Tally::default();
    let mut emitted = 0;
    for (index, &word) in requests.words[..requests.count].iter().enumerate() {
        let (address, stores, asks) = if requests.from_cpu {
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
        if let Some(way) = set.iter().position(|other| other.same_line(entry)) {
            policy.touch(set_index, way);
            set[way] = set[way].with_dirty(stores);
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
        let mut emit = |word| {
            out.words[emitted] = word;
            if let Some(&position) = requests.positions.get(index) {
                out.positions[emitted] = position;
            }
            emitted += 1;
        };
        if asks {
            emit(if requests.from_cpu { (address & line_mask) | ((word >> 63) * FOR_STORE) } else { word });
        }
        match dirty {
            Dirty::Presented if leaving.dirty() == 1 => {
                emit((leaving.tag() << tag_shift) | (set_number << line_bits) | DIRTY_VICTIM);
            }
            Dirty::Presented | Dirty::Never => {}
            Dirty::Counted => tally.hidden_victims += leaving.dirty(),
        }
    }
    out.len = emitted;
    tally
}

#[cfg(test)]
mod tests {
    use super::super::super::words::{Buffer, DIRTY_VICTIM, LOOK_AHEAD};
    use super::super::{Dirty, Kernel, Requests, Tally, build};
    use crate::base::Rng;
    use crate::memory::config::ReplacementKind;
    use crate::memory::geometry::Geometry;
    use crate::trace::batch::WRITE_BIT;
    use proptest::prelude::*;

    fn serve(kernel: &mut dyn Kernel, words: &[u64], from_cpu: bool, dirty: Dirty) -> (Tally, Vec<u64>) {
        let mut padded = words.to_vec();
        padded.resize(words.len() + LOOK_AHEAD, 0);
        let mut out = Buffer::with_capacity(2 * words.len(), false);
        let requests = Requests { words: &padded, count: words.len(), positions: &[], from_cpu };
        (kernel.run(requests, dirty, &mut out), out.words().to_vec())
    }

    const KINDS: [ReplacementKind; 10] = [
        ReplacementKind::Mru,
        ReplacementKind::Lip,
        ReplacementKind::Fifo,
        ReplacementKind::Random,
        ReplacementKind::TreePlru,
        ReplacementKind::BitPlru,
        ReplacementKind::Qlru,
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
            from_cpu in any::<bool>(),
            dirty in prop::sample::select(vec![Dirty::Never, Dirty::Counted, Dirty::Presented]),
        ) {
            let geometry = Geometry { set_bits: 1, ways, line_bits: 6 };
            let kernel = |simd| build(geometry, kind, Rng::stream(1, "test", 0), false, simd);
            let (mut scalar, mut vector, mut wide) = (kernel(false), kernel(true), kernel(true));
            for (index, chunk) in chunks.iter().enumerate() {
                // Further out a dirty victim takes the place of a write, where there are any.
                let victim = if dirty == Dirty::Presented { DIRTY_VICTIM } else { 0 };
                let word = |line, write| match from_cpu {
                    true => (line * 64 + 8) | (u64::from(write) * WRITE_BIT),
                    false => (line * 64) | (u64::from(write) * victim),
                };
                let words: Vec<u64> = chunk.iter().map(|&(line, write)| word(line, write)).collect();
                let expected = serve(&mut *scalar, &words, from_cpu, dirty);
                prop_assert_eq!(&serve(&mut *vector, &words, from_cpu, dirty), &expected);
                prop_assert_eq!(&serve(&mut *wide, &words, from_cpu, dirty), &expected);
                if index == 0 {
                    wide.widen(&|compact| compact);
                }
            }
        }
    }
}
