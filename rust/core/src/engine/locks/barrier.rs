//! Barriers: the last one who comes wakes all others.

use super::super::execute::Step;
use super::super::races::Object;
use super::super::run::Run;
use super::super::task::Wait;
use crate::kernel::{Account, Tid};

/// A barrier.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Barrier {
    pub parties: u32,
    /// Who has come.
    pub waiting: Vec<Tid>,
}

impl Barrier {
    pub fn new(parties: u32) -> Self {
        Self { parties, waiting: Vec::new() }
    }
}

impl Run {
    /// Waits until as many have come as the barrier is for.
    pub(in crate::engine) fn meet(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        if !self.is_first(cpu) {
            return self.let_others_go_first(cpu);
        }
        self.cpus[cpu].pay(Account::User, self.machine.kernel.sync.mutex_ns);
        self.released(cpu, tid, Object::Barrier(index));
        let threads = &self.threads;
        let barrier = &mut self.locks.barriers[index as usize];
        barrier.waiting.retain(|other| threads[other.index()].is_alive());
        if barrier.waiting.len() + 1 < barrier.parties as usize {
            barrier.waiting.push(tid);
            return self.park(cpu, tid, Wait::Barrier(index));
        }
        let waiting = std::mem::take(&mut barrier.waiting);
        self.acquired(tid, Object::Barrier(index));
        for other in waiting {
            self.unpark(cpu, tid, other);
        }
        Step::Next
    }
}
