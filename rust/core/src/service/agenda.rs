//! What happens when: events in order of time, those of one time in the order in which they were planned.
//!
//! Events that are planned in order of time, as timeouts of equal length are, lie in a row and cost nothing; only the
//! others go through a heap.

use crate::base::Picos;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// Events to come.
#[derive(Clone, Debug)]
pub struct Agenda<E> {
    heap: BinaryHeap<Entry<E>>,
    /// Invariant: in order of time.
    row: VecDeque<Entry<E>>,
    sequence: u64,
}

#[derive(Clone, Debug)]
struct Entry<E> {
    time: Picos,
    sequence: u64,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (Picos, u64) {
        (self.time, self.sequence)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// The earliest is the greatest, which a heap hands out first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), row: VecDeque::new(), sequence: 0 }
    }
}

impl<E> Agenda<E> {
    /// Plans an event.
    pub fn push(&mut self, time: Picos, event: E) {
        self.sequence += 1;
        let entry = Entry { time, sequence: self.sequence, event };
        if self.row.back().is_none_or(|last| last.time <= time) {
            self.row.push_back(entry);
        } else {
            self.heap.push(entry);
        }
    }

    /// When the next event happens.
    pub fn peek(&self) -> Option<Picos> {
        let (heap, row) = (self.heap.peek().map(|entry| entry.time), self.row.front().map(|entry| entry.time));
        heap.into_iter().chain(row).min()
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(Picos, E)> {
        let is_in_row = match (self.row.front(), self.heap.peek()) {
            (Some(row), Some(heap)) => row.key() < heap.key(),
            (row, _) => row.is_some(),
        };
        let entry = if is_in_row { self.row.pop_front() } else { self.heap.pop() };
        entry.map(|entry| (entry.time, entry.event))
    }

    /// Forgets the events that are of no use.
    pub fn retain(&mut self, is_of_use: impl Fn(&E) -> bool) {
        self.heap.retain(|entry| is_of_use(&entry.event));
        self.row.retain(|entry| is_of_use(&entry.event));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.heap.len() + self.row.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_come_by_time_and_then_as_planned(times in prop::collection::vec(0_u64..20, 0..60)) {
            let mut agenda = Agenda::default();
            let mut expected = Vec::new();
            for (index, &time) in times.iter().enumerate() {
                agenda.push(Picos(time), index);
                expected.push((Picos(time), index));
                if index % 3 == 2 {
                    expected.sort_by_key(|&(time, _)| time);
                    prop_assert_eq!(agenda.peek(), expected.first().map(|&(time, _)| time));
                    prop_assert_eq!(agenda.pop(), Some(expected.remove(0)));
                }
            }
            prop_assert_eq!(agenda.len(), expected.len());
            expected.sort_by_key(|&(time, _)| time);
            prop_assert_eq!(std::iter::from_fn(|| agenda.pop()).collect::<Vec<_>>(), expected);
        }
    }
}
