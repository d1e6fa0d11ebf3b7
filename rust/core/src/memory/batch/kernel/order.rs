//! The orders in which [`Recency`](super::Recency) keeps the lines of a set: what was used last stands first.
//!
//! **LRU** is plain: all that stood before the line that is used moves on by one place, and the last line leaves.
//!
//! **Tree-PLRU** needs no tree beside the lines. Let every node of the tree point to its second half, and instead of
//! turning the pointer exchange the halves. The walk from the top then always ends at the last place; and a use
//! exchanges the halves of every node that points at the line, which brings the line to the first place. Where all the
//! others go is told by the place of the line that is used, so that a use is one fixed permutation.
//!
//! Ways are those of [`TreePlru`](crate::memory::replacement::TreePlru), which the tests hold this against. Where they
//! are no power of two, the tree has places without a way. They move like the others and a walk avoids them: it ends at
//! the last place that is a way.

/// An order of the lines of a set.
pub(crate) trait Order: Send {
    /// Whether ways without a line always stand last, and there are no places without a way.
    const IS_DENSE: bool;

    /// The number of places that `ways` take.
    fn places(ways: usize) -> usize;

    /// Brings the entry at `place` to the front; `set` has [`places`](Self::places) entries.
    fn use_place<T>(set: &mut [T], place: usize);

    /// The place that a new line takes, among `places`. Bits of `held` say which hold a line, of `empty` which are a
    /// way without one.
    fn place_for_new(places: u32, held: u32, empty: u32) -> u32;
}

/// Least recently used.
pub(crate) struct Lru;

impl Order for Lru {
    const IS_DENSE: bool = true;

    fn places(ways: usize) -> usize {
        ways
    }

    fn use_place<T>(set: &mut [T], place: usize) {
        set[..=place].rotate_right(1);
    }

    fn place_for_new(places: u32, _held: u32, _empty: u32) -> u32 {
        places - 1
    }
}

/// Tree-PLRU.
pub(crate) struct Tree;

impl Order for Tree {
    const IS_DENSE: bool = false;

    fn places(ways: usize) -> usize {
        ways.next_power_of_two()
    }

    fn use_place<T>(set: &mut [T], place: usize) {
        let mut half = set.len() / 2;
        while half > 0 {
            if place & half != 0 {
                let (first, second) = set[..2 * half].split_at_mut(half);
                first.swap_with_slice(second);
            }
            half /= 2;
        }
    }

    /// The last line leaves; but first ways fill from the lowest. Its place is found from the top: of two halves with
    /// empty ways, the lower ways are in the one that holds lines already. If none does, no pointer was ever turned
    /// there, and they are in the second half, as in the beginning.
    #[inline(always)]
    fn place_for_new(places: u32, held: u32, empty: u32) -> u32 {
        if empty == 0 {
            return held.ilog2();
        }
        let (mut place, mut half) = (0, places / 2);
        while half > 0 {
            let first = ((1 << half) - 1) << place;
            let second = first << half;
            let is_first = empty & first != 0 && (held & first != 0 || empty & second == 0);
            place += if is_first { 0 } else { half };
            half /= 2;
        }
        place
    }
}
