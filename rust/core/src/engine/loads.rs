//! Requests: when they arrive, who is told, and how long each takes from there to its end.

use super::error::RunError;
use super::event_log::{Event, EventKind};
use super::execute::Step;
use super::latency::Latencies;
use super::run::Run;
use super::task::{Alarm, Wait};
use crate::base::ConfigError;
use crate::base::Picos;
use crate::kernel::{Account, State, Thread, Tid};
use crate::runtime::TaskKind;
use crate::workload::{ArrivalTimes, Code};
use serde_json::{Value, json};

/// A load of a run.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    times: ArrivalTimes,
    /// How long after its arrival a request has to be begun, and answered.
    deadline: Option<Picos>,
    in_flight_max: u32,
    in_flight: u32,
    in_flight_peak: u32,
    arrived: u64,
    completed: u64,
    refused: u64,
    /// Of these: requests that were not begun since their deadline had passed.
    expired: u64,
    latency: Latencies,
    /// When the program began to look for requests: their times count from there.
    base: Option<Picos>,
    /// When the first arrived, and when the last was completed.
    first: Option<Picos>,
    last: Picos,
    /// Who waits for the next, and until when.
    waiting: Vec<(Tid, Option<Picos>)>,
}

/// What tells the random numbers of tasks from those of threads.
const TASK_STREAMS: u32 = 1 << 31;

/// The number of a thread or a task among those that programs made as tasks.
pub(super) fn task_number(thread: &Thread) -> Option<u32> {
    (thread.stream >= TASK_STREAMS).then(|| thread.stream - TASK_STREAMS)
}

/// What its random numbers are told apart by.
pub(super) const fn task_stream(number: u32) -> u32 {
    TASK_STREAMS | number
}

impl Requests {
    /// The loads of a program, from their first requests on.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn all(code: &Code, seed: u64) -> Result<Vec<Self>, ConfigError> {
        let new = |(index, load): (u64, &crate::workload::code::LoadCode)| {
            Ok(Self {
                times: ArrivalTimes::new(&load.load, &load.path, seed, index)?,
                deadline: load.deadline,
                in_flight_max: load.load.in_flight_max,
                in_flight: 0,
                in_flight_peak: 0,
                arrived: 0,
                completed: 0,
                refused: 0,
                expired: 0,
                latency: Latencies::default(),
                base: None,
                first: None,
                last: Picos::ZERO,
                waiting: Vec::new(),
            })
        };
        (0..).zip(&code.loads).map(new).collect()
    }

    /// As results have it.
    pub fn summary(&self, name: &str) -> Value {
        let window = self.last.saturating_sub(self.first.unwrap_or(self.last));
        let rate = if window > Picos::ZERO { self.completed as f64 / (window.nanos() / 1e9) } else { 0.0 };
        let mut row = json!({
            "name": name,
            "arrived": self.arrived,
            "completed": self.completed,
            "refused": self.refused,
            "in_flight_peak": self.in_flight_peak,
            "throughput_per_s": rate,
            "latency": self.latency.summary(),
        });
        if self.deadline.is_some() {
            row["expired"] = self.expired.into();
        }
        row
    }

    /// When the next arrives, as far as that is known.
    fn peek(&self) -> Option<Picos> {
        let base = self.base.unwrap_or_default();
        self.times.peek().map(|time| base + time)
    }

    /// A client has its answer, or none.
    fn answered(&mut self, now: Picos) {
        self.times.completed(now.saturating_sub(self.base.unwrap_or_default()));
    }

    fn turn_away(&mut self, now: Picos) {
        self.refused += 1;
        self.answered(now);
    }
}

impl Run {
    /// Takes the next request, or waits for it. Behind the last one the program goes on.
    pub(super) fn accept(&mut self, cpu: usize, tid: Tid, load: u32, end: u32) -> Result<Step, RunError> {
        self.reap(cpu)?;
        let now = self.cpus[cpu].now;
        let requests = &mut self.loads[load as usize];
        requests.base.get_or_insert(now);
        let Some(time) = requests.peek() else {
            if requests.times.is_closed() && requests.in_flight > 0 {
                requests.waiting.push((tid, None));
                self.wait_for_request(cpu, tid, load);
                return Ok(Step::Again);
            }
            self.tasks[tid.index()].next = end;
            return Ok(Step::Again);
        };
        if time > now {
            requests.waiting.push((tid, Some(time)));
            self.wait_for_request(cpu, tid, load);
            self.set_alarm(cpu, tid, time);
            return Ok(Step::Again);
        }
        requests.times.next();
        requests.arrived += 1;
        requests.first.get_or_insert(time);
        if requests.in_flight >= requests.in_flight_max {
            requests.turn_away(now);
            return Ok(Step::Again);
        }
        let kernel = &self.machine.kernel;
        let call = kernel.syscall_ns + kernel.sync.pipe_read_ns;
        self.cpus[cpu].pay(Account::Syscall, call);
        let (now, requests) = (self.cpus[cpu].now, &mut self.loads[load as usize]);
        if requests.deadline.is_some_and(|deadline| time + deadline <= now) {
            requests.expired += 1;
            requests.turn_away(now);
            return Ok(Step::Again);
        }
        self.accepted.insert(tid, (load, time));
        Ok(Step::Next)
    }

    fn wait_for_request(&mut self, cpu: usize, tid: Tid, load: u32) {
        if self.is_user_task(tid) {
            let cost = self.runtime().model.costs.park_ns;
            self.cpus[cpu].pay(Account::Runtime, cost);
            self.tasks[tid.index()].waits = Wait::Request(load);
        } else {
            self.call(cpu, tid, self.machine.kernel.syscall_ns);
            self.sleep(cpu, tid, Wait::Request(load));
        }
    }

