//! Single accesses: loads, stores, spinning, fences.

use super::super::run::Run;
use super::{Next, Room, Sharing, rounds_before};
use crate::base::Picos;
use crate::kernel::Account;
use crate::workload::Instruction;
use crate::workload::sharing::{Access, Increment, ShareCode};

impl Run {
    /// The next access.
    pub(super) fn access(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
        let done = |state: &mut Sharing, count: u64| state.left = state.left.map(|left| left.saturating_sub(count));
        match op.access {
            Access::Increment(Increment::Plain) => self.increment(cpu, op, state, room),
            Access::Increment(Increment::Split) => self.increment_split(cpu, op, state, room),
            Access::Increment(Increment::Atomic) => self.increment_atomic(cpu, op, state, room),
            Access::Increment(Increment::CompareExchange) => self.compare_exchange(cpu, op, state, room),
            Access::Load => self.load(cpu, op, state, room),
            Access::Store(value) => {
                let now = self.cpus[cpu].now;
                match self.words.store(cpu, op.variable, value.unwrap_or(state.register), now) {
                    Err(until) => Next::Wait(until),
                    Ok(commit) => {
                        self.cut_spins(cpu, op.variable);
                        let period = self.period(op);
                        let count = rounds_before(commit.min(room.reach), now, period).min(state.left.unwrap_or(1));
                        done(state, count);
                        Next::Spend(period * count, Account::User)
                    }
                }
            }
            Access::Add(value) => {
                state.register = state.register.wrapping_add(value);
                done(state, 1);
                Next::Spend(self.period(op), Account::User)
            }
            Access::SpinUntil(value) => {
                let now = self.cpus[cpu].now;
                let found = match self.seen(cpu, op.variable) {
                    Ok(found) => found,
                    Err(until) => return Next::Wait(until),
                };
                if found == value {
                    state.register = found;
                    done(state, 1);
                    return Next::Spend(self.period(op), Account::User);
                }
                let until = match self.words.forwarded(cpu, op.variable, now) {
                    Some(_) => self.words.drained(cpu),
                    None => self.words.readable_until(cpu, op.variable, now),
                };
                Next::Spin(until.min(Picos::RUN_MAX + Picos::RUN_MAX))
            }
            Access::Fence => {
                let drained = self.words.drained(cpu);
                if drained > self.cpus[cpu].now {
                    return Next::Wait(drained);
                }
                done(state, 1);
                Next::Spend(self.period(op), Account::User)
            }
        }
    }

    /// What a cpu finds in a variable now, or when its line is there.
    pub(super) fn seen(&mut self, cpu: usize, variable: u32) -> Result<i64, Picos> {
        let now = self.cpus[cpu].now;
        if let Some(value) = self.words.forwarded(cpu, variable, now) {
            return Ok(value);
        }
        let there = self.words.readable(cpu, variable, now);
        if there > now {
            self.cut_spins(cpu, variable);
            return Err(there);
        }
        Ok(self.words.value(variable, now))
    }

    /// When a cpu can change a variable at once: its buffer is empty, and the line its own.
    pub(super) fn atomic_at(&mut self, cpu: usize, variable: u32) -> Picos {
        let now = self.cpus[cpu].now;
        let drained = self.words.drained(cpu);
        if drained > now {
            return drained;
        }
        let there = self.words.writable(cpu, variable, now);
        self.cut_spins(cpu, variable);
        there
    }

    fn load(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
        let (now, period) = (self.cpus[cpu].now, self.period(op));
        let left = state.left.unwrap_or(1);
        let is_buffered = self.words.forwarded(cpu, op.variable, now).is_some();
        match self.seen(cpu, op.variable) {
            Err(until) => {
                // Further loads of the loop wait for the line together with this one.
                let waiting = until.saturating_sub(now).0 / period.0;
                state.shadow = waiting.min(self.machine.atomics.load_buffer.into());
                Next::Wait(until)
            }
            Ok(value) => {
                state.register = value;
                let end = if is_buffered { now } else { self.words.readable_until(cpu, op.variable, now) };
                let left = left - std::mem::take(&mut state.shadow).min(left - 1);
                let count = rounds_before(end.min(room.turn), now, period).min(left);
                state.left = Some(left - count);
                Next::Spend(period * count, Account::User)
            }
        }
    }

    /// Who spins on a line that was asked for goes on when it leaves.
    pub(super) fn cut_spins(&mut self, cpu: usize, variable: u32) {
        if self.words.spinners & !(1 << cpu) == 0 {
            return;
        }
        let line = self.words.line_of(variable);
        for other in 0..self.cpus.len() {
            let Some(tid) = self.cpus[other].executed().filter(|_| other != cpu) else { continue };
            let task = &self.tasks[tid.index()];
            let is_spinning = task.sharing().is_some_and(|state| state.spins_since.is_some());
            let Some(Instruction::Share(index)) = self.code.instructions.get(task.next as usize) else { continue };
            let own = self.code.shares[*index as usize].variable;
            if is_spinning && self.words.line_of(own) == line {
                let now = self.cpus[other].now;
                let until = self.words.readable_until(other, own, now);
                let task = &mut self.tasks[tid.index()];
                task.left = task.left.min(until.saturating_sub(now)).max(Picos(1));
                self.come_nearer(other);
            }
        }
    }
}
