//! The completely fair scheduler of Linux up to 6.5: who has run least for its weight runs next, looked at by ticks.
//!
//! Molnár, 2007; constants and rules of `kernel/sched/fair.c` of Linux 6.5. Each task has a virtual run time that grows
//! slower the heavier it is, and the least of them runs. All tasks share a period (6 ms, more above eight of them), and
//! one that has had its part of it makes room at the next timer tick. Who wakes gets half a period of credit at most and
//! preempts if it is behind by more than the wake-up granularity: that is for interactive tasks, and its corner, since
//! no task can say that it wants short waits rather than more time. Not modelled: groups, buddies, bandwidth.

use crate::base::{ConfigError, Picos};
use crate::sched::keyed::{Keyed, entry};
use crate::sched::weight::{next_tick, scaling_factor, virtual_time};
use crate::sched::{Carry, Enqueue, Leave, Scheduler, Task, TaskId, micros};
use serde::{Deserialize, Serialize};

/// Up to how many tasks share one latency period (`sched_nr_latency`).
const NR_LATENCY: u64 = 8;

/// Linux's `sysctl_sched_*`, before they are scaled by the number of cpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CfsConfig {
    /// The period in which each task runs once.
    #[serde(with = "micros")]
    pub latency_us: Picos,
    /// The least slice.
    #[serde(with = "micros")]
    pub min_granularity_us: Picos,
    /// How far behind a woken task must be to preempt.
    #[serde(with = "micros")]
    pub wakeup_granularity_us: Picos,
    /// The period of the timer.
    #[serde(with = "micros")]
    pub tick_us: Picos,
    /// The cpus of the machine that times are scaled by; those of the run, if absent.
    pub machine_cpus: Option<u32>,
}

impl Default for CfsConfig {
    fn default() -> Self {
        Self {
            latency_us: Picos::from_nanos(6_000_000),
            min_granularity_us: Picos::from_nanos(750_000),
            wakeup_granularity_us: Picos::from_nanos(1_000_000),
            tick_us: Picos::from_nanos(4_000_000),
            machine_cpus: None,
        }
    }
}

impl CfsConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        crate::sched::config::above_zero("cfs.latency_us", self.latency_us)?;
        crate::sched::config::above_zero("cfs.min_granularity_us", self.min_granularity_us)?;
        crate::sched::config::above_zero("cfs.tick_us", self.tick_us)?;
        crate::sched::config::some_cpus("cfs.machine_cpus", self.machine_cpus)
    }
}

/// The run queue of one cpu.
#[derive(Clone, Debug)]
pub struct Cfs {
    latency: Picos,
    min_granularity: Picos,
    wakeup_granularity: Picos,
    tick: Picos,
    /// By virtual run time, also for those that run or are away. With weight 1 it is up to 10^17 ps * 1024, beyond 64 bits.
    queue: Keyed<i128>,
    /// By task.
    weights: Vec<u32>,
    /// Never goes back; what is placed is placed by it.
    min_vruntime: i128,
    running: Option<TaskId>,
    /// What the running one has run since it was picked.
    ran: Picos,
    /// Of all that are queued or run.
    weight: u64,
    count: u64,
}

impl Cfs {
    /// An empty queue, on a machine with so many cpus.
    pub fn new(config: &CfsConfig, cpus: u32) -> Self {
        let factor = scaling_factor(config.machine_cpus.unwrap_or(cpus));
        Self {
            latency: config.latency_us * factor,
            min_granularity: config.min_granularity_us * factor,
            wakeup_granularity: config.wakeup_granularity_us * factor,
            tick: config.tick_us,
            queue: Keyed::default(),
            weights: Vec::new(),
            min_vruntime: 0,
            running: None,
            ran: Picos::ZERO,
            weight: 0,
            count: 0,
        }
    }

    /// The part of the period that a task of some weight has.
    fn slice(&self, weight: u32) -> Picos {
        let counted = u128::from(self.min_granularity.0) * u128::from(self.count);
        let period = if self.count <= NR_LATENCY { u128::from(self.latency.0) } else { counted };
        let part = period * u128::from(weight) / u128::from(self.weight);
        Picos(u64::try_from(part).unwrap_or(u64::MAX))
    }

    fn update_min(&mut self) {
        let running = self.running.map(|id| self.queue.key(id));
        let least = running.into_iter().chain(self.queue.first()).min();
        self.min_vruntime = self.min_vruntime.max(least.unwrap_or(self.min_vruntime));
    }

    fn drop_weight(&mut self, id: TaskId) {
        self.weight -= u64::from(self.weights[id.index()]);
        self.count -= 1;
    }
}

impl Scheduler for Cfs {
    fn enqueue(&mut self, task: &Task, reason: Enqueue, _now: Picos) {
        if matches!(reason, Enqueue::New | Enqueue::Wake | Enqueue::Migrated(_)) {
            self.weight += u64::from(task.weight);
            self.count += 1;
        } else {
            self.running = None;
        }
        *entry(&mut self.weights, task.id) = task.weight;
        let own = self.queue.key(task.id);
        let vruntime = match reason {
            // A new one begins as if it had just had its slice.
            Enqueue::New => self.min_vruntime + virtual_time(self.slice(task.weight), task.weight),
            Enqueue::Wake => own.max(self.min_vruntime - i128::from(self.latency.0 / 2)),
            Enqueue::Migrated(ahead) => self.min_vruntime + ahead,
            Enqueue::Preempted | Enqueue::Yielded | Enqueue::SliceUsed => own,
        };
        self.queue.push(vruntime, task.id);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.queue.remove(id);
        self.drop_weight(id);
    }

    fn reweigh(&mut self, task: &Task, _is_queued: bool, _now: Picos) {
        self.drop_weight(task.id);
        self.weight += u64::from(task.weight);
        self.count += 1;
        self.weights[task.id.index()] = task.weight;
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        let (_, id) = self.queue.pop()?;
        self.running = Some(id);
        self.ran = Picos::ZERO;
        Some(id)
    }

    fn runs_until(&mut self, _id: TaskId, now: Picos) -> Picos {
        next_tick(now, self.tick)
    }

    fn charge(&mut self, id: TaskId, ran: Picos, _now: Picos) {
        let grown = virtual_time(ran, self.weights[id.index()]);
        self.queue.set_key(id, self.queue.key(id) + grown);
        self.ran += ran;
        self.update_min();
    }

    fn must_yield(&mut self, id: TaskId, _now: Picos) -> bool {
        let Some(leftmost) = self.queue.first() else { return false };
        let slice = self.slice(self.weights[id.index()]);
        if self.ran > slice {
            return true;
        }
        self.ran >= self.min_granularity && self.queue.key(id) - leftmost > i128::from(slice.0)
    }

    fn leave(&mut self, id: TaskId, _reason: Leave, _now: Picos) {
        self.running = None;
        self.drop_weight(id);
        self.update_min();
    }

    fn is_preemptive(&self) -> bool {
        true
    }

    fn victim(&mut self, woken: TaskId, running: &[TaskId], _now: Picos) -> Option<usize> {
        let granularity = virtual_time(self.wakeup_granularity, self.weights[woken.index()]);
        let vruntime = self.queue.key(woken);
        running.iter().position(|&id| self.queue.key(id) - vruntime > granularity)
    }

    fn give_away(&mut self, _now: Picos) -> Option<(TaskId, Carry)> {
        let (vruntime, id) = self.queue.pop()?;
        self.drop_weight(id);
        Some((id, vruntime - self.min_vruntime))
    }
}
