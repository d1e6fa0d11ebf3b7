//! One queue for all slots, first in, first out: a thread pool, or with one slot an event loop.
//!
//! What is woken, yields or is preempted joins the end as what is new does. Each task that comes wakes the slot that idles
//! for the longest time, as a condition variable does.

use super::discipline::{Discipline, Next, Push, Pushed, Slot, Status};
use super::slots::{Slots, Wakes};
use crate::base::ConfigError;
use crate::kernel::Tid;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The choices of a queue that all slots share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FifoConfig {
    /// New tasks that may wait; without a limit if nothing is said. Tasks that have begun always find room.
    pub capacity: Option<u32>,
}

impl FifoConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.capacity == Some(0) { Err(ConfigError::new("capacity", "must be at least 1", 0)) } else { Ok(()) }
    }
}

/// A queue that all slots share.
#[derive(Clone, Debug)]
pub struct Fifo {
    queue: VecDeque<Tid>,
    capacity: usize,
    slots: Slots,
}

impl Fifo {
    /// An empty queue for so many slots.
    pub fn new(config: &FifoConfig, slots: u16) -> Self {
        let capacity = config.capacity.map_or(usize::MAX, |capacity| capacity as usize);
        Self { queue: VecDeque::new(), capacity, slots: Slots::new(slots, Wakes::Oldest) }
    }
}

impl Discipline for Fifo {
    fn push(&mut self, task: Tid, _by: Option<Slot>, how: Push) -> Pushed {
        if how == Push::Spawned && self.queue.len() >= self.capacity {
            return Pushed { is_full: true, ..Pushed::default() };
        }
        self.queue.push_back(task);
        Pushed { is_global: true, notifies: true, ..Pushed::default() }
    }

    fn wake(&mut self) -> Option<Slot> {
        self.slots.wake()
    }

    fn next(&mut self, slot: Slot) -> Next {
        let task = self.queue.pop_front();
        if task.is_some() {
            self.slots.set(slot, Status::Running);
        }
        Next { task, from_global: u32::from(task.is_some()), ..Next::default() }
    }

    fn retire(&mut self, slot: Slot) -> bool {
        let idles = self.queue.is_empty();
        if idles {
            self.slots.set(slot, Status::Idle);
        }
        idles
    }

    fn hand_off(&mut self, slot: Slot) -> Option<bool> {
        let searches = !self.queue.is_empty();
        self.slots.set(slot, if searches { Status::Searching } else { Status::Idle });
        searches.then_some(true)
    }

    fn has_work(&self, _slot: Slot) -> bool {
        false
    }

    fn queued(&self) -> usize {
        self.queue.len()
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

    fn pool(capacity: Option<u32>) -> Fifo {
        Fifo::new(&FifoConfig { capacity }, 2)
    }

    #[test]
    fn tasks_run_in_the_order_of_coming_on_whichever_slot_asks() {
        let mut pool = pool(None);
        for (task, how) in [(3, Push::Spawned), (1, Push::Woken), (2, Push::Yielded)] {
            assert!(pool.push(Tid(task), Some(Slot(0)), how).notifies);
        }
        assert_eq!((pool.wake(), pool.wake(), pool.wake()), (Some(Slot(0)), Some(Slot(1)), None));
        let order = [Slot(0), Slot(1), Slot(0)].map(|slot| pool.next(slot).task.unwrap().0);
        assert_eq!(order, [3, 1, 2]);
        assert_eq!((pool.next(Slot(1)).task, pool.searching()), (None, 0));
    }

    #[test]
    fn a_full_queue_refuses_new_tasks_but_takes_those_that_have_begun() {
        let mut pool = pool(Some(1));
        assert!(!pool.push(Tid(0), None, Push::Spawned).is_full);
        assert!(pool.push(Tid(1), None, Push::Spawned).is_full);
        assert_eq!(pool.queued(), 1);
        assert!(!pool.push(Tid(2), None, Push::Woken).is_full);
        assert_eq!(pool.queued(), 2);
    }

    #[test]
    fn a_slot_does_not_idle_while_a_task_waits() {
        let mut pool = pool(None);
        pool.push(Tid(0), None, Push::Spawned);
        let slot = pool.wake().unwrap();
        assert_eq!(pool.next(slot).task, Some(Tid(0)));
        assert_eq!(pool.next(slot).task, None);
        pool.push(Tid(1), None, Push::Spawned);
        assert!(!pool.retire(slot));
        assert_eq!(pool.next(slot).task, Some(Tid(1)));
        assert!(pool.retire(slot));
        assert_eq!(pool.idle(), 2);
    }
}
