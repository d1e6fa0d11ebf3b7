//! Taking, waiting and giving back, as far as it is the same for all kinds: who has the lock, and what is noted.

use super::super::races::Object;
use super::super::run::Run;
use super::table::{Attempt, Phase};
use crate::base::Picos;
use crate::kernel::Tid;

impl Run {
    /// A thread that runs has a lock from now on.
    pub(super) fn take(&mut self, cpu: usize, tid: Tid, index: u32) {
        let now = self.cpus[cpu].now;
        self.give(tid, index, now);
        if self.tasks[tid.index()].is_trying {
            self.end_waiting(tid);
        }
    }

    /// A thread has a lock from a time on, whether it runs or not.
    pub(super) fn give(&mut self, tid: Tid, index: u32, at: Picos) {
        let is_contended = self.tasks[tid.index()].is_trying;
        self.count_held(tid, 1);
        let lock = &mut self.locks.list[index as usize];
        assert_eq!(lock.holder, Tid::NONE, "a lock has one holder");
        lock.holder = tid;
        lock.taken = at;
        lock.stats.acquisitions += 1;
        if is_contended {
            self.note_wait(tid, index, at);
        }
        self.acquired(tid, Object::Lock(index));
        self.acquired(tid, Object::Readers(index));
    }

    /// A thread holds one lock more or less.
    pub(super) fn count_held(&mut self, tid: Tid, change: i8) {
        let task = &mut self.tasks[tid.index()];
        if task.held < u8::MAX {
            task.held = task.held.saturating_add_signed(change);
        }
        self.locks.held = self.locks.held.saturating_add_signed(change.into());
    }

    /// A thread that waited has a lock: how long it waited.
    pub(super) fn note_wait(&mut self, tid: Tid, index: u32, at: Picos) {
        let attempt = self.locks.attempt_mut(tid);
        attempt.phase = Phase::Granted;
        let waited = at.saturating_sub(attempt.since);
        let lock = &mut self.locks.list[index as usize];
        lock.stats.contended += 1;
        lock.stats.wait.note(waited);
        lock.count_waiting(at, -1);
        self.locks.paths.go_on_from_release(tid, index);
    }

    /// A thread wants a lock that it cannot have now.
    pub(super) fn begin_waiting(&mut self, cpu: usize, tid: Tid, index: u32) {
        let now = self.cpus[cpu].now;
        self.tasks[tid.index()].is_trying = true;
        self.locks.attempts.insert(tid, Attempt::new(index, Phase::Retry, now));
        self.locks.list[index as usize].count_waiting(now, 1);
        self.lend_priority(cpu, tid, index);
        self.tell_cycle(cpu, tid, index);
    }

    /// A thread does not try any more.
    pub(super) fn end_waiting(&mut self, tid: Tid) {
        self.tasks[tid.index()].is_trying = false;
        self.locks.attempts.remove(&tid);
    }

    /// A lock is given back now.
    pub(super) fn note_release(&mut self, cpu: usize, tid: Tid, index: u32, reads: bool) {
        self.released(cpu, tid, if reads { Object::Readers(index) } else { Object::Lock(index) });
        self.count_held(tid, -1);
        let now = self.cpus[cpu].now;
        let lock = &mut self.locks.list[index as usize];
        let held = now.saturating_sub(lock.taken);
        lock.stats.hold.note(held);
        let is_wanted = lock.waiting > 0;
        self.locks.paths.note_hold(tid, index, held, is_wanted);
    }

    /// A thread that slept for a lock is woken.
    pub(super) fn note_woken(&mut self, tid: Tid, at: Picos, phase: Phase) {
        let attempt = self.locks.attempt_mut(tid);
        if attempt.phase != Phase::Granted {
            attempt.phase = phase;
        }
        let (lock, slept) = (attempt.lock, at.saturating_sub(attempt.slept));
        self.locks.list[lock as usize].stats.slept += slept;
    }

    /// The first of those who sleep that still lives, with all before it taken out.
    pub(super) fn next_sleeper(&mut self, index: u32) -> Option<Tid> {
        let threads = &self.threads;
        let sleepers = &mut self.locks.list[index as usize].sleepers;
        std::iter::from_fn(|| sleepers.pop_front()).find(|tid| threads[tid.index()].is_alive())
    }

    /// A thread ends: it waits for nothing any more, and what it holds stays held.
    pub(in crate::engine) fn leave_locks(&mut self, tid: Tid, at: Picos) {
        if self.tasks[tid.index()].is_trying
            && let Some(attempt) = self.locks.attempts.remove(&tid)
        {
            if attempt.phase == Phase::Spin {
                self.locks.spinning -= 1;
            }
            let lock = &mut self.locks.list[attempt.lock as usize];
            if !matches!(attempt.phase, Phase::Granted | Phase::Begin) {
                lock.count_waiting(at, -1);
            }
            lock.spinners.retain(|&spinner| spinner != tid);
            lock.is_somebody_awake &= !attempt.is_awake;
        }
        if self.locks.held == 0 {
            return;
        }
        for index in 0..self.locks.list.len() {
            if self.locks.list[index].holders().any(|holder| holder == tid) {
                let index = u32::try_from(index).expect("locks are named one by one");
                let text = format!("thread {} ends and holds lock {}", tid.0, self.lock_name(index));
                self.kernel.set_now(at);
                self.kernel.note(text);
            }
        }
    }
}
