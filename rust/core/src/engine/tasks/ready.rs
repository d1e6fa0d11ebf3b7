//! Tasks that can run: made, woken, pushed into queues; and the carriers that are woken for them.

use super::{Carrier, CarrierId};
use crate::base::Picos;
use crate::engine::event_log::EventKind;
use crate::engine::run::Run;
use crate::engine::task::{Task, Wait};
use crate::kernel::{Account, Role, State, Thread, Tid};
use crate::runtime::{Push, Pushed, RuntimeConfig, Slot, Status};

/// Bytes of a page.
const PAGE: u64 = 4096;

impl Run {
    /// The slot of who runs on a cpu.
    fn slot_on(&self, cpu: usize) -> Option<Slot> {
        let running = self.cpus[cpu].running?;
        let runtime = self.runtime.as_ref()?;
        runtime.carriers[runtime.carrier_id(running)? as usize].slot
    }

    /// The slot whose queue a task joins that can go on: that of who wakes it, or where tasks stay its own.
    fn place_of_woken(&self, cpu: usize, task: Tid) -> Option<Slot> {
        let runtime = self.runtime.as_ref()?;
        if !matches!(runtime.model.queues, RuntimeConfig::PerSlot(_)) {
            return self.slot_on(cpu);
        }
        let carrier = self.threads[task.index()].carrier;
        runtime.carriers[runtime.carrier_id(carrier)? as usize].slot
    }

    /// Makes a task, if there is room for it.
    pub(in crate::engine) fn make_task(&mut self, cpu: usize, maker: Tid, name: Option<u32>, task: Task, stack: u64) {
        let runtime = self.runtime();
        let report = &mut runtime.report;
        if report.alive >= runtime.model.tasks_max {
            report.refused += 1;
            if report.refused == 1 {
                let limit = runtime.model.tasks_max;
                self.kernel.note(format!("a task could not be made: {limit} exist, as many as the model allows"));
            }
            return;
        }
        report.made += 1;
        report.alive += 1;
        let is_new = report.alive > report.alive_peak;
        report.alive_peak = report.alive_peak.max(report.alive);
        let (bytes, doublings) = runtime.model.memory.of_task(stack);
        report.bytes += bytes;
        report.bytes_peak = report.bytes_peak.max(report.bytes);
        let (alive, bytes_now) = (report.alive, report.bytes);
        let costs = &runtime.model.costs;
        let mut time = costs.create_ns + costs.grow_ns * doublings;
        if runtime.model.memory.collects && bytes_now >= runtime.collect_at {
            // All that is alive is marked, and the next time comes with twice as much.
            time += costs.mark_ns * alive;
            runtime.collect_at = 2 * bytes_now;
            report.collections += 1;
        }
        let mut pages = 0;
        if is_new && runtime.model.memory.faults {
            report.fresh_bytes += bytes;
            pages = report.fresh_bytes / PAGE;
            report.fresh_bytes %= PAGE;
        }
        self.cpus[cpu].pay(Account::Runtime, time);
        let fault = self.machine.kernel.fault.fresh_page_ns * pages;
        self.cpus[cpu].pay(Account::Fault, fault);
        let by = self.slot_on(cpu);
        let tid = self.add_task(maker, name, task, stack, cpu);
        if self.push(cpu, tid, by, Push::Spawned) {
            self.refuse(cpu, maker, tid);
        }
    }

    /// A task that was just made found the queue full.
    fn refuse(&mut self, cpu: usize, maker: Tid, task: Tid) {
        self.count_end(task);
        let report = &mut self.runtime().report;
        (report.ended, report.refused) = (report.ended - 1, report.refused + 1);
        self.end_running(cpu, task);
        debug_assert!(self.threads[maker.index()].is_alive(), "who made it goes on");
    }

    /// Books of a task that has ended.
    pub(super) fn count_end(&mut self, task: Tid) {
        let stack = self.threads[task.index()].stack;
        let runtime = self.runtime();
        runtime.report.alive -= 1;
        runtime.report.ended += 1;
        let (bytes, _) = runtime.model.memory.of_task(stack);
        runtime.report.bytes = runtime.report.bytes.saturating_sub(bytes);
    }

    /// A task that waits can go on; who runs on the cpu pays.
    pub(in crate::engine) fn ready(&mut self, cpu: usize, task: Tid) {
        self.let_go_on(cpu, task);
        let by = self.place_of_woken(cpu, task);
        self.push(cpu, task, by, Push::Woken);
    }

    /// The half of that which does not depend on queues.
    #[inline(always)]
    pub(super) fn let_go_on(&mut self, cpu: usize, task: Tid) {
        let cost = self.runtime().model.costs.ready_ns;
        self.cpus[cpu].pay(Account::Runtime, cost);
        let counts = self.runtime().model.operations_max.is_some();
        self.tasks[task.index()].waits = if counts { Wait::Over } else { Wait::Nothing };
        let now = self.cpus[cpu].now;
        self.log_task(EventKind::Unpark, task, now, Some(cpu));
        self.set_state(task, State::Ready, now);
    }

    /// Puts tasks into queues whose input has come, and lets carriers go on that are to run them.
    pub(super) fn inject(&mut self, cpu: usize, by: Option<Slot>, tasks: &[Tid]) {
        let runtime = self.runtime();
        let mut started = std::mem::take(&mut runtime.started);
        let pushed = runtime.discipline.inject(tasks, by, &mut started);
        self.pay_push(cpu, Pushed { notifies: false, ..pushed });
        for slot in started.drain(..) {
            self.start_carrier(cpu, slot);
        }
        self.runtime().started = started;
        if pushed.notifies {
            self.notify(cpu);
        }
    }

