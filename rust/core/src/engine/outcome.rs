//! What a run came to for its threads: columns of all of them, and who waits for whom when nothing can happen any more.

use super::books::{ThreadBook, whole};
use super::run::Run;
use super::task::Wait;
use crate::base::rng::fnv1a_number;
use crate::kernel::{INIT, NO_CPU, Role, State, Thread, Tid};
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
    /// So many threads of which all is 0: memory that nothing is written to is not there.
    fn zero(threads: usize, causes: usize) -> Self {
        let (wide, narrow) = (|| vec![0; threads], || vec![0; threads]);
        Self {
            pid: narrow(),
            nice: vec![0; threads],
            cpu: vec![0; threads],
            created: wide(),
            first_run: wide(),
            ended: wide(),
            run: wide(),
            wait: wide(),
            switches_voluntary: narrow(),
            switches_involuntary: narrow(),
            migrations: narrow(),
            misses: (0..causes).map(|_| wide()).collect(),
            stalls: (0..causes).map(|_| wide()).collect(),
        }
    }

    fn put(&mut self, index: usize, thread: &Thread) {
        put(&mut self.pid, index, thread.pid.0);
        put(&mut self.nice, index, thread.share.nice);
        put(&mut self.cpu, index, thread.cpu);
        put(&mut self.created, index, thread.created.0);
        put(&mut self.first_run, index, thread.first_run.0);
        put(&mut self.ended, index, thread.ended.0);
        put(&mut self.run, index, thread.run.0);
        put(&mut self.wait, index, thread.wait.0);
        put(&mut self.switches_voluntary, index, thread.switches_voluntary);
        put(&mut self.switches_involuntary, index, thread.switches_involuntary);
        put(&mut self.migrations, index, thread.migrations);
    }

    fn put_causes(&mut self, index: usize, book: &ThreadBook) {
        for (column, &misses) in self.misses.iter_mut().zip(&book.misses) {
            put(column, index, whole(misses));
        }
        for (column, stall) in self.stalls.iter_mut().zip(&book.stalls) {
            put(column, index, stall.0);
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
    /// What became of all threads. Each is looked at once, since they are many and far apart in memory.
    pub(super) fn columns(&self) -> ThreadColumns {
        let mut columns = ThreadColumns::zero(self.threads.len(), if self.has_books() { Cause::ALL.len() } else { 0 });
        for (index, thread) in self.threads.iter().enumerate() {
            columns.put(index, thread);
        }
        for (index, book) in self.books.of_threads().iter().enumerate() {
            columns.put_causes(index, book);
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

/// Writes what is not 0 to where 0 stands.
#[inline]
fn put<T: Default + PartialEq>(column: &mut [T], index: usize, value: T) {
    if value != T::default() {
        column[index] = value;
    }
}

const _: () = assert!(NO_CPU == 255, "the columns say so");
