//! Executes accesses to shared variables.
//!
//! An access happens at an instant, and all of them in the order of time over all cpus, ties by cpu: a cpu goes on only
//! while nobody else can be before it. Rounds of a loop in which nobody can come between are one step.

use super::cpu::Limit;
use super::execute::Step;
use super::run::Run;
use super::words::Rounds;
use crate::base::Picos;
use crate::kernel::{Account, Tid};
use crate::workload::op::How;
use crate::workload::sharing::{Access, ShareCode};
use crate::workload::{Code, Instruction};
use std::sync::Arc;

/// Where a thread is within accesses to a variable.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharing {
    /// What was loaded last, or added to.
    pub register: i64,
    /// Rounds that are left; nothing before the first.
    left: Option<u64>,
    /// What a round has loaded and not yet stored.
    held: Option<i64>,
    /// Loads that were under way while the line came.
    shadow: u64,
    /// It waits for a value, and has looked for it then.
    spins_since: Option<Picos>,
    /// The cpu whose buffer has its stores.
    cpu: Option<u8>,
}

/// How far a cpu may go.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// The line does not leave before, if the cpu has it for itself or nobody else writes to it.
    turn: Picos,
    /// Timer, caller or others stop the cpu.
    reach: Picos,
}

/// How far a cpu came.
enum Turn {
    /// The instruction is over.
    Over,
    /// The timer, the caller or others stop it.
    Stopped,
    /// Others are first.
    Passed,
}

/// What comes next of accesses.
enum Next {
    /// Nothing for a time.
    Spend(Picos, Account),
    /// The line, or room in the buffer, is there at a time.
    Wait(Picos),
    /// Spins until a time.
    Spin(Picos),
}

impl Run {
    /// Accesses a shared variable, once or often.
    pub(super) fn share(&mut self, cpu: usize, tid: Tid, index: u32, limit: Limit) -> Step {
        let code = Arc::clone(&self.code);
        match self.share_in_turn(&code, cpu, tid, index, limit) {
            Turn::Over => Step::Next,
            Turn::Stopped => Step::Again,
            Turn::Passed => self.take_turns(&code, cpu, limit),
        }
    }

    /// Lets cpus that access variables go on one after the other, as long as whoever is first does so. All of it is in the
    /// order of time, so that nothing else has to be looked at in between.
    fn take_turns(&mut self, code: &Code, cpu: usize, limit: Limit) -> Step {
        let end = self.next_event().unwrap_or(Picos::NEVER).min(limit.until);
        let mut step = Step::Again;
        while self.events < limit.events {
            let busy = self.cpus.iter().enumerate().filter(|(_, state)| state.running.is_some());
            let first = busy.map(|(other, state)| (self.next_on(state), other)).min();
            let (at, next) = first.expect("a cpu that has passed runs");
            let tid = self.cpus[next].running.expect("it is busy");
            let Some(Instruction::Share(index)) = code.instructions.get(self.tasks[tid.index()].next as usize) else {
                break;
            };
            if at >= end.min(self.cpus[next].stop()) {
                break;
            }
            self.horizon = end;
            match self.share_in_turn(code, next, tid, *index, limit) {
                Turn::Passed => continue,
                Turn::Stopped => {}
                Turn::Over if next == cpu => step = Step::Next,
                Turn::Over => self.tasks[tid.index()].next += 1,
            }
            break;
        }
        self.horizon = self.horizon.min(self.cpus[cpu].now);
        step
    }

    /// Accesses a variable until others are first, the cpu has to stop, or it is done.
    fn share_in_turn(&mut self, code: &Code, cpu: usize, tid: Tid, index: u32, limit: Limit) -> Turn {
        let op = &code.shares[index as usize];
        let mut state = self.tasks[tid.index()].take_sharing();
        if state.left.is_none() {
            state.left = Some(op.times);
        }
        self.settle_in(cpu, tid, op, &mut state);
        let step = loop {
            let turn = self.turn(cpu, self.words.line_of(op.variable));
            let reach = self.reach(cpu, limit);
            if state.spins_since.is_none() {
                if !self.go_on(cpu, tid, reach) {
                    break Turn::Stopped;
                }
            } else if !self.go_on(cpu, tid, reach.min(turn.0)) {
                // Others may change at any time what it looks at: it stands still until they are ahead.
                break Turn::Passed;
            }
            if state.left == Some(0) {
                state.left = None;
                break Turn::Over;
            }
            let now = self.cpus[cpu].now;
            if now >= reach || self.events >= limit.events {
                break Turn::Stopped;
            }
            if (now, cpu) > turn {
                break Turn::Passed;
            }
            self.events += 1;
            // Whoever asks for the line at its turn gets it a leg later.
            let left = state.left;
            let next = self.access(cpu, op, &mut state, Room { turn: (turn.0 + self.words.leg()).min(reach), reach });
            if let Some(races) = &mut self.races
                && state.left != left
            {
                races.accessed(tid, op, index, now);
            }
            match next {
                Next::Spend(time, account) => self.spend(cpu, tid, time, account),
                Next::Wait(until) => self.spend(cpu, tid, until.saturating_sub(now), Account::Stall),
                Next::Spin(until) => self.spend(cpu, tid, until.saturating_sub(now), Account::Spin),
            }
            state.spins_since = matches!(next, Next::Spin(_)).then_some(now);
            self.words.spinners &= !(1 << cpu);
            self.words.spinners |= u64::from(state.spins_since.is_some()) << cpu;
        };
        self.tasks[tid.index()].put_sharing(state);
        step
    }

