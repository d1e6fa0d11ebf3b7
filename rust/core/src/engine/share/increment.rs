//! Increments: plain, by load and store, atomic, by compare-exchange; and many at once where nobody sees single ones.

use super::super::run::Run;
use super::super::words::Rounds;
use super::{Next, Room, Sharing, rounds_before};
use crate::base::Picos;
use crate::kernel::Account;
use crate::workload::sharing::ShareCode;

impl Run {
    /// Plain increments by one instruction.
    pub(super) fn increment(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
        let (now, period) = (self.cpus[cpu].now, self.period(op));
        let left = state.left.unwrap_or(1);
        if let Some(count) = self.run_alone(cpu, op, left, room, Picos::ZERO) {
            state.left = Some(left - count);
            return Next::Spend(period * count, Account::User);
        }
        let value = match self.seen(cpu, op.variable) {
            Ok(value) => value,
            Err(until) => return Next::Wait(until),
        };
        match self.words.store(cpu, op.variable, value.wrapping_add(1), now) {
            Err(until) => Next::Wait(until),
            Ok(commit) => {
                self.cut_spins(cpu, op.variable);
                // Further ones find what is in the buffer, up to when that is visible.
                let count = rounds_before(commit.min(room.reach), now, period).min(left);
                self.words.add_to_last(cpu, op.variable, i64::try_from(count - 1).unwrap_or(i64::MAX));
                state.left = Some(left - count);
                Next::Spend(period * count, Account::User)
            }
        }
    }

    /// Increments by load, add and store, which an interrupt may part.
    pub(super) fn increment_split(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
        let (now, period) = (self.cpus[cpu].now, self.period(op));
        let store = self.machine.atomics.forward_ns;
        let left = state.left.unwrap_or(1);
        if let Some(value) = state.held {
            return match self.words.store(cpu, op.variable, value.wrapping_add(1), now) {
                Err(until) => Next::Wait(until),
                Ok(_) => {
                    self.cut_spins(cpu, op.variable);
                    (state.held, state.left) = (None, Some(left - 1));
                    Next::Spend(op.work, Account::User)
                }
            };
        }
        if let Some(count) = self.run_alone(cpu, op, left, room, store) {
            state.left = Some(left - count);
            return Next::Spend(period * count, Account::User);
        }
        if let Some(commit) = self.words.joinable(cpu, op.variable, now) {
            // Whole rounds that end before the store in the buffer is visible find it and add to it.
            let end = commit.min(room.reach);
            let count = (end.saturating_sub(now).0 / period.0).min(left);
            if count > 0 {
                self.words.add_to_last(cpu, op.variable, i64::try_from(count).unwrap_or(i64::MAX));
                state.left = Some(left - count);
                return Next::Spend(period * count, Account::User);
            }
        }
        match self.seen(cpu, op.variable) {
            Err(until) => Next::Wait(until),
            Ok(value) => {
                state.held = Some(value);
                Next::Spend(store, Account::User)
            }
        }
    }

    pub(super) fn increment_atomic(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
        let (now, period) = (self.cpus[cpu].now, self.period(op));
        let there = self.atomic_at(cpu, op.variable);
        if there > now {
            return Next::Wait(there);
        }
        let left = state.left.unwrap_or(1);
        // Whoever has asked gets the line at a time that is known; nobody else gets it before the turn of who asks next.
        let until = self.words.writable_until(cpu, op.variable, now);
        let end = if until == Picos::NEVER { room.turn } else { until.min(room.reach) };
        let count = rounds_before(end, now, period).min(left);
        let value = self.words.value(op.variable, now);
        self.words.set(op.variable, value.wrapping_add(i64::try_from(count).unwrap_or(i64::MAX)));
        state.left = Some(left - count);
        Next::Spend(period * count, Account::User)
    }

    /// Increments by a load and a compare-exchange.
    pub(super) fn compare_exchange(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
        let (now, period) = (self.cpus[cpu].now, self.period(op));
        let load = self.machine.atomics.forward_ns;
        let left = state.left.unwrap_or(1);
        let Some(expected) = state.held else {
            if self.words.is_alone(cpu, op.variable, now) {
                let whole = room.turn.saturating_sub(now).0 / period.0;
                let count = whole.min(left);
                if count > 0 {
                    let value = self.words.value(op.variable, now);
                    self.words.set(op.variable, value.wrapping_add(i64::try_from(count).unwrap_or(i64::MAX)));
                    state.left = Some(left - count);
                    return Next::Spend(period * count, Account::User);
                }
            }
            return match self.seen(cpu, op.variable) {
                Err(until) => Next::Wait(until),
                Ok(value) => {
                    state.held = Some(value);
                    Next::Spend(load, Account::User)
                }
            };
        };
        let there = self.atomic_at(cpu, op.variable);
        if there > now {
            return Next::Wait(there);
        }
        state.held = None;
        let exchange = period.saturating_sub(op.work).saturating_sub(load);
        if self.words.value(op.variable, now) != expected {
            return Next::Spend(exchange, Account::User);
        }
        self.words.set(op.variable, expected.wrapping_add(1));
        state.left = Some(left - 1);
        Next::Spend(exchange + op.work, Account::User)
    }

    /// Increments in a row that nobody can see single ones of, if there are some.
    fn run_alone(&mut self, cpu: usize, op: &ShareCode, left: u64, room: Room, store: Picos) -> Option<u64> {
        let (now, period) = (self.cpus[cpu].now, self.period(op));
        if !self.words.is_kept(cpu, op.variable, now) {
            return None;
        }
        let joined = match self.words.waiting(cpu, now) {
            0 => 0,
            1 => {
                let commit = self.words.joinable(cpu, op.variable, now)?;
                commit.saturating_sub(now + store).0.div_ceil(period.0)
            }
            _ => return None,
        };
        let shared = self.words.rounds_of_entry(period);
        let most = (room.turn.saturating_sub(now).0 / period.0).min(left);
        let mut count = joined + most.checked_sub(joined)? / shared * shared;
        if count > joined && self.words.last_commit(now, Rounds { count, period, store }) > room.turn {
            // Who asks at its turn gets the line before the last entry would be visible.
            count -= shared;
        }
        if count == joined {
            return None;
        }
        self.words.increment_alone(cpu, op.variable, now, Rounds { count, period, store });
        Some(count)
    }
}
