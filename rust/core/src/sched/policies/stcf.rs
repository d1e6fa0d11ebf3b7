//! Shortest time to completion first, also called shortest remaining processing time (SRPT): SJF that preempts.
//!
//! Whenever somebody comes or wakes who needs less than a running one still does, the one that needs most makes room. On
//! one cpu and with switches for free no policy has a smaller mean turnaround, whatever comes when (Schrage, 1968). A job
//! with I/O counts with its current burst. Its corner is the long job under load: it waits as long as short ones come.
//! Equal times do not preempt; ties in the queue go to who came first.

use crate::base::Picos;
use crate::sched::keyed::Keyed;
use crate::sched::{Enqueue, Scheduler, Task, TaskId};
use serde::{Deserialize, Serialize};

/// It has nothing to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StcfConfig {}

/// Shortest time to completion first.
#[derive(Clone, Debug, Default)]
pub struct Stcf {
    /// By what bursts still need, also for those that run.
    queue: Keyed<Picos>,
}

impl Scheduler for Stcf {
    fn enqueue(&mut self, task: &Task, _reason: Enqueue, _now: Picos) {
        self.queue.push(task.burst, task.id);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.queue.remove(id);
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        self.queue.pop().map(|(_, id)| id)
    }

    fn charge(&mut self, id: TaskId, ran: Picos, _now: Picos) {
        let left = self.queue.key(id).saturating_sub(ran);
        self.queue.set_key(id, left);
    }

    fn is_preemptive(&self) -> bool {
        true
    }

    fn victim(&mut self, woken: TaskId, running: &[TaskId], _now: Picos) -> Option<usize> {
        let left = |id: TaskId| self.queue.key(id);
        let longer = running.iter().enumerate().filter(|&(_, &id)| left(id) > left(woken));
        // Of several the first with most left: `max_by_key` would give the last.
        longer.rev().max_by_key(|&(_, &id)| left(id)).map(|(place, _)| place)
    }
}