    /// What a thread that goes on finds: it sees its own stores wherever it runs, and one that spins looks again if
    /// others ran on its cpu.
    fn settle_in(&mut self, cpu: usize, tid: Tid, op: &ShareCode, state: &mut Sharing) {
        let now = self.cpus[cpu].now;
        if let Some(since) = state.spins_since {
            let is_new = self.cpus[cpu].switched > since;
            let until = self.words.readable_until(cpu, op.variable, now);
            let task = &mut self.tasks[tid.index()];
            task.left = if is_new { Picos::ZERO } else { task.left.min(until.saturating_sub(now)) };
        }
        let here = u8::try_from(cpu).expect("at most 64 cpus");
        let before = state.cpu.replace(here);
        if let Some(before) = before.filter(|&before| before != here) {
            let wait = self.words.drained(before.into()).saturating_sub(now);
            let left = self.tasks[tid.index()].left;
            if wait > left {
                self.spend(cpu, tid, wait, Account::Stall);
            }
        }
    }

    /// A part of the instruction at hand that takes a time.
    fn spend(&mut self, cpu: usize, tid: Tid, time: Picos, account: Account) {
        debug_assert_eq!(self.cpus[cpu].executed(), Some(tid), "who runs spends");
        let task = &mut self.tasks[tid.index()];
        (task.left, task.account, task.is_within) = (time, account, true);
    }

    /// Lets time pass that the instruction at hand takes. Returns whether it is over.
    fn go_on(&mut self, cpu: usize, tid: Tid, reach: Picos) -> bool {
        let left = self.tasks[tid.index()].left;
        if left > Picos::ZERO {
            let room = reach.saturating_sub(self.cpus[cpu].now);
            self.pay_left(cpu, tid, left.min(room));
            if left > room {
                return false;
            }
        }
        self.tasks[tid.index()].is_within = false;
        true
    }

    /// When somebody else can access a line first, and on which cpu.
    fn turn(&self, cpu: usize, line: u32) -> (Picos, usize) {
        let others = self.cpus.iter().enumerate().filter(|&(other, state)| other != cpu && state.running.is_some());
        let first = others.map(|(other, state)| {
            let next = self.next_on(state);
            let tid = state.executed().expect("it was just asked");
            let elsewhere = self.busy_elsewhere(tid, line).unwrap_or(Picos::ZERO);
            ((next + elsewhere).min(state.stop()).max(next), other)
        });
        first.min().unwrap_or((Picos::NEVER, usize::MAX))
    }

    /// How long a thread is busy at least with another line once it goes on.
    fn busy_elsewhere(&self, tid: Tid, line: u32) -> Option<Picos> {
        let task = &self.tasks[tid.index()];
        let Some(Instruction::Share(index)) = self.code.instructions.get(task.next as usize) else { return None };
        let op = &self.code.shares[*index as usize];
        if op.access == Access::Load {
            // Loads that wait for a line together take no time of their own.
            return None;
        }
        let rounds = task.sharing()?.left?.saturating_sub(1);
        (self.words.line_of(op.variable) != line).then(|| self.period(op) * rounds)
    }

    /// What a round takes at least.
    fn period(&self, op: &ShareCode) -> Picos {
        let prices = &self.machine.atomics;
        let access = match op.access {
            Access::Increment(How::Plain) => prices.increment_ns,
            Access::Increment(How::Split) => prices.forward_ns,
            Access::Increment(How::Atomic) => prices.add_ns,
            Access::Increment(How::CompareExchange) => prices.compare_exchange_ns.max(prices.forward_ns),
            Access::Load | Access::SpinUntil(_) => prices.load_ns,
            Access::Store(_) => prices.store_ns,
            Access::Add(_) | Access::Fence => Picos::from_cycles(1, self.machine.frequency_mhz),
        };
        access + op.work
    }

    /// The next access.
    fn access(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
        let done = |state: &mut Sharing, count: u64| state.left = state.left.map(|left| left.saturating_sub(count));
        match op.access {
            Access::Increment(How::Plain) => self.increment(cpu, op, state, room),
            Access::Increment(How::Split) => self.increment_split(cpu, op, state, room),
            Access::Increment(How::Atomic) => self.increment_atomic(cpu, op, state, room),
            Access::Increment(How::CompareExchange) => self.compare_exchange(cpu, op, state, room),
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
    fn seen(&mut self, cpu: usize, variable: u32) -> Result<i64, Picos> {
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

    /// Plain increments by one instruction.
    fn increment(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
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
    fn increment_split(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
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

    fn increment_atomic(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
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
    fn compare_exchange(&mut self, cpu: usize, op: &ShareCode, state: &mut Sharing, room: Room) -> Next {
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

    /// When a cpu can change a variable at once: its buffer is empty, and the line its own.
    fn atomic_at(&mut self, cpu: usize, variable: u32) -> Picos {
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

    /// Who spins on a line that was asked for goes on when it leaves.
    fn cut_spins(&mut self, cpu: usize, variable: u32) {
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

    /// Waits until all stores of a cpu are visible: what the kernel and locks imply.
    pub(super) fn fence(&mut self, cpu: usize) {
        let drained = self.words.drained(cpu);
        let now = self.cpus[cpu].now;
        if drained > now && self.cpus[cpu].running.is_some() {
            self.pay_stall(cpu, drained - now);
        }
    }
}

/// How many rounds begin before a time; at least the one that begins now.
fn rounds_before(end: Picos, now: Picos, period: Picos) -> u64 {
    end.saturating_sub(now).0.div_ceil(period.0).max(1)
}
