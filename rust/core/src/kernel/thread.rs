//! The thread control block: what the kernel knows of one thread.
//!
//! Threads are numbered densely and keep their number for good, so that tables of a million of them are arrays. A block is
//! small for the same reason: what only some threads have lies elsewhere.

use super::process::{Pid, State};
use crate::base::Picos;
use crate::sched::{Task, TaskId, weight};

/// The number of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid(pub u32);

impl Tid {
    /// No thread.
    pub const NONE: Self = Self(u32::MAX);

    /// The place in a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// As schedulers know it.
    pub const fn task(self) -> TaskId {
        TaskId(self.0)
    }
}

/// What a thread is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It runs a program.
    #[default]
    Thread,
    /// It runs tasks of a runtime.
    Carrier,
    /// It is a task of a runtime: a carrier runs it, and the kernel knows nothing of it.
    Task,
    /// It looks after carriers that block and tasks that do not stop.
    Monitor,
    /// It looks after time and input for tasks.
    Poller,
}

/// A cpu that no machine has.
pub const NO_CPU: u8 = u8::MAX;

/// Who a thread is to a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// From -20, first, to 19.
    pub nice: i8,
    /// Its tickets in a lottery.
    pub tickets: u32,
    /// How urgent it is: smaller goes first.
    pub priority: u32,
    /// A bit for each cpu that it may run on.
    pub affinity: u64,
}

impl Default for Share {
    fn default() -> Self {
        Self { nice: 0, tickets: 100, priority: 0, affinity: u64::MAX }
    }
}

/// One thread.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its process.
    pub pid: Pid,
    /// Who made it; nobody for the first of a process.
    pub maker: Tid,
    /// Its neighbours among the threads of its process that have not ended.
    pub neighbours: [Tid; 2],
    /// What programs call it: an index of names, or `u32::MAX`.
    pub name: u32,
    /// Threads that it made and that have not ended.
    pub made: u32,
    /// Where it is in its life.
    pub state: State,
    /// Where it ran last.
    pub cpu: u8,
    /// In whose queue it waits, while it does.
    pub home: u8,
    /// What it is for.
    pub role: Role,
    /// Which random numbers it draws.
    pub stream: u32,
    /// Of a task: who runs it.
    pub carrier: Tid,
    /// Who it is to a scheduler.
    pub share: Share,
    /// The first page of its stack's guard; 0 before its stack is touched, and for the first of a process. Of
    /// a task: bytes of stack that it uses.
    pub stack: u64,
    /// When it was made.
    pub created: Picos,
    /// When it ran first.
    pub first_run: Picos,
    /// When it ended.
    pub ended: Picos,
    /// Since when it is in its state.
    pub since: Picos,
    /// How long it ran.
    pub run: Picos,
    /// How long it could have run and did not.
    pub wait: Picos,
    /// How often it left a cpu because it waited for something, or gave way.
    pub switches_voluntary: u32,
    /// How often it left a cpu because it had to.
    pub switches_involuntary: u32,
    /// How often it began on another cpu than it had run on.
    pub migrations: u32,
}

impl Thread {
    /// A thread that was just made.
    pub fn new(pid: Pid, maker: Tid, share: Share, now: Picos) -> Self {
        Self {
            pid,
            maker,
            neighbours: [Tid::NONE; 2],
            name: u32::MAX,
            made: 0,
            state: State::New,
            cpu: NO_CPU,
            home: NO_CPU,
            role: Role::Thread,
            carrier: Tid::NONE,
            stream: 0,
            share,
            stack: 0,
            created: now,
            first_run: Picos::NEVER,
            ended: Picos::NEVER,
            since: now,
            run: Picos::ZERO,
            wait: Picos::ZERO,
            switches_voluntary: 0,
            switches_involuntary: 0,
            migrations: 0,
        }
    }

    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        self.state != State::Terminated
    }

    /// Whether it may run on a cpu.
    pub fn may_run_on(&self, cpu: usize) -> bool {
        self.share.affinity >> cpu & 1 == 1
    }

    /// As a scheduler sees it.
    pub fn task(&self, tid: Tid, burst: Picos) -> Task {
        let Share { nice, tickets, priority, .. } = self.share;
        let weight = weight::of_nice(nice.into()).expect("nice values are checked");
        Task { id: tid.task(), burst, weight, tickets, priority }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_threads_fit_into_memory() {
        assert!(size_of::<Thread>() <= 128, "{}", size_of::<Thread>());
    }
}
