//! Queues in the order of joining, from which any task can be taken: lists linked both ways by number of task.

use super::scheduler::TaskId;

const NOBODY: u32 = u32::MAX;

/// Who stands before and behind a task.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    behind: u32,
}

/// Both ends of a list.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

/// Some lists. A task is in one of them at most; whatever happens to it takes constant time.
#[derive(Clone, Debug)]
pub struct Lists {
    links: Vec<Link>,
    ends: Vec<Ends>,
}

impl Lists {
    /// So many empty lists.
    pub fn new(lists: usize) -> Self {
        Self { links: Vec::new(), ends: vec![Ends { first: NOBODY, last: NOBODY }; lists] }
    }

    /// Adds a task at the end of a list.
    pub fn push_back(&mut self, list: usize, id: TaskId) {
        let last = self.ends[list].last;
        self.link(id, Link { before: last, behind: NOBODY }, list);
    }

    /// Adds a task at the head of a list.
    pub fn push_front(&mut self, list: usize, id: TaskId) {
        let first = self.ends[list].first;
        self.link(id, Link { before: NOBODY, behind: first }, list);
    }

    /// Takes the first task of a list.
    pub fn pop_front(&mut self, list: usize) -> Option<TaskId> {
        let first = self.ends[list].first;
        (first != NOBODY).then(|| {
            self.remove(list, TaskId(first));
            TaskId(first)
        })
    }

    /// Takes a task out of the list that it is in.
    pub fn remove(&mut self, list: usize, id: TaskId) {
        let Link { before, behind } = self.links[id.index()];
        *self.behind(before, list) = behind;
        *self.before(behind, list) = before;
    }

    /// Moves all of one list to the end of another.
    pub fn append(&mut self, to: usize, from: usize) {
        let Ends { first, last } = std::mem::replace(&mut self.ends[from], Ends { first: NOBODY, last: NOBODY });
        if first != NOBODY {
            let before = self.ends[to].last;
            *self.behind(before, to) = first;
            *self.before(first, to) = before;
            self.ends[to].last = last;
        }
    }

    fn link(&mut self, id: TaskId, link: Link, list: usize) {
        if self.links.len() <= id.index() {
            self.links.resize(id.index() + 1, Link { before: NOBODY, behind: NOBODY });
        }
        self.links[id.index()] = link;
        *self.behind(link.before, list) = id.0;
        *self.before(link.behind, list) = id.0;
    }

    /// Who stands behind a task, or first if that is nobody.
    fn behind(&mut self, task: u32, list: usize) -> &mut u32 {
        if task == NOBODY { &mut self.ends[list].first } else { &mut self.links[task as usize].behind }
    }

    /// Who stands before a task, or last if that is nobody.
    fn before(&mut self, task: u32, list: usize) -> &mut u32 {
        if task == NOBODY { &mut self.ends[list].last } else { &mut self.links[task as usize].before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn they_are_double_ended_queues(moves in proptest::collection::vec((0..20_u32, 0..3_usize, 0..5_u32), 1..200)) {
            let mut lists = Lists::new(3);
            let mut queues = vec![VecDeque::new(); 3];
            for (id, list, action) in moves {
                let task = TaskId(id);
                if let Some(found) = queues.iter().position(|queue| queue.contains(&task)) {
                    lists.remove(found, task);
                    queues[found].retain(|&queued| queued != task);
                } else if action < 2 {
                    lists.push_front(list, task);
                    queues[list].push_front(task);
                } else {
                    lists.push_back(list, task);
                    queues[list].push_back(task);
                }
                if action == 3 {
                    prop_assert_eq!(lists.pop_front(list), queues[list].pop_front());
                } else if action == 4 {
                    let moved = std::mem::take(&mut queues[list]);
                    queues[(list + 1) % 3].extend(moved);
                    lists.append((list + 1) % 3, list);
                }
            }
            for (list, queue) in queues.into_iter().enumerate() {
                let left: Vec<TaskId> = std::iter::from_fn(|| lists.pop_front(list)).collect();
                prop_assert_eq!(left, Vec::from(queue));
            }
        }
    }
}
