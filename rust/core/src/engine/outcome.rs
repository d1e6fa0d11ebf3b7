//! What a run came to for its threads: columns of all of them, and who waits for whom when nothing can happen any more.

use super::books::whole;
use super::run::Run;
use super::task::Wait;
use crate::base::Picos;
use crate::base::rng::fnv1a;
use crate::kernel::{INIT, NO_CPU, Role, State, Tid};
use crate::memory::Cause;
use serde_json::{Value, json};

/// Threads that a result lists when they wait for ever.
const TOLD_MAX: usize = 20;

/// All threads in the order in which they were made, a column for each thing that is told of them. Times are in
/// picoseconds; what has not happened is [`Picos::NEVER`].
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
    /// Goes on with a digest over what does not depend on whether causes are told apart.
    pub fn digest(&self, start: u64) -> u64 {
        let wide = [&self.created, &self.first_run, &self.ended, &self.run, &self.wait];
        let narrow = [&self.pid, &self.switches_voluntary, &self.switches_involuntary, &self.migrations];
        let bytes = wide.into_iter().flatten().map(|value| value.to_le_bytes());
        let digest = bytes.fold(start, |digest, bytes| fnv1a(digest, &bytes));
        let bytes = narrow.into_iter().flatten().map(|value| value.to_le_bytes());
        bytes.fold(digest, |digest, bytes| fnv1a(digest, &bytes))
    }
}

impl Run {
    /// What became of all threads.
    pub(super) fn columns(&self) -> ThreadColumns {
        let threads = &self.threads;
        let mut columns = ThreadColumns {
            pid: threads.iter().map(|thread| thread.pid.0).collect(),
            nice: threads.iter().map(|thread| thread.share.nice).collect(),
            cpu: threads.iter().map(|thread| thread.cpu).collect(),
            created: threads.iter().map(|thread| thread.created.0).collect(),
            first_run: threads.iter().map(|thread| thread.first_run.0).collect(),
            ended: threads.iter().map(|thread| thread.ended.0).collect(),
            run: threads.iter().map(|thread| thread.run.0).collect(),
            wait: threads.iter().map(|thread| thread.wait.0).collect(),
            switches_voluntary: threads.iter().map(|thread| thread.switches_voluntary).collect(),
            switches_involuntary: threads.iter().map(|thread| thread.switches_involuntary).collect(),
            migrations: threads.iter().map(|thread| thread.migrations).collect(),
            misses: Vec::new(),
            stalls: Vec::new(),
        };
        if self.has_books() {
            let books: Vec<_> = (0..).zip(threads).map(|(tid, _)| self.books.of(Tid(tid))).collect();
            for cause in 0..Cause::ALL.len() {
                columns.misses.push(books.iter().map(|book| whole(book.misses[cause])).collect());
                columns.stalls.push(books.iter().map(|book| book.stalls[cause].0).collect());
            }
        }
        columns
    }

    /// What schedulers and switches did, over all cpus.
    pub(super) fn scheduling(&self) -> Value {
        let sum = |of: fn(&super::cpu::Cpu) -> u64| self.cpus.iter().map(of).sum::<u64>();
        let threads = |of: fn(&crate::kernel::Thread) -> u32| {
            self.threads.iter().map(|thread| u64::from(of(thread))).sum::<u64>()
        };
        json!({
            "switches": sum(|cpu| cpu.switches),
            "switches_voluntary": threads(|thread| thread.switches_voluntary),
            "switches_involuntary": threads(|thread| thread.switches_involuntary),
            "space_switches": sum(|cpu| cpu.space_switches),
            "tlb_flushes": sum(|cpu| cpu.flushes),
            "migrations": threads(|thread| thread.migrations),
            "ticks": sum(|cpu| cpu.ticks),
            "threads": self.threads.len(),
            "threads_peak": self.alive_peak,
            "threads_refused": self.refusals,
            "fairness": self.fairness(),
            "latency": self.latencies.summary(),
        })
    }

    /// Jain's index over the rates at which threads ran while they could; 1 if nobody could.
    fn fairness(&self) -> f64 {
        let could = self.threads.iter().filter(|thread| thread.run + thread.wait > Picos::ZERO);
        let rates = could.map(|thread| thread.run.0 as f64 / (thread.run + thread.wait).0 as f64);
        let (count, sum, squares) =
            rates.fold((0_u64, 0.0, 0.0), |(count, sum, squares), rate| (count + 1, sum + rate, squares + rate * rate));
        if squares == 0.0 { 1.0 } else { sum * sum / (count as f64 * squares) }
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
            Wait::Nothing | Wait::Mounted | Wait::Work | Wait::Poll => "nothing".to_owned(),
            Wait::Time => "a time".to_owned(),
            Wait::Block => "the end of a call".to_owned(),
            Wait::Input => "input".to_owned(),
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
