//! A queue ordered by a key, ties by who came first, from which any task can be taken.

use super::scheduler::TaskId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A heap whose entries may be out of date: one counts only while its sequence number is that of its task.
#[derive(Clone, Debug)]
pub struct Keyed<K> {
    heap: BinaryHeap<Reverse<(K, u64, TaskId)>>,
    /// By task: the sequence number of its entry, or 0 if it is not queued.
    live: Vec<u64>,
    sequence: u64,
}

impl<K: Ord + Copy> Default for Keyed<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), live: Vec::new(), sequence: 0 }
    }
}

impl<K: Ord + Copy> Keyed<K> {
    /// Adds a task behind all with the same key.
    pub fn push(&mut self, key: K, id: TaskId) {
        if self.live.len() <= id.index() {
            self.live.resize(id.index() + 1, 0);
        }
        debug_assert_eq!(self.live[id.index()], 0, "a task is queued once");
        self.sequence += 1;
        self.live[id.index()] = self.sequence;
        self.heap.push(Reverse((key, self.sequence, id)));
    }

    /// Takes the first task out.
    pub fn pop(&mut self) -> Option<(K, TaskId)> {
        while let Some(Reverse((key, sequence, id))) = self.heap.pop() {
            if self.live[id.index()] == sequence {
                self.live[id.index()] = 0;
                return Some((key, id));
            }
        }
        None
    }

    /// The least key.
    pub fn first(&mut self) -> Option<K> {
        while let Some(&Reverse((key, sequence, id))) = self.heap.peek() {
            if self.live[id.index()] == sequence {
                return Some(key);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes a task out that is queued.
    pub fn remove(&mut self, id: TaskId) {
        self.live[id.index()] = 0;
    }
}

/// The entry of a task in a table that grows as tasks come.
pub fn entry<T: Clone + Default>(table: &mut Vec<T>, id: TaskId) -> &mut T {
    if table.len() <= id.index() {
        table.resize(id.index() + 1, T::default());
    }
    &mut table[id.index()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_not_found_and_ties_keep_their_order() {
        let mut queue = Keyed::default();
        for (key, id) in [(5, 0), (3, 1), (3, 2), (1, 3)] {
            queue.push(key, TaskId(id));
        }
        queue.remove(TaskId(3));
        queue.remove(TaskId(1));
        queue.push(3, TaskId(1));
        assert_eq!(queue.first(), Some(3));
        let order: Vec<u32> = std::iter::from_fn(|| queue.pop()).map(|(_, id)| id.0).collect();
        assert_eq!(order, [2, 1, 0]);
    }
}
