//! A queue by deadline, ties by who came first, that finds the first of those who are not ahead of an average.
//!
//! A treap (Seidel & Aragon, 1996) in a table by task: a search tree by deadline that is also a heap by a hash of the
//! task's number, so that it stays shallow without any account of its shape. Each node knows the least virtual run time
//! at and below it, as in Linux's `fair.c`: a search passes by where nobody is eligible. Everything but growth takes
//! time with the logarithm of the number of queued tasks. Those who sleep have a tree of their own, since some questions
//! are about the others alone.

use crate::base::rng::mix;
use crate::sched::TaskId;
use std::hint::select_unpredictable;
use std::ops::{Index, IndexMut};

/// No task.
const NOBODY: u32 = u32::MAX;

/// What EEVDF knows of a task. A sum of weights times virtual times needs 128 bits: with weight 1 a virtual time is up
/// to 10^17 ps * 1024, beyond 64 bits, so the fields are packed instead of cut.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
pub struct Entity {
    /// The virtual run time while it is queued or runs; its lag while it is away.
    pub vruntime: i128,
    pub deadline: i128,
    /// Of the virtual run times at and below this node.
    least: i128,
    /// Of its last enqueue; ties of deadlines go to the smaller.
    sequence: u64,
    /// Before and behind it.
    children: [u32; 2],
    parent: u32,
    pub weight: u32,
    /// It sleeps, but stays queued until it is no longer ahead. invariant: says in which tree a queued task is.
    pub is_delayed: bool,
}

const _: () = assert!(size_of::<Entity>() <= 80, "a million tasks fit into 80 MB");

impl Entity {
    /// A task that is away with a lag.
    pub const fn away(weight: u32, lag: i128) -> Self {
        let links = [NOBODY; 2];
        let (deadline, least, sequence) = (0, 0, 0);
        Self { vruntime: lag, deadline, least, sequence, children: links, parent: NOBODY, weight, is_delayed: false }
    }

    const fn order(&self) -> (i128, u64) {
        (self.deadline, self.sequence)
    }
}

/// Weight and sum of weight times virtual run time, of some tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    pub weight: i128,
    pub sum: i128,
}

impl Load {
    /// The mean virtual run time, rounded down.
    pub fn average(self) -> i128 {
        if self.weight == 0 {
            return 0;
        }
        // What fits into a word is divided in a fraction of the time.
        if let (Ok(sum), Ok(weight)) = (i64::try_from(self.sum), i64::try_from(self.weight)) {
            return sum.div_euclid(weight).into();
        }
        self.sum.div_euclid(self.weight)
    }

    /// Whether a virtual run time is not above the exact mean.
    pub const fn reaches(self, vruntime: i128) -> bool {
        vruntime * self.weight <= self.sum
    }
}

/// Entities of a page.
const PAGE: usize = 32;

/// Entities by task. Tasks that nobody schedules, such as those of a runtime, lie between others and take no room.
#[derive(Clone, Debug)]
struct Pages(Vec<Option<Box<[Entity; PAGE]>>>);

impl Pages {
    const fn new() -> Self {
        Self(Vec::new())
    }

    fn get(&self, task: u32) -> Option<&Entity> {
        let page = self.0.get(task as usize / PAGE)?.as_ref()?;
        Some(&page[task as usize % PAGE])
    }

    fn set(&mut self, task: u32, entity: Entity) {
        let page = task as usize / PAGE;
        if self.0.len() <= page {
            self.0.resize(page + 1, None);
        }
        let page = self.0[page].get_or_insert_with(|| Box::new([Entity::away(0, 0); PAGE]));
        page[task as usize % PAGE] = entity;
    }
}

impl Index<u32> for Pages {
    type Output = Entity;
    fn index(&self, task: u32) -> &Entity {
        self.get(task).expect("who is asked for was set")
    }
}

impl IndexMut<u32> for Pages {
    fn index_mut(&mut self, task: u32) -> &mut Entity {
        let page = self.0[task as usize / PAGE].as_mut().expect("who is asked for was set");
        &mut page[task as usize % PAGE]
    }
}

/// Entities by task, and the queue of those that wait.
#[derive(Clone, Debug)]
pub struct EevdfQueue {
    entities: Pages,
    /// Of those that are awake, and of those that sleep.
    roots: [u32; 2],
    sequence: u64,
}

impl EevdfQueue {
    /// Nobody.
    pub const fn new() -> Self {
        Self { entities: Pages::new(), roots: [NOBODY; 2], sequence: 0 }
    }

    /// What is known of a task.
    pub fn get(&self, id: TaskId) -> Option<&Entity> {
        self.entities.get(id.0)
    }

