//! Stride: who has run least for its tickets runs next; a lottery without luck.
//!
//! Waldspurger & Weihl, MIT/LCS/TM-528, 1995. Every task has a pass that grows by its stride (2^30 over its tickets) with
//! each slice, and by a part of it with a part of a slice; the smallest pass runs. Shares are exact to a slice for each
//! pair of tasks. Its corner is coming and going: a pass must neither carry credit from a sleep nor start at nothing,
//! so who is new or wakes starts no earlier than the pass that was picked last. Ties go to who came first.

use crate::base::{ConfigError, Picos};
use crate::sched::keyed::{Keyed, entry};
use crate::sched::{Carry, Enqueue, Scheduler, Task, TaskId, micros};
use serde::{Deserialize, Serialize};

/// The stride of one ticket.
const STRIDE_ONE: i128 = 1 << 30;

/// How long one runs at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StrideConfig {
    /// The slice.
    #[serde(with = "micros")]
    pub time_slice_us: Picos,
}

impl Default for StrideConfig {
    fn default() -> Self {
        Self { time_slice_us: Picos::from_nanos(10_000_000) }
    }
}

impl StrideConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        crate::sched::config::above_zero("stride.time_slice_us", self.time_slice_us)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    pass: i128,
    tickets: u32,
}

/// A queue by pass.
#[derive(Clone, Debug)]
pub struct Stride {
    queue: Keyed<i128>,
    tasks: Vec<Standing>,
    /// The pass that was picked last.
    reached: i128,
    slice: Picos,
}

impl Stride {
    /// An empty queue.
    pub fn new(config: &StrideConfig) -> Self {
        Self { queue: Keyed::default(), tasks: Vec::new(), reached: 0, slice: config.time_slice_us }
    }
}

impl Scheduler for Stride {
    fn enqueue(&mut self, task: &Task, reason: Enqueue, _now: Picos) {
        let reached = self.reached;
        let standing = entry(&mut self.tasks, task.id);
        standing.tickets = task.tickets;
        standing.pass = match reason {
            Enqueue::New => reached,
            Enqueue::Wake => standing.pass.max(reached),
            Enqueue::Migrated(ahead) => reached + ahead,
            Enqueue::Preempted | Enqueue::Yielded | Enqueue::SliceUsed => standing.pass,
        };
        self.queue.push(standing.pass, task.id);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.queue.remove(id);
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        let (pass, id) = self.queue.pop()?;
        self.reached = self.reached.max(pass);
        Some(id)
    }

    fn runs_until(&mut self, _id: TaskId, now: Picos) -> Picos {
        now + self.slice
    }

    fn charge(&mut self, id: TaskId, ran: Picos, _now: Picos) {
        let standing = &mut self.tasks[id.index()];
        standing.pass += STRIDE_ONE * i128::from(ran.0) / (i128::from(standing.tickets) * i128::from(self.slice.0));
    }

    fn give_away(&mut self, _now: Picos) -> Option<(TaskId, Carry)> {
        let (pass, id) = self.queue.pop()?;
        Some((id, pass - self.reached))
    }
}
