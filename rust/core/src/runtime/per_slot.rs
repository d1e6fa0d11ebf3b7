//! A queue for each slot and no stealing: one event loop a cpu.
//!
//! New tasks go to the slots in turn and stay where they began, as connections stay with the loop that accepted them. A
//! slot that has nothing to do idles, however much the others have.

use super::discipline::{Discipline, Next, Push, Pushed, Slot, Status};
use super::slots::{Slots, Wakes};
use crate::kernel::Tid;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The choices of queues by slot: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PerSlotConfig {}

/// The home of a task that has not come yet.
const NOWHERE: Slot = Slot(u16::MAX);

/// A queue for each slot.
#[derive(Clone, Debug)]
pub struct PerSlot {
    queues: Vec<VecDeque<Tid>>,
    /// Where each task began, by its number.
    homes: Vec<Slot>,
    /// Who gets the next new task.
    turn: u16,
    queued: usize,
    /// Idle slots that were given a task.
    to_wake: VecDeque<Slot>,
    slots: Slots,
}

impl PerSlot {
    /// So many slots with empty queues.
    pub fn new(slots: u16) -> Self {
        Self {
            queues: vec![VecDeque::new(); usize::from(slots)],
            homes: Vec::new(),
            turn: 0,
            queued: 0,
            to_wake: VecDeque::new(),
            slots: Slots::new(slots, Wakes::Oldest),
        }
    }

    /// Where a task belongs: the slot whose turn it is if it is new.
    fn home(&mut self, task: Tid, how: Push) -> Slot {
        if task.index() >= self.homes.len() {
            self.homes.resize(task.index() + 1, NOWHERE);
        }
        if self.homes[task.index()] == NOWHERE || how == Push::Spawned {
            self.homes[task.index()] = Slot(self.turn);
            self.turn += 1;
            if usize::from(self.turn) == self.queues.len() {
                self.turn = 0;
            }
        }
        self.homes[task.index()]
    }
}

impl Discipline for PerSlot {
    fn push(&mut self, task: Tid, _by: Option<Slot>, how: Push) -> Pushed {
        let home = self.home(task, how);
        self.queues[home.index()].push_back(task);
        self.queued += 1;
        let notifies = self.slots.status(home) == Status::Idle;
        if notifies {
            self.to_wake.push_back(home);
        }
        Pushed { notifies, ..Pushed::default() }
    }

    fn wake(&mut self) -> Option<Slot> {
        while let Some(slot) = self.to_wake.pop_front() {
            if self.slots.status(slot) == Status::Idle {
                self.slots.set(slot, Status::Searching);
                return Some(slot);
            }
        }
        None
    }

    fn next(&mut self, slot: Slot) -> Next {
        let task = self.queues[slot.index()].pop_front();
        if task.is_some() {
            self.queued -= 1;
            self.slots.set(slot, Status::Running);
        }
        Next { task, ..Next::default() }
    }

    fn retire(&mut self, slot: Slot) -> bool {
        let idles = !self.has_work(slot);
        if idles {
            self.slots.set(slot, Status::Idle);
        }
        idles
    }

    fn hand_off(&mut self, slot: Slot) -> Option<bool> {
        let runs = self.has_work(slot);
        self.slots.set(slot, if runs { Status::Running } else { Status::Idle });
        runs.then_some(false)
    }

    fn has_work(&self, slot: Slot) -> bool {
        !self.queues[slot.index()].is_empty()
    }

    fn queued(&self) -> usize {
        self.queued
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    fn slots_mut(&mut self) -> &mut Slots {
        &mut self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_tasks_go_round_and_woken_ones_come_home() {
        let mut loops = PerSlot::new(2);
        for task in 0..4 {
            assert!(loops.push(Tid(task), None, Push::Spawned).notifies);
        }
        assert_eq!((loops.wake(), loops.wake(), loops.wake()), (Some(Slot(0)), Some(Slot(1)), None));
        let runs = |loops: &mut PerSlot, slot| std::iter::from_fn(|| loops.next(Slot(slot)).task).collect::<Vec<_>>();
        assert_eq!(runs(&mut loops, 0), [Tid(0), Tid(2)]);
        assert_eq!(runs(&mut loops, 1), [Tid(1), Tid(3)]);
        assert!(!loops.push(Tid(1), Some(Slot(0)), Push::Woken).notifies);
        assert_eq!(runs(&mut loops, 0), []);
        assert_eq!(runs(&mut loops, 1), [Tid(1)]);
    }

    #[test]
    fn a_slot_idles_beside_others_that_have_work() {
        let mut loops = PerSlot::new(2);
        loops.push(Tid(0), None, Push::Spawned);
        loops.push(Tid(1), None, Push::Spawned);
        loops.push(Tid(2), None, Push::Spawned);
        let slot = loops.claim(Some(Slot(1))).unwrap();
        assert_eq!(loops.next(slot).task, Some(Tid(1)));
        assert_eq!(loops.next(slot).task, None);
        assert!(loops.retire(slot));
        assert_eq!(loops.queued(), 2);
        assert_eq!(loops.wake(), Some(Slot(0)), "it was given tasks before");
        assert!(!loops.retire(Slot(0)));
    }
}
