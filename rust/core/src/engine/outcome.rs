//! What a run came to for its threads: columns of all of them, and who waits for whom when nothing can happen any more.

use super::books::whole;
use super::run::Run;
use super::task::Wait;
use crate::base::rng::fnv1a_number;
use crate::kernel::{INIT, NO_CPU, Role, State, Tid};
use crate::memory::Cause;
use serde_json::{Value, json};

/// Threads that a result lists when they wait for ever.
const TOLD_MAX: usize = 20;

/// All threads in the order in which they were made, a column for each thing that is told of them. Times are in
/// picoseconds; what has not happened is [`Picos::NEVER`](crate::base::Picos::NEVER).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadColumns {
    /// Processes.
    pub pid: Vec<u32>,
    /// Nice values.
    pub nice: Vec<i8>,
    /// Where each ran last; 255 if it never did.
    pub cpu: Vec<u8>,
    /// When each was made.
    pub created: Vec<u64>,
    /// When each ran first.
    pub first_run: Vec<u64>,
    /// When each ended.
    pub ended: Vec<u64>,
    /// How long each ran.
    pub run: Vec<u64>,
    /// How long each could have run and did not.
    pub wait: Vec<u64>,
    /// How often each left a cpu to wait, or gave way.
    pub switches_voluntary: Vec<u32>,
    /// How often each had to leave.
    pub switches_involuntary: Vec<u32>,
    /// How often each began on another cpu.
    pub migrations: Vec<u32>,
    /// By cause: misses of all levels. Empty where memory is not simulated.
    pub misses: Vec<Vec<u64>>,
    /// By cause: time that caches were waited for.
    pub stalls: Vec<Vec<u64>>,
}

impl ThreadColumns {
    /// Empty columns with room for so many threads.
    fn with_capacity(threads: usize) -> Self {
        let (wide, narrow) = (|| Vec::with_capacity(threads), || Vec::with_capacity(threads));
        Self {
            pid: narrow(),
            nice: Vec::with_capacity(threads),
            cpu: Vec::with_capacity(threads),
            created: wide(),
            first_run: wide(),
            ended: wide(),
            run: wide(),
            wait: wide(),
            switches_voluntary: narrow(),
            switches_involuntary: narrow(),
            migrations: narrow(),
            misses: Vec::new(),
            stalls: Vec::new(),
        }
    }

    /// Jain's index over the rates at which threads ran while they could; 1 if nobody could.
    fn fairness(&self) -> f64 {
        let (mut count, mut sum, mut squares) = (0_u64, 0.0, 0.0);
        for (&run, &wait) in self.run.iter().zip(&self.wait) {
            let could = run.saturating_add(wait);
            if could > 0 {
                let rate = run as f64 / could as f64;
                (count, sum, squares) = (count + 1, sum + rate, squares + rate * rate);
            }
        }
        if squares == 0.0 { 1.0 } else { sum * sum / (count as f64 * squares) }
    }

    /// Goes on with a digest over what does not depend on whether causes are told apart.
    pub fn digest(&self, start: u64) -> u64 {
        let wide = [&self.created, &self.first_run, &self.ended, &self.run, &self.wait];
        let narrow = [&self.pid, &self.switches_voluntary, &self.switches_involuntary, &self.migrations];
        let digest = wide.into_iter().flatten().fold(start, |digest, &value| fnv1a_number(digest, value, 8));
        narrow.into_iter().flatten().fold(digest, |digest, &value| fnv1a_number(digest, value.into(), 4))
    }
}

impl Run {
    /// What became of all threads.
    pub(super) fn columns(&self) -> ThreadColumns {
        let mut columns = ThreadColumns::with_capacity(self.threads.len());
        for thread in &self.threads {
            columns.pid.push(thread.pid.0);
            columns.nice.push(thread.share.nice);
            columns.cpu.push(thread.cpu);
            columns.created.push(thread.created.0);
            columns.first_run.push(thread.first_run.0);
            columns.ended.push(thread.ended.0);
            columns.run.push(thread.run.0);
            columns.wait.push(thread.wait.0);
            columns.switches_voluntary.push(thread.switches_voluntary);
            columns.switches_involuntary.push(thread.switches_involuntary);
            columns.migrations.push(thread.migrations);
        }
        if self.has_books() {
            let books = || (0..self.threads.len()).map(|index| self.books.of(index));
            for cause in 0..Cause::ALL.len() {
                columns.misses.push(books().map(|book| whole(book.misses[cause])).collect());
                columns.stalls.push(books().map(|book| book.stalls[cause].0).collect());
            }
        }
        columns
    }

