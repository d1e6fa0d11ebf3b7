//! One cpu: its time, who runs on it, where its time went.

use crate::base::Picos;
use crate::kernel::{Account, Ledger, Pid};

/// Up to where a cpu runs on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// What others do may matter from then on.
    pub horizon: Picos,
    /// The caller wants to look at the run then.
    pub until: Picos,
    /// The caller wants to be asked after so many events.
    pub events: u64,
}

impl Limit {
    /// Whichever comes first.
    pub fn time(self) -> Picos {
        self.horizon.min(self.until)
    }
}

/// A cpu.
#[derive(Clone, Debug, Default)]
pub(super) struct Cpu {
    /// Its local time.
    pub now: Picos,
    /// Who runs.
    pub running: Option<Pid>,
    /// Who ran last: going on with it costs no switch.
    pub last: Option<Pid>,
    /// When the one who runs has to make way for others.
    pub slice_end: Picos,
    /// Where its time went, up to `now`.
    pub ledger: Ledger,
}

impl Cpu {
    /// Spends time.
    pub fn spend(&mut self, cost: &Ledger) {
        self.ledger += *cost;
        self.now += cost.total();
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
}
