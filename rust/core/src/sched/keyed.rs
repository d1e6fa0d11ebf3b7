//! A queue ordered by a key, ties by who came first, from which any task can be taken.
//!
//! A heap with four children a node, half as deep as one with two (LaMarca & Ladner, 1996). A task knows its place in
//! it, and its key outlives the queue: what a policy counts for a running task is the key that it will have.

use super::scheduler::TaskId;
use std::hint::select_unpredictable;

/// The children of a node.
const CHILDREN: usize = 4;
const NOT_QUEUED: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    id: TaskId,
    /// Ties of keys go to the smaller.
    sequence: u32,
}

/// Packed: a key of 16 bytes and a place take 20.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
struct Slot<K: Copy> {
    key: K,
    /// Its place in the heap, if it is queued.
    place: u32,
}

const _: () = assert!(size_of::<Slot<i128>>() + size_of::<Node>() <= 28, "with a number of the policy 32 bytes a task");

/// A heap that finds its tasks.
#[derive(Clone, Debug)]
pub struct Keyed<K: Copy> {
    heap: Vec<Node>,
    /// By task.
    slots: Vec<Slot<K>>,
    /// That of the next who comes.
    sequence: u32,
}

impl<K: Ord + Copy + Default> Default for Keyed<K> {
    fn default() -> Self {
        Self { heap: Vec::new(), slots: Vec::new(), sequence: 0 }
    }
}

impl<K: Ord + Copy + Default> Keyed<K> {
    /// Adds a task behind all with the same key.
    pub fn push(&mut self, key: K, id: TaskId) {
        if self.slots.len() <= id.index() {
            self.slots.resize(id.index() + 1, Slot { key: K::default(), place: NOT_QUEUED });
        }
        debug_assert!(self.slots[id.index()].place == NOT_QUEUED, "a task is queued once");
        if self.sequence == u32::MAX {
            self.renumber();
        }
        self.slots[id.index()].key = key;
        self.heap.push(Node { id, sequence: self.sequence });
        self.sequence += 1;
        self.rise(self.heap.len() - 1);
    }

    /// Takes the first task out.
    pub fn pop(&mut self) -> Option<(K, TaskId)> {
        let id = self.heap.first()?.id;
        self.remove(id);
        Some((self.slots[id.index()].key, id))
    }

    /// The least key.
    pub fn first(&self) -> Option<K> {
        self.heap.first().map(|node| self.slots[node.id.index()].key)
    }

    /// Takes a task out that is queued.
    pub fn remove(&mut self, id: TaskId) {
        let slot = &mut self.slots[id.index()];
        let place = slot.place as usize;
        slot.place = NOT_QUEUED;
        let last = self.heap.pop().expect("a queued task is in the heap");
        if place < self.heap.len() {
            self.heap[place] = last;
            let leaf = self.sink(place);
            self.rise(leaf);
        }
    }

    /// The key of a task, queued or not.
    pub fn key(&self, id: TaskId) -> K {
        self.slots.get(id.index()).map_or_else(K::default, |slot| slot.key)
    }

    /// Changes the key of a task that has been queued and is not now.
    pub fn set_key(&mut self, id: TaskId, key: K) {
        let slot = &mut self.slots[id.index()];
        debug_assert!(slot.place == NOT_QUEUED, "keys of queued tasks stay");
        slot.key = key;
    }

    /// What orders a place, and the place.
    fn order(&self, place: usize) -> Order<K> {
        let node = self.heap[place];
        (self.slots[node.id.index()].key, node.sequence, place)
    }

    fn put(&mut self, place: usize, node: Node) {
        self.heap[place] = node;
        self.slots[node.id.index()].place = u32::try_from(place).expect("there are fewer than 2^32 tasks");
    }

    fn rise(&mut self, mut place: usize) {
        let node = self.heap[place];
        let key = self.slots[node.id.index()].key;
        while place > 0 {
            let above = self.heap[(place - 1) / CHILDREN];
            if (self.slots[above.id.index()].key, above.sequence) < (key, node.sequence) {
                break;
            }
            self.put(place, above);
            place = (place - 1) / CHILDREN;
        }
        self.put(place, node);
    }

    /// Lets a node go down to a leaf, wherever it belongs, and returns the leaf: it came from one, so it rises little.
    fn sink(&mut self, mut place: usize) -> usize {
        let node = self.heap[place];
        loop {
            let begin = place * CHILDREN + 1;
            let (_, _, first) = if begin + CHILDREN <= self.heap.len() {
                let [a, b, c, d] = std::array::from_fn(|child| self.order(begin + child));
                first_of(first_of(a, b), first_of(c, d))
            } else {
                match (begin..self.heap.len()).map(|child| self.order(child)).reduce(first_of) {
                    Some(first) => first,
                    None => break,
                }
            };
            self.put(place, self.heap[first]);
            place = first;
        }
        self.heap[place] = node;
        place
    }

    /// Gives those that are queued small numbers in the same order, once in 2^32 pushes.
    fn renumber(&mut self) {
        let mut places: Vec<usize> = (0..self.heap.len()).collect();
        places.sort_unstable_by_key(|&place| self.heap[place].sequence);
        self.sequence = 0;
        for place in places {
            self.heap[place].sequence = self.sequence;
            self.sequence += 1;
        }
    }
}

/// Key, sequence number and place.
type Order<K> = (K, u32, usize);

/// Which comes first, without a branch: nothing could predict it.
fn first_of<K: Ord + Copy>(one: Order<K>, other: Order<K>) -> Order<K> {
    let is_other = (other.0 < one.0) | ((other.0 == one.0) & (other.1 < one.1));
    select_unpredictable(is_other, other, one)
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
    use proptest::prelude::*;

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

    proptest! {
        /// A sorted list does the same, also where sequence numbers run out.
        #[test]
        fn it_is_a_sorted_list(moves in proptest::collection::vec((0..30_u32, 0..9_i128, 0..4_u32), 1..200), early in 0..200_u32) {
            let mut queue = Keyed { sequence: u32::MAX - early, ..Keyed::default() };
            let mut list: Vec<(i128, TaskId)> = Vec::new();
            for (id, key, action) in moves {
                let id = TaskId(id);
                if action == 0 {
                    let first = (!list.is_empty()).then(|| list.remove(0));
                    prop_assert_eq!(queue.pop(), first);
                } else if let Some(place) = list.iter().position(|&(_, queued)| queued == id) {
                    queue.remove(id);
                    list.remove(place);
                } else {
                    queue.push(key, id);
                    list.insert(list.partition_point(|&(before, _)| before <= key), (key, id));
                    prop_assert_eq!(queue.key(id), key);
                }
                prop_assert_eq!(queue.first(), list.first().map(|&(key, _)| key));
            }
        }
    }
}