    /// What schedulers and switches did, over all cpus.
    pub(super) fn scheduling(&self, columns: &ThreadColumns) -> Value {
        let sum = |of: fn(&super::cpu::Cpu) -> u64| self.cpus.iter().map(of).sum::<u64>();
        let threads = |column: &[u32]| column.iter().map(|&count| u64::from(count)).sum::<u64>();
        json!({
            "switches": sum(|cpu| cpu.switches),
            "switches_voluntary": threads(&columns.switches_voluntary),
            "switches_involuntary": threads(&columns.switches_involuntary),
            "space_switches": sum(|cpu| cpu.space_switches),
            "tlb_flushes": sum(|cpu| cpu.flushes),
            "migrations": threads(&columns.migrations),
            "ticks": sum(|cpu| cpu.ticks),
            "threads": columns.pid.len(),
            "threads_peak": self.alive_peak,
            "threads_refused": self.refusals,
            "fairness": columns.fairness(),
            "latency": self.latencies.summary(),
        })
    }

    /// Who waits for what for ever: who is in a cycle of locks, and once nothing can happen any more, all who wait.
    pub(super) fn deadlock(&self) -> Vec<Value> {
        let mut rows: Vec<Value> = self.locks.told.iter().take(TOLD_MAX).map(|told| told.row.clone()).collect();
        if !self.is_over() {
            return rows;
        }
        let is_told = |tid: Tid| self.locks.told.iter().any(|told| told.tid == tid);
        for (tid, thread) in (0..).map(Tid).zip(&self.threads) {
            let waits = thread.state == State::Waiting || (thread.is_alive() && self.tasks[tid.index()].is_trying);
            let has_program = matches!(thread.role, Role::Thread | Role::Task);
            if waits && has_program && thread.pid != INIT && rows.len() < TOLD_MAX && !is_told(tid) {
                rows.push(self.stuck_row(tid));
            }
        }
        rows
    }

    /// What a thread waits for, in words, and how that stands.
    pub(super) fn what_it_waits_for(&self, tid: Tid) -> String {
        if let Some(index) = self.waits_for_lock(tid) {
            return self.describe_lock(index);
        }
        match self.tasks[tid.index()].waits {
            Wait::Lock(index) => self.describe_lock(index),
            wait @ Wait::Barrier(index) => {
                let barrier = &self.locks.barriers[index as usize];
                let (come, parties) = (barrier.waiting.len(), barrier.parties);
                format!("{}, to which {come} of {parties} have come", self.describe_wait(wait))
            }
            wait => self.describe_wait(wait),
        }
    }

    /// What is waited for, in words.
    pub(super) fn describe_wait(&self, wait: Wait) -> String {
        let name = |names: &[String], index: u32| names.get(index as usize).cloned().unwrap_or_default();
        match wait {
            Wait::Nothing | Wait::Over | Wait::Mounted | Wait::Work | Wait::Poll => "nothing".to_owned(),
            Wait::Time => "a time".to_owned(),
            Wait::Block => "the end of a call".to_owned(),
            Wait::Input => "input".to_owned(),
            Wait::Call(index) => format!("dependency {}", self.calls.name(index)),
            Wait::Request(_) => "a request".to_owned(),
            Wait::Child | Wait::Vfork => "a child".to_owned(),
            Wait::Join(None) => "the threads that it made".to_owned(),
            Wait::Join(Some(index)) => format!("thread {}", name(&self.code.names, index)),
            Wait::Semaphore(index) => format!("semaphore {}", name(&self.code.semaphores, index)),
            Wait::Lock(index) => format!("lock {}", self.code.locks[index as usize].name),
            Wait::Condition(index) => format!("condition {}", name(&self.code.conditions, index)),
            Wait::Barrier(index) => format!("barrier {}", self.code.barriers[index as usize].0),
            Wait::Send(index) => format!("room in channel {}", name(&self.code.channels, index)),
            Wait::Receive(index) => format!("a message of channel {}", name(&self.code.channels, index)),
        }
    }
}

const _: () = assert!(NO_CPU == 255, "the columns say so");
