//! What belongs to one slot: its queue, the place before it, and what it has put aside.

use super::config::{NextSlot, Order, Overflow, WorkStealingConfig};
use crate::kernel::Tid;
use std::collections::VecDeque;

/// The tasks of one slot that wait.
#[derive(Clone, Debug)]
pub struct Own {
    /// The oldest is in front.
    pub queue: VecDeque<Tid>,
    /// The task that runs before the queue.
    pub next: Option<Tid>,
    /// Whether tasks may go to that place now.
    pub is_next_open: bool,
    /// Tasks from that place that ran as a part of the last pick.
    streak: u32,
    /// Whether the slot runs a task, to which more may be added from that place.
    pub is_in_pick: bool,
    /// Tasks put aside.
    pub deferred: Vec<Tid>,
    capacity: usize,
    order: Order,
    overflow: Overflow,
    kind: NextSlot,
    streak_max: u32,
}

impl Own {
    /// Nothing waits.
    pub fn new(config: &WorkStealingConfig) -> Self {
        Self {
            queue: VecDeque::new(),
            next: None,
            is_next_open: config.next_slot != NextSlot::None,
            streak: 0,
            is_in_pick: false,
            deferred: Vec::new(),
            capacity: config.local_queue.0.map_or(usize::MAX, |tasks| tasks as usize),
            order: config.order,
            overflow: config.overflow,
            kind: config.next_slot,
            streak_max: config.next_slot_polls,
        }
    }

    /// Whether any task waits here.
    pub fn has_work(&self) -> bool {
        !self.queue.is_empty() || self.next.is_some() || !self.deferred.is_empty()
    }

    /// Whether what runs now is a part of the pick before it.
    pub const fn is_part(&self) -> bool {
        self.streak > 0
    }

    /// How many more tasks the queue holds.
    pub fn room(&self) -> usize {
        self.capacity - self.queue.len()
    }

    /// Adds a task at the end of the queue. What has no room there goes to `spilled`, in its order.
    pub fn push(&mut self, task: Tid, spilled: &mut Vec<Tid>) {
        if self.queue.len() < self.capacity {
            self.queue.push_back(task);
            return;
        }
        let half = self.capacity / 2;
        match self.overflow {
            Overflow::OldestHalf => spilled.extend(self.queue.drain(..half)),
            Overflow::NewestHalf => spilled.extend(self.queue.drain(self.capacity - half..)),
        }
        spilled.push(task);
    }

    /// Takes the task before the queue if it runs as a part of the pick before it. With the last of a row the place closes.
    pub fn go_on(&mut self) -> Option<Tid> {
        if !self.is_in_pick || self.kind != NextSlot::Tokio {
            return None;
        }
        let task = self.next.take();
        if task.is_some() {
            self.streak += 1;
            self.is_next_open = self.streak < self.streak_max;
        } else {
            self.end_pick();
        }
        task
    }

    /// What runs from now on is a pick of its own.
    pub fn end_pick(&mut self) {
        self.streak = 0;
        self.is_next_open = self.kind != NextSlot::None;
        self.is_in_pick = false;
    }

    /// Takes the next task: that before the queue, else one of the queue. Tells whether it goes on with a slice.
    pub fn pop(&mut self) -> Option<(Tid, bool)> {
        if let Some(task) = self.next.take() {
            return Some((task, self.kind == NextSlot::Go));
        }
        let task = match self.order {
            Order::Fifo => self.queue.pop_front(),
            Order::Lifo => self.queue.pop_back(),
        };
        task.map(|task| (task, false))
    }
}
