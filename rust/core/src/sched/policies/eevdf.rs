//! Earliest eligible virtual deadline first: Linux since 6.6.
//!
//! Stoica & Abdel-Wahab, 1995; rules and constants of `kernel/sched/fair.c` (6.15 and later). A task's lag is what it
//! should have had less what it has had; who is not ahead is eligible, and of these the one runs whose next slice must
//! end first in virtual time. Lags stay within a slice or a tick, they outlive a sleep (`PLACE_LAG`), and a task that
//! sleeps while it is ahead stays queued until it no longer is (`DELAY_DEQUEUE`, `DELAY_ZERO`). A running task is left in
//! peace until its deadline (`RUN_TO_PARITY`), and without a high-resolution timer that is noticed at ticks alone: this is
//! the corner in which slices of 1.4 ms become 4 ms. Not modelled: groups, slices of a task's own, `NEXT_BUDDY`.

use crate::base::{ConfigError, Picos};
use crate::sched::policies::eevdf_queue::{EevdfQueue, Entity, Load};
use crate::sched::weight::{next_tick, scaling_factor, virtual_time, virtual_time_ceil};
use crate::sched::{Carry, Enqueue, Leave, Scheduler, Task, TaskId, micros};
use serde::{Deserialize, Serialize};

/// Linux's `base_slice`, before it is scaled by the number of cpus, and the tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EevdfConfig {
    /// What a task asks for at a time: 700 us since 6.15, 750 us before.
    #[serde(with = "micros")]
    pub base_slice_us: Picos,
    /// The period of the timer.
    #[serde(with = "micros")]
    pub tick_us: Picos,
    /// The cpus of the machine that the slice is scaled by; those of the run, if absent.
    pub machine_cpus: Option<u32>,
}

impl Default for EevdfConfig {
    fn default() -> Self {
        Self { base_slice_us: Picos::from_nanos(700_000), tick_us: Picos::from_nanos(4_000_000), machine_cpus: None }
    }
}

impl EevdfConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        crate::sched::config::above_zero("eevdf.base_slice_us", self.base_slice_us)?;
        crate::sched::config::above_zero("eevdf.tick_us", self.tick_us)?;
        crate::sched::config::some_cpus("eevdf.machine_cpus", self.machine_cpus)
    }
}

/// The run queue of one cpu. Every operation takes time with the logarithm of the number of queued tasks; a pick, once
/// more for each sleeper that it lets go.
#[derive(Clone, Debug)]
pub struct Eevdf {
    slice: Picos,
    tick: Picos,
    queue: EevdfQueue,
    running: Option<TaskId>,
    /// Up to which virtual time the running one is left in peace.
    protected_until: i128,
    deadline_passed: bool,
    /// Of all that are queued or run.
    load: Load,
}

impl Eevdf {
    /// An empty queue, on a machine with so many cpus.
    pub fn new(config: &EevdfConfig, cpus: u32) -> Self {
        Self {
            slice: config.base_slice_us * scaling_factor(config.machine_cpus.unwrap_or(cpus)),
            tick: config.tick_us,
            queue: EevdfQueue::new(),
            running: None,
            protected_until: 0,
            deadline_passed: false,
            load: Load::default(),
        }
    }

    /// By how much a task is behind the average of all, in virtual picoseconds; negative if it is ahead.
    #[inline(always)]
    pub fn lag(&self, id: TaskId) -> i128 {
        self.load.average() - self.queue.entity(id).vruntime
    }

    fn is_eligible(&self, id: TaskId) -> bool {
        self.load.reaches(self.queue.entity(id).vruntime)
    }

    /// The lag that a task takes along, within two slices or a tick.
    #[inline(always)]
    fn lag_kept(&self, id: TaskId) -> i128 {
        let limit = virtual_time((self.slice * 2).max(self.tick), self.queue.entity(id).weight);
        self.lag(id).clamp(-limit, limit)
    }

    /// Takes a task that is not queued out of the average, with a lag.
    fn part(&mut self, id: TaskId, lag: i128) {
        let entity = self.queue.entity_mut(id);
        self.load.weight -= i128::from(entity.weight);
        self.load.sum -= i128::from(entity.weight) * entity.vruntime;
        entity.vruntime = lag;
        entity.is_delayed = false;
    }

