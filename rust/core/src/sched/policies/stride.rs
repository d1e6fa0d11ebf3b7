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

/// A queue by pass.
#[derive(Clone, Debug)]
pub struct Stride {
    /// A pass grows by up to 2^30 * 10^17 ps (one ticket, a slice of 1 ps), beyond 64 bits.
    queue: Keyed<i128>,
    /// By task.
    tickets: Vec<u32>,
    /// The pass that was picked last.
    reached: i128,
    slice: Picos,
}

impl Stride {
    /// An empty queue.
    pub fn new(config: &StrideConfig) -> Self {
        Self { queue: Keyed::default(), tickets: Vec::new(), reached: 0, slice: config.time_slice_us }
    }
}

impl Scheduler for Stride {
    fn enqueue(&mut self, task: &Task, reason: Enqueue, _now: Picos) {
        *entry(&mut self.tickets, task.id) = task.tickets;
        let own = self.queue.key(task.id);
        let pass = match reason {
            Enqueue::New => self.reached,
            Enqueue::Wake => own.max(self.reached),
            Enqueue::Migrated(ahead) => self.reached + ahead,
            Enqueue::Preempted | Enqueue::Yielded | Enqueue::SliceUsed => own,
        };
        self.queue.push(pass, task.id);
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
        let grown = STRIDE_ONE * i128::from(ran.0) / (i128::from(self.tickets[id.index()]) * i128::from(self.slice.0));
        self.queue.set_key(id, self.queue.key(id) + grown);
    }

    fn give_away(&mut self, _now: Picos) -> Option<(TaskId, Carry)> {
        let (pass, id) = self.queue.pop()?;
        Some((id, pass - self.reached))
    }
}
