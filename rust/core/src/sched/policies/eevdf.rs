//! Earliest eligible virtual deadline first: Linux since 6.6.
//!
//! Stoica & Abdel-Wahab, 1995; rules and constants of `kernel/sched/fair.c` (6.15 and later). A task's lag is what it
//! should have had less what it has had; who is not ahead is eligible, and of these the one runs whose next slice must
//! end first in virtual time. Lags stay within a slice or a tick, they outlive a sleep (`PLACE_LAG`), and a task that
//! sleeps while it is ahead stays queued until it no longer is (`DELAY_DEQUEUE`, `DELAY_ZERO`). A running task is left in
//! peace until its deadline (`RUN_TO_PARITY`), and without a high-resolution timer that is noticed at ticks alone: this is
//! the corner in which slices of 1.4 ms become 4 ms. Not modelled: groups, slices of a task's own, `NEXT_BUDDY`.

use crate::base::{ConfigError, Picos};
use crate::sched::keyed::entry;
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

#[derive(Clone, Copy, Debug, Default)]
struct Entity {
    vruntime: i128,
    deadline: i128,
    /// While it is away: how far it was behind the average.
    lag: i128,
    weight: u32,
    /// Of its last enqueue; ties of deadlines go to the smaller.
    sequence: u64,
    /// It sleeps, but stays queued until it is no longer ahead.
    is_delayed: bool,
}

/// The run queue of one cpu. A pick takes time with the number of queued tasks.
#[derive(Clone, Debug)]
pub struct Eevdf {
    slice: Picos,
    tick: Picos,
    entities: Vec<Entity>,
    queue: Vec<TaskId>,
    running: Option<TaskId>,
    /// Up to which virtual time the running one is left in peace.
    protected_until: i128,
    deadline_passed: bool,
    /// Of all that are queued or run. invariant: `sum` is that of weight times virtual run time.
    weight: i128,
    sum: i128,
    sequence: u64,
}

impl Eevdf {
    /// An empty queue, on a machine with so many cpus.
    pub fn new(config: &EevdfConfig, cpus: u32) -> Self {
        Self {
            slice: config.base_slice_us * scaling_factor(config.machine_cpus.unwrap_or(cpus)),
            tick: config.tick_us,
            entities: Vec::new(),
            queue: Vec::new(),
            running: None,
            protected_until: 0,
            deadline_passed: false,
            weight: 0,
            sum: 0,
            sequence: 0,
        }
    }

    /// By how much a task is behind the average of all, in virtual picoseconds; negative if it is ahead.
    pub fn lag(&self, id: TaskId) -> i128 {
        self.average() - self.entities[id.index()].vruntime
    }

    fn average(&self) -> i128 {
        if self.weight == 0 { 0 } else { self.sum.div_euclid(self.weight) }
    }

    fn is_eligible(&self, id: TaskId) -> bool {
        self.entities[id.index()].vruntime * self.weight <= self.sum
    }

    /// The lag that a task takes along, within two slices or a tick.
    fn lag_kept(&self, id: TaskId) -> i128 {
        let limit = virtual_time((self.slice * 2).max(self.tick), self.entities[id.index()].weight);
        self.lag(id).clamp(-limit, limit)
    }

    fn join(&mut self, id: TaskId) {
        let Entity { vruntime, weight, .. } = self.entities[id.index()];
        self.weight += i128::from(weight);
        self.sum += i128::from(weight) * vruntime;
    }

    fn part(&mut self, id: TaskId) {
        let Entity { vruntime, weight, .. } = self.entities[id.index()];
        self.weight -= i128::from(weight);
        self.sum -= i128::from(weight) * vruntime;
        self.queue.retain(|&queued| queued != id);
    }

    /// Puts a task that is not there where it has its lag again once it is.
    fn place(&mut self, id: TaskId, is_new: bool) {
        let average = self.average();
        let Entity { lag, weight, .. } = self.entities[id.index()];
        let lag = if self.weight == 0 { 0 } else { lag * (self.weight + i128::from(weight)) / self.weight };
        let slice = virtual_time(self.slice, weight);
        let entity = &mut self.entities[id.index()];
        entity.vruntime = average - lag;
        entity.deadline = entity.vruntime + if is_new { slice / 2 } else { slice };
        self.join(id);
    }

    fn push(&mut self, id: TaskId) {
        self.sequence += 1;
        self.entities[id.index()].sequence = self.sequence;
        self.queue.push(id);
    }

