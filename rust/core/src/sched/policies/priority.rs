//! Fixed priorities with aging: the most urgent runs, and who waits long becomes more urgent.
//!
//! The textbook's priority scheduling (Silberschatz, Galvin & Gagne, ch. 5) and what real-time classes do; smaller
//! numbers are more urgent. Waiting makes urgent: after `aging_us` in the queue a task counts one priority better, and
//! so on evenly, so that the order among those who wait never changes while they wait: by `priority * aging_us` plus the
//! time at which they came. Without aging its corner is starvation. A running task has its own priority again; who comes
//! or wakes with a better one preempts the least urgent. Equals take turns by the slice, if there is one.

use crate::base::{ConfigError, Picos};
use crate::sched::keyed::{Keyed, entry};
use crate::sched::{Enqueue, Scheduler, Task, TaskId, micros};
use serde::{Deserialize, Serialize};

/// How fast one ages, and how long one runs at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriorityConfig {
    /// The slice; none, if absent.
    #[serde(with = "micros::option")]
    pub time_slice_us: Option<Picos>,
    /// How long one waits to count one better; nobody ages, if absent.
    #[serde(with = "micros::option")]
    pub aging_us: Option<Picos>,
}

impl Default for PriorityConfig {
    fn default() -> Self {
        Self { time_slice_us: Some(Picos::from_nanos(10_000_000)), aging_us: Some(Picos::from_nanos(100_000_000)) }
    }
}

impl PriorityConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (name, time) in [("time_slice_us", self.time_slice_us), ("aging_us", self.aging_us)] {
            if let Some(time) = time {
                crate::sched::config::above_zero(&format!("priority.{name}"), time)?;
            }
        }
        Ok(())
    }
}

/// A queue by priority and age.
#[derive(Clone, Debug)]
pub struct Priority {
    /// With aging by `priority * aging + since`, without it by priority alone.
    queue: Keyed<u128>,
    priorities: Vec<u32>,
    config: PriorityConfig,
}

impl Priority {
    /// An empty queue.
    pub fn new(config: &PriorityConfig) -> Self {
        Self { queue: Keyed::default(), priorities: Vec::new(), config: *config }
    }
}

impl Scheduler for Priority {
    fn enqueue(&mut self, task: &Task, _reason: Enqueue, now: Picos) {
        *entry(&mut self.priorities, task.id) = task.priority;
        let key = self.config.aging_us.map_or(u128::from(task.priority), |aging| {
            u128::from(task.priority) * u128::from(aging.0) + u128::from(now.0)
        });
        self.queue.push(key, task.id);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.queue.remove(id);
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        self.queue.pop().map(|(_, id)| id)
    }

    fn reweigh(&mut self, task: &Task, is_queued: bool, now: Picos) {
        if is_queued {
            self.remove(task.id, now);
            self.enqueue(task, Enqueue::Wake, now);
        }
        *entry(&mut self.priorities, task.id) = task.priority;
    }

    fn runs_until(&mut self, _id: TaskId, now: Picos) -> Picos {
        self.config.time_slice_us.map_or(Picos::NEVER, |slice| now + slice)
    }

    fn is_preemptive(&self) -> bool {
        true
    }

    fn victim(&mut self, woken: TaskId, running: &[TaskId], _now: Picos) -> Option<usize> {
        let priority = |id: TaskId| self.priorities[id.index()];
        let worse = running.iter().enumerate().filter(|&(_, &id)| priority(id) > priority(woken));
        worse.rev().max_by_key(|&(_, &id)| priority(id)).map(|(place, _)| place)
    }
}
