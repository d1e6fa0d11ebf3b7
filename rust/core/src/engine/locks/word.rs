//! The word of a lock: what it costs to change it, and to get its line from another cpu.

use super::super::run::Run;
use crate::base::Picos;
use crate::kernel::{Account, NO_CPU, Pid, Tid};
use crate::memory::Causes;
use crate::memory::config::MachineConfig;
use crate::workload::locks::LockKind;

/// Where a line is.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Line {
    /// The cpu that has it.
    pub cpu: u8,
    /// When the last one who asked for it has it.
    pub free: Picos,
}

impl Default for Line {
    fn default() -> Self {
        Self { cpu: NO_CPU, free: Picos::ZERO }
    }
}

/// A word that threads change: its line, and who has used it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Word {
    pub line: Line,
    /// The only process that has used it.
    user: Option<Pid>,
    has_users: bool,
}

impl Word {
    /// Whether a process is the only one that has ever used it, this time included.
    fn is_used_by(&mut self, pid: Pid) -> bool {
        if !self.has_users {
            (self.user, self.has_users) = (Some(pid), true);
        } else if self.user != Some(pid) {
            self.user = None;
        }
        self.user.is_some()
    }

    /// A cpu gets the line: how long it waits for that.
    fn fetch(&mut self, cpu: usize, now: Picos, transfer: Picos) -> Picos {
        let here = u8::try_from(cpu).expect("at most 64 cpus");
        if self.line.cpu == here {
            return Picos::ZERO;
        }
        let stall = match self.line.cpu {
            NO_CPU => Picos::ZERO,
            _ => self.line.free.saturating_sub(now) + transfer,
        };
        self.line = Line { cpu: here, free: now + stall };
        stall
    }
}

/// Prices: of the two halves of a pair, taking and giving back.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Prices {
    mutex: [Picos; 2],
    alone: [Picos; 2],
    spin: [Picos; 2],
    /// Between two looks.
    pub pause: Picos,
    /// A line from cpu to cpu.
    pub transfer: Picos,
}

impl Prices {
    pub fn new(machine: &MachineConfig) -> Self {
        let sync = &machine.kernel.sync;
        let halves = |pair: Picos| [pair - Picos(pair.0 / 2), Picos(pair.0 / 2)];
        Self {
            mutex: halves(sync.mutex_ns),
            alone: halves(sync.mutex_alone_ns),
            spin: halves(sync.spin_ns),
            pause: sync.pause_ns,
            transfer: Picos::from_cycles(machine.transfer_cycles.into(), machine.frequency_mhz),
        }
    }
}

impl Run {
    /// Pays for a change of a lock's word: half a pair, and the line if another cpu has it.
    pub(super) fn use_word(&mut self, cpu: usize, tid: Tid, index: u32, is_second: bool) {
        let prices = self.locks.prices;
        let is_alone = self.is_alone(tid);
        let pid = self.threads[tid.index()].pid;
        let lock = &mut self.locks.list[index as usize];
        let is_private = lock.word.is_used_by(pid) && is_alone;
        let halves = match lock.kind {
            kind if kind.is_spin() => prices.spin,
            LockKind::Rwlock => prices.mutex,
            _ if is_private => prices.alone,
            _ => prices.mutex,
        };
        let stall = lock.word.fetch(cpu, self.cpus[cpu].now, prices.transfer);
        self.cpus[cpu].pay(Account::User, halves[usize::from(is_second)]);
        self.wait_for_line(cpu, tid, stall);
    }

    /// Pays for changing what a mutex guards that is held for no longer than that: a pair, and the line if another cpu has it.
    pub(in crate::engine) fn use_guarded(&mut self, cpu: usize, tid: Tid, mut word: Word) -> Word {
        let prices = self.locks.prices;
        let is_private = word.is_used_by(self.threads[tid.index()].pid) && self.is_alone(tid);
        let pair = if is_private { prices.alone } else { prices.mutex };
        let stall = word.fetch(cpu, self.cpus[cpu].now, prices.transfer);
        self.cpus[cpu].pay(Account::User, pair[0] + pair[1]);
        self.wait_for_line(cpu, tid, stall);
        word
    }

    /// Whether a thread is the only one of its process.
    fn is_alone(&self, tid: Tid) -> bool {
        self.threads[tid.index()].neighbours == [Tid::NONE; 2]
    }

    /// Pays for waiting for a line that another cpu has.
    pub(super) fn wait_for_line(&mut self, cpu: usize, tid: Tid, stall: Picos) {
        if stall == Picos::ZERO {
            return;
        }
        let state = &mut self.cpus[cpu];
        if self.memory.is_some() || self.footprints.is_some() {
            let since = state.now.saturating_sub(state.switched);
            self.books.note(Some(tid), Causes::default(), stall, since);
        }
        state.pay(Account::Stall, stall);
    }
}