    /// A task that has been there.
    pub fn entity(&self, id: TaskId) -> &Entity {
        &self.entities[id.0]
    }

    /// The same, to be changed while it is not queued.
    pub fn entity_mut(&mut self, id: TaskId) -> &mut Entity {
        &mut self.entities[id.0]
    }

    /// Writes down a task that comes.
    pub fn set(&mut self, id: TaskId, entity: Entity) {
        self.entities.set(id.0, entity);
    }

    /// Whether nobody is queued, asleep or not.
    pub const fn is_empty(&self) -> bool {
        self.roots[0] == NOBODY && self.roots[1] == NOBODY
    }

    /// Queues a task behind all with the same deadline.
    pub fn push(&mut self, id: TaskId) {
        self.sequence += 1;
        self.entity_mut(id).sequence = self.sequence;
        self.insert(id);
    }

    /// Takes a task out that is queued.
    #[inline(always)]
    pub fn remove(&mut self, id: TaskId) {
        loop {
            let [left, right] = self.entity(id).children;
            match (left, right) {
                (NOBODY, _) => return self.splice(id.0, right),
                (_, NOBODY) => return self.splice(id.0, left),
                _ => self.rotate_up(if height(left) > height(right) { left } else { right }),
            }
        }
    }

    /// Wakes a task that is queued asleep: it keeps its place.
    pub fn wake(&mut self, id: TaskId) {
        self.remove(id);
        self.entity_mut(id).is_delayed = false;
        self.insert(id);
    }

    /// The first who is eligible, asleep or not.
    #[inline(always)]
    pub fn best(&self, load: Load) -> Option<TaskId> {
        let [awake, asleep] = self.roots;
        let awake = self.first_eligible(awake, load);
        if asleep == NOBODY {
            return awake;
        }
        let found = awake.into_iter().chain(self.first_eligible(asleep, load));
        found.min_by_key(|&id| self.entity(id).order())
    }

    /// The first who is eligible and awake; if nobody is, the first who is awake.
    pub fn best_awake(&self, load: Load) -> Option<TaskId> {
        self.first_eligible(self.roots[0], load).or_else(|| {
            let mut first = self.node(self.roots[0])?;
            while let Some(before) = self.node(self.entity(first).children[0]) {
                first = before;
            }
            Some(first)
        })
    }

    fn node(&self, node: u32) -> Option<TaskId> {
        (node != NOBODY).then_some(TaskId(node))
    }

    #[inline(always)]
    fn first_eligible(&self, root: u32, load: Load) -> Option<TaskId> {
        let has_eligible = |node: u32| node != NOBODY && load.reaches(self.entity(TaskId(node)).least);
        let mut node = has_eligible(root).then_some(root)?;
        // invariant: somebody at or below the node is eligible.
        loop {
            let Entity { children: [left, right], vruntime, .. } = *self.entity(TaskId(node));
            if has_eligible(left) {
                node = left;
            } else if load.reaches(vruntime) {
                return Some(TaskId(node));
            } else {
                node = right;
            }
        }
    }

    #[inline(always)]
    fn insert(&mut self, id: TaskId) {
        let Entity { vruntime, deadline, sequence, is_delayed, .. } = *self.entity(id);
        let mut parent = NOBODY;
        let mut link = &mut self.roots[usize::from(is_delayed)];
        while *link != NOBODY {
            parent = *link;
            debug_assert_ne!(parent, id.0, "a task is queued once");
            let above = &mut self.entities[parent];
            let least = above.least;
            above.least = select_unpredictable(vruntime < least, vruntime, least);
            // Without a branch: nothing could predict it.
            let is_behind = (above.deadline < deadline) | ((above.deadline == deadline) & (above.sequence < sequence));
            link = &mut above.children[usize::from(is_behind)];
        }
        *link = id.0;
        let entity = self.entity_mut(id);
        entity.least = vruntime;
        entity.children = [NOBODY; 2];
        entity.parent = parent;
        while self.node(self.entity(id).parent).is_some_and(|parent| height(parent.0) < height(id.0)) {
            self.rotate_up(id.0);
        }
    }

    /// Puts the only child of a node, or nobody, in its place.
    fn splice(&mut self, node: u32, child: u32) {
        let parent = self.entities[node].parent;
        self.replace(node, parent, child);
        let mut above = self.node(parent);
        while let Some(id) = above {
            let before = self.entity(id).least;
            self.refresh(id.0);
            above = if self.entity(id).least == before { None } else { self.node(self.entity(id).parent) };
        }
    }

