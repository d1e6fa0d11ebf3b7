//! The watch over all caches of a machine: who runs where, who uses which line, and what that says of a miss.

use super::cause::Cause;
use super::departures::{Kind, Record};
use super::matrix::Matrix;
use super::residence::{Actor, Departure, Gone, Residence};
use super::threads::Threads;
use super::usage::{TIME_MAX, Time, Use, User};
use super::uses::{Turn, Uses};
use crate::memory::directory::cpus;
use crate::memory::geometry::Geometry;
use crate::memory::lines::Slot;

/// Who runs on a cpu.
#[derive(Clone, Copy)]
pub(super) struct Cpu {
    pub thread: User,
    /// Whose the last reference was, and the first one of that turn.
    last: User,
    turn_start: u64,
}

impl Cpu {
    /// A reference begins. Returns who makes it.
    #[inline]
    pub fn begin(&mut self, user: User, now: Time) -> Actor {
        if self.last != user {
            self.last = user;
            self.turn_start = now;
        }
        Actor { user, now, turn_start: self.turn_start }
    }
}

/// What tells the causes of misses in one cache, beside the cache itself.
pub(super) struct Watch<'a> {
    is_private: bool,
    threads: &'a Threads,
    matrix: &'a mut Matrix,
}

impl Watch<'_> {
    /// Whether a thread may have used a line in another cpu's cache at `since` or later.
    #[inline]
    pub fn may_have_migrated(&self, user: User, cpu: usize, since: Time) -> bool {
        self.is_private && self.threads.elsewhere(user, cpu, since) != 0
    }

    /// Why a thread misses a line that it has not used elsewhere since it left, if it ever did.
    #[inline]
    pub fn cause_of(&mut self, user: User, record: Option<Record>) -> Cause {
        let Some(record) = record else { return Cause::Compulsory };
        match record.kind() {
            Kind::Invalidated => Cause::Coherence,
            Kind::Evicted | Kind::Reordered if record.last.is_known_to(user) && record.by() != user => {
                self.matrix.note(self.threads.id(user), self.threads.id(record.by()));
                Cause::Replaced
            }
            Kind::Reordered if record.by() == user => Cause::Reordered,
            Kind::Evicted | Kind::Reordered | Kind::Taken => Cause::Capacity,
        }
    }
}

/// All that is tracked.
pub(in crate::memory) struct Tracking {
    // By the index of the cache.
    residences: Vec<Residence>,
    // By the index of the cache: those of the same level by cpu; empty where it is shared.
    peers: Vec<Vec<usize>>,
    cpus: Vec<Cpu>,
    threads: Threads,
    matrix: Matrix,
    // Of the reference under way.
    actor: Actor,
    cpu: usize,
}

impl Tracking {
    /// Knows nothing of what the caches hold. `caches` are their shapes, each with the caches of its level by cpu if it is
    /// private.
    pub fn new(caches: Vec<(Geometry, Vec<usize>)>, cpus: usize) -> Self {
        let (geometries, peers): (Vec<_>, Vec<_>) = caches.into_iter().unzip();
        Self {
            residences: geometries.into_iter().map(Residence::new).collect(),
            peers,
            cpus: vec![Cpu { thread: User::KERNEL, last: User::NOBODY, turn_start: 0 }; cpus],
            threads: Threads::new(),
            matrix: Matrix::default(),
            actor: Actor { user: User::NOBODY, now: 0, turn_start: 0 },
            cpu: 0,
        }
    }

    /// A thread runs on a cpu from now on.
    pub fn set_thread(&mut self, cpu: usize, thread: u32) {
        self.cpus[cpu].thread = self.threads.put(thread, cpu, self.actor.now);
    }

    /// A reference or a read of a walk begins.
    #[inline]
    pub fn begin(&mut self, cpu: usize, is_kernel: bool) {
        let now = (self.actor.now + 1).min(TIME_MAX);
        let state = &mut self.cpus[cpu];
        let user = if is_kernel { User::KERNEL } else { state.thread };
        self.actor = state.begin(user, now);
        self.cpu = cpu;
    }

    /// References in a row by who runs on a cpu, to lines that are in one cache, or come there from the next one.
    #[inline]
    pub fn uses(&mut self, cpu: usize, at: usize, next: Option<usize>) -> Uses<'_> {
        let turn = Turn { place: &mut self.cpus[cpu], actor: &mut self.actor, current: &mut self.cpu, cpu };
        let is_private = !self.peers[at].is_empty();
        let (inner, outer) = match next {
            Some(next) => {
                let (inner, outer) = self.residences.split_at_mut(next);
                (&mut inner[at], Some(&mut outer[0]))
            }
            None => (&mut self.residences[at], None),
        };
        Uses::new(inner, outer, Watch { is_private, threads: &self.threads, matrix: &mut self.matrix }, turn)
    }

    /// A demand or a read of a walk finds a line, or, with its last use, a line comes from the level inside that is here.
    #[inline]
    pub fn note_use(&mut self, at: usize, slot: Slot, used: Use) {
        let residence = &mut self.residences[at];
        if used == Use::PRESENT {
            residence.note_present(slot, self.actor);
        } else {
            residence.note_use(slot, used);
        }
    }

    /// A line is put in: for the reference under way, or from the level inside with its last use there.
    #[inline]
    pub fn note_fill(&mut self, at: usize, slot: Slot, evicted: Option<u64>, used: Use) -> Gone {
        let used = self.resolve(used);
        self.residences[at].note_fill(slot, evicted, used, self.actor)
    }

    /// A line leaves that is no victim of a fill.
    pub fn note_departure(&mut self, at: usize, slot: Slot, line: u64, departure: Departure) {
        self.residences[at].note_departure(slot, line, departure, self.actor);
    }

    /// Why a line is not in a cache. `find` says where it is in another cache of the level.
    pub fn cause(&mut self, at: usize, line: u64, find: impl Fn(usize) -> Option<Slot>) -> Cause {
        let user = self.actor.user;
        let record = self.residences[at].departures.get(line);
        let since = record.map_or(0, |record| record.time());
        let is_private = !self.peers[at].is_empty();
        if is_private && self.has_migrated(at, line, since, find) {
            return Cause::Migration;
        }
        Watch { is_private, threads: &self.threads, matrix: &mut self.matrix }.cause_of(user, record)
    }

    /// Whether the thread was the last to use a line in another cpu's cache, at `since` or later.
    fn has_migrated(&mut self, at: usize, line: u64, since: u64, find: impl Fn(usize) -> Option<Slot>) -> bool {
        let user = self.actor.user;
        cpus(self.threads.elsewhere(user, self.cpu, since)).any(|cpu| {
            let peer = self.peers[at][cpu];
            let residence = &mut self.residences[peer];
            let last = match find(peer) {
                Some(slot) => residence.last_use(slot),
                None => residence.departures.get(line).map_or(Use::NONE, |record| record.last),
            };
            last.user() == user && last.time() >= since
        })
    }

    /// Victim, evictor and count of replaced lines that were missed, and what does not fit into the bound.
    pub fn pollution(&self) -> (impl Iterator<Item = (u32, u32, u64)> + use<>, u64) {
        (self.matrix.counts(), self.matrix.beyond())
    }

    #[inline(always)]
    fn resolve(&self, used: Use) -> Use {
        if used == Use::PRESENT { self.actor.uses() } else { used }
    }
}