    /// Of the eligible ones in the queue that with the earliest deadline.
    fn best(&self) -> Option<TaskId> {
        let eligible = self.queue.iter().copied().filter(|&id| self.is_eligible(id));
        eligible.min_by_key(|id| self.order(*id))
    }

    fn order(&self, id: TaskId) -> (i128, u64) {
        let entity = &self.entities[id.index()];
        (entity.deadline, entity.sequence)
    }

    /// A woken task that had never left.
    fn undelay(&mut self, id: TaskId) {
        self.entities[id.index()].is_delayed = false;
        if self.lag_kept(id) > 0 {
            self.part(id);
            self.entities[id.index()].lag = 0;
            self.place(id, false);
            self.push(id);
        }
    }
}

impl Scheduler for Eevdf {
    fn enqueue(&mut self, task: &Task, reason: Enqueue, _now: Picos) {
        let id = task.id;
        let entity = entry(&mut self.entities, id);
        match reason {
            Enqueue::Preempted | Enqueue::SliceUsed => self.running = None,
            Enqueue::Yielded => {
                entity.deadline += virtual_time(self.slice, entity.weight);
                self.running = None;
            }
            Enqueue::Wake if entity.is_delayed => return self.undelay(id),
            Enqueue::New => {
                *entity = Entity { weight: task.weight, ..Entity::default() };
                self.place(id, true);
            }
            Enqueue::Wake => self.place(id, false),
            Enqueue::Migrated(lag) => {
                *entity = Entity { weight: task.weight, lag, ..Entity::default() };
                self.place(id, false);
            }
        }
        self.push(id);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.part(id);
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        while let Some(id) = self.best() {
            if !self.entities[id.index()].is_delayed {
                self.queue.retain(|&queued| queued != id);
                self.running = Some(id);
                self.protected_until = self.entities[id.index()].deadline;
                self.deadline_passed = false;
                return Some(id);
            }
            // It is eligible: its lag is no longer negative, and a sleeper earns none.
            self.entities[id.index()].is_delayed = false;
            self.entities[id.index()].lag = self.lag_kept(id).min(0);
            self.part(id);
        }
        None
    }

    fn runs_until(&mut self, _id: TaskId, now: Picos) -> Picos {
        next_tick(now, self.tick)
    }

    fn charge(&mut self, id: TaskId, ran: Picos, _now: Picos) {
        let slice = self.slice;
        let entity = &mut self.entities[id.index()];
        let grown = virtual_time_ceil(ran, entity.weight);
        entity.vruntime += grown;
        self.sum += i128::from(entity.weight) * grown;
        if entity.vruntime >= entity.deadline {
            entity.deadline = entity.vruntime + virtual_time(slice, entity.weight);
            self.deadline_passed = true;
        }
    }

    fn must_yield(&mut self, id: TaskId, _now: Picos) -> bool {
        let is_protected = self.entities[id.index()].vruntime < self.protected_until;
        !self.queue.is_empty() && (self.deadline_passed || !is_protected)
    }

    fn leave(&mut self, id: TaskId, reason: Leave, _now: Picos) {
        self.running = None;
        if reason == Leave::Blocked && !self.is_eligible(id) {
            self.entities[id.index()].is_delayed = true;
            self.push(id);
            return;
        }
        self.entities[id.index()].lag = self.lag_kept(id);
        self.part(id);
    }

    fn is_delayed(&self, id: TaskId) -> bool {
        self.entities.get(id.index()).is_some_and(|entity| entity.is_delayed)
    }

    fn is_preemptive(&self) -> bool {
        true
    }

    fn victim(&mut self, woken: TaskId, running: &[TaskId], _now: Picos) -> Option<usize> {
        let place = running.iter().position(|&id| Some(id) == self.running)?;
        let runs = running[place];
        let entity = &self.entities[runs.index()];
        let competes = self.is_eligible(runs);
        if self.best() != Some(woken) || (competes && entity.vruntime < self.protected_until) {
            return None;
        }
        (!competes || entity.deadline >= self.entities[woken.index()].deadline).then_some(place)
    }

    fn give_away(&mut self, _now: Picos) -> Option<(TaskId, Carry)> {
        let awake = self.queue.iter().copied().filter(|id| !self.entities[id.index()].is_delayed);
        let id = awake.min_by_key(|&id| (!self.is_eligible(id), self.order(id)))?;
        let lag = self.lag_kept(id);
        self.part(id);
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