    /// Exchanges a node with its parent; the order stays.
    fn rotate_up(&mut self, node: u32) {
        let parent = self.entities[node].parent;
        let Entity { children, parent: above, least, .. } = self.entities[parent];
        let side = usize::from(children[1] == node);
        let inner = self.entities[node].children[1 - side];
        self.entities[parent].children[side] = inner;
        if inner != NOBODY {
            self.entities[inner].parent = parent;
        }
        self.replace(parent, above, node);
        self.entities[node].children[1 - side] = parent;
        self.entities[node].least = least;
        self.entities[parent].parent = node;
        self.refresh(parent);
    }

    /// Lets what pointed down to a node point to another.
    #[inline(always)]
    fn replace(&mut self, node: u32, parent: u32, other: u32) {
        if parent == NOBODY {
            let is_delayed = self.entities[node].is_delayed;
            self.roots[usize::from(is_delayed)] = other;
        } else {
            let above = &mut self.entities[parent];
            let side = usize::from(above.children[1] == node);
            above.children[side] = other;
        }
        if other != NOBODY {
            self.entities[other].parent = parent;
        }
    }

    fn refresh(&mut self, node: u32) {
        let Entity { children, vruntime, .. } = self.entities[node];
        let least = |child: u32| self.node(child).map_or(i128::MAX, |id| self.entity(id).least);
        let least = vruntime.min(least(children[0])).min(least(children[1]));
        self.entities[node].least = least;
    }
}

/// Who has more is higher in the tree; no two have the same.
const fn height(node: u32) -> u64 {
    mix(node as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What each task is, if it is queued: (deadline, turn, vruntime, is_delayed).
    type Line = Vec<Option<(i128, u64, i128, bool)>>;

    fn first(line: &Line, takes: impl Fn(i128, bool) -> bool) -> Option<TaskId> {
        let queued = (0..).zip(line).filter_map(|(id, task)| task.map(|task| (id, task)));
        let taken = queued.filter(|&(_, (_, _, vruntime, delayed))| takes(vruntime, delayed));
        taken.min_by_key(|&(_, (deadline, turn, ..))| (deadline, turn)).map(|(id, _)| TaskId(id))
    }

    /// Links go both ways, heights fall, and `least` is what it says. Returns how many are below.
    fn audit(queue: &EevdfQueue, node: u32, parent: u32) -> usize {
        let Some(id) = queue.node(node) else { return 0 };
        let Entity { children, parent: above, least, vruntime, .. } = *queue.entity(id);
        assert_eq!(above, parent);
        assert!(parent == NOBODY || height(parent) > height(node));
        let below = children.into_iter().filter_map(|child| queue.node(child));
        let lowest = below.map(|child| queue.entity(child).least).fold(vruntime, i128::min);
        assert_eq!(least, lowest);
        1 + audit(queue, children[0], node) + audit(queue, children[1], node)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Whatever comes and goes, the tree finds whom a look through all of the queue finds.
        #[test]
        fn it_finds_whom_a_linear_search_finds(
            moves in proptest::collection::vec((0..40_u32, 0..12_i128, -9..9_i128, 0..4_u32), 1..300),
            weight in 1..5_i128,
        ) {
            let mut queue = EevdfQueue::new();
            let mut line: Line = vec![None; 40];
            for (turn, (id, deadline, vruntime, delayed)) in (1..).zip(moves) {
                let place = id as usize;
                match line[place] {
                    Some((due, since, before, true)) if delayed == 1 => {
                        queue.wake(TaskId(id));
                        line[place] = Some((due, since, before, false));
                    }
                    Some(_) => {
                        queue.remove(TaskId(id));
                        line[place] = None;
                    }
                    None => {
                        let is_delayed = delayed == 0;
                        queue.set(TaskId(id), Entity { deadline, is_delayed, ..Entity::away(1, vruntime) });
                        queue.push(TaskId(id));
                        line[place] = Some((deadline, turn, vruntime, is_delayed));
                    }
                }
                let load = Load { weight, sum: vruntime };
                let eligible = |vruntime: i128| load.reaches(vruntime);
                prop_assert_eq!(queue.best(load), first(&line, |vruntime, _| eligible(vruntime)));
                let awake = first(&line, |vruntime, delayed| eligible(vruntime) && !delayed);
                prop_assert_eq!(queue.best_awake(load), awake.or_else(|| first(&line, |_, delayed| !delayed)));
                let count: usize = queue.roots.iter().map(|&root| audit(&queue, root, NOBODY)).sum();
                prop_assert_eq!(count, line.iter().flatten().count());
                prop_assert_eq!(queue.is_empty(), count == 0);
            }
        }
    }
}
