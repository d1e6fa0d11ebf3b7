//! Time and input: who waits for them, and how tasks learn that they have come.

use crate::base::Picos;
use crate::engine::cpu::Limit;
use crate::engine::run::Run;
use crate::engine::task::{Alarm, Wait};
use crate::kernel::{Account, Tid};
use crate::runtime::{Poller, Slot};

/// Tasks that are let go at one look; the rest at the next.
const LOOK_MAX: usize = 32;

impl Run {
    /// A task waits for a time or for input that comes at one.
    pub(in crate::engine) fn wait_for(&mut self, cpu: usize, task: Tid, time: Picos, wait: Wait) {
        let cost = self.runtime().model.costs.timer_ns;
        self.cpus[cpu].pay(Account::Runtime, cost);
        self.tasks[task.index()].waits = wait;
        self.set_due(cpu, task, time, Alarm::Time);
    }

    /// A task that waits is to be looked at at a time.
    pub(in crate::engine) fn set_due(&mut self, cpu: usize, task: Tid, time: Picos, alarm: Alarm) {
        let runtime = self.runtime();
        runtime.due.push(time, task, alarm == Alarm::Request);
        if runtime.model.poller == Poller::Thread {
            // The thread puts it into its heap itself.
            runtime.unseen += 1;
            if let Some((poller, _)) = runtime.poller.take() {
                let by = self.cpus[cpu].running.expect("who waits runs");
                self.call(cpu, by, self.machine.kernel.sync.futex_wake_ns);
                self.wake(poller, cpu);
            }
            return;
        }
        if let Some((poller, until)) = runtime.poller
            && time < until
        {
            runtime.poller = Some((poller, time));
            self.sleep_until(poller, time, Alarm::Poll);
        }
    }

    /// What a task waits for has come at a time, which nobody knew before: who looks after input learns of it.
    pub(in crate::engine) fn input_has_come(&mut self, task: Tid, time: Picos) {
        let runtime = self.runtime();
        runtime.due.push(time, task, false);
        if let Some((poller, until)) = runtime.poller
            && time < until
        {
            runtime.poller = Some((poller, time));
            self.sleep_until(poller, time, Alarm::Poll);
        }
    }

    /// Whether a thread still waits for time and input up to a time.
    pub(in crate::engine) fn poll_is_due(&mut self, thread: Tid, time: Picos) -> bool {
        let Some(runtime) = self.runtime.as_mut().filter(|runtime| runtime.poller == Some((thread, time))) else {
            return false;
        };
        runtime.poller = None;
        true
    }

    /// Lets tasks go on whose time has come. Returns how many.
    pub(super) fn expire(&mut self, cpu: usize, by: Option<Slot>) -> usize {
        let runtime = self.runtime();
        let spreads = runtime.discipline.spreads_input();
        let (mut done, mut input) = (0, std::mem::take(&mut runtime.input));
        while done < LOOK_MAX {
            let now = self.cpus[cpu].now;
            let runtime = self.runtime();
            let Some((time, task, asks)) = runtime.due.pop(now) else { break };
            done += 1;
            let cost = runtime.model.costs.expire_ns;
            self.cpus[cpu].pay(Account::Runtime, cost);
            self.events += 1;
            let waits = self.tasks[task.index()].waits;
            let is_due = match waits {
                Wait::Request(load) => self.request_is_due(task, load, now),
                waits => !asks && matches!(waits, Wait::Time | Wait::Input | Wait::Call(_)),
            };
            if !is_due || !self.threads[task.index()].is_alive() {
                continue;
            }
            self.runtime().note_late(time, now);
            if spreads && matches!(waits, Wait::Input | Wait::Call(_)) {
                self.let_go_on(cpu, task);
                input.push(task);
            } else {
                self.ready(cpu, task);
            }
        }
        if !input.is_empty() {
            self.inject(cpu, by, &input);
            input.clear();
        }
        self.runtime().input = input;
        done
    }

    /// The work of a thread that looks after time and input. Returns whether it could go on.
    pub(super) fn look_after(&mut self, cpu: usize, thread: Tid, limit: Limit) -> bool {
        while self.cpus[cpu].now < self.reach(cpu, limit) && self.events < limit.events {
            self.events += 1;
            let runtime = self.runtime();
            let (unseen, insert) = (std::mem::take(&mut runtime.unseen), runtime.model.costs.insert_ns);
            self.cpus[cpu].pay(Account::Runtime, insert * unseen);
            if self.expire(cpu, None) > 0 {
                continue;
            }
            let block = self.machine.kernel.switch.block_ns;
            let runtime = self.runtime();
            let until = runtime.due.first().unwrap_or(Picos::NEVER);
            let call = runtime.model.costs.poll_ns;
            runtime.poller = Some((thread, until));
            self.tasks[thread.index()].waits = Wait::Poll;
            if until < Picos::NEVER {
                self.sleep_until(thread, until, Alarm::Poll);
            }
            self.call(cpu, thread, call);
            self.cpus[cpu].pay(Account::Sched, block);
            return false;
        }
        true
    }
}
