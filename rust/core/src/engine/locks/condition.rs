//! Condition variables: a thread gives its lock back and waits, and takes it again once it is woken.

use super::super::cpu::Limit;
use super::super::error::RunError;
use super::super::execute::Step;
use super::super::run::Run;
use super::super::task::Wait;
use super::table::{Attempt, Phase};
use crate::base::Picos;
use crate::kernel::Tid;
use std::collections::VecDeque;

/// Who waits for a condition, in order.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Condition {
    waiting: VecDeque<Tid>,
}

impl Run {
    /// Waits for a condition under a lock that the thread holds.
    pub(in crate::engine) fn await_condition(
        &mut self,
        cpu: usize,
        tid: Tid,
        (condition, index): (u32, u32),
        limit: Limit,
    ) -> Result<Step, RunError> {
        if self.tasks[tid.index()].left > Picos::ZERO {
            return Ok(self.spin(cpu, tid, limit));
        }
        if self.tasks[tid.index()].is_trying {
            return Ok(self.try_again(cpu, tid, index));
        }
        if !self.is_first(cpu) {
            return Ok(self.let_others_go_first(cpu));
        }
        if self.locks.list[index as usize].holder != tid {
            return Err(self.stranger(tid, index, "waits for a condition under"));
        }
        self.locks.conditions[condition as usize].waiting.push_back(tid);
        self.release_lock(cpu, tid, index);
        self.tasks[tid.index()].is_trying = true;
        let now = self.cpus[cpu].now;
        self.locks.attempts.insert(tid, Attempt::new(index, Phase::Begin, now));
        self.begin_park(cpu, tid);
        self.sleep(cpu, tid, Wait::Condition(condition));
        Ok(Step::Again)
    }

    /// Wakes one who waits for a condition, or all. For nobody it takes no call.
    pub(in crate::engine) fn signal(&mut self, cpu: usize, tid: Tid, condition: u32, wakes_all: bool) -> Step {
        if !self.is_first(cpu) {
            return self.let_others_go_first(cpu);
        }
        let threads = &self.threads;
        let waiting = &mut self.locks.conditions[condition as usize].waiting;
        waiting.retain(|other| threads[other.index()].is_alive());
        let count = if wakes_all { waiting.len() } else { waiting.len().min(1) };
        let woken: Vec<Tid> = waiting.drain(..count).collect();
        for other in woken {
            self.unpark(cpu, tid, other);
        }
        Step::Next
    }
}