    /// Takes a queued task out of queue and average. Returns its lag.
    fn let_go(&mut self, id: TaskId) -> i128 {
        let lag = self.lag_kept(id);
        // A sleeper earns none.
        let lag = if self.queue.entity(id).is_delayed { lag.min(0) } else { lag };
        self.queue.remove(id);
        self.part(id, lag);
        lag
    }

    /// Puts a task that is away where it has its lag again once it is there.
    #[inline(always)]
    fn place(&mut self, id: TaskId, is_new: bool) {
        let Load { weight: others, .. } = self.load;
        let average = self.load.average();
        let entity = self.queue.entity_mut(id);
        let weight = i128::from(entity.weight);
        let lag = if others == 0 || entity.vruntime == 0 { 0 } else { entity.vruntime * (others + weight) / others };
        let slice = virtual_time(self.slice, entity.weight);
        entity.vruntime = average - lag;
        entity.deadline = entity.vruntime + if is_new { slice / 2 } else { slice };
        self.load.weight += weight;
        self.load.sum += weight * entity.vruntime;
    }

    /// A woken task that had never left.
    fn undelay(&mut self, id: TaskId) {
        if self.lag_kept(id) > 0 {
            self.queue.remove(id);
            self.part(id, 0);
            self.place(id, false);
            self.queue.push(id);
        } else {
            self.queue.wake(id);
        }
    }
}

impl Scheduler for Eevdf {
    fn enqueue(&mut self, task: &Task, reason: Enqueue, _now: Picos) {
        let id = task.id;
        match reason {
            Enqueue::Preempted | Enqueue::SliceUsed => self.running = None,
            Enqueue::Yielded => {
                let entity = self.queue.entity_mut(id);
                entity.deadline += virtual_time(self.slice, entity.weight);
                self.running = None;
            }
            Enqueue::Wake if self.is_delayed(id) => return self.undelay(id),
            Enqueue::New => {
                self.queue.set(id, Entity::away(task.weight, 0));
                self.place(id, true);
            }
            Enqueue::Wake => {
                let lag = self.queue.get(id).map_or(0, |entity| entity.vruntime);
                self.queue.set(id, Entity::away(task.weight, lag));
                self.place(id, false);
            }
            Enqueue::Migrated(lag) => {
                self.queue.set(id, Entity::away(task.weight, lag));
                self.place(id, false);
            }
        }
        self.queue.push(id);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.let_go(id);
    }

    /// A lag is service, so that in virtual time it changes as the weight does (`reweight_entity`).
    fn reweigh(&mut self, task: &Task, is_queued: bool, _now: Picos) {
        let id = task.id;
        let lag = self.lag_kept(id);
        if is_queued {
            self.queue.remove(id);
        }
        let before = i128::from(self.queue.entity(id).weight);
        self.part(id, lag * before / i128::from(task.weight));
        self.queue.entity_mut(id).weight = task.weight;
        self.place(id, false);
        if is_queued {
            self.queue.push(id);
        } else {
            self.protected_until = self.queue.entity(id).deadline;
        }
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        while let Some(id) = self.queue.best(self.load) {
            if self.queue.entity(id).is_delayed {
                self.let_go(id);
                continue;
            }
            self.queue.remove(id);
            self.running = Some(id);
            self.protected_until = self.queue.entity(id).deadline;
            self.deadline_passed = false;
            return Some(id);
        }
        None
    }

    fn runs_until(&mut self, _id: TaskId, now: Picos) -> Picos {
        next_tick(now, self.tick)
    }

    fn charge(&mut self, id: TaskId, ran: Picos, _now: Picos) {
        let entity = self.queue.entity_mut(id);
        let grown = virtual_time_ceil(ran, entity.weight);
        entity.vruntime += grown;
        self.load.sum += i128::from(entity.weight) * grown;
        if entity.vruntime >= entity.deadline {
            entity.deadline = entity.vruntime + virtual_time(self.slice, entity.weight);
            self.deadline_passed = true;
        }
    }

    fn must_yield(&mut self, id: TaskId, _now: Picos) -> bool {
        let is_protected = self.queue.entity(id).vruntime < self.protected_until;
        !self.queue.is_empty() && (self.deadline_passed || !is_protected)
    }

