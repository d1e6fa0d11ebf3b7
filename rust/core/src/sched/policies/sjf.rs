//! Shortest job first: of those that wait, who needs least runs, until it blocks or ends.
//!
//! Among jobs that are there together it has the least mean turnaround of all policies (an exchange argument; Conway,
//! Maxwell & Miller, *Theory of Scheduling*, 1967). A job with I/O counts with its next burst, so that it is a new, short
//! job each time. It needs to know the future, and it does not preempt: a short job that comes a moment late waits for
//! a long one, which is the corner that STCF exists for. Ties go to who came first.

use crate::base::Picos;
use crate::sched::keyed::Keyed;
use crate::sched::{Enqueue, Scheduler, Task, TaskId};
use serde::{Deserialize, Serialize};

/// It has nothing to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SjfConfig {}

/// Shortest job first.
#[derive(Clone, Debug, Default)]
pub struct Sjf {
    queue: Keyed<Picos>,
}

impl Scheduler for Sjf {
    fn enqueue(&mut self, task: &Task, _reason: Enqueue, _now: Picos) {
        self.queue.push(task.burst, task.id);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.queue.remove(id);
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        self.queue.pop().map(|(_, id)| id)
    }
}
