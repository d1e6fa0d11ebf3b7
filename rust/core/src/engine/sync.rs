//! Waiting for one another: semaphores on a futex, and the ends of threads.
//!
//! Who is woken has what it waited for: a semaphore's unit is handed over in the order of waiting.

use super::error::RunError;
use super::execute::Step;
use super::races::Object;
use super::run::Run;
use super::task::Wait;
use crate::base::Picos;
use crate::kernel::{Account, State, Tid};
use std::collections::VecDeque;

/// A semaphore.
#[derive(Clone, Debug, Default)]
pub(super) struct Semaphore {
    count: u64,
    waiting: VecDeque<Tid>,
}

impl Run {
    /// Takes one of a semaphore. Nobody goes into the kernel for one that is there.
    pub(super) fn acquire(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        self.fence(cpu);
        let semaphore = &mut self.semaphores[index as usize];
        if semaphore.count > 0 {
            semaphore.count -= 1;
            self.acquired(tid, Object::Semaphore(index));
            return Step::Next;
        }
        semaphore.waiting.push_back(tid);
        self.park(cpu, tid, Wait::Semaphore(index))
    }

    /// Adds one to a semaphore. Only for who waits it takes a call.
    pub(super) fn release(&mut self, cpu: usize, tid: Tid, index: u32) {
        self.released(cpu, tid, Object::Semaphore(index));
        let Some(waiting) = self.first_waiting(index) else {
            let semaphore = &mut self.semaphores[index as usize];
            semaphore.count = semaphore.count.saturating_add(1);
            return;
        };
        self.unpark(cpu, tid, waiting);
    }

    fn first_waiting(&mut self, index: u32) -> Option<Tid> {
        let waiting = &mut self.semaphores[index as usize].waiting;
        loop {
            let tid = waiting.pop_front()?;
            if self.threads[tid.index()].is_alive() {
                return Some(tid);
            }
        }
    }

    /// Waits for the ends of threads of the process.
    pub(super) fn join(&mut self, cpu: usize, tid: Tid, name: Option<u32>) -> Result<Step, RunError> {
        let thread = &self.threads[tid.index()];
        let pid = thread.pid;
        let Some(name) = name else {
            if thread.made == 0 {
                self.acquired(tid, Object::Made(tid));
                return Ok(Step::Next);
            }
            return Ok(self.park(cpu, tid, Wait::Join(None)));
        };
        if thread.name == name {
            let name = &self.code.names[name as usize];
            return Err(self.problem(pid, format!("thread {name} waits for its own end")));
        }
        let alive = self.named.get(&(pid, name)).map_or(0, |named| named.alive);
        if alive == 0 {
            self.acquired(tid, Object::Named(pid, name));
            return Ok(Step::Next);
        }
        self.named.get_mut(&(pid, name)).expect("it was just there").waiting.push(tid);
        Ok(self.park(cpu, tid, Wait::Join(Some(name))))
    }

    /// A thread has ended: who waited for that goes on.
    pub(super) fn announce_end(&mut self, cpu: usize, tid: Tid) {
        let thread = &self.threads[tid.index()];
        let (pid, maker, name) = (thread.pid, thread.maker, thread.name);
        self.released(cpu, tid, Object::Made(maker));
        self.released(cpu, tid, Object::Named(pid, name));
        let mut woken = Vec::new();
        if maker != Tid::NONE {
            let thread = &mut self.threads[maker.index()];
            thread.made -= 1;
            if thread.made == 0 && thread.is_alive() && self.tasks[maker.index()].waits == Wait::Join(None) {
                woken.push(maker);
            }
        }
        if let Some(named) = self.named.get_mut(&(pid, name)) {
            named.alive -= 1;
            if named.alive == 0 {
                woken.append(&mut named.waiting);
            }
        }
        for waiting in woken {
            self.acquired(waiting, Object::Made(waiting));
            self.acquired(waiting, Object::Named(pid, name));
            if self.threads[waiting.index()].state == State::Waiting {
                self.wake(waiting, cpu);
            }
        }
    }

    /// Who runs begins to wait for another, on a futex.
    pub(super) fn park(&mut self, cpu: usize, tid: Tid, wait: Wait) -> Step {
        self.begin_park(cpu, tid);
        self.sleep(cpu, tid, wait)
    }

    /// The first half of that: who runs is on its way, and may still find that it need not wait.
    pub(super) fn begin_park(&mut self, cpu: usize, tid: Tid) {
        if self.is_user_task(tid) {
            let cost = self.runtime().model.costs.park_ns;
            self.cpus[cpu].pay(Account::Runtime, cost);
        } else {
            self.call(cpu, tid, self.machine.kernel.sync.futex_wait_ns);
        }
    }

    /// Who runs lets go on one that waits on a futex.
    pub(super) fn unpark(&mut self, cpu: usize, tid: Tid, woken: Tid) {
        if self.is_user_task(woken) {
            return self.ready(cpu, woken);
        }
        self.call(cpu, tid, self.machine.kernel.sync.futex_wake_ns);
        self.wake(woken, cpu);
    }

    /// A system call of who runs.
    pub(super) fn call(&mut self, cpu: usize, tid: Tid, time: Picos) {
        self.fence(cpu);
        self.cpus[cpu].pay(Account::Syscall, time);
        self.touch_kernel_of_call(cpu, tid);
    }

    /// Who runs begins to wait, and goes on behind this instruction.
    pub(super) fn sleep(&mut self, cpu: usize, tid: Tid, wait: Wait) -> Step {
        if !self.is_user_task(tid) {
            self.cpus[cpu].pay(Account::Sched, self.machine.kernel.switch.block_ns);
        }
        self.tasks[tid.index()].waits = wait;
        Step::Next
    }
}

/// Threads of one name in one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    pub alive: u32,
    pub waiting: Vec<Tid>,
}
