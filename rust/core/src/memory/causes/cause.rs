//! One cause, and the causes of all misses of one reference.

use std::fmt;

/// Why a line was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// It has never been there.
    Compulsory,
    /// The thread itself has taken its place; also what no other cause explains.
    Capacity,
    /// Another thread or the kernel has taken its place.
    Replaced,
    /// The thread itself has taken its place, but only since others had come before it in the order of use.
    Reordered,
    /// The thread has used it on another cpu since.
    Migration,
    /// A store of another cpu has taken it away.
    Coherence,
}

impl Cause {
    /// All causes, in the order in which results list them.
    pub const ALL: [Self; 6] =
        [Self::Compulsory, Self::Capacity, Self::Replaced, Self::Reordered, Self::Migration, Self::Coherence];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compulsory => "compulsory",
            Self::Capacity => "capacity",
            Self::Replaced => "replaced",
            Self::Reordered => "reordered",
            Self::Migration => "migration",
            Self::Coherence => "coherence",
        }
    }

    /// Whether others have caused the miss while the thread did not run.
    pub fn is_pollution(self) -> bool {
        matches!(self, Self::Replaced | Self::Reordered)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Bits a level.
const BITS: u32 = 4;

/// The causes of the misses of one reference, one for each level of the machine that missed on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    // By level: 0, or the place of its cause in `Cause::ALL` + 1. Levels are at most 32.
    packed: u128,
}

impl Causes {
    /// Whether no cause is known: nothing missed, or causes are not tracked.
    pub fn is_empty(self) -> bool {
        self.packed == 0
    }

    /// The cause of the miss at a level of the machine's list.
    pub fn at(self, level: u8) -> Option<Cause> {
        let place = usize::try_from(self.packed >> (u32::from(level) * BITS) & 0xf).expect("four bits");
        place.checked_sub(1).map(|place| Cause::ALL[place])
    }

    /// The level that missed and why, if there is just one.
    #[inline]
    pub fn only(self) -> Option<(u8, Cause)> {
        let mut all = self.iter();
        all.next().filter(|_| all.next().is_none())
    }

    /// Levels that missed and why, from the first of the machine's list on.
    pub fn iter(self) -> impl Iterator<Item = (u8, Cause)> {
        let mut left = self.packed;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let level = left.trailing_zeros() / BITS;
            left &= !(0xf << (level * BITS));
            let level = u8::try_from(level).expect("levels are at most 32");
            self.at(level).map(|cause| (level, cause))
        })
    }

    /// Notes the cause of a miss. If a level misses twice on one reference, the first cause stays.
    pub(in crate::memory) fn note(&mut self, level: u8, cause: Cause) {
        if self.at(level).is_none() {
            self.packed |= (cause as u128 + 1) << (u32::from(level) * BITS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_in_the_order_of_levels() {
        let mut causes = Causes::default();
        assert!(causes.is_empty() && causes.only().is_none());
        causes.note(31, Cause::Coherence);
        assert_eq!(causes.only(), Some((31, Cause::Coherence)));
        causes.note(0, Cause::Compulsory);
        assert_eq!(causes.only(), None);
        causes.note(7, Cause::Reordered);
        causes.note(7, Cause::Capacity);
        let told: Vec<_> = causes.iter().collect();
        assert_eq!(told, [(0, Cause::Compulsory), (7, Cause::Reordered), (31, Cause::Coherence)]);
        assert_eq!((causes.at(1), causes.at(31)), (None, Some(Cause::Coherence)));
    }

    #[test]
    fn causes_stand_at_their_places() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
        }
    }
}
