//! Jobs on cpus under a policy: who runs where and when, by events, without memory or programs.
//!
//! A job arrives, runs for its service time, perhaps with I/O after every so much of it, and is over. Cpus share one
//! queue, or each has its own and an idle one takes from the longest. A switch costs a constant. What happens at one
//! instant happens in a fixed order: bursts end, sleepers wake, jobs arrive, slices end, idle cpus pick, and then whoever
//! came may preempt. So results are a function of jobs, policy and seed. Left out: what switches do to caches.

mod job;
mod result;
#[cfg(test)]
mod tests;

pub use job::{Job, JobsError, JobsOptions, Queues};
pub use result::{JobsResult, Segment};

use super::config::PolicyConfig;
use super::scheduler::{Enqueue, Leave, Scheduler, Task, TaskId};
use crate::base::{ConfigError, Picos};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When a run must be over: sums of times stay far from overflow.
const TIME_MAX: Picos = Picos(1 << 63);

/// A simulation that can be run piece by piece.
pub trait Simulation: Send {
    /// Runs on for about so many events. Returns whether everything has happened.
    ///
    /// # Errors
    /// The policy lets nobody run though somebody could, or time runs out.
    fn advance(&mut self, budget: u64) -> Result<bool, JobsError>;

    /// Scheduling events so far: arrivals, wakes, ends of bursts and slices, preemptions.
    fn events(&self) -> u64;

    /// What has happened.
    fn finish(self: Box<Self>) -> JobsResult;
}

/// Prepares jobs under a policy.
///
/// # Errors
/// The first rule that is broken, with its path and the value.
pub fn simulation(
    policy: &PolicyConfig,
    jobs: Vec<Job>,
    options: &JobsOptions,
) -> Result<Box<dyn Simulation>, ConfigError> {
    policy.check()?;
    job::check(&jobs, options, policy.is_per_cpu())?;
    Ok(super::config::simulation(policy, jobs, options))
}

/// The same under a policy from elsewhere. It is given how many queues there are to be, and makes each.
///
/// # Errors
/// The first rule that is broken, with its path and the value.
pub fn simulation_under<S: Scheduler + Send + 'static>(
    jobs: Vec<Job>,
    options: &JobsOptions,
    mut queue: impl FnMut() -> S,
) -> Result<Box<dyn Simulation>, ConfigError> {
    job::check(&jobs, options, false)?;
    let queues = (0..options.queues_of(false)).map(|_| queue()).collect();
    Ok(Box::new(Jobs::new(jobs, options, queues)))
}

/// What has become of a job so far.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Of its service.
    pub left: Picos,
    /// Up to its next I/O.
    burst: Picos,
    pub first_run: Picos,
    pub end: Picos,
    /// How long it has waited for I/O.
    pub blocked: Picos,
    pub switches_voluntary: u32,
    pub switches_involuntary: u32,
    pub migrations: u32,
    /// Where it ran last, or was put first.
    cpu: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Cpu {
    running: Option<TaskId>,
    /// Who ran last.
    last: Option<TaskId>,
    /// Who had to leave at this very instant.
    put_back: Option<TaskId>,
    picked_at: Picos,
    /// When the running one begins, after the switch.
    begin: Picos,
    charged_to: Picos,
    /// When something happens to the running one: its burst ends, or the policy wants to be asked.
    event: Picos,
    burst_end: Picos,
    idle_since: Picos,
    segment: Option<Segment>,
    pub busy: Picos,
    pub switching: Picos,
    pub idle: Picos,
    pub switches: u64,
}

/// Jobs that run under a policy.
#[derive(Debug)]
pub struct Jobs<S> {
    jobs: Vec<Job>,
    options: JobsOptions,
    queues: Vec<S>,
    /// By queue: how many wait.
    queued: Vec<u32>,
    waiting: u32,
    states: Vec<State>,
    cpus: Vec<Cpu>,
    /// Jobs by their arrival, ties by their number.
    order: Vec<u32>,
    arrived: usize,
    sleepers: BinaryHeap<Reverse<(Picos, u64, TaskId)>>,
    sequence: u64,
    /// Who could run since this very instant.
    fresh: Vec<TaskId>,
    /// A cpu may have something to pick.
    is_unsettled: bool,
    running_now: Vec<TaskId>,
    cpus_now: Vec<usize>,
    timeline: Vec<Segment>,
    now: Picos,
    events: u64,
}

