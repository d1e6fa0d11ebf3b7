//! The state of locks, and of those who try to take them.

use super::barrier::Barrier;
use super::condition::Condition;
use super::critical::Paths;
use super::cycle::Told;
use super::report::Stats;
use super::rwlock::Shared;
use super::word::{Prices, Word};
use crate::base::{ConfigError, Picos, Rng};
use crate::kernel::{Share, Tid};
use crate::memory::config::MachineConfig;
use crate::workload::locks::{LockKind, LockSpec, Protocol};
use crate::workload::{Code, Scenario};
use std::collections::{BTreeMap, VecDeque};

/// A lock.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Lock {
    pub kind: LockKind,
    pub inherits: bool,
    /// Who has it, or nobody.
    pub holder: Tid,
    /// Since when.
    pub taken: Picos,
    /// Who sleeps until it is given back, in order.
    pub sleepers: VecDeque<Tid>,
    /// Who spins on it, in order.
    pub spinners: VecDeque<Tid>,
    /// How many want it and do not have it.
    pub waiting: u32,
    /// Since when so many.
    pub waiting_since: Picos,
    /// Somebody may sleep: who gives it back has to look.
    pub is_contended: bool,
    /// Go: somebody is awake and tries.
    pub is_somebody_awake: bool,
    /// Go: it is handed over, and nobody else may take it.
    pub is_starving: bool,
    /// How long its waiters spun of late, in looks.
    pub spins: i64,
    pub word: Word,
    pub shared: Shared,
    pub is_destroyed: bool,
    pub stats: Stats,
}

impl Lock {
    fn new(kind: LockKind, spec: &LockSpec) -> Self {
        Self {
            kind,
            inherits: spec.protocol == Protocol::Inherit,
            holder: Tid::NONE,
            taken: Picos::ZERO,
            sleepers: VecDeque::new(),
            spinners: VecDeque::new(),
            waiting: 0,
            waiting_since: Picos::ZERO,
            is_contended: false,
            is_somebody_awake: false,
            is_starving: false,
            spins: 0,
            word: Word::default(),
            shared: Shared::new(spec.prefer.unwrap_or_default()),
            is_destroyed: false,
            stats: Stats::default(),
        }
    }

    /// All who have it.
    pub fn holders(&self) -> impl Iterator<Item = Tid> + '_ {
        (self.holder != Tid::NONE)
            .then_some(self.holder)
            .into_iter()
            .chain(self.shared.readers.iter().map(|&(tid, _)| tid))
    }
}

/// What one who tries does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Phase {
    /// It has not looked at the lock yet.
    Begin,
    /// It has the lock.
    Granted,
    /// It is in the kernel, which looks whether the lock is still taken.
    Compare,
    /// It was awake all the time or was woken, and tries again.
    Retry,
    /// It spins until the lock is its own.
    Spin,
    /// It spins for a while.
    Budget,
    /// Go: it spins for a round.
    Round,
    /// Go: it was woken.
    Woken,
}

/// One who tries to take a lock.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Attempt {
    pub lock: u32,
    pub phase: Phase,
    /// When it began.
    pub since: Picos,
    /// When it fell asleep.
    pub slept: Picos,
    /// What is left of the time to spin, of one that was preempted.
    pub budget: Picos,
    /// Go: rounds that it has spun.
    pub rounds: u8,
    /// Go: it has slept.
    pub has_slept: bool,
    /// Go: it is the one that is awake.
    pub is_awake: bool,
}

impl Attempt {
    /// One that begins.
    pub fn new(lock: u32, phase: Phase, now: Picos) -> Self {
        Self { lock, phase, since: now, slept: now, budget: Picos::ZERO, rounds: 0, has_slept: false, is_awake: false }
    }
}

/// All locks, conditions and barriers of a run.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Locks {
    pub list: Vec<Lock>,
    pub conditions: Vec<Condition>,
    pub barriers: Vec<Barrier>,
    pub attempts: BTreeMap<Tid, Attempt>,
    /// What threads are by themselves that are lent a better priority.
    pub lent: BTreeMap<Tid, Share>,
    pub prices: Prices,
    pub paths: Paths,
    pub told: Vec<Told>,
    /// Of choices among spinners.
    pub draws: Rng,
    /// Locks that are held.
    pub held: u32,
    /// Threads that spin without an end of their own.
    pub spinning: u32,
}

impl Locks {
    /// The locks that programs name, as the scenario has them.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(machine: &MachineConfig, scenario: &Scenario, code: &Code, seed: u64) -> Result<Self, ConfigError> {
        if let Some(name) = scenario.locks.keys().find(|name| code.locks.iter().all(|known| known.name != **name)) {
            return Err(ConfigError::new(format!("locks.{name}"), "must be a lock that a program uses", name));
        }
        let mut list = Vec::new();
        for known in &code.locks {
            let spec = scenario.locks.get(&known.name).copied().unwrap_or_default();
            list.push(Lock::new(known.kind(&spec)?, &spec));
        }
        Ok(Self {
            conditions: vec![Condition::default(); code.conditions.len()],
            barriers: code.barriers.iter().map(|&(_, parties)| Barrier::new(parties)).collect(),
            attempts: BTreeMap::new(),
            lent: BTreeMap::new(),
            prices: Prices::new(machine),
            paths: Paths::new(list.len()),
            told: Vec::new(),
            draws: Rng::stream(seed, "locks", 0),
            held: 0,
            spinning: 0,
            list,
        })
    }

    pub fn attempt(&self, tid: Tid) -> &Attempt {
        self.attempts.get(&tid).expect("who tries has an attempt")
    }

    pub fn attempt_mut(&mut self, tid: Tid) -> &mut Attempt {
        self.attempts.get_mut(&tid).expect("who tries has an attempt")
    }
}