    /// Lets who waits for a request look again at a time.
    fn set_alarm(&mut self, cpu: usize, tid: Tid, time: Picos) {
        if self.is_user_task(tid) {
            self.set_due(cpu, tid, time, Alarm::Request);
        } else {
            self.sleep_until(tid, time, Alarm::Request);
        }
    }

    /// Whether who waits for a request is to look again.
    pub(super) fn request_is_due(&mut self, tid: Tid, load: u32, now: Picos) -> bool {
        let waiting = &mut self.loads[load as usize].waiting;
        let is_due = |&(waiting, at): &(Tid, Option<Picos>)| waiting == tid && at.is_some_and(|at| at <= now);
        let place = waiting.iter().position(is_due);
        place.map(|place| waiting.remove(place)).is_some()
    }

    /// The same of a thread, which waits in the kernel.
    pub(super) fn is_asked(&mut self, tid: Tid, waits: Wait, now: Picos) -> bool {
        matches!(waits, Wait::Request(load) if self.request_is_due(tid, load, now))
    }

    /// A task was to be made, maybe for the request that its maker accepted; so many threads and tasks existed before.
    pub(super) fn note_task(&mut self, cpu: usize, maker: Tid, before: usize) {
        let (now, request) = (self.cpus[cpu].now, self.accepted.remove(&maker));
        self.makes_task = None;
        let tid = Tid(u32::try_from(before).expect("threads are limited"));
        let Some(task) = self.threads.get_mut(before).filter(|task| task.is_alive()) else {
            // What had no room is none, and leaves its number to the next.
            if let Some(task) = self.threads.get_mut(before) {
                task.stream = tid.0;
            }
            self.log_event(|run| Event { by: run.who_runs(Some(cpu)), ..Event::new(EventKind::Refuse, now) });
            if let Some((load, _)) = request {
                self.loads[load as usize].turn_away(now);
            }
            return;
        };
        self.tasks_made += 1;
        if let Some((load, time)) = request {
            task.created = time;
            let requests = &mut self.loads[load as usize];
            requests.in_flight += 1;
            requests.in_flight_peak = requests.in_flight_peak.max(requests.in_flight);
            self.answering.insert(tid, load);
            if let Some(deadline) = requests.deadline {
                self.tasks[before].begin_deadline(time + deadline);
            }
        }
    }

    /// Whether the deadline of a request has passed before its task has done anything.
    pub(super) fn has_expired(&mut self, cpu: usize, tid: Tid, load: u32) -> bool {
        let has_expired = self.tasks[tid.index()].deadline() <= self.cpus[cpu].now;
        self.loads[load as usize].expired += u64::from(has_expired);
        has_expired
    }

    /// A task has done all, and a request is answered if it was for one.
    pub(super) fn complete(&mut self, cpu: usize, tid: Tid, load: u32) {
        let now = self.cpus[cpu].now;
        let is_request = (load as usize) < self.loads.len();
        if is_request && self.answering.remove(&tid).is_none() {
            // A copy of who answers: the client has had its answer, or will have it.
            return;
        }
        let latency = now.saturating_sub(self.threads[tid.index()].created);
        self.task_latencies.note(latency);
        let Some(requests) = self.loads.get_mut(load as usize) else { return };
        requests.in_flight -= 1;
        requests.completed += 1;
        requests.last = requests.last.max(now);
        requests.latency.note(latency);
        requests.answered(now);
        self.tell_waiting(cpu, load);
    }

    /// A thread or a task has ended: the request that it was to answer is turned away.
    pub(super) fn abandon(&mut self, cpu: usize, tid: Tid) {
        let Some(load) = self.answering.remove(&tid) else { return };
        let now = self.cpus[cpu].now;
        let requests = &mut self.loads[load as usize];
        requests.in_flight -= 1;
        requests.turn_away(now);
        self.tell_waiting(cpu, load);
    }

    /// A client has its answer: those that wait for requests learn when the next arrives, or that there is none.
    fn tell_waiting(&mut self, cpu: usize, load: u32) {
        let requests = &mut self.loads[load as usize];
        let (next, is_over) = (requests.peek(), requests.in_flight == 0);
        if requests.waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut requests.waiting);
        waiting.retain_mut(|(waiting, at)| {
            let is_gone = self.is_task(*waiting) && self.runtime.is_none();
            if is_gone || self.threads[waiting.index()].state != State::Waiting {
                return false;
            }
            if let Some(next) = next.filter(|&next| at.is_none_or(|at| next < at)) {
                *at = Some(next);
                self.set_alarm(cpu, *waiting, next);
            } else if next.is_none() && at.is_none() && is_over {
                // Nobody comes any more.
                self.wake(*waiting, cpu);
                return false;
            }
            true
        });
        let requests = &mut self.loads[load as usize];
        debug_assert!(requests.waiting.is_empty(), "who is woken has not run yet");
        requests.waiting = waiting;
    }

    /// Waits for children that have ended, where requests are processes.
    fn reap(&mut self, cpu: usize) -> Result<(), RunError> {
        if !self.scenario.model.as_ref().is_some_and(|model| model.tasks == TaskKind::Process) {
            return Ok(());
        }
        let pid = self.cpus[cpu].pid;
        while let Ok(Some(_)) = self.kernel.wait(pid) {
            self.settle(cpu);
        }
        self.kernel.take_bill();
        Ok(())
    }
}