    /// Puts a task that can run into a queue. Returns whether that is full.
    pub(super) fn push(&mut self, cpu: usize, task: Tid, by: Option<Slot>, how: Push) -> bool {
        let pushed = self.runtime().discipline.push(task, by, how);
        self.pay_push(cpu, pushed);
        pushed.is_full
    }

    /// Pays for what a push took, and wakes a carrier if it says so.
    #[inline(always)]
    pub(super) fn pay_push(&mut self, cpu: usize, pushed: Pushed) {
        let runtime = self.runtime();
        let costs = &runtime.model.costs;
        let mut time = if pushed.is_global { costs.global_ns } else { Picos::ZERO };
        if pushed.overflowed > 0 {
            time += costs.global_ns;
        }
        self.cpus[cpu].pay(Account::Runtime, time);
        if pushed.notifies {
            self.notify(cpu);
        }
    }

    /// Wakes a carrier to look for work, if one is needed.
    pub(super) fn notify(&mut self, cpu: usize) {
        if let Some(slot) = self.runtime().discipline.wake() {
            self.start_carrier(cpu, slot);
        }
    }

    /// Lets a carrier go on with a slot: one that waits for work, or a new one. Who runs on the cpu pays.
    pub(super) fn start_carrier(&mut self, cpu: usize, slot: Slot) {
        let runtime = self.runtime();
        let id = if runtime.model.is_bound {
            runtime.slots[slot.index()].carrier.or_else(|| runtime.spare())
        } else {
            runtime.parked.pop()
        };
        let Some(id) = id else {
            if self.finds_carrier() {
                let thread = self.add_carrier(Some(cpu), Some(slot));
                self.log_worker(EventKind::Wake, slot, thread, None, cpu);
            } else {
                // Whoever comes back from a call takes it.
                self.runtime().discipline.slots_mut().set(slot, Status::Idle);
            }
            return;
        };
        if runtime.model.is_bound {
            runtime.parked.retain(|&parked| parked != id);
        }
        runtime.give_slot(id, slot);
        runtime.report.wakes += 1;
        let thread = runtime.carriers[id as usize].tid;
        self.log_worker(EventKind::Wake, slot, thread, None, cpu);
        if self.threads[thread.index()].state != State::Waiting {
            // It has been woken already, and has not run since.
            return;
        }
        let runtime = self.runtime();
        if runtime.poller.is_some_and(|(poller, _)| poller == thread) {
            runtime.poller = None;
        }
        let by = self.cpus[cpu].running.expect("who wakes runs");
        let price = self.machine.kernel.sync.futex_wake_ns;
        self.call(cpu, by, price);
        self.wake(thread, cpu);
        self.wake_monitor(cpu);
    }

    /// The same where each slot has one of its own: a spare one, or a new one.
    pub(super) fn finds_spare(&mut self) -> bool {
        let limit = self.machine.kernel.threads_max.min(self.runtime().model.threads_max);
        let runtime = self.runtime();
        runtime.spare().is_some() || runtime.carriers.len() < limit as usize
    }

    /// Whether a slot finds a carrier: one that waits for work, or a new one. That there is none is told once.
    pub(super) fn finds_carrier(&mut self) -> bool {
        let limit = self.machine.kernel.threads_max.min(self.runtime().model.threads_max);
        let runtime = self.runtime();
        if !runtime.parked.is_empty() || runtime.carriers.len() < limit as usize {
            return true;
        }
        if !std::mem::replace(&mut runtime.is_at_limit, true) {
            self.kernel.note(format!("the runtime may not make another thread: it has {limit}"));
        }
        false
    }

    /// Makes a thread that carries tasks. Who runs on the cpu pays, if anybody.
    pub(super) fn add_carrier(&mut self, cpu: Option<usize>, slot: Option<Slot>) -> Tid {
        let tid = self.add_runtime_thread(Role::Carrier, cpu);
        self.enrol(tid, slot);
        tid
    }

    /// Makes a thread a carrier.
    pub(super) fn enrol(&mut self, tid: Tid, slot: Option<Slot>) -> CarrierId {
        let runtime = self.runtime();
        let id = CarrierId::try_from(runtime.carriers.len()).expect("threads are limited");
        runtime.carriers.push(Carrier {
            tid,
            slot: None,
            last_slot: None,
            mounted: None,
            since_poll: 0,
            has_spun: false,
            is_preempted: false,
            operations: 0,
        });
        if runtime.carrier_ids.len() <= tid.index() {
            runtime.carrier_ids.resize(tid.index() + 1, None);
        }
        runtime.carrier_ids[tid.index()] = Some(id);
        if let Some(slot) = slot {
            runtime.give_slot(id, slot);
        }
        id
    }

    /// A thread of the runtime, made by who runs on a cpu.
    pub(super) fn add_runtime_thread(&mut self, role: Role, cpu: Option<usize>) -> Tid {
        let pid = self.runtime().pid;
        let first = self.groups[&pid].first;
        let at = match cpu {
            Some(cpu) => {
                self.kernel.charge_thread(pid);
                self.settle(cpu);
                self.cpus[cpu].now
            }
            None => self.threads[first.index()].created,
        };
        let mut thread = Thread::new(pid, first, self.threads[first.index()].share, at);
        thread.role = role;
        let tid = self.add_to_group(thread, Task::new(0));
        self.make_ready(tid, crate::sched::Enqueue::New, at, cpu);
        tid
    }
}
