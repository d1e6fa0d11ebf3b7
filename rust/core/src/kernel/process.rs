//! The process control block: what the kernel knows of one process.

use super::ledger::Ledger;
use crate::base::Picos;
use crate::vm::SpaceId;
use crate::vm::work::FaultCounts;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pid(pub u32);

/// The process that takes orphans.
pub const INIT: Pid = Pid(1);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The five states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was made and has not run.
    New,
    /// It could run.
    Ready,
    /// It runs.
    Running,
    /// It waits for a child, for time, for a vfork.
    Waiting,
    /// It has ended; nobody has waited for it: a zombie.
    Terminated,
}

/// Why a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It said so.
    Exit(i32),
    /// Another process, or the kernel, ended it by a signal.
    Signal(i32),
    /// It touched what it may not.
    SegmentationFault(crate::vm::SegmentationFault),
    /// It had the most memory when there was none.
    OutOfMemory(String),
}

impl End {
    /// As a shell shows it: 128 and the signal's number for what did not end by itself.
    pub fn code(&self) -> i32 {
        match self {
            Self::Exit(code) => *code,
            Self::Signal(signal) => 128 + signal,
            Self::SegmentationFault(_) => 128 + 11,
            Self::OutOfMemory(_) => 128 + 9,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::SegmentationFault(fault) => fault.fmt(f),
            Self::OutOfMemory(report) => f.write_str(report),
        }
    }
}

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// Who made it, or process 1 once that has ended.
    pub parent: Pid,
    /// What it runs.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// Its memory; nothing once it has ended.
    pub space: Option<SpaceId>,
    /// Children that were not waited for, oldest first.
    pub children: Vec<Pid>,
    /// Why it ended.
    pub end: Option<End>,
    /// Its parent ended before it: process 1 waits for it at once.
    pub is_orphan: bool,
    /// Its parent waits for it to call exec or end.
    pub is_vfork_child: bool,
    /// Pages of a thread's own stack, its guard page first.
    pub thread_stack: Option<(u64, u64)>,
    /// Descriptors that are open: 0, 1 and 2 at the start; a fork copies them.
    pub open_files: Vec<u32>,
    /// Forks that it made.
    pub forks: u64,
    /// Programs that had been started when it forked last.
    pub images_at_fork: u64,
    /// Faults by kind.
    pub faults: FaultCounts,
    /// The page that faulted last.
    pub last_fault_vpn: Option<u64>,
    /// The next op of its program.
    pub program_counter: u32,
    /// Loop counters and the number that the last fork returned.
    pub registers: Vec<u64>,
    /// When it was made.
    pub started_at: Picos,
    /// When it ended.
    pub ended_at: Option<Picos>,
    /// What its time was spent on.
    pub ledger: Ledger,
}

impl Process {
    /// A new process.
    pub fn new(pid: Pid, parent: Pid, name: &str, space: SpaceId, now: Picos) -> Self {
        Self {
            pid,
            parent,
            name: name.to_owned(),
            state: State::New,
            space: Some(space),
            children: Vec::new(),
            end: None,
            is_orphan: false,
            is_vfork_child: false,
            thread_stack: None,
            open_files: vec![0, 1, 2],
            forks: 0,
            images_at_fork: 0,
            faults: FaultCounts::default(),
            last_fault_vpn: None,
            program_counter: 0,
            registers: Vec::new(),
            started_at: now,
            ended_at: None,
            ledger: Ledger::default(),
        }
    }

    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        self.state != State::Terminated
    }
}
