//! Races: accesses to a shared variable of which no order is promised, found by what happens before what.
//!
//! Each thread has a vector clock; what orders threads (creation, ends, waking, locks, semaphores, pipes, barriers, atomic
//! accesses) hands clocks on. A variable remembers its last write, the reads since and atomic accesses as epochs: a thread
//! and its time (Flanagan & Freund, "FastTrack", PLDI 2009). Two accesses of which one writes, not both atomic and neither
//! before the other, are a race. Left out: regions of `touch`. Watches only; a clock has an entry a thread.

use super::run::Run;
use crate::base::Picos;
use crate::kernel::{Pid, Tid};
use crate::workload::sharing::{Access, Increment, ShareCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Pairs that a result lists.
const TOLD_MAX: usize = 100;

/// What orders threads beside waking and making one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    Semaphore(u32),
    Pipe(u32),
    /// A place in the ring of a channel.
    Place(u32, u32),
    Lock(u32),
    /// Those who read under a reader-writer lock.
    Readers(u32),
    Barrier(u32),
    /// A variable, by atomic accesses.
    Variable(u32),
    /// The ends of threads that a thread made.
    Made(Tid),
    /// The ends of threads of a name.
    Named(Pid, u32),
    /// The ends of children.
    Children(Pid),
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    AtomicRead,
    AtomicUpdate,
}

/// How far a thread knows of all others.
#[derive(Clone, Debug, Default)]
struct Clock(Vec<u32>);

impl Clock {
    fn of(&self, tid: Tid) -> u32 {
        self.0.get(tid.index()).copied().unwrap_or(0)
    }

    fn learn(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(own, &other)| *own = (*own).max(other));
    }

    fn tick(&mut self, tid: Tid) {
        if self.0.len() <= tid.index() {
            self.0.resize(tid.index() + 1, 0);
        }
        self.0[tid.index()] += 1;
    }
}

/// One access: who, when by its own clock, and where in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Epoch {
    tid: Tid,
    clock: u32,
    place: u32,
    kind: Kind,
    at: Picos,
}

/// What a variable remembers.
#[derive(Clone, Debug, Default)]
struct History {
    write: Option<Epoch>,
    /// Since then, the last of each thread.
    reads: Vec<Epoch>,
    atomics: Vec<Epoch>,
}

/// Two places of programs that race, the first time that they did, and how often.
#[derive(Clone, Copy, Debug)]
struct Pair {
    first: Epoch,
    second: Epoch,
    count: u64,
}

/// Who knows of what, and the races found so far.
#[derive(Clone, Debug)]
pub(super) struct Races {
    clocks: Vec<Clock>,
    objects: BTreeMap<Object, Clock>,
    variables: Vec<History>,
    /// By variable and both places.
    pairs: BTreeMap<(u32, u32, u32), Pair>,
}

impl Races {
    pub fn new(variables: usize) -> Self {
        let variables = vec![History::default(); variables];
        Self { clocks: Vec::new(), objects: BTreeMap::new(), variables, pairs: BTreeMap::new() }
    }

    fn clock(&mut self, tid: Tid) -> &mut Clock {
        for new in self.clocks.len()..=tid.index() {
            let mut clock = Clock::default();
            clock.tick(Tid(u32::try_from(new).expect("threads are limited")));
            self.clocks.push(clock);
        }
        &mut self.clocks[tid.index()]
    }

    /// What a thread has done, others will know by an object.
    pub fn released(&mut self, tid: Tid, object: Object) {
        self.clock(tid);
        self.objects.entry(object).or_default().learn(&self.clocks[tid.index()]);
        self.clocks[tid.index()].tick(tid);
    }

    /// A thread knows what others have done that released an object.
    pub fn acquired(&mut self, tid: Tid, object: Object) {
        self.clock(tid);
        if let Some(known) = self.objects.get(&object) {
            self.clocks[tid.index()].learn(known);
        }
    }

    /// A thread makes another, or wakes it.
    pub fn followed(&mut self, before: Tid, after: Tid) {
        if before == after {
            return;
        }
        self.clock(before.max(after));
        let known = std::mem::take(&mut self.clocks[before.index()]);
        self.clocks[after.index()].learn(&known);
        self.clocks[before.index()] = known;
        self.clocks[before.index()].tick(before);
    }

