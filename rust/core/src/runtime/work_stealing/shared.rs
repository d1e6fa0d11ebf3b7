//! Queues that all slots share.

use super::config::{SharedQueues, WorkStealingConfig};
use crate::kernel::Tid;
use crate::runtime::discipline::Slot;
use std::collections::VecDeque;

/// The shared queues of a runtime: one, or one for what comes from each slot.
#[derive(Clone, Debug)]
pub struct SharedTasks {
    queues: Vec<VecDeque<Tid>>,
    len: usize,
}

impl SharedTasks {
    /// Empty queues for so many slots.
    pub fn new(config: &WorkStealingConfig, slots: usize) -> Self {
        let queues = match config.shared_queues {
            SharedQueues::One => 1,
            SharedQueues::PerSlot => slots,
        };
        Self { queues: vec![VecDeque::new(); queues], len: 0 }
    }

    /// How many queues there are.
    pub fn count(&self) -> usize {
        self.queues.len()
    }

    /// Tasks in all of them.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none has a task.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether one has none.
    pub fn is_queue_empty(&self, queue: usize) -> bool {
        self.queues[queue].is_empty()
    }

    /// The queue for what comes from a slot or from outside.
    pub fn queue_of(&self, by: Option<Slot>) -> usize {
        by.map_or(0, Slot::index).min(self.queues.len() - 1)
    }

    /// Adds a task at the end of a queue.
    pub fn push(&mut self, queue: usize, task: Tid) {
        self.queues[queue].push_back(task);
        self.len += 1;
    }

    /// Takes the oldest task of one queue.
    pub fn pop_from(&mut self, queue: usize) -> Option<Tid> {
        let task = self.queues[queue].pop_front();
        self.len -= usize::from(task.is_some());
        task
    }

    /// Takes the oldest task of the first queue that has one.
    pub fn pop(&mut self) -> Option<Tid> {
        if self.is_empty() {
            return None;
        }
        (0..self.queues.len()).find_map(|queue| self.pop_from(queue))
    }
}
