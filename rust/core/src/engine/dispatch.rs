//! Who runs where: waking, placing, picking, preempting, moving between cpus.
//!
//! Queues belong to policies; here is what they are asked and when. A thread that could run waits in one queue; a cpu that
//! has nobody picks from its own, and takes from others if it may. Who wakes goes back to the cpu that it ran on if that
//! is idle, to another idle one, or waits where it ran.

use super::event_log::EventKind;
use super::run::Run;
use super::task::Wait;
use crate::base::Picos;
use crate::kernel::{Account, NO_CPU, Role, State, Tid};
use crate::sched::{Enqueue, Leave};
use crate::workload::{Instruction, Time};

impl Run {
    /// A thread could run from a time on. `waker` is the cpu of who woke or made it. Returns whether it interrupts another
    /// one, which idles.
    pub(super) fn make_ready(&mut self, tid: Tid, reason: Enqueue, at: Picos, waker: Option<usize>) -> bool {
        self.set_state(tid, State::Ready, at);
        let cpu = self.place(tid, waker);
        let queue = self.queues.of_cpu(cpu);
        let last = self.threads[tid.index()].cpu;
        let was_elsewhere = last != NO_CPU && self.queues.of_cpu(last.into()) != queue;
        let reason = if was_elsewhere && reason == Enqueue::Wake { Enqueue::Migrated(0) } else { reason };
        let burst = self.burst(tid);
        // Who runs is charged first: a policy places those that come by what the others have had.
        self.charge_queue(queue, at);
        self.queues.enqueue(queue, &self.threads[tid.index()], tid, burst, reason, at);
        self.threads[tid.index()].home = u8::try_from(cpu).expect("at most 64 cpus");
        if self.cpus[cpu].running.is_none() {
            let kernel = &self.machine.kernel;
            let latency = match waker {
                Some(waker) if waker != cpu => kernel.switch.wake_remote_ns,
                // The timer's interrupt ends the idling.
                None if self.threads[tid.index()].role != Role::Thread => {
                    kernel.timer.interrupt_ns + kernel.switch.wake_remote_ns
                }
                _ => Picos::ZERO,
            };
            self.fill(cpu, at + latency);
            return waker.is_some_and(|waker| waker != cpu);
        }
        if self.queues.is_preemptive() {
            self.preempt_for(tid, queue, at);
        }
        false
    }

    /// Charges all that run and were picked from a queue, up to a time.
    pub(super) fn charge_queue(&mut self, queue: usize, at: Picos) {
        let cpus = if self.queues.is_shared() { 0..self.cpus.len() } else { queue..queue + 1 };
        for cpu in cpus {
            self.catch_up(cpu, at);
            self.charge(cpu);
        }
    }

    /// The cpu whose queue a thread joins.
    fn place(&self, tid: Tid, waker: Option<usize>) -> usize {
        let thread = &self.threads[tid.index()];
        let last = (thread.cpu != NO_CPU).then(|| usize::from(thread.cpu));
        let is_idle = |cpu: usize| self.cpus[cpu].running.is_none();
        if let Some(last) = last
            && !self.queues.is_shared()
            && self.queues.is_delayed(self.queues.of_cpu(last), tid)
        {
            return last;
        }
        if let Some(last) = last.filter(|&last| is_idle(last) && thread.may_run_on(last)) {
            return last;
        }
        let allowed = (0..self.cpus.len()).filter(|&cpu| thread.may_run_on(cpu));
        if let Some(waker) = waker
            && self.scenario.kernel.wake_affine
            && last.is_some()
            && thread.may_run_on(waker)
            && self.queues.queued(self.queues.of_cpu(waker)) == 0
        {
            return waker;
        }
        // A cpu that idles since longer is ahead of nobody: of the idle ones the first.
        if let Some(idle) = allowed.clone().find(|&cpu| is_idle(cpu)) {
            return idle;
        }
        match last.filter(|&last| thread.may_run_on(last)) {
            Some(last) => last,
            None => allowed
                .min_by_key(|&cpu| (self.queues.queued(self.queues.of_cpu(cpu)), cpu))
                .expect("an affinity names a cpu of the machine"),
        }
    }

