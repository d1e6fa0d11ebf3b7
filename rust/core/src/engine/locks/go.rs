//! Go's `sync.Mutex` (internal/sync/mutex.go of Go 1.24 and later): barging, with a semaphore whose re-waiters go to the
//! front, and a starvation mode in which the lock is handed over.
//!
//! A waiter spins up to four rounds of 30 PAUSE if there are several cpus. While one that was woken or spins is awake, who
//! gives the lock back wakes nobody. A waiter that still finds it taken after 1 ms makes the lock starve: newcomers queue
//! at the end, and the lock goes to the front, until its waiter is the last or has waited for less.

use super::super::execute::Step;
use super::super::run::Run;
use super::table::Phase;
use crate::base::Picos;
use crate::kernel::Tid;

const ROUNDS: u8 = 4;
const PAUSES: u64 = 30;
const STARVATION: Picos = Picos::from_nanos(1_000_000);

impl Run {
    /// Between two rounds: takes the lock, spins once more, or sleeps.
    pub(super) fn go_round(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        let has_cpus = self.cpus.len() > 1;
        let pause = self.locks.prices.pause;
        let now = self.cpus[cpu].now;
        let attempt = self.locks.attempts.get_mut(&tid).expect("who tries has an attempt");
        let lock = &mut self.locks.list[index as usize];
        let is_held = lock.holder != Tid::NONE;
        if is_held && !lock.is_starving && has_cpus && attempt.rounds < ROUNDS {
            attempt.rounds += 1;
            attempt.phase = Phase::Round;
            if !attempt.is_awake && !lock.is_somebody_awake && !lock.sleepers.is_empty() {
                (attempt.is_awake, lock.is_somebody_awake) = (true, true);
            }
            return self.begin_spin(cpu, tid, pause * PAUSES);
        }
        if std::mem::take(&mut attempt.is_awake) {
            lock.is_somebody_awake = false;
        }
        if !is_held && !lock.is_starving {
            self.use_word(cpu, tid, index, false);
            self.take(cpu, tid, index);
            return Step::Next;
        }
        let has_starved = attempt.has_slept && now.saturating_sub(attempt.since) > STARVATION;
        lock.is_starving |= has_starved && is_held;
        attempt.phase = Phase::Woken;
        if std::mem::replace(&mut attempt.has_slept, true) {
            lock.sleepers.push_front(tid);
        } else {
            lock.sleepers.push_back(tid);
        }
        self.begin_park(cpu, tid);
        self.fall_asleep(cpu, tid, index);
        Step::Again
    }

    /// One who slept was woken, and is the one that is awake.
    pub(super) fn go_woken(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        self.locks.attempt_mut(tid).rounds = 0;
        self.go_round(cpu, tid, index)
    }

    /// The lock is free.
    pub(super) fn go_unlock(&mut self, cpu: usize, tid: Tid, index: u32) {
        let lock = &self.locks.list[index as usize];
        if !lock.is_starving && lock.is_somebody_awake {
            return;
        }
        let Some(next) = self.next_sleeper(index) else {
            self.locks.list[index as usize].is_starving = false;
            return;
        };
        let now = self.cpus[cpu].now;
        let lock = &mut self.locks.list[index as usize];
        if lock.is_starving {
            let waited = now.saturating_sub(self.locks.attempts[&next].since);
            if lock.sleepers.is_empty() || waited <= STARVATION {
                lock.is_starving = false;
            }
            lock.stats.hand_offs += 1;
            self.give(next, index, now);
            self.note_woken(next, now, Phase::Granted);
        } else {
            lock.is_somebody_awake = true;
            self.locks.attempt_mut(next).is_awake = true;
            self.note_woken(next, now, Phase::Woken);
        }
        self.unpark(cpu, tid, next);
    }
}
