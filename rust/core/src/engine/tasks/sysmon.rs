//! The monitor: a thread that sleeps most of the time, and takes slots from carriers that block, and time from tasks that
//! do not stop. What it does follows Go's sysmon (runtime/proc.go of 1.27).

use super::Seen;
use crate::base::Picos;
use crate::engine::run::Run;
use crate::engine::task::{Alarm, Wait};
use crate::kernel::{Account, Tid};
use crate::runtime::{Slot, Status};

/// The shortest and the longest sleep between two looks.
pub(super) const DELAY_MIN: Picos = Picos::from_nanos(20_000);
const DELAY_MAX: Picos = Picos::from_nanos(10_000_000);

/// What Linux lets a sleep take longer, to wake several threads at once (PR_SET_TIMERSLACK).
const TIMER_SLACK: Picos = Picos::from_nanos(50_000);

/// Looks without anything to do before sleeps get longer.
const IDLE_LOOKS: u32 = 50;

/// From when on a slot is taken from a blocking call though nobody needs it.
const BLOCK_MAX: Picos = Picos::from_nanos(10_000_000);

/// What a look costs, and what it costs more for each slot.
const LOOK: Picos = Picos::from_nanos(500);
const LOOK_SLOT: Picos = Picos::from_nanos(30);

impl Run {
    /// One look of the monitor. It always sleeps behind it.
    pub(super) fn monitor(&mut self, cpu: usize, thread: Tid) -> bool {
        self.events += 1;
        let slots = self.runtime().slots.len();
        self.cpus[cpu].pay(Account::Runtime, LOOK + LOOK_SLOT * slots as u64);
        let mut has_acted = false;
        for slot in 0..slots {
            has_acted |= self.retake(cpu, Slot(u16::try_from(slot).expect("slots are numbered by 16 bits")));
        }
        let (block, call) = (self.machine.kernel.switch.block_ns, self.machine.kernel.syscall_ns);
        self.cpus[cpu].pay(Account::Syscall, call);
        self.cpus[cpu].pay(Account::Sched, block);
        let now = self.cpus[cpu].now;
        let runtime = self.runtime();
        if runtime.discipline.idle() == slots {
            runtime.monitor_sleeps = true;
            self.tasks[thread.index()].waits = Wait::Work;
            return false;
        }
        runtime.monitor_idle = if has_acted { 0 } else { runtime.monitor_idle.saturating_add(1) };
        if runtime.monitor_idle == 0 {
            runtime.monitor_delay = DELAY_MIN;
        } else if runtime.monitor_idle > IDLE_LOOKS {
            runtime.monitor_delay = (runtime.monitor_delay * 2).min(DELAY_MAX);
        }
        let wake = now + runtime.monitor_delay + TIMER_SLACK;
        self.tasks[thread.index()].waits = Wait::Time;
        self.sleep_until(thread, wake, Alarm::Time);
        false
    }

    /// Looks at one slot. Returns whether it was taken from a call.
    fn retake(&mut self, cpu: usize, slot: Slot) -> bool {
        let now = self.cpus[cpu].now;
        let runtime = self.runtime();
        let status = runtime.discipline.status(slot);
        let state = &mut runtime.slots[slot.index()];
        if matches!(status, Status::Running | Status::Blocked) {
            if state.seen.turn != state.turn {
                state.seen = Seen { turn: state.turn, at: now, ..state.seen };
            } else if let Some(limit) = runtime.model.preempt_after_ns
                && state.seen.at + limit <= now
                && status == Status::Running
            {
                let carrier = state.carrier;
                if let Some(id) = carrier {
                    self.interrupt_task(id);
                }
            }
        }
        if status != Status::Blocked {
            return false;
        }
        let runtime = self.runtime();
        let state = &mut runtime.slots[slot.index()];
        if state.seen.call != state.calls {
            state.seen = Seen { call: state.calls, call_at: now, ..state.seen };
            return false;
        }
        let is_long = state.seen.call_at + BLOCK_MAX <= now;
        let has_others = runtime.discipline.idle() + runtime.discipline.searching() > 0;
        if !runtime.discipline.has_work(slot) && has_others && !is_long {
            return false;
        }
        if !self.finds_carrier() {
            return false;
        }
        let runtime = self.runtime();
        runtime.slots[slot.index()].calls += 1;
        self.take_slot(cpu, slot);
        true
    }

    /// Tells a carrier that its task is to give way.
    fn interrupt_task(&mut self, id: super::CarrierId) {
        let carrier = &mut self.runtime().carriers[id as usize];
        if carrier.is_preempted || carrier.mounted.is_none() {
            return;
        }
        carrier.is_preempted = true;
        let thread = carrier.tid;
        if let Some(other) = (0..self.cpus.len()).find(|&other| self.cpus[other].running == Some(thread)) {
            self.cpus[other].is_signalled = true;
            self.come_nearer(other);
        }
    }

    /// Wakes the monitor if it sleeps since nothing happened.
    pub(super) fn wake_monitor(&mut self, cpu: usize) {
        let runtime = self.runtime();
        let Some(monitor) = runtime.monitor.filter(|_| runtime.monitor_sleeps) else { return };
        runtime.monitor_sleeps = false;
        (runtime.monitor_delay, runtime.monitor_idle) = (DELAY_MIN, 0);
        self.wake(monitor, cpu);
    }
}
