//! One cpu: its time, who runs on it, where its time went.

use super::asids::Asids;
use crate::base::Picos;
use crate::kernel::{Account, Ledger, Pid, Tid};
use crate::vm::SpaceId;

/// Up to where the caller lets a cpu run on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// The caller wants to look at the run then.
    pub until: Picos,
    /// The caller wants to be asked after so many events.
    pub events: u64,
}

/// A cpu.
#[derive(Clone, Debug)]
pub(super) struct Cpu {
    /// Its local time.
    pub now: Picos,
    /// Who runs.
    pub running: Option<Tid>,
    /// Who is executed: who runs, or the task that it carries.
    pub active: Tid,
    /// Since when that one is.
    pub began: Picos,
    /// Who runs has got a signal that it has not looked at.
    pub is_signalled: bool,
    /// The process of who runs.
    pub pid: Pid,
    /// Who ran last: going on with it costs no switch.
    pub last: Option<Tid>,
    /// The address space that is loaded; it stays while the cpu idles.
    pub space: Option<SpaceId>,
    /// Address spaces that its TLBs know.
    pub asids: Asids,
    /// When the policy wants to be asked about who runs.
    pub slice_end: Picos,
    /// When the timer interrupts who runs.
    pub tick: Picos,
    /// Up to when the one who runs was charged.
    pub charged: Picos,
    /// When it began to run.
    pub switched: Picos,
    /// Nothing but the kernel has touched memory since the switch.
    pub is_warm: bool,
    /// Somebody better has come.
    pub must_switch: bool,
    /// Who left last and could go on, and whether it wanted to leave.
    pub put_back: Option<(Tid, bool)>,
    /// Where its time went, up to `now`.
    pub ledger: Ledger,
    /// What of it is not yet in the books of the process that runs.
    pub unbooked: Ledger,
    /// Switches to another thread.
    pub switches: u64,
    /// Of these, to another address space.
    pub space_switches: u64,
    /// Of these, to one that the TLBs had no identifier for.
    pub flushes: u64,
    /// Ticks that it took.
    pub ticks: u64,
}

impl Cpu {
    /// An idle cpu whose TLBs tell so many address spaces apart.
    pub fn new(asids: u32) -> Self {
        Self {
            now: Picos::ZERO,
            running: None,
            active: Tid::NONE,
            began: Picos::ZERO,
            is_signalled: false,
            pid: Pid(0),
            last: None,
            space: None,
            asids: Asids::new(asids),
            slice_end: Picos::NEVER,
            tick: Picos::NEVER,
            charged: Picos::ZERO,
            switched: Picos::ZERO,
            is_warm: false,
            must_switch: false,
            put_back: None,
            ledger: Ledger::default(),
            unbooked: Ledger::default(),
            switches: 0,
            space_switches: 0,
            flushes: 0,
            ticks: 0,
        }
    }

    /// Who is executed, if anybody: who runs, or the task that it carries.
    pub fn executed(&self) -> Option<Tid> {
        self.running.map(|_| self.active)
    }

    /// Spends time that a process pays for by other ways.
    pub fn spend(&mut self, cost: &Ledger) {
        self.ledger += *cost;
        self.now += cost.total();
    }

    /// Spends time of who runs.
    pub fn pay(&mut self, account: Account, time: Picos) {
        self.ledger[account] += time;
        self.unbooked[account] += time;
        self.now += time;
    }

    /// Spends time of the kernel that no process pays for.
    pub fn pay_kernel(&mut self, account: Account, time: Picos) {
        self.ledger[account] += time;
        self.now += time;
    }

    /// Spends time on a fault.
    pub fn fault(&mut self, fault: Picos, copy: Picos) {
        self.ledger[Account::Fault] += fault;
        self.ledger[Account::Copy] += copy;
        self.now += fault + copy;
    }

    /// Does nothing until a time that is not before its own.
    pub fn idle_until(&mut self, time: Picos) {
        if time > self.now {
            self.ledger[Account::Idle] += time - self.now;
            self.now = time;
        }
    }

    /// When the timer or the policy stops who runs.
    pub fn stop(&self) -> Picos {
        if self.must_switch || self.is_signalled { self.now } else { self.slice_end.min(self.tick) }
    }
}
