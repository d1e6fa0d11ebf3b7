//! A set of numbers below a bound, with the smallest member at or after a number found by looking at a few words.
//!
//! Bits in words, and above them a tree whose bits say which words below are not empty: 64 a level.

/// The set.
#[derive(Clone, Debug)]
pub struct FreeMap {
    /// `levels[0]` are the members; bit `i` of `levels[k + 1]` says whether word `i` of `levels[k]` has a bit.
    levels: Vec<Vec<u64>>,
    members: u64,
}

impl FreeMap {
    /// No numbers, of those below `bound`.
    pub fn new(bound: u64) -> Self {
        let mut levels = Vec::new();
        let mut words = words_of(bound);
        loop {
            levels.push(vec![0; index(words)]);
            if words == 1 {
                return Self { levels, members: 0 };
            }
            words = words_of(words);
        }
    }

    /// How many numbers are in the set.
    pub fn len(&self) -> u64 {
        self.members
    }

    /// Whether `number` is in the set.
    pub fn contains(&self, number: u64) -> bool {
        self.levels[0].get(index(number / 64)).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Puts in a number that is not there.
    pub fn insert(&mut self, number: u64) {
        debug_assert!(!self.contains(number), "a free block is free once");
        self.members += 1;
        let mut number = number;
        for level in &mut self.levels {
            let word = &mut level[index(number / 64)];
            let was_empty = *word == 0;
            *word |= 1 << (number % 64);
            if !was_empty {
                return;
            }
            number /= 64;
        }
    }

    /// Takes out a number that is there.
    pub fn remove(&mut self, number: u64) {
        debug_assert!(self.contains(number), "only a free block is taken");
        self.members -= 1;
        let mut number = number;
        for level in &mut self.levels {
            let word = &mut level[index(number / 64)];
            *word &= !(1 << (number % 64));
            if *word != 0 {
                return;
            }
            number /= 64;
        }
    }

    /// The smallest member that is not below `number`.
    pub fn first_from(&self, number: u64) -> Option<u64> {
        let mut number = number;
        for height in 0..self.levels.len() {
            let rest =
                self.levels[height].get(index(number / 64)).map_or(0, |word| word >> (number % 64) << (number % 64));
            if rest != 0 {
                return Some(self.descend(height, number / 64 * 64 + u64::from(rest.trailing_zeros())));
            }
            number = number / 64 + 1;
        }
        None
    }

    /// The smallest member under bit `number` of a level.
    fn descend(&self, height: usize, number: u64) -> u64 {
        (0..height)
            .rev()
            .fold(number, |number, level| number * 64 + u64::from(self.levels[level][index(number)].trailing_zeros()))
    }
}

fn words_of(bits: u64) -> u64 {
    bits.div_ceil(64).max(1)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn does_what_an_ordered_set_does(
            bound in 1u64..300_000, steps in prop::collection::vec((any::<u64>(), any::<bool>()), 0..200)
        ) {
            let (mut map, mut model) = (FreeMap::new(bound), BTreeSet::new());
            for (number, is_query) in steps {
                let number = number % bound;
                if is_query {
                    prop_assert_eq!(map.first_from(number), model.range(number..).next().copied());
                } else if model.insert(number) {
                    map.insert(number);
                } else {
                    model.remove(&number);
                    map.remove(number);
                }
                prop_assert_eq!(map.len(), model.len() as u64);
            }
        }
    }
}