    /// What a thread still runs up to where it waits or ends, as far as it can be seen: the computation that comes next,
    /// or what is expected of one that is yet to be drawn.
    #[inline(always)]
    fn burst(&self, tid: Tid) -> Picos {
        let tid = self.mounted(tid).unwrap_or(tid);
        let task = &self.tasks[tid.index()];
        if task.left > Picos::ZERO {
            return task.left;
        }
        match self.code.instructions.get(task.next as usize) {
            Some(Instruction::Compute(Time::Fixed(time))) => *time,
            Some(Instruction::Compute(Time::Drawn(index))) => self.code.samplers[*index as usize].expected(),
            _ => Picos::ZERO,
        }
    }

    /// Lets the policy say whether one that came makes another stop.
    pub(super) fn preempt_for(&mut self, woken: Tid, queue: usize, at: Picos) {
        if !self.queues.is_shared() {
            let running = self.preemptible(queue, woken).map(Tid::task);
            if self.queues.victim(queue, woken, running.as_slice(), at).is_some() {
                self.stop_for_other(queue);
            }
            return;
        }
        let may_stop = (0..self.cpus.len()).filter_map(|cpu| Some((self.preemptible(cpu, woken)?.task(), cpu)));
        let (running, cpus): (Vec<_>, Vec<_>) = may_stop.unzip();
        if let Some(place) = self.queues.victim(queue, woken, &running, at) {
            self.stop_for_other(cpus[place]);
        }
    }

    /// Who runs on a cpu, if it may have to stop there for another.
    fn preemptible(&self, cpu: usize, woken: Tid) -> Option<Tid> {
        let may_run = self.threads[woken.index()].may_run_on(cpu);
        self.cpus[cpu].running.filter(|_| may_run && !self.cpus[cpu].must_switch)
    }

    fn stop_for_other(&mut self, cpu: usize) {
        self.cpus[cpu].must_switch = true;
        self.come_nearer(cpu);
    }

    /// Charges who runs for what it ran since it was charged last.
    #[inline(always)]
    pub(super) fn charge(&mut self, cpu: usize) {
        let Some(tid) = self.cpus[cpu].running else { return };
        let state = &mut self.cpus[cpu];
        let ran = state.now.saturating_sub(state.charged);
        if ran == Picos::ZERO {
            return;
        }
        state.charged = state.now;
        let now = state.now;
        self.threads[tid.index()].run += ran;
        self.queues.charge(self.queues.of_cpu(cpu), tid, ran, now);
    }

    /// Who runs stops, and could go on.
    pub(super) fn put_back(&mut self, cpu: usize, reason: Enqueue) {
        self.fence(cpu);
        self.charge(cpu);
        let (running, now) = (self.cpus[cpu].running, self.cpus[cpu].now);
        let kind = if reason == Enqueue::Yielded { EventKind::Yield } else { EventKind::SwitchOut };
        self.log_task(kind, running.expect("who is put back runs"), now, None);
        let tid = self.vacate(cpu);
        self.set_state(tid, State::Ready, now);
        let burst = self.burst(tid);
        let queue = self.queues.of_cpu(cpu);
        self.queues.enqueue(queue, &self.threads[tid.index()], tid, burst, reason, now);
        self.threads[tid.index()].home = u8::try_from(cpu).expect("at most 64 cpus");
        self.cpus[cpu].put_back = Some((tid, reason == Enqueue::Yielded));
    }

    /// Who runs waits for something from now on.
    pub(super) fn block(&mut self, cpu: usize) {
        self.fence(cpu);
        self.charge(cpu);
        let (running, now) = (self.cpus[cpu].running, self.cpus[cpu].now);
        self.log_task(EventKind::Block, running.expect("who waits ran"), now, None);
        let tid = self.vacate(cpu);
        self.set_state(tid, State::Waiting, now);
        self.threads[tid.index()].switches_voluntary += 1;
        self.queues.leave(self.queues.of_cpu(cpu), tid, Leave::Blocked, now);
    }

