//! Round robin: first in, first out, but after a time slice a job goes to the end of the queue.
//!
//! The policy of time-sharing systems since CTSS (Corbató et al., 1962). Of n jobs each runs again within (n-1) slices,
//! so it answers quickly; as the slice goes to zero it becomes processor sharing, whose mean turnaround does not depend
//! on the distribution of service times (Kleinrock, 1967). Its corner is turnaround: equal jobs all finish late, and
//! every slice costs a switch, so with a switch cost s and slice q a load above q/(q+s) is too much. Who wakes joins at
//! the end with a full slice; at the end of a slice those who came at that very moment go first.

use crate::base::{ConfigError, Picos};
use crate::sched::list::Lists;
use crate::sched::{Enqueue, Scheduler, Task, TaskId, micros};
use serde::{Deserialize, Serialize};

/// How long a slice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundRobinConfig {
    /// The slice.
    #[serde(with = "micros")]
    pub time_slice_us: Picos,
}

impl Default for RoundRobinConfig {
    fn default() -> Self {
        Self { time_slice_us: Picos::from_nanos(10_000_000) }
    }
}

impl RoundRobinConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        crate::sched::config::above_zero("round-robin.time_slice_us", self.time_slice_us)
    }
}

/// Round robin.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    queue: Lists,
    slice: Picos,
}

impl RoundRobin {
    /// An empty queue.
    pub fn new(config: &RoundRobinConfig) -> Self {
        Self { queue: Lists::new(1), slice: config.time_slice_us }
    }
}

impl Scheduler for RoundRobin {
    fn enqueue(&mut self, task: &Task, _reason: Enqueue, _now: Picos) {
        self.queue.push_back(0, task.id);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.queue.remove(0, id);
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        self.queue.pop_front(0)
    }

    fn runs_until(&mut self, _id: TaskId, now: Picos) -> Picos {
        now + self.slice
    }
}