    /// An access by an op, or several of which nothing is ordered in between.
    pub fn accessed(&mut self, tid: Tid, op: &ShareCode, place: u32, at: Picos) {
        let kinds: &[Kind] = match op.access {
            Access::Increment(Increment::Atomic | Increment::CompareExchange) => &[Kind::AtomicUpdate],
            Access::Increment(Increment::Plain | Increment::Split) => &[Kind::Read, Kind::Write],
            Access::Load if op.is_atomic => &[Kind::AtomicRead],
            Access::Store(_) if op.is_atomic => &[Kind::AtomicUpdate],
            Access::Load => &[Kind::Read],
            Access::Store(_) => &[Kind::Write],
            Access::SpinUntil(_) => &[Kind::AtomicRead],
            Access::Add(_) | Access::Fence => &[],
        };
        for &kind in kinds {
            let clock = self.clock(tid).of(tid);
            self.note(op.variable, Epoch { tid, clock, place, kind, at });
        }
    }

    fn note(&mut self, variable: u32, new: Epoch) {
        let history = &self.variables[variable as usize];
        let is_known = |old: &Epoch| (old.tid, old.clock, old.place) == (new.tid, new.clock, new.place);
        match new.kind {
            Kind::Read if history.reads.iter().any(is_known) => return,
            Kind::Write if history.write.as_ref().is_some_and(is_known) && history.reads.is_empty() => return,
            _ => {}
        }
        let own = &self.clocks[new.tid.index()];
        let is_unordered = |old: &&Epoch| old.clock > own.of(old.tid);
        let writes = matches!(new.kind, Kind::Write | Kind::AtomicUpdate);
        let is_atomic = matches!(new.kind, Kind::AtomicRead | Kind::AtomicUpdate);
        let reads = history.reads.iter().filter(|_| writes);
        let atomics = history.atomics.iter().filter(|old| !is_atomic && (writes || old.kind == Kind::AtomicUpdate));
        let found: Vec<Epoch> =
            history.write.iter().chain(reads).chain(atomics).filter(is_unordered).copied().collect();
        for first in found {
            let places = (variable, first.place.min(new.place), first.place.max(new.place));
            self.pairs.entry(places).or_insert(Pair { first, second: new, count: 0 }).count += 1;
        }
        let history = &mut self.variables[variable as usize];
        let put = |list: &mut Vec<Epoch>| {
            list.retain(|old| old.tid != new.tid);
            list.push(new);
        };
        match new.kind {
            Kind::Read => put(&mut history.reads),
            Kind::Write => {
                history.write = Some(new);
                history.reads.clear();
                history.atomics.clear();
            }
            Kind::AtomicRead => {
                put(&mut history.atomics);
                self.acquired(new.tid, Object::Variable(variable));
            }
            Kind::AtomicUpdate => {
                put(&mut history.atomics);
                self.acquired(new.tid, Object::Variable(variable));
                self.released(new.tid, Object::Variable(variable));
            }
        }
    }
}

impl Run {
    /// What a thread has done is visible to whoever takes an object from now on.
    #[inline(always)]
    pub(super) fn released(&mut self, cpu: usize, tid: Tid, object: Object) {
        self.fence(cpu);
        if let Some(races) = &mut self.races {
            races.released(tid, object);
        }
    }

    /// A thread takes an object.
    #[inline(always)]
    pub(super) fn acquired(&mut self, tid: Tid, object: Object) {
        if let Some(races) = &mut self.races {
            races.acquired(tid, object);
        }
    }

    /// What one thread does from now on comes behind what another has done.
    #[inline(always)]
    pub(super) fn followed(&mut self, before: Tid, after: Tid) {
        if let Some(races) = &mut self.races {
            races.followed(before, after);
        }
    }

    /// The races found, those first that were first.
    pub(super) fn race_rows(&self) -> Option<Value> {
        let races = self.races.as_ref()?;
        let mut pairs: Vec<_> = races.pairs.iter().collect();
        pairs.sort_by_key(|&(key, pair)| (pair.second.at, *key));
        let row = |(&(variable, _, _), pair): (&(u32, u32, u32), &Pair)| {
            json!({
                "variable": self.code.variables[variable as usize].name,
                "count": pair.count,
                "first": self.race_side(&pair.first),
                "second": self.race_side(&pair.second),
            })
        };
        Some(json!({"pairs": pairs.len(), "told": pairs.into_iter().take(TOLD_MAX).map(row).collect::<Vec<_>>()}))
    }

    fn race_side(&self, epoch: &Epoch) -> Value {
        let thread = &self.threads[epoch.tid.index()];
        let mut processes = self.kernel.reaped().iter().chain(self.kernel.processes());
        let process = processes.find(|process| process.pid == thread.pid).map(|process| process.name.clone());
        let access = match epoch.kind {
            Kind::Read => "read",
            Kind::Write => "write",
            Kind::AtomicRead => "atomic read",
            Kind::AtomicUpdate => "atomic write",
        };
        json!({
            "thread": epoch.tid.0,
            "name": self.code.names.get(thread.name as usize),
            "process": process.unwrap_or_default(),
            "op": self.code.shares[epoch.place as usize].path,
            "access": access,
            "at_ns": epoch.at,
        })
    }
}
