//! Tasks get onto carriers and off them, and carriers get slots.

use super::{CarrierId, Runtime};
use crate::base::Picos;
use crate::engine::event_log::EventKind;
use crate::engine::run::Run;
use crate::engine::task::Wait;
use crate::kernel::{NO_CPU, State, Tid};
use crate::runtime::{Slot, TaskKind};

/// Lines of a task that move with it: 443 ns is what a park and an unpark of Java cost more on two cpus than on one, and
/// a line takes 60 (RUNTIMES, granite-rapids-vm).
const TASK_LINES: u64 = 7;

impl Runtime {
    /// Gives a carrier the right to run tasks.
    pub(super) fn give_slot(&mut self, id: CarrierId, slot: Slot) {
        if let Some(other) = self.slots[slot.index()].carrier.replace(id).filter(|&other| other != id) {
            // It waits for work, and is a spare one from now on.
            self.carriers[other as usize].slot = None;
        }
        let carrier = &mut self.carriers[id as usize];
        (carrier.slot, carrier.has_spun) = (Some(slot), false);
    }
}

impl Runtime {
    /// A carrier that waits for work and has no slot, where each has its own.
    pub(super) fn spare(&self) -> Option<CarrierId> {
        self.parked.iter().rev().copied().find(|&id| self.carriers[id as usize].slot.is_none())
    }
}

impl Run {
    pub(in crate::engine) fn runtime(&mut self) -> &mut Runtime {
        self.runtime.as_mut().expect("carriers belong to a runtime")
    }

    /// Whether the carrier of a task waits with it, whatever that waits for.
    #[inline]
    pub(in crate::engine) fn is_pinned(&self, task: Tid) -> bool {
        let Some(runtime) = self.runtime.as_ref().filter(|_| self.is_task(task)) else { return false };
        runtime.model.tasks == TaskKind::Job || self.is_pinned_by_monitor(task)
    }

    /// The same since it holds a lock, or waits for one, or for a condition under one.
    #[inline]
    pub(super) fn is_pinned_by_monitor(&self, task: Tid) -> bool {
        let task = &self.tasks[task.index()];
        let pins = self.runtime.as_ref().is_some_and(|runtime| runtime.model.pins_in_monitors());
        pins && (task.held > 0 || task.is_trying || matches!(task.waits, Wait::Condition(_)))
    }

    /// Whom a carrier runs.
    #[inline(always)]
    pub(in crate::engine) fn mounted(&self, thread: Tid) -> Option<Tid> {
        if self.threads[thread.index()].role != crate::kernel::Role::Carrier {
            return None;
        }
        let runtime = self.runtime.as_ref()?;
        runtime.carriers[runtime.carrier_id(thread)? as usize].mounted
    }

    /// Who is woken when a task is to go on whose carrier waits with it: the carrier.
    #[inline(always)]
    pub(in crate::engine) fn carrier_of(&mut self, tid: Tid, at: Picos, waker: Option<usize>) -> Tid {
        if !self.is_pinned(tid) {
            return tid;
        }
        self.tasks[tid.index()].waits = Wait::Nothing;
        self.log_task(EventKind::Unpark, tid, at, waker);
        self.set_state(tid, State::Ready, at);
        self.threads[tid.index()].carrier
    }

    /// Whether it is a task of a runtime.
    pub(in crate::engine) fn is_task(&self, tid: Tid) -> bool {
        self.threads[tid.index()].role == crate::kernel::Role::Task
    }

    /// Whether it waits in user space.
    #[inline]
    pub(in crate::engine) fn is_user_task(&self, tid: Tid) -> bool {
        self.is_task(tid) && !self.is_pinned(tid)
    }

    /// A carrier begins to run a task.
    pub(super) fn mount(&mut self, cpu: usize, id: CarrierId, slot: Slot, task: Tid, inherits_slice: bool) {
        let thread = &self.threads[task.index()];
        // Who let it run may be ahead of this cpu.
        let ahead = thread.since.saturating_sub(self.cpus[cpu].now);
        self.cpus[cpu].pay(crate::kernel::Account::Spin, ahead);
        self.fetch(cpu, task);
        let now = self.cpus[cpu].now;
        let runtime = self.runtime();
        let carrier = &mut runtime.carriers[id as usize];
        (carrier.mounted, carrier.has_spun) = (Some(task), false);
        let carrier = carrier.tid;
        runtime.slots[slot.index()].turn += u64::from(!inherits_slice);
        self.count_operations(id, task, inherits_slice);
        let waited = now.saturating_sub(self.threads[task.index()].since);
        let runtime = self.runtime();
        runtime.report.waits.note(waited);
        self.threads[task.index()].carrier = carrier;
        self.begin(cpu, task);
    }

    /// Gets what a task needs to run from the cpu that had it last: its record, and the top of its stack.
    fn fetch(&mut self, cpu: usize, task: Tid) {
        let thread = &self.threads[task.index()];
        let mut from = thread.cpu;
        if from == NO_CPU && thread.maker != Tid::NONE {
            from = self.threads[thread.maker.index()].cpu;
        }
        if from != NO_CPU && usize::from(from) != cpu {
            let transfer = Picos::from_cycles(self.machine.transfer_cycles.into(), self.machine.frequency_mhz);
            self.pay_stall(cpu, transfer * TASK_LINES);
        }
    }

    /// Who a cpu executes from now on: a thread, or the task that it carries.
    #[inline(always)]
    pub(in crate::engine) fn begin(&mut self, cpu: usize, tid: Tid) {
        let now = self.cpus[cpu].now;
        let here = u8::try_from(cpu).expect("at most 64 cpus");
        let thread = &mut self.threads[tid.index()];
        let kind = if thread.first_run == Picos::NEVER { EventKind::Start } else { EventKind::Run };
        if thread.first_run == Picos::NEVER {
            thread.first_run = now;
        } else if thread.cpu != here {
            thread.migrations += 1;
        }
        thread.cpu = here;
        self.set_state(tid, State::Running, now);
        self.log_task(kind, tid, now, None);
        let state = &mut self.cpus[cpu];
        (state.active, state.began) = (tid, now);
    }

    /// A carrier runs its task no more.
    #[inline(always)]
    pub(super) fn unmount(&mut self, cpu: usize, id: CarrierId, state: State) {
        let carrier = &mut self.runtime().carriers[id as usize];
        let (task, thread) = (carrier.mounted.take().expect("it runs a task"), carrier.tid);
        let slot = self.runtime().carriers[id as usize].slot;
        let ran = self.cpus[cpu].now.saturating_sub(self.cpus[cpu].began);
        if let Some(slot) = slot {
            self.runtime().discipline.polled(slot, ran);
        }
        self.stop(cpu, task, state);
        self.cpus[cpu].active = thread;
    }

    /// A cpu no longer executes a task.
    #[inline]
    pub(in crate::engine) fn stop(&mut self, cpu: usize, task: Tid, state: State) {
        let now = self.cpus[cpu].now;
        let ran = now.saturating_sub(self.cpus[cpu].began);
        let thread = &mut self.threads[task.index()];
        thread.run += ran;
        thread.switches_voluntary += u32::from(state == State::Waiting);
        if state != State::Terminated {
            self.set_state(task, state, now);
        }
        self.cpus[cpu].began = now;
    }
}
