//! The work of a carrier: find a task, run it until it waits, find the next.

use super::CarrierId;
use crate::base::Picos;
use crate::engine::cpu::Limit;
use crate::engine::error::RunError;
use crate::engine::event_log::{Event, EventKind};
use crate::engine::execute::{Ran, Step};
use crate::engine::run::Run;
use crate::engine::task::{Alarm, Wait};
use crate::kernel::{Account, Role, State, Tid};
use crate::runtime::{HandOff, Poller, Push, Slot, Status};
use crate::workload::Code;

/// What a look for work led to.
enum Found {
    /// A task, or something to look at again.
    Something,
    /// Nothing: the thread waits.
    Nothing,
}

impl Run {
    /// Runs a thread on a cpu. Returns whether it could go on.
    pub(in crate::engine) fn run_thread(
        &mut self,
        cpu: usize,
        tid: Tid,
        code: &Code,
        limit: Limit,
    ) -> Result<bool, RunError> {
        match self.threads[tid.index()].role {
            Role::Thread | Role::Task => match self.execute(cpu, tid, code, limit)? {
                Ran::On => Ok(true),
                Ran::Waits | Ran::Ended => Ok(false),
                Ran::Yields => {
                    self.put_back(cpu, crate::sched::Enqueue::Yielded);
                    self.fill(cpu, Picos::ZERO);
                    Ok(true)
                }
            },
            Role::Carrier => self.carry(cpu, tid, code, limit),
            Role::Monitor => Ok(self.monitor(cpu, tid)),
            Role::Poller => Ok(self.look_after(cpu, tid, limit)),
        }
    }

