//! Spinning: the cpu is busy, and whoever gives the lock back decides who goes on.
//!
//! What a hand-over costs follows from the lines that have to move (Anderson, 1990; Mellor-Crummey & Scott, 1991): one for
//! a queue lock; of a ticket lock all spinners read the line again, and the next one does so in the middle of them; a
//! test-and-set lock is won by the first of all that fetch the line, and where everybody writes it all the time the one who
//! gives it back has to queue for it too.

use super::super::cpu::Limit;
use super::super::execute::Step;
use super::super::run::Run;
use super::table::Phase;
use crate::base::Picos;
use crate::kernel::{Account, State, Tid};
use crate::workload::locks::LockKind;

impl Run {
    /// Spins until the lock is handed over.
    pub(super) fn spin_on(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        self.locks.list[index as usize].spinners.push_back(tid);
        self.locks.attempt_mut(tid).phase = Phase::Spin;
        self.locks.spinning += 1;
        self.begin_spin(cpu, tid, Picos::NEVER)
    }

    /// Keeps the cpu busy for a time. It stands still until then, so that whoever ends that finds it there.
    pub(super) fn begin_spin(&mut self, cpu: usize, tid: Tid, time: Picos) -> Step {
        let task = &mut self.tasks[tid.index()];
        (task.left, task.account) = (time, Account::Spin);
        self.let_others_go_first(cpu)
    }

    /// Spins on, until that is over or time is up.
    pub(super) fn spin(&mut self, cpu: usize, tid: Tid, limit: Limit) -> Step {
        let room = self.reach(cpu, limit).saturating_sub(self.cpus[cpu].now);
        let task = &mut self.tasks[tid.index()];
        let part = task.left.min(room);
        task.left = task.left - part;
        self.cpus[cpu].pay(Account::Spin, part);
        self.note_spin(tid, part);
        Step::Again
    }

    /// A thread has spun for a time.
    pub(in crate::engine) fn note_spin(&mut self, tid: Tid, time: Picos) {
        if let Some(attempt) = self.locks.attempts.get(&tid) {
            self.locks.list[attempt.lock as usize].stats.spun += time;
        }
    }

    /// One who spun is put on a cpu again, and looks first.
    pub(in crate::engine) fn look_again(&mut self, tid: Tid) {
        let task = &mut self.tasks[tid.index()];
        if task.is_trying {
            let left = std::mem::take(&mut task.left);
            self.locks.attempt_mut(tid).budget = left;
        }
    }

    /// One who was preempted while it spun runs again.
    pub(super) fn spin_again(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        if self.locks.list[index as usize].holder != Tid::NONE {
            return self.begin_spin(cpu, tid, Picos::NEVER);
        }
        self.locks.spinning -= 1;
        self.locks.list[index as usize].spinners.retain(|&spinner| spinner != tid);
        self.use_word(cpu, tid, index, false);
        self.take(cpu, tid, index);
        Step::Next
    }

    /// Hands the lock to one who spins on a cpu. Returns whether there is one.
    pub(super) fn grant_to_running(&mut self, cpu: usize, index: u32) -> bool {
        let spinners = &self.locks.list[index as usize].spinners;
        let running: Vec<Tid> = spinners.iter().copied().filter(|&tid| self.is_running(tid)).collect();
        let Ok(count @ 1..) = u32::try_from(running.len()) else { return false };
        let place = if count == 1 { 0 } else { self.locks.draws.below(count) };
        self.grant(cpu, running[place as usize], index, count);
        true
    }

    /// Hands the lock to the one that spins for longest, on a cpu or not.
    pub(super) fn grant_to_next(&mut self, cpu: usize, index: u32) {
        let spinners = &self.locks.list[index as usize].spinners;
        let running = spinners.iter().filter(|&&tid| self.is_running(tid)).count();
        if let Some(&next) = spinners.front() {
            self.grant(cpu, next, index, u32::try_from(running).expect("threads are limited"));
        }
    }

    fn is_running(&self, tid: Tid) -> bool {
        self.threads[tid.index()].state == State::Running
    }

    /// Gives the lock to a spinner. `running` is how many spin on cpus.
    fn grant(&mut self, cpu: usize, tid: Tid, index: u32, running: u32) {
        let now = self.cpus[cpu].now;
        let transfer = self.locks.prices.transfer;
        let lock = &mut self.locks.list[index as usize];
        lock.spinners.retain(|&spinner| spinner != tid);
        lock.stats.hand_offs += 1;
        let price = match lock.kind {
            LockKind::Tas => transfer * u64::from(running + 1),
            LockKind::Ttas => transfer * u64::from(running),
            LockKind::Ticket => Picos(transfer.0 * u64::from(running + 1) / 2),
            _ => transfer,
        };
        if self.locks.attempt(tid).phase == Phase::Spin {
            self.locks.spinning -= 1;
        }
        if !self.is_running(tid) {
            // The line waits for it too: it fetches it when it runs again.
            self.give(tid, index, now);
            return;
        }
        let there = usize::from(self.threads[tid.index()].cpu);
        self.catch_up(there, now);
        let lock = &mut self.locks.list[index as usize];
        lock.word.line.cpu = self.threads[tid.index()].cpu;
        lock.word.line.free = self.cpus[there].now.max(now) + price;
        let taken = lock.word.line.free;
        self.tasks[tid.index()].left = taken - self.cpus[there].now;
        self.give(tid, index, taken);
        self.come_nearer(there);
    }
}
