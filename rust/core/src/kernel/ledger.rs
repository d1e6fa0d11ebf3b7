//! Where time went: every picosecond of every cpu belongs to one account.

use crate::base::Picos;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::ops::{AddAssign, Index, IndexMut};

/// What time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Instructions of programs, and accesses that hit.
    User,
    /// Waiting for memory.
    Stall,
    /// Waiting for translations.
    Walk,
    /// Faults, without what they copy.
    Fault,
    /// Zeroing and copying pages and page tables.
    Copy,
    /// System calls.
    Syscall,
    /// Switches of processes and threads.
    Switch,
    /// Interrupts.
    Interrupt,
    /// Choosing who runs.
    Sched,
    /// The language's runtime.
    Runtime,
    /// Waiting for a lock by trying again.
    Spin,
    /// Nothing to do.
    Idle,
}

impl Account {
    /// All accounts, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::User,
        Self::Stall,
        Self::Walk,
        Self::Fault,
        Self::Copy,
        Self::Syscall,
        Self::Switch,
        Self::Interrupt,
        Self::Sched,
        Self::Runtime,
        Self::Spin,
        Self::Idle,
    ];

    /// What results call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Stall => "stall",
            Self::Walk => "walk",
            Self::Fault => "fault",
            Self::Copy => "copy",
            Self::Syscall => "syscall",
            Self::Switch => "switch",
            Self::Interrupt => "interrupt",
            Self::Sched => "sched",
            Self::Runtime => "runtime",
            Self::Spin => "spin",
            Self::Idle => "idle",
        }
    }
}

/// Time by account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger([Picos; Account::ALL.len()]);

impl Ledger {
    /// One entry.
    pub fn of(account: Account, time: Picos) -> Self {
        let mut ledger = Self::default();
        ledger[account] = time;
        ledger
    }

    /// The same with one entry more.
    #[must_use]
    pub fn and(mut self, account: Account, time: Picos) -> Self {
        self[account] += time;
        self
    }

    /// All time.
    pub fn total(&self) -> Picos {
        self.0.iter().copied().sum()
    }
}

impl Index<Account> for Ledger {
    type Output = Picos;
    fn index(&self, account: Account) -> &Picos {
        &self.0[account as usize]
    }
}

impl IndexMut<Account> for Ledger {
    fn index_mut(&mut self, account: Account) -> &mut Picos {
        &mut self.0[account as usize]
    }
}

impl AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        for (time, more) in self.0.iter_mut().zip(other.0) {
            *time += more;
        }
    }
}

impl Serialize for Ledger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for account in Account::ALL {
            map.serialize_entry(account.name(), &self[account])?;
        }
        map.end()
    }
}
