//! Priority inheritance: who holds a lock is as urgent as the most urgent who waits for it, also along a chain of locks
//! (Sha, Rajkumar & Lehoczky, 1990).

use super::super::run::Run;
use super::table::Phase;
use crate::kernel::{Share, State, Tid};

impl Run {
    /// A thread waits for a lock: its holder gets the better of both priorities, and who that one waits for.
    pub(super) fn lend_priority(&mut self, cpu: usize, tid: Tid, index: u32) {
        let share = self.threads[tid.index()].share;
        let mut lock = &self.locks.list[index as usize];
        while lock.inherits && lock.holder != Tid::NONE {
            let holder = lock.holder;
            let own = self.threads[holder.index()].share;
            let better = better_of(own, share);
            if better == own {
                return;
            }
            self.locks.lent.entry(holder).or_insert(own);
            self.set_share(cpu, holder, better);
            let Some(attempt) = self.locks.attempts.get(&holder) else { return };
            if matches!(attempt.phase, Phase::Begin | Phase::Granted) {
                return;
            }
            lock = &self.locks.list[attempt.lock as usize];
        }
    }

    /// A lock has a new holder: all who still wait lend it their priority.
    pub(super) fn lend_all(&mut self, cpu: usize, index: u32) {
        if !self.locks.list[index as usize].inherits {
            return;
        }
        for tid in self.waiters_of(index) {
            self.lend_priority(cpu, tid, index);
        }
    }

    /// A thread has given a lock back: it keeps what it is lent for others.
    pub(super) fn give_priority_back(&mut self, cpu: usize, tid: Tid, index: u32) {
        if !self.locks.list[index as usize].inherits {
            return;
        }
        let Some(&own) = self.locks.lent.get(&tid) else { return };
        let mut share = own;
        for other in 0..self.locks.list.len() {
            let lock = &self.locks.list[other];
            if lock.inherits && lock.holder == tid {
                let other = u32::try_from(other).expect("locks are named one by one");
                for waiting in self.waiters_of(other) {
                    share = better_of(share, self.threads[waiting.index()].share);
                }
            }
        }
        if share == own {
            self.locks.lent.remove(&tid);
        }
        self.set_share(cpu, tid, share);
    }

    fn waiters_of(&self, index: u32) -> Vec<Tid> {
        let waits = |phase| !matches!(phase, Phase::Begin | Phase::Granted);
        let attempts = self.locks.attempts.iter();
        attempts.filter(|(_, attempt)| attempt.lock == index && waits(attempt.phase)).map(|(&tid, _)| tid).collect()
    }

    /// Tells the scheduler, and lets it ask whether another has to make room.
    fn set_share(&mut self, cpu: usize, tid: Tid, share: Share) {
        let now = self.cpus[cpu].now;
        let Self { threads, .. } = self;
        let state = threads[tid.index()].state;
        let at = match state {
            State::Ready => threads[tid.index()].home,
            _ => threads[tid.index()].cpu,
        };
        if state == State::Waiting || state == State::Terminated {
            self.threads[tid.index()].share = share;
            return;
        }
        let queue = self.queues.of_cpu(at.into());
        self.charge_queue(queue, now);
        self.threads[tid.index()].share = share;
        self.queues.reweigh(queue, &self.threads[tid.index()], tid, now);
        if state == State::Ready && self.queues.is_preemptive() {
            self.preempt_for(tid, queue, now);
        }
    }
}

/// The more urgent of two, in each respect.
fn better_of(own: Share, other: Share) -> Share {
    Share { nice: own.nice.min(other.nice), priority: own.priority.min(other.priority), ..own }
}
