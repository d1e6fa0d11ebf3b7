//! How the slots of a runtime stand, and in which order idle ones are woken.

use super::discipline::{Slot, Status};
use std::collections::VecDeque;

/// Which idle slot is woken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakes {
    /// The one that idles for the longest time, as waiters of a condition variable are.
    Oldest,
    /// The one that went idle last: its caches are warm.
    Newest,
}

/// The slots of a runtime. All idle at first.
#[derive(Clone, Debug)]
pub struct Slots {
    status: Vec<Status>,
    /// In the order of going idle.
    idle: VecDeque<Slot>,
    searching: usize,
    wakes: Wakes,
}

impl Slots {
    /// So many idle slots; the first of them is woken first.
    pub fn new(slots: u16, wakes: Wakes) -> Self {
        let idle = match wakes {
            Wakes::Oldest => (0..slots).map(Slot).collect(),
            Wakes::Newest => (0..slots).rev().map(Slot).collect(),
        };
        Self { status: vec![Status::Idle; usize::from(slots)], idle, searching: 0, wakes }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.status.len()
    }

    /// How one stands.
    pub fn status(&self, slot: Slot) -> Status {
        self.status[slot.index()]
    }

    /// Slots that search.
    pub const fn searching(&self) -> usize {
        self.searching
    }

    /// Slots that idle.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Changes how a slot stands.
    #[inline(always)]
    pub fn set(&mut self, slot: Slot, status: Status) {
        let before = std::mem::replace(&mut self.status[slot.index()], status);
        self.searching += usize::from(status == Status::Searching);
        self.searching -= usize::from(before == Status::Searching);
        match (before == Status::Idle, status == Status::Idle) {
            (false, true) => self.idle.push_back(slot),
            (true, false) => self.leave_idle(slot),
            _ => {}
        }
    }

    /// Takes the idle slot whose turn it is, to search with it.
    pub fn wake(&mut self) -> Option<Slot> {
        self.first_idle().inspect(|&slot| self.set(slot, Status::Searching))
    }

    /// Takes an idle slot to run tasks with it: `preferred` if that is idle.
    pub fn claim(&mut self, preferred: Option<Slot>) -> Option<Slot> {
        let preferred = preferred.filter(|&slot| self.status(slot) == Status::Idle);
        preferred.or_else(|| self.first_idle()).inspect(|&slot| self.set(slot, Status::Running))
    }

    fn leave_idle(&mut self, slot: Slot) {
        if self.idle.back() == Some(&slot) {
            self.idle.pop_back();
        } else if self.idle.front() == Some(&slot) {
            self.idle.pop_front();
        } else {
            self.idle.retain(|&other| other != slot);
        }
    }

    fn first_idle(&self) -> Option<Slot> {
        match self.wakes {
            Wakes::Oldest => self.idle.front().copied(),
            Wakes::Newest => self.idle.back().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_or_the_oldest_idle_slot_is_woken() {
        for (wakes, woken) in [(Wakes::Oldest, [1, 2, 0]), (Wakes::Newest, [0, 1, 2])] {
            let mut slots = Slots::new(3, wakes);
            assert_eq!(slots.wake(), Some(Slot(0)));
            slots.set(Slot(0), Status::Idle);
            assert_eq!([(); 3].map(|()| slots.wake().unwrap().0), woken);
            assert_eq!((slots.wake(), slots.searching(), slots.idle()), (None, 3, 0));
        }
    }

    #[test]
    fn a_claim_takes_the_preferred_slot_if_it_idles() {
        let mut slots = Slots::new(3, Wakes::Newest);
        assert_eq!(slots.claim(Some(Slot(2))), Some(Slot(2)));
        assert_eq!(slots.claim(Some(Slot(2))), Some(Slot(0)));
        assert_eq!(slots.status(Slot(2)), Status::Running);
        assert_eq!((slots.claim(None), slots.claim(None)), (Some(Slot(1)), None));
    }
}
