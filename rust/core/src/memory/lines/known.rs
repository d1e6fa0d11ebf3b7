//! Lines of an array that are used one after the other, and most of which are there.

use super::packed_lru::PackedLru;
use super::sets::Sets;
use super::{Filled, Key, Known, Last, Lines, Slot};

/// A row of uses. [`KnownLines::end`] comes last.
pub struct KnownLines<'a, K: Key> {
    sets: &'a mut Sets<K, PackedLru>,
    last: &'a mut Option<Last<K>>,
}

impl<'a, K: Key> KnownLines<'a, K> {
    pub(super) fn new(sets: &'a mut Sets<K, PackedLru>, last: &'a mut Option<Last<K>>) -> Self {
        *last = None;
        Self { sets, last }
    }

    /// Where a line is, if it is there. Uses nothing.
    #[inline(always)]
    pub fn find(&mut self, key: K) -> Option<Known> {
        match self.sets.known_way(key).or_else(|| self.search(key)) {
            Some(way) => Some(self.sets.at(key, way)),
            None => None,
        }
    }

    /// The way of a line of which the hints do not know.
    #[inline(never)]
    fn search(&mut self, key: K) -> Option<usize> {
        if self.last.as_ref().is_some_and(|last| last.key == key && last.slot.is_none()) {
            return None;
        }
        let found = self.sets.search(key);
        if found.is_none() {
            *self.last = Some(Last { key, slot: None, is_dirty: false });
        }
        found
    }

    /// The line that a fill would evict.
    #[inline]
    pub fn victim(&self, key: K) -> Option<K> {
        self.sets.next_victim(key)
    }

    /// Puts a line in that is not there, as [`LineArray::fill`](super::LineArray::fill) does.
    #[inline]
    pub fn fill(&mut self, key: K, is_dirty: bool) -> Filled<K> {
        *self.last = None;
        self.sets.fill(key, is_dirty)
    }

    /// A line is used, and made dirty if asked to.
    #[inline(always)]
    pub fn touch(&mut self, known: Known, makes_dirty: bool) {
        self.sets.touch(known.set, known.way, makes_dirty);
    }

    /// A line is used that most often was used last of its set: then there is nothing to tell the policy.
    #[inline(always)]
    pub fn touch_again(&mut self, known: Known) {
        if !self.sets.is_newest(known.set, known.way) {
            self.sets.touch(known.set, known.way, false);
        }
    }

    /// The last line that was used, where it is, and whether it was made dirty.
    #[inline]
    pub fn end(self, key: K, slot: Slot, is_dirty: bool) {
        // To know what is not there is worth more: that will be looked up next.
        self.last.get_or_insert(Last { key, slot: Some(slot), is_dirty });
    }
}