    fn carry(&mut self, cpu: usize, thread: Tid, code: &Code, limit: Limit) -> Result<bool, RunError> {
        let id = self.runtime().id_of(thread);
        while self.cpus[cpu].now < self.reach(cpu, limit) && self.events < limit.events {
            if self.tasks[thread.index()].left > Picos::ZERO {
                self.events += 1;
                let left = self.tasks[thread.index()].left;
                if self.compute(cpu, thread, Account::Spin, left, limit) == Step::Again {
                    return Ok(true);
                }
                continue;
            }
            let goes_on = match self.runtime().carriers[id as usize].mounted {
                Some(task) => self.run_task(cpu, id, task, code, limit)?,
                None => matches!(self.find_task(cpu, id), Found::Something),
            };
            if !goes_on || !self.threads[thread.index()].is_alive() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Runs the task that a carrier has. Returns whether the carrier can go on.
    fn run_task(&mut self, cpu: usize, id: CarrierId, task: Tid, code: &Code, limit: Limit) -> Result<bool, RunError> {
        if self.tasks[task.index()].waits == Wait::Block {
            self.come_back(cpu, id, task);
            return Ok(true);
        }
        if self.runtime().carriers[id as usize].is_preempted {
            self.give_way(cpu, id, task);
            return Ok(true);
        }
        let ran = self.execute(cpu, task, code, limit)?;
        let Some(runtime) = &self.runtime else { return Ok(false) };
        let (costs, carrier) = (&runtime.model.costs, runtime.carriers[id as usize]);
        match ran {
            Ran::On => {}
            Ran::Ended => {
                let end = costs.end_ns;
                self.cpus[cpu].pay(Account::Runtime, end);
                self.unmount(cpu, id, State::Terminated);
                self.count_end(task);
            }
            // Nobody else may have its carrier.
            Ran::Yields if self.is_pinned_by_monitor(task) => {}
            Ran::Yields => {
                self.log_task(EventKind::Yield, task, self.cpus[cpu].now, None);
                self.unmount(cpu, id, State::Ready);
                self.push(cpu, task, carrier.slot, Push::Yielded);
            }
            Ran::Waits => {
                let waits = self.tasks[task.index()].waits;
                if self.is_pinned(task) || waits == Wait::Block {
                    // The carrier waits with it.
                    self.log_task(EventKind::Block, task, self.cpus[cpu].now, None);
                    self.set_state(task, State::Waiting, self.cpus[cpu].now);
                    self.tasks[carrier.tid.index()].waits =
                        if waits == Wait::Block { Wait::Time } else { Wait::Mounted };
                    return Ok(false);
                }
                self.log_task(EventKind::Park, task, self.cpus[cpu].now, None);
                if !matches!(waits, Wait::Call(_) | Wait::Request(_)) {
                    self.give_operation_back(id);
                }
                self.unmount(cpu, id, State::Waiting);
            }
        }
        Ok(true)
    }

    /// The task of a carrier has run for too long: it goes behind all others.
    fn give_way(&mut self, cpu: usize, id: CarrierId, task: Tid) {
        let cost = self.runtime().model.costs.preempt_ns;
        self.cpus[cpu].pay(Account::Runtime, cost);
        self.log_task(EventKind::Preempt, task, self.cpus[cpu].now, None);
        self.unmount(cpu, id, State::Ready);
        let carrier = &mut self.runtime().carriers[id as usize];
        carrier.is_preempted = false;
        let slot = carrier.slot;
        self.runtime().report.preemptions += 1;
        self.push(cpu, task, slot, Push::Preempted);
    }

    /// Looks for a task.
    fn find_task(&mut self, cpu: usize, id: CarrierId) -> Found {
        self.events += 1;
        let now = self.cpus[cpu].now;
        let runtime = self.runtime();
        let carrier = &mut runtime.carriers[id as usize];
        let Some(slot) = carrier.slot else { return self.find_slot(cpu, id) };
        carrier.since_poll += 1;
        if runtime.discipline.status(slot) == Status::Idle {
            // Time has woken it, nobody else.
            runtime.discipline.claim(Some(slot));
            let thread = runtime.carriers[id as usize].tid;
            self.log_worker(EventKind::Claim, slot, thread, None, cpu);
        }
        let runtime = self.runtime();
        let carrier = &mut runtime.carriers[id as usize];
        let polls = runtime.model.poller == Poller::Carrier;
        if polls
            && carrier.since_poll >= runtime.model.poll_interval
            && runtime.due.first().is_some_and(|first| first <= now)
        {
            carrier.since_poll = 0;
            self.expire(cpu, Some(slot));
        }
        let runtime = self.runtime();
        if runtime.model.operations_max.is_some() && runtime.carriers[id as usize].operations == 0 {
            let pushed = runtime.discipline.exhaust(slot);
            self.pay_push(cpu, pushed);
        }
        let runtime = self.runtime();
        let next = runtime.discipline.next(slot);
        let costs = &runtime.model.costs;
        let mut time = Picos::ZERO;
        if next.task.is_some() {
            time = costs.switch_ns;
        }
        if next.from_global > 0 {
            time += costs.global_ns;
        }
        if next.stolen > 0 {
            time += costs.steal_ns;
            runtime.report.steals += 1;
            runtime.report.stolen += u64::from(next.stolen);
        }
        let (searched, nap) = (costs.visit_ns * u64::from(next.visited), costs.nap_ns * u64::from(next.naps));
        self.cpus[cpu].pay(Account::Runtime, time);
        self.cpus[cpu].pay(Account::Spin, searched);
        if next.stolen > 0 {
            let thread = self.runtime().carriers[id as usize].tid;
            self.log_event(|run| Event {
                task: next.task.unwrap_or(Tid::NONE),
                worker: Some(slot),
                thread,
                cpu: Some(cpu),
                from: next.victim,
                count: next.stolen,
                ..Event::new(EventKind::Steal, run.cpus[cpu].now)
            });
        }
        if next.notifies {
            self.notify(cpu);
        }
        if let Some(task) = next.task {
            self.mount(cpu, id, slot, task, next.inherits_slice);
            return Found::Something;
        }
        if nap > Picos::ZERO {
            let thread = self.runtime().carriers[id as usize].tid;
            let task = &mut self.tasks[thread.index()];
            (task.left, task.account) = (nap, Account::Spin);
            return Found::Something;
        }
        let now = self.cpus[cpu].now;
        let runtime = self.runtime();
        if polls && runtime.due.first().is_some_and(|first| first <= now) {
            self.expire(cpu, Some(slot));
            return Found::Something;
        }
        let spin = runtime.model.costs.spin_ns;
        let carrier = &mut runtime.carriers[id as usize];
        if !carrier.has_spun && spin > Picos::ZERO {
            carrier.has_spun = true;
            let thread = carrier.tid;
            let task = &mut self.tasks[thread.index()];
            (task.left, task.account) = (spin, Account::Spin);
            return Found::Something;
        }
        if !runtime.discipline.retire(slot) {
            return Found::Something;
        }
        let thread = runtime.carriers[id as usize].tid;
        self.log_worker(EventKind::Retire, slot, thread, None, cpu);
        self.park_carrier(cpu, id);
        Found::Nothing
    }

    /// A carrier without a slot, which has waited for time and input, takes a slot that idles.
    fn find_slot(&mut self, cpu: usize, id: CarrierId) -> Found {
        let runtime = self.runtime();
        if let Some(slot) = runtime.discipline.claim(None) {
            runtime.give_slot(id, slot);
            let thread = runtime.carriers[id as usize].tid;
            self.log_worker(EventKind::Claim, slot, thread, None, cpu);
            self.wake_monitor(cpu);
            return Found::Something;
        }
        let now = self.cpus[cpu].now;
        if self.runtime().due.first().is_some_and(|first| first <= now) {
            self.expire(cpu, None);
            return Found::Something;
        }
        self.park_carrier(cpu, id);
        Found::Nothing
    }

    /// A carrier that has found nothing waits: for time and input if nobody does, else for work.
    fn park_carrier(&mut self, cpu: usize, id: CarrierId) {
        let block = self.machine.kernel.switch.block_ns;
        let futex = self.machine.kernel.sync.futex_wait_ns;
        let is_awaited = self.calls.awaited > 0;
        let runtime = self.runtime();
        let is_bound = runtime.model.is_bound;
        let carrier = &mut runtime.carriers[id as usize];
        carrier.has_spun = false;
        if !is_bound && let Some(slot) = carrier.slot.take() {
            carrier.last_slot = Some(slot);
            runtime.slots[slot.index()].carrier = None;
        }
        let thread = carrier.tid;
        let waits = !runtime.due.is_empty() || is_awaited;
        let is_poller = runtime.model.poller == Poller::Carrier && runtime.poller.is_none() && waits;
        let call = if is_poller { runtime.model.costs.poll_ns } else { futex };
        if is_poller {
            let until = runtime.due.first().unwrap_or(Picos::NEVER);
            runtime.poller = Some((thread, until));
            self.tasks[thread.index()].waits = Wait::Poll;
            if until < Picos::NEVER {
                self.sleep_until(thread, until, Alarm::Poll);
            }
        } else {
            runtime.parked.push(id);
            self.tasks[thread.index()].waits = Wait::Work;
        }
        self.call(cpu, thread, call);
        self.cpus[cpu].pay(Account::Sched, block);
    }

    /// A task begins a call that blocks its carrier.
    pub(in crate::engine) fn block_in_kernel(&mut self, cpu: usize, task: Tid, time: Picos) {
        let now = self.cpus[cpu].now;
        let carrier = self.threads[task.index()].carrier;
        let runtime = self.runtime();
        let id = runtime.id_of(carrier);
        runtime.report.blocking_calls += 1;
        if let Some(slot) = runtime.carriers[id as usize].slot {
            runtime.discipline.block(slot);
            let state = &mut runtime.slots[slot.index()];
            state.calls += 1;
            state.blocked_at = now;
        }
        let compensates = runtime.model.hand_off == HandOff::Compensate;
        self.tasks[task.index()].waits = Wait::Block;
        if compensates {
            self.compensate(cpu, id);
        }
        let now = self.cpus[cpu].now;
        self.sleep_until(carrier, now + time, Alarm::Time);
    }

    /// Makes up for a carrier that is about to block: one that idles looks for work, or else another one takes its slot.
    fn compensate(&mut self, cpu: usize, id: CarrierId) {
        let runtime = self.runtime();
        let Some(slot) = runtime.carriers[id as usize].slot else { return };
        if runtime.discipline.idle() > 0 {
            return self.notify(cpu);
        }
        if self.finds_spare() {
            self.take_slot(cpu, slot);
        }
    }

    /// The blocking call of a task is over: it goes on if there is a slot for it.
    fn come_back(&mut self, cpu: usize, id: CarrierId, task: Tid) {
        self.tasks[task.index()].waits = Wait::Nothing;
        let runtime = self.runtime();
        let carrier = runtime.carriers[id as usize];
        if let Some(slot) = carrier.slot {
            runtime.discipline.unblock(slot);
            return;
        }
        if runtime.model.hand_off == HandOff::Compensate {
            // There is one more than there are slots until it finds nothing to do.
            return;
        }
        if let Some(slot) = runtime.discipline.claim(carrier.last_slot) {
            runtime.give_slot(id, slot);
            self.log_worker(EventKind::Claim, slot, carrier.tid, Some(task), cpu);
            self.wake_monitor(cpu);
            return;
        }
        self.log_task(EventKind::Requeue, task, self.cpus[cpu].now, None);
        self.unmount(cpu, id, State::Ready);
        self.push(cpu, task, None, Push::Returned);
    }

    /// Takes the slot of a carrier that blocks, and gives it to another.
    pub(super) fn take_slot(&mut self, cpu: usize, slot: Slot) {
        let runtime = self.runtime();
        debug_assert_ne!(runtime.model.hand_off, HandOff::None);
        let Some(id) = runtime.slots[slot.index()].carrier.take() else { return };
        let carrier = &mut runtime.carriers[id as usize];
        (carrier.slot, carrier.last_slot) = (None, Some(slot));
        runtime.report.hand_offs += 1;
        let (thread, task) = (carrier.tid, carrier.mounted);
        self.log_worker(EventKind::HandOff, slot, thread, task, cpu);
        let runtime = self.runtime();
        if runtime.discipline.hand_off(slot).is_some() {
            self.start_carrier(cpu, slot);
        }
    }
}