impl<S: Scheduler> Jobs<S> {
    /// Prepares checked jobs.
    pub(super) fn new(jobs: Vec<Job>, options: &JobsOptions, queues: Vec<S>) -> Self {
        let count = u32::try_from(jobs.len()).expect("the number of jobs was checked");
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_by_key(|&index| jobs[index as usize].arrival);
        let states = jobs.iter().map(|job| State {
            left: job.service,
            burst: job.io_every.unwrap_or(Picos::NEVER),
            first_run: Picos::NEVER,
            end: Picos::NEVER,
            blocked: Picos::ZERO,
            switches_voluntary: 0,
            switches_involuntary: 0,
            migrations: 0,
            cpu: u32::MAX,
        });
        let cpu = Cpu {
            running: None,
            last: None,
            put_back: None,
            picked_at: Picos::ZERO,
            begin: Picos::ZERO,
            charged_to: Picos::ZERO,
            event: Picos::NEVER,
            burst_end: Picos::NEVER,
            idle_since: Picos::ZERO,
            segment: None,
            busy: Picos::ZERO,
            switching: Picos::ZERO,
            idle: Picos::ZERO,
            switches: 0,
        };
        Self {
            states: states.collect(),
            cpus: vec![cpu; options.cpus as usize],
            queued: vec![0; queues.len()],
            waiting: 0,
            order,
            arrived: 0,
            sleepers: BinaryHeap::new(),
            sequence: 0,
            fresh: Vec::new(),
            is_unsettled: false,
            running_now: Vec::new(),
            cpus_now: Vec::new(),
            timeline: Vec::new(),
            now: Picos::ZERO,
            events: 0,
            jobs,
            options: options.clone(),
            queues,
        }
    }

    /// When the next thing happens.
    fn next_event(&self) -> Picos {
        let arrival = self.order.get(self.arrived).map_or(Picos::NEVER, |&job| self.jobs[job as usize].arrival);
        let wake = self.sleepers.peek().map_or(Picos::NEVER, |&Reverse((time, _, _))| time);
        self.cpus.iter().fold(arrival.min(wake), |first, cpu| first.min(cpu.event))
    }

    /// Everything that happens at one instant, in its fixed order.
    fn step(&mut self, now: Picos) {
        self.now = now;
        for cpu in 0..self.cpus.len() {
            if self.cpus[cpu].burst_end == now {
                self.end_burst(cpu);
            }
        }
        while let Some(&Reverse((_, _, id))) = self.sleepers.peek().filter(|&&Reverse((time, _, _))| time == now) {
            self.sleepers.pop();
            self.join(id, Enqueue::Wake);
        }
        while let Some(&job) = self.order.get(self.arrived).filter(|&&job| self.jobs[job as usize].arrival == now) {
            self.arrived += 1;
            self.join(TaskId(job), Enqueue::New);
        }
        for cpu in 0..self.cpus.len() {
            if self.cpus[cpu].event == now {
                self.end_slice(cpu);
            }
        }
        self.dispatch();
        if !self.fresh.is_empty() {
            self.preempt();
        }
    }

    fn queue_of(&self, cpu: usize) -> usize {
        if self.queues.len() == 1 { 0 } else { cpu }
    }

    /// Charges what the job on a cpu has run since it was charged last.
    fn charge(&mut self, cpu: usize) {
        let queue = self.queue_of(cpu);
        let now = self.now;
        let state = &mut self.cpus[cpu];
        let Some(id) = state.running.filter(|_| now > state.charged_to) else { return };
        let ran = now - state.charged_to;
        state.charged_to = now;
        state.busy += ran;
        if let Some(segment) = &mut state.segment {
            segment.end = now;
        }
        let job = &mut self.states[id.index()];
        job.left = job.left - ran;
        if job.burst != Picos::NEVER {
            job.burst = job.burst - ran;
        }
        self.queues[queue].charge(id, ran, now);
    }

    /// Takes the job off a cpu, which has been charged.
    fn vacate(&mut self, cpu: usize) -> TaskId {
        let now = self.now;
        let state = &mut self.cpus[cpu];
        state.switching += now.min(state.begin) - state.picked_at;
        state.event = Picos::NEVER;
        state.burst_end = Picos::NEVER;
        state.idle_since = now;
        self.is_unsettled = true;
        self.events += 1;
        state.running.take().expect("only a busy cpu is vacated")
    }

