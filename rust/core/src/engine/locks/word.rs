//! The word of a lock: what it costs to change it, and to get its line from another cpu.

use super::super::run::Run;
use crate::base::Picos;
use crate::kernel::{Account, NO_CPU, Tid};
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
        let thread = &self.threads[tid.index()];
        let is_alone = thread.neighbours == [Tid::NONE; 2];
        let prices = self.locks.prices;
        let lock = &mut self.locks.list[index as usize];
        if !lock.has_users {
            (lock.user, lock.has_users) = (Some(thread.pid), true);
        } else if lock.user != Some(thread.pid) {
            lock.user = None;
        }
        let halves = match lock.kind {
            kind if kind.is_spin() => prices.spin,
            LockKind::Rwlock => prices.mutex,
            _ if is_alone && lock.user.is_some() => prices.alone,
            _ => prices.mutex,
        };
        let line = &mut lock.line;
        let now = self.cpus[cpu].now;
        let here = u8::try_from(cpu).expect("at most 64 cpus");
        let stall = match line.cpu {
            NO_CPU => Picos::ZERO,
            there if there == here => Picos::ZERO,
            _ => line.free.saturating_sub(now) + prices.transfer,
        };
        if line.cpu != here {
            *line = Line { cpu: here, free: now + stall };
        }
        self.cpus[cpu].pay(Account::User, halves[usize::from(is_second)]);
        self.wait_for_line(cpu, tid, stall);
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
