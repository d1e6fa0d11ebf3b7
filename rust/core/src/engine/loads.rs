//! Requests: when they arrive, who is told, and how long each takes from there to its end.

use super::execute::Step;
use super::latency::Latencies;
use super::run::{Run, RunError};
use super::task::Wait;
use crate::base::ConfigError;
use crate::base::Picos;
use crate::kernel::{Account, Tid};
use crate::runtime::TaskKind;
use crate::workload::{ArrivalTimes, Code};
use serde_json::{Value, json};

/// A load of a run.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    times: ArrivalTimes,
    in_flight_max: u32,
    in_flight: u32,
    in_flight_peak: u32,
    arrived: u64,
    completed: u64,
    refused: u64,
    latency: Latencies,
    /// When the program began to look for requests: their times count from there.
    base: Option<Picos>,
    /// When the first arrived, and when the last was completed.
    first: Option<Picos>,
    last: Picos,
    /// Who waits for the next, and until when.
    waiting: Option<(Tid, Option<Picos>)>,
}

/// What tells the random numbers of tasks from those of threads.
const TASK_STREAMS: u32 = 1 << 31;

impl Requests {
    /// The loads of a program, from their first requests on.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn all(code: &Code, seed: u64) -> Result<Vec<Self>, ConfigError> {
        let new = |(index, load): (u64, &crate::workload::code::LoadCode)| {
            Ok(Self {
                times: ArrivalTimes::new(&load.load, &load.path, seed, index)?,
                in_flight_max: load.load.in_flight_max,
                in_flight: 0,
                in_flight_peak: 0,
                arrived: 0,
                completed: 0,
                refused: 0,
                latency: Latencies::default(),
                base: None,
                first: None,
                last: Picos::ZERO,
                waiting: None,
            })
        };
        (0..).zip(&code.loads).map(new).collect()
    }

    /// As results have it.
    pub fn summary(&self, name: &str) -> Value {
        let window = self.last.saturating_sub(self.first.unwrap_or(self.last));
        let rate = if window > Picos::ZERO { self.completed as f64 / (window.nanos() / 1e9) } else { 0.0 };
        json!({
            "name": name,
            "arrived": self.arrived,
            "completed": self.completed,
            "refused": self.refused,
            "in_flight_peak": self.in_flight_peak,
            "throughput_per_s": rate,
            "latency": self.latency.summary(),
        })
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
                requests.waiting = Some((tid, None));
                self.wait_for_request(cpu, tid, load);
                return Ok(Step::Again);
            }
            self.tasks[tid.index()].next = end;
            return Ok(Step::Again);
        };
        if time > now {
            requests.waiting = Some((tid, Some(time)));
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
        self.accepted = Some((load, time));
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
            self.set_due(cpu, tid, time);
        } else {
            self.sleep_until(tid, time);
        }
    }

    /// Whether who waits for a request is to look again.
    pub(super) fn request_is_due(&mut self, tid: Tid, load: u32, now: Picos) -> bool {
        let requests = &mut self.loads[load as usize];
        let is_due = requests.waiting.is_some_and(|(waiting, at)| waiting == tid && at.is_some_and(|at| at <= now));
        if is_due {
            requests.waiting = None;
        }
        is_due
    }

    /// The same of a thread, which waits in the kernel.
    pub(super) fn is_asked(&mut self, tid: Tid, waits: Wait, now: Picos) -> bool {
        matches!(waits, Wait::Request(load) if self.request_is_due(tid, load, now))
    }

    /// A task was to be made, maybe for the request that was accepted last; so many threads and tasks existed before.
    pub(super) fn note_task(&mut self, before: usize, now: Picos) {
        let request = self.accepted.take();
        let Some(task) = self.threads.get_mut(before).filter(|task| task.is_alive()) else {
            if let Some((load, _)) = request {
                self.loads[load as usize].turn_away(now);
            }
            return;
        };
        // Tasks draw the same numbers under every model.
        task.stream = TASK_STREAMS | self.tasks_made;
        self.tasks_made += 1;
        if let Some((load, time)) = request {
            task.created = time;
            let requests = &mut self.loads[load as usize];
            requests.in_flight += 1;
            requests.in_flight_peak = requests.in_flight_peak.max(requests.in_flight);
        }
    }

    /// A task has done all, and a request is answered if it was for one.
    pub(super) fn complete(&mut self, cpu: usize, tid: Tid, load: u32) {
        let now = self.cpus[cpu].now;
        let latency = now.saturating_sub(self.threads[tid.index()].created);
        self.task_latencies.note(latency);
        let Some(requests) = self.loads.get_mut(load as usize) else { return };
        requests.in_flight -= 1;
        requests.completed += 1;
        requests.last = requests.last.max(now);
        requests.latency.note(latency);
        requests.answered(now);
        let (next, waiting) = (requests.peek(), requests.waiting);
        if let Some((waiting, at)) = waiting {
            let is_nearer = next.is_some_and(|next| at.is_none_or(|at| next < at));
            if let Some(next) = next.filter(|_| is_nearer) {
                self.loads[load as usize].waiting = Some((waiting, Some(next)));
                self.set_alarm(cpu, waiting, next);
            } else if next.is_none() && at.is_none() && self.loads[load as usize].in_flight == 0 {
                // Nobody comes any more.
                self.loads[load as usize].waiting = None;
                self.wake(waiting, cpu);
            }
        }
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
