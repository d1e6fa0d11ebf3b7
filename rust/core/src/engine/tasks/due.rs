//! Tasks that wait for a time.
//!
//! Most wait as long as the ones before them did, so that their times come in order: a queue has those, and only what
//! comes out of order goes to a heap.

use crate::base::Picos;
use crate::kernel::Tid;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Times with who waits for them; ties go to who came first.
#[derive(Clone, Debug, Default)]
pub(super) struct Due {
    ordered: VecDeque<(Picos, u32, Tid)>,
    others: BinaryHeap<Reverse<(Picos, u32, Tid)>>,
    /// Even: the lowest bit of an entry says whether it asks.
    sequence: u32,
}

impl Due {
    /// Adds one. `asks` if it waits for something else, and looks at that time whether it has come.
    #[inline(always)]
    pub fn push(&mut self, time: Picos, tid: Tid, asks: bool) {
        self.sequence = self.sequence.wrapping_add(2);
        let entry = (time, self.sequence | u32::from(asks), tid);
        if self.ordered.back().is_none_or(|&(last, _, _)| last <= time) {
            self.ordered.push_back(entry);
        } else {
            self.others.push(Reverse(entry));
        }
    }

    /// The earliest time.
    #[inline]
    pub fn first(&self) -> Option<Picos> {
        let ordered = self.ordered.front().map(|&(time, _, _)| time);
        let other = self.others.peek().map(|&Reverse((time, _, _))| time);
        ordered.into_iter().chain(other).min()
    }

    /// The earliest time of those that do not ask. Looks at all.
    pub fn first_awaited(&self) -> Option<Picos> {
        let entries = self.ordered.iter().chain(self.others.iter().map(|Reverse(entry)| entry));
        entries.filter(|&&(_, sequence, _)| sequence & 1 == 0).map(|&(time, _, _)| time).min()
    }

    /// Takes the earliest one out, if its time has come: that time, who waits, and whether it asks.
    #[inline(always)]
    pub fn pop(&mut self, now: Picos) -> Option<(Picos, Tid, bool)> {
        let ordered = self.ordered.front().copied();
        let other = self.others.peek().map(|&Reverse(entry)| entry);
        let from_others = match (ordered, other) {
            (Some(ordered), Some(other)) => other < ordered,
            (None, Some(_)) => true,
            _ => false,
        };
        let (time, sequence, tid) = if from_others { other? } else { ordered? };
        if time > now {
            return None;
        }
        if from_others {
            self.others.pop();
        } else {
            self.ordered.pop_front();
        }
        Some((time, tid, sequence & 1 == 1))
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty() && self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_order_whatever_the_order_they_were_said_in() {
        let mut due = Due::default();
        for (time, tid) in [(5, 0), (9, 1), (7, 2), (9, 3), (1, 4), (7, 5)] {
            due.push(Picos(time), Tid(tid), tid == 3);
        }
        assert_eq!(due.first(), Some(Picos(1)));
        assert_eq!(due.pop(Picos(0)), None);
        let order: Vec<_> = std::iter::from_fn(|| due.pop(Picos(100))).collect();
        let times = [(1, 4), (5, 0), (7, 2), (7, 5), (9, 1), (9, 3)];
        assert_eq!(order, times.map(|(time, tid)| (Picos(time), Tid(tid), tid == 3)));
        assert!(due.is_empty());
    }

    #[test]
    fn who_asks_is_not_awaited() {
        let mut due = Due::default();
        assert_eq!(due.first_awaited(), None);
        for (time, tid, asks) in [(2, 0, true), (8, 1, false), (6, 2, false), (4, 3, true)] {
            due.push(Picos(time), Tid(tid), asks);
        }
        assert_eq!(due.first_awaited(), Some(Picos(6)));
    }
}