    /// Who runs has ended.
    pub(super) fn drop_ended(&mut self, cpu: usize) {
        self.charge(cpu);
        let tid = self.vacate(cpu);
        self.queues.leave(self.queues.of_cpu(cpu), tid, Leave::Ended, self.cpus[cpu].now);
    }

    fn vacate(&mut self, cpu: usize) -> Tid {
        self.book(cpu);
        self.turns.change(cpu);
        let state = &mut self.cpus[cpu];
        state.must_switch = false;
        state.is_signalled = false;
        state.slice_end = Picos::NEVER;
        state.tick = Picos::NEVER;
        self.kernel.set_running(cpu, None);
        let active = state.active;
        if state.running != Some(active) {
            let task = self.threads[active.index()].state;
            if task == State::Running {
                let now = state.now;
                self.log_task(EventKind::SwitchOut, active, now, None);
            }
            self.stop(cpu, active, if task == State::Running { State::Ready } else { task });
        }
        self.cpus[cpu].running.take().expect("only a busy cpu is vacated")
    }

    /// Gives a cpu that has nobody somebody to run, not before a time.
    pub(super) fn fill(&mut self, cpu: usize, at: Picos) {
        let now = self.cpus[cpu].now.max(at);
        let queue = self.queues.of_cpu(cpu);
        let mut picked = self.queues.pick(queue, now);
        if picked.is_none() && self.scenario.kernel.steal && !self.queues.is_shared() && self.queues.waiting() > 0 {
            if let Some(stolen) = self.queues.steal(cpu, 1, &self.threads, now) {
                self.threads[stolen.index()].home = u8::try_from(cpu).expect("at most 64 cpus");
            }
            picked = self.queues.pick(queue, now);
        }
        let left = self.cpus[cpu].put_back.take();
        let Some(tid) = picked else { return };
        if let Some((left, is_voluntary)) = left.filter(|&(left, _)| left != tid) {
            let thread = &mut self.threads[left.index()];
            thread.switches_voluntary += u32::from(is_voluntary);
            thread.switches_involuntary += u32::from(!is_voluntary);
        }
        // The cpu that made or woke it may be ahead of this one.
        self.cpus[cpu].idle_until(at.max(self.threads[tid.index()].since));
        self.start(cpu, tid);
        self.come_nearer(cpu);
    }

    /// A thread begins to run.
    fn start(&mut self, cpu: usize, tid: Tid) {
        let picked_at = self.cpus[cpu].now;
        self.switch(cpu, tid);
        let here = u8::try_from(cpu).expect("at most 64 cpus");
        let thread = &mut self.threads[tid.index()];
        let kind = if thread.first_run == Picos::NEVER { EventKind::Start } else { EventKind::Run };
        if thread.first_run == Picos::NEVER {
            thread.first_run = self.cpus[cpu].now;
        } else if thread.cpu != here {
            thread.migrations += 1;
        }
        thread.cpu = here;
        let waited = picked_at.saturating_sub(thread.since);
        self.latencies.note(waited);
        self.set_state(tid, State::Running, picked_at);
        let now = self.cpus[cpu].now;
        let slice_end = self.queues.runs_until(self.queues.of_cpu(cpu), tid, now);
        let state = &mut self.cpus[cpu];
        state.running = Some(tid);
        state.pid = self.threads[tid.index()].pid;
        state.last = Some(tid);
        state.charged = now;
        state.switched = now;
        state.slice_end = slice_end;
        let tick = self.machine.kernel.timer.tick_ns;
        state.tick = if tick == Picos::ZERO { Picos::NEVER } else { crate::sched::weight::next_tick(now, tick) };
        (state.active, state.began) = (tid, now);
        let pid = state.pid;
        self.kernel.set_running(cpu, Some(pid));
        self.log_task(kind, tid, now, None);
        if let Some(task) = self.mounted(tid) {
            self.begin(cpu, task);
        }
        self.look_again(self.cpus[cpu].active);
    }

