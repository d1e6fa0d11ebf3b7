//! A runtime begins with the process that has tasks, and ends with it.

use super::due::Due;
use super::{Runtime, SlotState};
use crate::base::Picos;
use crate::engine::run::Run;
use crate::engine::task::Task;
use crate::engine::threads::Group;
use crate::kernel::{Pid, Role, Share, State, Thread, Tid};
use crate::runtime::{HandOff, Model, Poller, Slot};
use crate::sched::Enqueue;

/// Bytes at which garbage is collected first (Go: the least heap).
const COLLECT_MIN: u64 = 4 << 20;

impl Run {
    /// Starts the first thread of a process whose tasks a runtime has.
    pub(in crate::engine) fn start_runtime(&mut self, pid: Pid, model: Model, program: Task, share: Share, at: Picos) {
        let mut slots = model.workers.unwrap_or_else(|| u16::try_from(self.cpus.len()).expect("at most 64 cpus"));
        let limit = self.machine.kernel.threads_max.min(model.threads_max);
        if model.is_bound && u32::from(slots) > limit {
            self.kernel.note(format!("the runtime may make {limit} threads, fewer than its {slots} workers"));
            slots = u16::try_from(limit).expect("it is less than what fits");
        }
        let discipline = model.queues.discipline(slots, self.seed);
        let (main_is_task, is_bound) = (model.main_is_task, model.is_bound);
        let has_monitor = model.hand_off == HandOff::Monitor || model.preempt_after_ns.is_some();
        let has_poll_thread = model.poller == Poller::Thread;
        self.runtime = Some(Box::new(Runtime {
            pid,
            discipline,
            carriers: Vec::new(),
            carrier_ids: Vec::new(),
            parked: Vec::new(),
            slots: vec![SlotState::default(); usize::from(slots)],
            due: Due::default(),
            poller: None,
            poll_thread: None,
            monitor: None,
            monitor_delay: super::sysmon::DELAY_MIN,
            monitor_idle: 0,
            monitor_sleeps: false,
            collect_at: COLLECT_MIN,
            unseen: 0,
            is_at_limit: false,
            report: super::Report::default(),
            input: Vec::new(),
            started: Vec::new(),
            model,
        }));
        if main_is_task {
            let mut thread = Thread::new(pid, Tid::NONE, share, at);
            thread.role = Role::Carrier;
            let thread = self.add_thread(thread, Task::new(0));
            self.groups.insert(pid, Group::of(thread));
            let id = self.enrol(thread, None);
            let runtime = self.runtime();
            let slot = runtime.discipline.claim(Some(Slot(0))).expect("all slots idle");
            runtime.give_slot(id, slot);
            let mut task = Thread::new(pid, Tid::NONE, share, at);
            (task.role, task.carrier) = (Role::Task, thread);
            let task = self.add_to_group(task, program);
            let runtime = self.runtime();
            runtime.carriers[id as usize].mounted = Some(task);
            (runtime.report.alive, runtime.report.alive_peak, runtime.report.made) = (1, 1, 1);
            self.make_ready(thread, Enqueue::New, at, None);
        } else {
            self.add_first(pid, program, share, at, None);
        }
        if is_bound {
            for slot in u16::from(main_is_task)..slots {
                let slot = self.runtime().discipline.claim(Some(Slot(slot))).expect("all slots idle");
                self.add_carrier(None, Some(slot));
            }
        }
        if has_monitor {
            let monitor = self.add_runtime_thread(Role::Monitor, None);
            self.runtime().monitor = Some(monitor);
        }
        if has_poll_thread {
            let poller = self.add_runtime_thread(Role::Poller, None);
            self.runtime().poll_thread = Some(poller);
        }
    }

    /// Whether the tasks of a process have a runtime.
    pub(in crate::engine) fn has_runtime(&self, pid: Pid) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| runtime.pid == pid)
    }

    /// A task has called exec: it is the only thread of its process, and its carrier is gone.
    pub(in crate::engine) fn become_thread(&mut self, cpu: usize, task: Tid) {
        self.stop(cpu, task, State::Ready);
        let thread = &mut self.threads[task.index()];
        (thread.role, thread.carrier) = (Role::Thread, Tid::NONE);
        self.alive += 1;
        let state = &mut self.cpus[cpu];
        (state.space, state.active) = (None, state.running.expect("its carrier ran"));
        let now = state.now;
        self.make_ready(task, Enqueue::New, now, Some(cpu));
    }

    /// The process of a runtime has ended.
    pub(in crate::engine) fn end_runtime(&mut self, pid: Pid) {
        if self.has_runtime(pid) {
            self.ended_runtime = self.runtime.take();
        }
    }
}
