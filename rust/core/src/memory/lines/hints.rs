//! Where lines are, to be found without a search: a table by the low bits of their numbers.
//!
//! What it says is so, but it does not know of every line: of those that share a place it knows the one that was put in
//! or found last.

use super::Key;

/// Lines up to which an array has hints: where sets are many, few keys would meet their own.
const HINTED_LINES_MAX: usize = 1 << 12;

/// Hints a line, and of an array.
const HINTS_A_LINE: usize = 8;
const HINTS_MAX: usize = 1 << 13;

/// Ways of the lines of an array.
pub(super) struct Hints<K: Key> {
    hints: Vec<K::Hint>,
}

impl<K: Key> Hints<K> {
    /// Of an array of so many lines.
    pub fn new(lines: usize) -> Self {
        let is_hinted = lines <= HINTED_LINES_MAX;
        let hints = if is_hinted { (HINTS_A_LINE * lines).next_power_of_two().min(HINTS_MAX) } else { 0 };
        Self { hints: vec![K::Hint::default(); hints] }
    }

    /// The way of a key, if it is known.
    #[inline(always)]
    pub fn way_of(&self, key: K) -> Option<usize> {
        self.hints.get(self.place(key)).and_then(|&hint| key.way_in(hint))
    }

    /// Notes that a key is in a way.
    #[inline(always)]
    pub fn put(&mut self, key: K, way: usize) {
        let place = self.place(key);
        if let Some(hint) = self.hints.get_mut(place) {
            *hint = key.hint(way);
        }
    }

    /// Notes that a key has left.
    #[inline(always)]
    pub fn forget(&mut self, key: K) {
        if self.way_of(key).is_some() {
            let place = self.place(key);
            self.hints[place] = K::Hint::default();
        }
    }

    /// Notes that all have left.
    pub fn clear(&mut self) {
        self.hints.fill(K::Hint::default());
    }

    #[inline(always)]
    fn place(&self, key: K) -> usize {
        usize::try_from(key.number()).expect("64 bits") & self.hints.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::config::PageSize;
    use crate::memory::page::Page;

    #[test]
    fn what_is_known_is_so_until_it_leaves() {
        let mut hints = Hints::new(8);
        assert_eq!(hints.way_of(0_u64), None);
        hints.put(0_u64, 0);
        hints.put(5_u64, 7);
        assert_eq!((hints.way_of(0_u64), hints.way_of(5_u64), hints.way_of(5_u64 + 64)), (Some(0), Some(7), None));
        hints.put(5_u64 + 64, 1);
        hints.forget(5_u64);
        assert_eq!((hints.way_of(5_u64), hints.way_of(5_u64 + 64)), (None, Some(1)));
        hints.forget(5_u64 + 64);
        assert_eq!(hints.way_of(5_u64 + 64), None);
        hints.clear();
        assert_eq!(hints.way_of(0_u64), None);
        // Too large for a hint.
        hints.put(u64::MAX - 1, 1);
        assert_eq!((hints.way_of(u64::MAX - 1), hints.way_of(u64::MAX >> 6)), (None, None));
    }

    #[test]
    fn pages_of_other_address_spaces_are_others() {
        let mut hints = Hints::new(8);
        let page = |asid| Page::of(1 << 12, PageSize::Size4K, asid);
        hints.put(page(u32::MAX), 3);
        assert_eq!((hints.way_of(page(u32::MAX)), hints.way_of(page(0))), (Some(3), None));
    }

    #[test]
    fn large_arrays_have_none() {
        let mut hints = Hints::new(HINTED_LINES_MAX + 1);
        hints.put(1_u64, 0);
        hints.forget(1_u64);
        assert_eq!(hints.way_of(1_u64), None);
    }
}
