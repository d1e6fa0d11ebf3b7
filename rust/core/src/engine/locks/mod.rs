//! Locks of programs: mutexes on a futex, spin locks, reader-writer locks, conditions and barriers.
//!
//! Operations on locks happen in the order of time over all cpus: who comes to one waits until no other cpu could come to
//! one before. The word of a lock lies in a line that moves from cpu to cpu. Who spins keeps its cpu busy, and is
//! preempted like any other. `docs/locks.md` is the specification.

mod barrier;
mod condition;
mod critical;
mod cycle;
mod go;
mod handover;
mod inherit;
mod mutex;
mod report;
mod rwlock;
mod spin;
mod table;
#[cfg(test)]
mod tests;
mod word;

pub(super) use table::Locks;
pub(super) use word::Word;

use super::cpu::Limit;
use super::error::RunError;
use super::execute::Step;
use super::run::Run;
use crate::base::Picos;
use crate::kernel::Tid;
use crate::workload::locks::LockKind;
use table::Phase;

impl Run {
    /// Whether no other cpu could do anything before the time of this one.
    pub(super) fn is_first(&self, cpu: usize) -> bool {
        self.cpus[cpu].now < self.turn
    }

    /// Others go on first, and the same instruction comes again.
    pub(super) fn let_others_go_first(&mut self, cpu: usize) -> Step {
        self.horizon = self.horizon.min(self.cpus[cpu].now);
        Step::Again
    }

    /// Takes a lock that excludes all others, or goes on trying.
    pub(super) fn lock(&mut self, cpu: usize, tid: Tid, index: u32, limit: Limit) -> Result<Step, RunError> {
        if self.tasks[tid.index()].left > Picos::ZERO {
            return Ok(self.spin(cpu, tid, limit));
        }
        if self.tasks[tid.index()].is_trying {
            return Ok(self.try_again(cpu, tid, index));
        }
        if !self.is_first(cpu) {
            return Ok(self.let_others_go_first(cpu));
        }
        self.check_usable(tid, index)?;
        Ok(self.try_first(cpu, tid, index))
    }

    /// The first try.
    fn try_first(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        let lock = &self.locks.list[index as usize];
        let is_free = lock.holder == Tid::NONE && !lock.is_starving;
        let kind = lock.kind;
        self.use_word(cpu, tid, index, false);
        if is_free {
            self.take(cpu, tid, index);
            return Step::Next;
        }
        self.begin_waiting(cpu, tid, index);
        match kind {
            LockKind::Barging => self.before_sleep(cpu, tid, index),
            LockKind::Fair => self.sleep_in_order(cpu, tid, index),
            LockKind::Adaptive => self.spin_for_a_while(cpu, tid, index),
            LockKind::Go => self.go_round(cpu, tid, index),
            LockKind::Tas | LockKind::Ttas | LockKind::Ticket | LockKind::Mcs => self.spin_on(cpu, tid, index),
            LockKind::Rwlock => unreachable!("programs take those for reading or writing"),
        }
    }

    /// The next try of one that has spun or slept.
    fn try_again(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        let phase = self.locks.attempt(tid).phase;
        if phase == Phase::Granted {
            self.end_waiting(tid);
            return Step::Next;
        }
        if !self.is_first(cpu) {
            return self.let_others_go_first(cpu);
        }
        match phase {
            Phase::Granted => unreachable!("that one was just dealt with"),
            Phase::Compare => self.compare_and_sleep(cpu, tid, index),
            Phase::Retry => self.retry(cpu, tid, index),
            Phase::Spin => self.spin_again(cpu, tid, index),
            Phase::Budget => self.end_of_budget(cpu, tid, index),
            Phase::Round => self.go_round(cpu, tid, index),
            Phase::Woken => self.go_woken(cpu, tid, index),
            Phase::Begin => {
                self.end_waiting(tid);
                self.try_first(cpu, tid, index)
            }
        }
    }

    /// Gives a lock back.
    pub(super) fn unlock(&mut self, cpu: usize, tid: Tid, index: u32) -> Result<Step, RunError> {
        if !self.is_first(cpu) {
            return Ok(self.let_others_go_first(cpu));
        }
        let lock = &self.locks.list[index as usize];
        if lock.kind == LockKind::Rwlock {
            return self.unlock_shared(cpu, tid, index);
        }
        if lock.holder != tid {
            return Err(self.stranger(tid, index, "unlocks"));
        }
        self.release_lock(cpu, tid, index);
        Ok(Step::Next)
    }

    /// Gives a lock back that the thread holds.
    fn release_lock(&mut self, cpu: usize, tid: Tid, index: u32) {
        self.use_word(cpu, tid, index, true);
        self.note_release(cpu, tid, index, false);
        self.locks.list[index as usize].holder = Tid::NONE;
        self.give_priority_back(cpu, tid, index);
        match self.locks.list[index as usize].kind {
            LockKind::Barging => self.wake_one(cpu, tid, index),
            LockKind::Adaptive => {
                if !self.grant_to_running(cpu, index) {
                    self.wake_one(cpu, tid, index);
                }
            }
            LockKind::Fair => self.hand_over(cpu, tid, index),
            LockKind::Go => self.go_unlock(cpu, tid, index),
            LockKind::Tas | LockKind::Ttas => {
                self.grant_to_running(cpu, index);
            }
            LockKind::Ticket | LockKind::Mcs => self.grant_to_next(cpu, index),
            LockKind::Rwlock => unreachable!("programs take those for reading or writing"),
        }
    }

    /// Ends a lock.
    pub(super) fn destroy(&mut self, cpu: usize, tid: Tid, index: u32) -> Result<Step, RunError> {
        if !self.is_first(cpu) {
            return Ok(self.let_others_go_first(cpu));
        }
        self.check_usable(tid, index)?;
        let lock = &self.locks.list[index as usize];
        if let Some(holder) = lock.holders().next() {
            let problem = format!("destroys lock {}, which thread {} holds", self.lock_name(index), holder.0);
            return Err(self.problem(self.threads[tid.index()].pid, problem));
        }
        if lock.waiting > 0 {
            let problem = format!("destroys lock {}, which {} threads wait for", self.lock_name(index), lock.waiting);
            return Err(self.problem(self.threads[tid.index()].pid, problem));
        }
        self.locks.list[index as usize].is_destroyed = true;
        Ok(Step::Next)
    }

    fn check_usable(&self, tid: Tid, index: u32) -> Result<(), RunError> {
        if self.locks.list[index as usize].is_destroyed {
            let problem = format!("uses lock {}, which is destroyed", self.lock_name(index));
            return Err(self.problem(self.threads[tid.index()].pid, problem));
        }
        Ok(())
    }

    fn stranger(&self, tid: Tid, index: u32, does: &str) -> RunError {
        let lock = &self.locks.list[index as usize];
        let holder = match lock.holders().next() {
            Some(holder) => format!("which thread {} holds", holder.0),
            None => "which nobody holds".to_owned(),
        };
        let problem = format!("thread {} {does} lock {}, {holder}", tid.0, self.lock_name(index));
        self.problem(self.threads[tid.index()].pid, problem)
    }

    pub(super) fn lock_name(&self, index: u32) -> &str {
        &self.code.locks[index as usize].name
    }
}