    fn end_burst(&mut self, cpu: usize) {
        self.charge(cpu);
        let queue = self.queue_of(cpu);
        let id = self.vacate(cpu);
        let state = &mut self.states[id.index()];
        if state.left == Picos::ZERO {
            state.end = self.now;
            self.queues[queue].leave(id, Leave::Ended, self.now);
            return;
        }
        let job = &self.jobs[id.index()];
        state.burst = job.io_every.expect("only a job with I/O has bursts");
        state.blocked += job.io;
        state.switches_voluntary += 1;
        self.sequence += 1;
        self.sleepers.push(Reverse((self.now + job.io, self.sequence, id)));
        self.queues[queue].leave(id, Leave::Blocked, self.now);
    }

    fn end_slice(&mut self, cpu: usize) {
        self.charge(cpu);
        let queue = self.queue_of(cpu);
        let id = self.cpus[cpu].running.expect("only a busy cpu has events");
        if self.queues[queue].must_yield(id, self.now) {
            self.put_back(cpu, Enqueue::SliceUsed);
        } else {
            self.events += 1;
            self.limit(cpu, self.now);
        }
    }

    fn put_back(&mut self, cpu: usize, reason: Enqueue) {
        let id = self.vacate(cpu);
        self.cpus[cpu].put_back = Some(id);
        self.enqueue(self.queue_of(cpu), id, reason);
    }

    /// A job could run that could not before.
    fn join(&mut self, id: TaskId, reason: Enqueue) {
        self.events += 1;
        let queue = if self.queues.len() == 1 {
            0
        } else if reason == Enqueue::New {
            let load = |cpu: &usize| self.queued[*cpu] + u32::from(self.cpus[*cpu].running.is_some());
            (0..self.cpus.len()).min_by_key(load).expect("there is a cpu")
        } else {
            self.states[id.index()].cpu as usize
        };
        self.enqueue(queue, id, reason);
        if self.queues[queue].is_preemptive() {
            self.fresh.push(id);
        }
        if self.states[id.index()].cpu == u32::MAX && self.queues.len() > 1 {
            self.states[id.index()].cpu = u32::try_from(queue).expect("cpus are few");
        }
    }

    fn enqueue(&mut self, queue: usize, id: TaskId, reason: Enqueue) {
        let job = &self.jobs[id.index()];
        let state = &self.states[id.index()];
        let burst = state.left.min(state.burst);
        let Job { weight, tickets, priority, .. } = *job;
        let task = Task { id, burst, weight, tickets, priority };
        self.queues[queue].enqueue(&task, reason, self.now);
        self.queued[queue] += 1;
        self.waiting += 1;
        self.is_unsettled = true;
    }

    /// Lets idle cpus pick.
    fn dispatch(&mut self) {
        if !self.is_unsettled {
            return;
        }
        self.is_unsettled = false;
        for cpu in 0..self.cpus.len() {
            if self.cpus[cpu].running.is_none() {
                match self.pick(cpu) {
                    Some(id) => self.start(cpu, id),
                    None => self.rest(cpu),
                }
            }
        }
    }

    fn pick(&mut self, cpu: usize) -> Option<TaskId> {
        let queue = self.queue_of(cpu);
        // Asked even if nobody is queued: a policy may have to let go of who sleeps.
        let own = self.queues[queue].pick(self.now);
        if own.is_some() {
            self.queued[queue] -= 1;
            self.waiting -= 1;
            return own;
        }
        if !self.options.steal || self.queues.len() == 1 || self.waiting == 0 {
            return None;
        }
        let longest = (0..self.queues.len()).max_by_key(|&queue| (self.queued[queue], Reverse(queue)))?;
        let (id, carry) = self.queues[longest].give_away(self.now)?;
        self.queued[longest] -= 1;
        self.waiting -= 1;
        self.enqueue(queue, id, Enqueue::Migrated(carry));
        let picked = self.queues[queue].pick(self.now)?;
        self.queued[queue] -= 1;
        self.waiting -= 1;
        Some(picked)
    }

