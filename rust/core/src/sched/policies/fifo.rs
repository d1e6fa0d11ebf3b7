//! First in, first out: who could run first runs first, until it blocks or ends.
//!
//! The oldest policy and the least code: one queue, no timer, no numbers to choose (Arpaci-Dusseau, *Operating Systems:
//! Three Easy Pieces*, ch. 7). It switches least, so it is the measure of throughput when switches cost something. Its
//! corner is the convoy: one long job ahead of short ones makes all of them wait, and the mean wait grows with the
//! variance of the service times (Pollaczek and Khinchine).

use crate::base::Picos;
use crate::sched::list::Lists;
use crate::sched::{Enqueue, Scheduler, Task, TaskId};
use serde::{Deserialize, Serialize};

/// It has nothing to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FifoConfig {}

/// First in, first out.
#[derive(Clone, Debug)]
pub struct Fifo {
    queue: Lists,
}

impl Default for Fifo {
    fn default() -> Self {
        Self { queue: Lists::new(1) }
    }
}

impl Scheduler for Fifo {
    fn enqueue(&mut self, task: &Task, _reason: Enqueue, _now: Picos) {
        self.queue.push_back(0, task.id);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.queue.remove(0, id);
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        self.queue.pop_front(0)
    }
}
