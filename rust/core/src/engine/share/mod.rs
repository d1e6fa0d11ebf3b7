//! Executes accesses to shared variables.
//!
//! An access happens at an instant, and all of them in the order of time over all cpus, ties by cpu: a cpu goes on only
//! while nobody else can be before it. Rounds of a loop in which nobody can come between are one step.

mod access;
mod increment;

use super::cpu::Limit;
use super::execute::Step;
use super::run::Run;
use crate::base::Picos;
use crate::kernel::{Account, Role, Tid};
use crate::workload::sharing::{Access, Increment, ShareCode};
use crate::workload::{Code, Instruction};

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
    pub(super) fn share(&mut self, cpu: usize, tid: Tid, code: &Code, index: u32, limit: Limit) -> Step {
        match self.share_in_turn(code, cpu, tid, index, limit) {
            Turn::Over => Step::Next,
            Turn::Stopped => Step::Again,
            Turn::Passed => self.take_turns(code, cpu, limit),
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
            if self.threads[tid.index()].role != Role::Thread {
                // Its own program is not what it runs.
                break;
            }
            let Some(Instruction::Share(index)) = code.instructions.get(self.tasks[tid.index()].next as usize) else {
                break;
            };
            if at >= end.min(self.cpus[next].stop()) {
                break;
            }
            self.horizon = end;
            self.turns.change(next);
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
        let line = self.words.line_of(op.variable);
        let (mut turn, mut reach) = (self.turn(cpu, line), self.reach(cpu, limit));
        let step = loop {
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
            // The instruction itself may have been the last step of the budget: one access follows, so that any goes on.
            if now >= reach || self.events > limit.events {
                break Turn::Stopped;
            }
            if (now, cpu) > turn {
                break Turn::Passed;
            }
            self.events += 1;
            // Whoever asks for the line at its turn gets it a leg later.
            let left = state.left;
            let others_spin = self.words.spinners & !(1 << cpu) != 0;
            let next = self.access(cpu, op, &mut state, Room { turn: (turn.0 + self.words.leg()).min(reach), reach });
            if let Some(races) = &mut self.races
                && state.left != left
            {
                races.accessed(tid, op, index, now);
            }
            let (time, account) = match next {
                Next::Spend(time, account) => (time, account),
                Next::Wait(until) => (until.saturating_sub(now), Account::Stall),
                Next::Spin(until) => (until.saturating_sub(now), Account::Spin),
            };
            self.spend(cpu, tid, time, account);
            state.spins_since = matches!(next, Next::Spin(_)).then_some(now);
            self.words.spinners &= !(1 << cpu);
            self.words.spinners |= u64::from(state.spins_since.is_some()) << cpu;
            if others_spin {
                // They may have been told to look again.
                (turn, reach) = (self.turn(cpu, line), self.reach(cpu, limit));
            } else if (now + time, cpu) > turn
                && now + time < reach
                && state.spins_since.is_none()
                && state.left != Some(0)
            {
                // The time passes when it is this one's turn again.
                break Turn::Passed;
            }
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
            Access::Increment(Increment::Plain) => prices.increment_ns,
            Access::Increment(Increment::Split) => prices.forward_ns,
            Access::Increment(Increment::Atomic) => prices.add_ns,
            Access::Increment(Increment::CompareExchange) => prices.compare_exchange_ns.max(prices.forward_ns),
            Access::Load | Access::SpinUntil(_) => prices.load_ns,
            Access::Store(_) => prices.store_ns,
            Access::Add(_) | Access::Fence => Picos::from_cycles(1, self.machine.frequency_mhz),
        };
        access + op.work
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
