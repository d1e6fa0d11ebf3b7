//! Mutexes on a futex: barging as glibc's `lll_lock`, handed over in order, and adaptive.
//!
//! A barging mutex has three values: free, taken, taken and perhaps waited for. Who finds it taken says that it waits and
//! goes to the kernel, which lets it sleep only if that is still so (futex(2); Drepper, "Futexes Are Tricky", 2011).
//! The adaptive one spins before, for twice as long as others had to lately (glibc `PTHREAD_MUTEX_ADAPTIVE_NP`).

use super::super::execute::Step;
use super::super::run::Run;
use super::super::task::Wait;
use super::table::Phase;
use crate::base::Picos;
use crate::kernel::Tid;

/// Looks of an adaptive mutex: at most so many, and so many more than lately.
const LOOKS_MAX: i64 = 100;
const LOOKS_MORE: i64 = 10;

impl Run {
    /// Says that somebody waits, and goes into the kernel.
    pub(super) fn before_sleep(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        self.locks.list[index as usize].is_contended = true;
        self.locks.attempt_mut(tid).phase = Phase::Compare;
        self.begin_park(cpu, tid);
        Step::Again
    }

    /// In the kernel: sleeps if the lock is still taken and said to be waited for.
    pub(super) fn compare_and_sleep(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        let lock = &mut self.locks.list[index as usize];
        if lock.holder == Tid::NONE || !lock.is_contended {
            self.locks.attempt_mut(tid).phase = Phase::Retry;
            return Step::Again;
        }
        lock.sleepers.push_back(tid);
        self.fall_asleep(cpu, tid, index);
        Step::Again
    }

    /// Tries again, and says that others may wait.
    pub(super) fn retry(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        let is_free = self.locks.list[index as usize].holder == Tid::NONE;
        self.use_word(cpu, tid, index, false);
        if !is_free {
            return self.before_sleep(cpu, tid, index);
        }
        self.locks.list[index as usize].is_contended = true;
        self.take(cpu, tid, index);
        Step::Next
    }

    /// The lock is free: one who sleeps is woken, if the word says that somebody may sleep.
    pub(super) fn wake_one(&mut self, cpu: usize, tid: Tid, index: u32) {
        if !std::mem::take(&mut self.locks.list[index as usize].is_contended) {
            return;
        }
        match self.next_sleeper(index) {
            Some(woken) => {
                self.note_woken(woken, self.cpus[cpu].now, Phase::Retry);
                self.unpark(cpu, tid, woken);
            }
            None => self.call(cpu, tid, self.machine.kernel.sync.futex_wake_ns),
        }
    }

    /// Sleeps until the lock is handed over.
    pub(super) fn sleep_in_order(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        self.locks.list[index as usize].sleepers.push_back(tid);
        self.begin_park(cpu, tid);
        self.fall_asleep(cpu, tid, index);
        Step::Again
    }

    /// Hands the lock to the next who sleeps.
    pub(super) fn hand_over(&mut self, cpu: usize, tid: Tid, index: u32) {
        let Some(next) = self.next_sleeper(index) else { return };
        let now = self.cpus[cpu].now;
        self.locks.list[index as usize].stats.hand_offs += 1;
        self.give(next, index, now);
        self.note_woken(next, now, Phase::Granted);
        self.lend_all(cpu, index);
        self.unpark(cpu, tid, next);
    }

    pub(super) fn fall_asleep(&mut self, cpu: usize, tid: Tid, index: u32) {
        self.locks.attempt_mut(tid).slept = self.cpus[cpu].now;
        self.sleep(cpu, tid, Wait::Lock(index));
    }

    /// Spins for as long as it may pay.
    pub(super) fn spin_for_a_while(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        if self.cpus.len() == 1 {
            return self.before_sleep(cpu, tid, index);
        }
        let lock = &mut self.locks.list[index as usize];
        let looks = LOOKS_MAX.min(2 * lock.spins + LOOKS_MORE);
        lock.spinners.push_back(tid);
        self.locks.attempt_mut(tid).phase = Phase::Budget;
        let budget = self.locks.prices.pause * looks.unsigned_abs();
        self.begin_spin(cpu, tid, budget)
    }

    /// It has spun for as long as it may, or was away in between.
    pub(super) fn end_of_budget(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        let budget = std::mem::take(&mut self.locks.attempt_mut(tid).budget);
        let lock = &mut self.locks.list[index as usize];
        if lock.holder != Tid::NONE && budget > Picos::ZERO {
            return self.begin_spin(cpu, tid, budget);
        }
        lock.spinners.retain(|&spinner| spinner != tid);
        let is_free = lock.holder == Tid::NONE;
        let looks = LOOKS_MAX.min(2 * lock.spins + LOOKS_MORE);
        lock.spins += (looks - lock.spins) / 8;
        if is_free {
            self.use_word(cpu, tid, index, false);
            self.take(cpu, tid, index);
            return Step::Next;
        }
        self.retry(cpu, tid, index)
    }
}