    /// A job begins on a cpu that has nobody.
    fn start(&mut self, cpu: usize, id: TaskId) {
        let now = self.now;
        let state = &mut self.cpus[cpu];
        let is_switch = state.last.is_some_and(|last| last != id);
        let begin = if is_switch { now + self.options.context_switch } else { now };
        state.switches += u64::from(is_switch);
        if let Some(left) = state.put_back.take().filter(|&left| left != id) {
            self.states[left.index()].switches_involuntary += 1;
        }
        let job_cpu = u32::try_from(cpu).expect("cpus are few");
        let job = &mut self.states[id.index()];
        if job.first_run == Picos::NEVER {
            job.first_run = begin;
        } else if job.cpu != job_cpu {
            job.migrations += 1;
        }
        job.cpu = job_cpu;
        state.idle += now - state.idle_since;
        state.running = Some(id);
        state.last = Some(id);
        state.picked_at = now;
        state.begin = begin;
        state.charged_to = begin;
        state.burst_end = begin + job.left.min(job.burst);
        if self.options.timeline {
            let goes_on = state.segment.as_ref().is_some_and(|segment| segment.job == id.0 && segment.end == begin);
            if !goes_on {
                self.timeline.extend(state.segment.replace(Segment {
                    start: begin,
                    end: begin,
                    cpu: job_cpu,
                    job: id.0,
                }));
            }
        }
        self.limit(cpu, begin);
    }

    /// A cpu has nobody to run.
    fn rest(&mut self, cpu: usize) {
        if let Some(left) = self.cpus[cpu].put_back.take() {
            self.states[left.index()].switches_involuntary += 1;
        }
    }

    /// Asks the policy how long the job on a cpu may go on.
    fn limit(&mut self, cpu: usize, from: Picos) {
        let queue = self.queue_of(cpu);
        let id = self.cpus[cpu].running.expect("only a busy cpu has limits");
        let until = self.queues[queue].runs_until(id, from);
        debug_assert!(until > from, "a policy lets a job run for some time");
        self.cpus[cpu].event = until.min(self.cpus[cpu].burst_end);
    }

    /// Lets those that came at this instant and still wait make others stop.
    fn preempt(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        for &id in &fresh {
            let is_waiting = !self.cpus.iter().any(|cpu| cpu.running == Some(id));
            if is_waiting {
                self.preempt_for(id);
            }
        }
        fresh.clear();
        self.fresh = fresh;
    }

    fn preempt_for(&mut self, woken: TaskId) {
        let queue = if self.queues.len() == 1 { 0 } else { self.states[woken.index()].cpu as usize };
        self.running_now.clear();
        self.cpus_now.clear();
        for cpu in 0..self.cpus.len() {
            if self.queue_of(cpu) == queue
                && let Some(id) = self.cpus[cpu].running
            {
                self.charge(cpu);
                self.running_now.push(id);
                self.cpus_now.push(cpu);
            }
        }
        if let Some(place) = self.queues[queue].victim(woken, &self.running_now, self.now) {
            self.put_back(self.cpus_now[place], Enqueue::Preempted);
            self.dispatch();
        }
    }
}

impl<S: Scheduler + Send> Simulation for Jobs<S> {
    fn advance(&mut self, budget: u64) -> Result<bool, JobsError> {
        let stop = self.events.saturating_add(budget);
        let until = self.options.until.unwrap_or(Picos::NEVER);
        while self.events < stop {
            let next = self.next_event();
            if next == Picos::NEVER && self.waiting > 0 {
                return Err(JobsError::Stuck { waiting: self.waiting, at: self.now });
            }
            if next == Picos::NEVER || next > until {
                return Ok(true);
            }
            if next > TIME_MAX {
                return Err(JobsError::TooLong);
            }
            self.step(next);
        }
        Ok(false)
    }

    fn events(&self) -> u64 {
        self.events
    }

    fn finish(mut self: Box<Self>) -> JobsResult {
        if let Some(until) = self.options.until
            && (self.waiting > 0 || self.next_event() != Picos::NEVER)
        {
            self.now = until;
        }
        for cpu in 0..self.cpus.len() {
            self.charge(cpu);
            let now = self.now;
            let state = &mut self.cpus[cpu];
            match state.running {
                Some(_) => state.switching += now.min(state.begin) - state.picked_at,
                None => state.idle += now - state.idle_since,
            }
            self.timeline.extend(state.segment.take());
        }
        result::result(&self.jobs, &self.states, &self.cpus, std::mem::take(&mut self.timeline), self.now, self.events)
    }
}