    fn leave(&mut self, id: TaskId, reason: Leave, _now: Picos) {
        self.running = None;
        if reason == Leave::Blocked && !self.is_eligible(id) {
            self.queue.entity_mut(id).is_delayed = true;
            self.queue.push(id);
        } else {
            let lag = self.lag_kept(id);
            self.part(id, lag);
        }
    }

    fn is_delayed(&self, id: TaskId) -> bool {
        self.queue.get(id).is_some_and(|entity| entity.is_delayed)
    }

    fn is_preemptive(&self) -> bool {
        true
    }

    fn victim(&mut self, woken: TaskId, running: &[TaskId], _now: Picos) -> Option<usize> {
        let place = running.iter().position(|&id| Some(id) == self.running)?;
        let runs = running[place];
        let entity = self.queue.entity(runs);
        let competes = self.is_eligible(runs);
        if self.queue.best(self.load) != Some(woken) || (competes && entity.vruntime < self.protected_until) {
            return None;
        }
        (!competes || entity.deadline >= self.queue.entity(woken).deadline).then_some(place)
    }

    fn give_away(&mut self, _now: Picos) -> Option<(TaskId, Carry)> {
        let id = self.queue.best_awake(self.load)?;
        let lag = self.let_go(id);
        Some((id, lag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000_000;

    fn task(id: u32, weight: u32) -> Task {
        Task { id: TaskId(id), burst: Picos::NEVER, weight, tickets: 1, priority: 0 }
    }

    /// Who blocks while it is ahead stays until it is not: it may wake before, or be let go by a pick.
    #[test]
    fn a_sleeper_that_is_ahead_is_delayed_until_it_wakes_or_is_let_go() {
        let mut queue = Eevdf::new(&EevdfConfig::default(), 1);
        let (first, second) = (TaskId(0), TaskId(1));
        queue.enqueue(&task(0, 1024), Enqueue::New, Picos::ZERO);
        queue.enqueue(&task(1, 1024), Enqueue::New, Picos::ZERO);
        assert_eq!(queue.pick(Picos::ZERO), Some(first));
        queue.charge(first, Picos(MS / 10), Picos(MS / 10));
        queue.leave(first, Leave::Blocked, Picos(MS / 10));
        assert!(queue.is_delayed(first) && !queue.is_delayed(second) && !queue.is_delayed(TaskId(9)));
        queue.enqueue(&task(0, 1024), Enqueue::Wake, Picos(MS / 10));
        assert!(!queue.is_delayed(first));
        assert_eq!(queue.pick(Picos(MS / 10)), Some(second));
        queue.charge(second, Picos(MS / 5), Picos(MS));
        queue.leave(second, Leave::Blocked, Picos(MS));
        assert!(queue.is_delayed(second));
        assert_eq!(queue.pick(Picos(MS)), Some(first));
        queue.charge(first, Picos(MS), Picos(2 * MS));
        queue.leave(first, Leave::Ended, Picos(2 * MS));
        assert!(queue.is_delayed(second));
        assert_eq!(queue.pick(Picos(2 * MS)), None);
        assert!(!queue.is_delayed(second));
    }

    /// Tasks that compute: whatever their weights, nobody is ahead by more than a tick, which is longer than a slice.
    #[test]
    fn nobody_is_ahead_by_more_than_a_tick() {
        for weights in [vec![1024, 1024], vec![1024, 335], vec![88761, 15, 1024], vec![110; 7]] {
            let mut queue = Eevdf::new(&EevdfConfig::default(), 2);
            for (id, &weight) in (0..).zip(&weights) {
                queue.enqueue(&task(id, weight), Enqueue::New, Picos::ZERO);
            }
            let mut now = Picos::ZERO;
            let mut runs = queue.pick(now).expect("somebody is there");
            for _ in 0..10_000 {
                let next = queue.runs_until(runs, now);
                queue.charge(runs, next - now, next);
                now = next;
                for (id, &weight) in (0..).zip(&weights) {
                    let service = queue.lag(TaskId(id)) * i128::from(weight) / 1024;
                    assert!(service >= -i128::from(4 * MS), "{weights:?}: {service}");
                }
                if queue.must_yield(runs, now) {
                    queue.enqueue(&task(runs.0, weights[runs.index()]), Enqueue::SliceUsed, now);
                    runs = queue.pick(now).expect("somebody is there");
                }
            }
        }
    }
}