    /// The timer, the end of a slice, or somebody better: what stops who runs from time to time.
    pub(super) fn interrupt(&mut self, cpu: usize) {
        if self.cpus[cpu].now >= self.cpus[cpu].tick {
            self.tick(cpu);
        }
        self.cpus[cpu].is_signalled = false;
        if self.cpus[cpu].must_switch {
            self.put_back(cpu, Enqueue::Preempted);
        } else if self.cpus[cpu].now >= self.cpus[cpu].slice_end {
            self.end_slice(cpu);
        }
    }

    fn end_slice(&mut self, cpu: usize) {
        self.charge(cpu);
        let tid = self.cpus[cpu].running.expect("only a busy cpu has slices");
        let (queue, now) = (self.queues.of_cpu(cpu), self.cpus[cpu].now);
        if self.queues.must_yield(queue, tid, now) {
            self.put_back(cpu, Enqueue::SliceUsed);
        } else {
            self.cpus[cpu].slice_end = self.queues.runs_until(queue, tid, now);
        }
    }

    fn tick(&mut self, cpu: usize) {
        let timer = &self.machine.kernel.timer;
        let (tick, cost) = (timer.tick_ns, timer.interrupt_ns);
        let state = &mut self.cpus[cpu];
        state.ticks += 1;
        state.tick = crate::sched::weight::next_tick(state.now, tick);
        state.pay(Account::Interrupt, cost);
        self.touch_kernel_of_cpu(cpu);
        if self.scenario.kernel.steal && !self.queues.is_shared() {
            self.balance(cpu);
        }
    }

    /// Takes one thread from the longest queue, if that is longer by two.
    fn balance(&mut self, cpu: usize) {
        let (own, now) = (self.queues.queued(cpu), self.cpus[cpu].now);
        if let Some(stolen) = self.queues.steal(cpu, own + 2, &self.threads, now) {
            self.threads[stolen.index()].home = u8::try_from(cpu).expect("at most 64 cpus");
        }
    }

    /// Wakes a thread that waits, or a task. The cpu of who wakes it pays.
    pub(super) fn wake(&mut self, tid: Tid, cpu: usize) {
        if self.is_user_task(tid) {
            return self.ready(cpu, tid);
        }
        let tid = self.carrier_of(tid, self.cpus[cpu].now, Some(cpu));
        let costs = &self.machine.kernel.switch;
        let thread = &self.threads[tid.index()];
        let queue = self.queues.of_cpu(thread.cpu.into());
        let is_cheap = self.queues.is_delayed(queue, tid);
        let cost = if is_cheap { costs.wake_ns } else { costs.wake_ns + costs.dequeue_ns };
        self.cpus[cpu].pay(Account::Sched, cost);
        if let Some(waker) = self.cpus[cpu].running {
            self.locks.paths.go_on_from(tid, waker);
            self.followed(waker, tid);
        }
        if self.wake_for_free(tid, self.cpus[cpu].now, Some(cpu)) {
            let interrupt = self.machine.kernel.switch.wake_interrupt_ns;
            self.cpus[cpu].pay(Account::Sched, interrupt);
        }
    }

    /// Wakes a thread that waits, and nobody pays: time did it.
    pub(super) fn wake_for_free(&mut self, tid: Tid, at: Picos, waker: Option<usize>) -> bool {
        if let Some(cpu) = waker.filter(|_| self.is_user_task(tid)) {
            self.ready(cpu, tid);
            return false;
        }
        let tid = self.carrier_of(tid, at, waker);
        // A task in a blocking call goes on when its thread does.
        let task = self.mounted(tid).filter(|task| self.tasks[task.index()].waits == Wait::Block);
        self.log_task(EventKind::Unpark, task.unwrap_or(tid), at, waker);
        debug_assert_eq!(self.threads[tid.index()].state, State::Waiting, "only who waits is woken");
        self.tasks[tid.index()].waits = Wait::Nothing;
        self.make_ready(tid, Enqueue::Wake, at, waker)
    }

    #[inline]
    pub(super) fn set_state(&mut self, tid: Tid, state: State, now: Picos) {
        let thread = &mut self.threads[tid.index()];
        if thread.state == State::Ready {
            thread.wait += now.saturating_sub(thread.since);
        }
        thread.state = state;
        thread.since = now.max(thread.since);
    }
}
