//! The RRPVs of a set in one word, for [`rrip`](super::rrip).
//!
//! A word has four planes with a bit a way. The lowest plane has all ways; those above have the ways whose RRPV is at
//! least 1, 2 and 3. To age all ways by one is to shift the word by a plane, with all ways in the lowest one again; how
//! often that has to be done until one has 3 is the number of planes that are empty at the top. So nothing branches on
//! data, and there is no loop.

use super::Way;
use std::hint::select_unpredictable;
use std::ops::RangeInclusive;

/// A word with the RRPVs of a set, which are 0 to 3.
pub trait Planes: Copy + Send {
    /// How many ways sets have for which this is the word to take.
    const WAYS: RangeInclusive<u32>;

    /// All ways at 3.
    fn distant(ways: u32) -> Self;

    /// The same, but with this RRPV of a way.
    fn with(self, way: Way, interval: u32) -> Self;

    /// After all have aged until one has 3. `distant` is what [`distant`](Planes::distant) gives.
    fn aged(self, distant: Self) -> Self;

    /// The lowest way that has 3, if one has.
    fn victim(self) -> Way;

    /// A hit of `way` if it is `found`, else a miss, where the victim gets `interval`. Also returns the way.
    fn refer(self, distant: Self, found: bool, way: Way, interval: u32) -> (Self, Way);
}

macro_rules! impl_planes {
    ($word:ident, $ways:expr) => {
        impl Planes for $word {
            const WAYS: RangeInclusive<u32> = $ways;

            fn distant(ways: u32) -> Self {
                let plane = $word::MAX >> ($word::BITS - ways);
                let pair = plane << $word::PLANE | plane;
                pair << (2 * $word::PLANE) | pair
            }

            #[inline(always)]
            fn with(self, way: Way, interval: u32) -> Self {
                self & !($word::FIRST << way) | ($word::FIRST & !$word::above(interval)) << way
            }

            #[inline(always)]
            fn aged(self, distant: Self) -> Self {
                let shift = self.leading_zeros() / $word::PLANE * $word::PLANE;
                self << shift | distant & !($word::MAX << shift)
            }

            #[inline(always)]
            fn victim(self) -> Way {
                (self >> (3 * $word::PLANE)).trailing_zeros() as usize
            }

            #[inline(always)]
            fn refer(self, distant: Self, found: bool, way: Way, interval: u32) -> (Self, Way) {
                let aged = self.aged(distant);
                let way = select_unpredictable(found, way, aged.victim());
                let before = select_unpredictable(found, self, aged);
                // A way that is found can be in any plane, a victim is in all.
                let left = select_unpredictable(found, $word::above(0), $word::above(interval));
                (before & !(left << way), way)
            }
        }

        impl Layout for $word {
            const PLANE: u32 = $word::BITS / 4;
            const FIRST: Self = $word::MAX / ($word::MAX >> (3 * Self::PLANE));

            #[inline(always)]
            fn above(interval: u32) -> Self {
                Self::FIRST & !($word::MAX >> ((3 - interval) * Self::PLANE))
            }
        }
    };
}

trait Layout {
    /// Bits of a plane.
    const PLANE: u32;
    /// The first way in every plane.
    const FIRST: Self;

    /// The first way in the planes that it is not in with this RRPV.
    fn above(interval: u32) -> Self;
}

/// Up to so many ways, RRPVs fit into a `u64`, else into a `u128`.
pub const FEW_WAYS: u32 = 16;

impl_planes!(u64, 1..=FEW_WAYS);
impl_planes!(u128, FEW_WAYS + 1..=2 * FEW_WAYS);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule as the paper has it, with a number a way.
    fn refer(intervals: &mut [u32], found: bool, way: Way, interval: u32) -> Way {
        if found {
            intervals[way] = 0;
            return way;
        }
        while !intervals.contains(&3) {
            intervals.iter_mut().for_each(|interval| *interval += 1);
        }
        let victim = intervals.iter().position(|&interval| interval == 3).expect("one has aged to it");
        intervals[victim] = interval;
        victim
    }

    fn compare<W: Planes>(ways: u32, references: &[(bool, Way, u32)]) -> Result<(), TestCaseError> {
        let (distant, mut numbers) = (W::distant(ways), vec![3; ways as usize]);
        let (mut at_once, mut in_steps) = (distant, distant);
        for &(found, way, interval) in references {
            let way = way % ways as usize;
            let expected = refer(&mut numbers, found, way, interval);
            let used;
            (at_once, used) = at_once.refer(distant, found, way, interval);
            prop_assert_eq!(used, expected);
            if found {
                in_steps = in_steps.with(way, 0);
            } else {
                in_steps = in_steps.aged(distant);
                prop_assert_eq!(in_steps.victim(), expected);
                in_steps = in_steps.with(expected, interval);
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn planes_follow_the_rule_on_numbers(
            ways in 1u32..=32,
            references in prop::collection::vec((any::<bool>(), 0usize..32, 2u32..=3), 0..200),
        ) {
            if ways <= FEW_WAYS {
                compare::<u64>(ways, &references)?;
            }
            compare::<u128>(ways, &references)?;
        }
    }
}
