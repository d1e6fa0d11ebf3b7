//! Executing a program: one instruction after the other, until time is up or the process cannot go on.

use super::cpu::Limit;
use super::error::RunError;
use super::measure::{ForkRecord, Outside};
use super::prepare::share;
use super::races::Object;
use super::run::Run;
use super::task::{Alarm, Task, Wait};
use crate::base::Picos;
use crate::kernel::{Account, KernelError, MapCall, Pid, Thread, Tid};
use crate::runtime::TaskKind;
use crate::vm::address_space::RegionKind;
use crate::workload::Code;
use crate::workload::code::{ChildKind, Instruction, Range, Time};

/// Page-table entries that a call goes through in the time of a usual step: long calls count for more, so that the caller
/// is asked often enough.
const ENTRIES_PER_EVENT: u64 = 8;

/// What an instruction leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next instruction.
    Next,
    /// The same instruction again: time is up, or the thread waits.
    Again,
    /// The next instruction, and the thread makes room.
    Yield,
    /// A task is a thread from now on, and its carrier has ended.
    Leave,
}

/// Why the execution of a program stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// Time is up.
    On,
    /// It waits.
    Waits,
    /// It makes room.
    Yields,
    /// It is over.
    Ended,
}

impl Run {
    /// Runs the program of a thread or a task on a cpu.
    pub(super) fn execute(&mut self, cpu: usize, tid: Tid, code: &Code, limit: Limit) -> Result<Ran, RunError> {
        let counts = self.counts_operations(tid);
        loop {
            let now = self.cpus[cpu].now;
            if now >= self.reach(cpu, limit) || self.events >= limit.events {
                return Ok(Ran::On);
            }
            self.kernel.set_now(now);
            self.kernel.set_caller(cpu);
            let instruction = &code.instructions[self.tasks[tid.index()].next as usize];
            if counts && !self.may_operate(tid, instruction) {
                return Ok(Ran::Yields);
            }
            // A touch counts its accesses, and makes at least one.
            self.events += u64::from(!matches!(instruction, Instruction::Touch(_)));
            let step = self.instruction(cpu, tid, code, instruction, limit)?;
            if step == Step::Leave || !self.threads[tid.index()].is_alive() {
                return Ok(Ran::Ended);
            }
            let task = &mut self.tasks[tid.index()];
            task.next += u32::from(step != Step::Again);
            if !matches!(task.waits, Wait::Nothing) {
                return Ok(Ran::Waits);
            }
            if step == Step::Yield {
                return Ok(Ran::Yields);
            }
        }
    }

    /// Up to when a cpu may go on: others, the caller, the timer and the end of its slice say so.
    pub(super) fn reach(&self, cpu: usize, limit: Limit) -> Picos {
        self.horizon.min(limit.until).min(self.cpus[cpu].stop())
    }

    #[inline(always)]
    fn instruction(
        &mut self,
        cpu: usize,
        tid: Tid,
        code: &Code,
        instruction: &Instruction,
        limit: Limit,
    ) -> Result<Step, RunError> {
        let pid = self.cpus[cpu].pid;
        match instruction {
            Instruction::Compute(time) => {
                let time = match *time {
                    Time::Fixed(time) => time,
                    Time::Drawn(_) if self.tasks[tid.index()].left > Picos::ZERO => Picos::ZERO,
                    time => self.time(tid, time),
                };
                return Ok(self.compute(cpu, tid, Account::User, time, limit));
            }
            Instruction::Syscall(time) => {
                let time = time.unwrap_or(self.machine.kernel.syscall_ns);
                self.cpus[cpu].pay(Account::Syscall, time);
            }
            Instruction::Sleep(time) => self.sleep_for(cpu, tid, *time),
            Instruction::Io(time) => self.wait_outside(cpu, tid, *time, Outside::Io),
            Instruction::Block(time) => self.wait_outside(cpu, tid, *time, Outside::Block),
            Instruction::Call(op) => return Ok(self.call_dependency(cpu, tid, *op)),
            Instruction::Thread(index) => return self.make_thread(cpu, tid, *index),
            Instruction::Accept { load, end } => return self.accept(cpu, tid, *load, *end),
            Instruction::Complete(load) => self.complete(cpu, tid, *load),
            Instruction::Task(index) => return self.task(cpu, tid, *index),
            Instruction::Join(None) if self.tasks_are_processes() => {
                if self.threads[tid.index()].made > 0 {
                    self.join(cpu, tid, None)?;
                    return Ok(Step::Again);
                }
                return self.wait(cpu, tid, true);
            }
            Instruction::Join(name) => return self.join(cpu, tid, *name),
            Instruction::YieldNow if self.is_user_task(tid) => return Ok(Step::Yield),
            Instruction::YieldNow => {
                self.cpus[cpu].pay(Account::Syscall, self.machine.kernel.syscall_ns);
                self.touch_kernel_of_call(cpu, tid);
                return Ok(Step::Yield);
            }
            Instruction::Acquire(index) => return Ok(self.acquire(cpu, tid, *index)),
            Instruction::Release(index) => self.release(cpu, tid, *index),
            Instruction::Lock(index) => return self.lock(cpu, tid, *index, limit),
            Instruction::ReadLock(index) => return self.lock_shared(cpu, tid, *index, false),
            Instruction::WriteLock(index) => return self.lock_shared(cpu, tid, *index, true),
            Instruction::Unlock(index) => return self.unlock(cpu, tid, *index),
            Instruction::Destroy(index) => return self.destroy(cpu, tid, *index),
            Instruction::Await(condition, index) => {
                return self.await_condition(cpu, tid, (*condition, *index), limit);
            }
            Instruction::Signal(condition) => return Ok(self.signal(cpu, tid, *condition, false)),
            Instruction::Broadcast(condition) => return Ok(self.signal(cpu, tid, *condition, true)),
            Instruction::Barrier(index) => return Ok(self.meet(cpu, tid, *index)),
            Instruction::Send(index, bytes) => return self.send(cpu, tid, *index, *bytes),
            Instruction::Recv(index) => return self.receive(cpu, tid, *index),
            Instruction::Mmap(map) => {
                let call = MapCall {
                    name: &map.region,
                    address: map.address,
                    size: map.size,
                    permissions: map.permissions,
                    page_order: map.page_order,
                    is_shared: map.is_shared,
                };
                let mapped = self.kernel.mmap(pid, &call);
                if let Some(address) = self.outcome(cpu, pid, mapped)? {
                    let size = map.size.next_multiple_of(4096);
                    self.regions.add(pid, &map.region, (address, size));
                }
            }
            Instruction::Munmap(range) => {
                let (address, size) = self.range(pid, range)?;
                let done = self.kernel.munmap(pid, address, size);
                self.outcome(cpu, pid, done)?;
            }
            Instruction::Discard(range) => {
                let (address, size) = self.range(pid, range)?;
                let done = self.kernel.discard(pid, address, size);
                self.outcome(cpu, pid, done)?;
            }
            Instruction::Mprotect(range, permissions) => {
                let (address, size) = self.range(pid, range)?;
                let done = self.kernel.mprotect(pid, address, size, *permissions);
                self.outcome(cpu, pid, done)?;
            }
            Instruction::Brk(size) => {
                let done = self.kernel.brk(pid, *size);
                if let Some(end) = self.outcome(cpu, pid, done)? {
                    let size = size.next_multiple_of(4096);
                    self.regions.add(pid, "heap", (end - size, size));
                }
            }
            Instruction::Touch(index) => return self.touch(cpu, tid, code, *index, limit),
            Instruction::Child(kind, entry) => return self.child(cpu, tid, *kind, *entry),
            Instruction::Spawn(name, entry) => {
                let child = self.kernel.spawn(pid, name);
                if let Some(child) = self.outcome(cpu, pid, child)? {
                    self.start_child(cpu, tid, child, Task::new(*entry));
                }
            }
            Instruction::Exec(name, entry) => {
                let done = self.kernel.exec(pid, name);
                if self.outcome(cpu, pid, done)?.is_some() {
                    self.regions.forget(pid);
                    self.end_runtime(pid);
                    self.end_others(cpu, tid);
                    self.tasks[tid.index()] = Task::new(*entry);
                    if self.is_task(tid) {
                        self.become_thread(cpu, tid);
                        return Ok(Step::Leave);
                    }
                    // What loading the new space costs is a part of exec.
                    self.cpus[cpu].space = None;
                    self.load_space(cpu, tid);
                    return Ok(Step::Again);
                }
            }
            Instruction::Exit(code) => self.exit(cpu, pid, *code)?,
            Instruction::Finish if self.is_task(tid) && self.threads[tid.index()].maker != Tid::NONE => {
                self.end_running(cpu, tid);
            }
            Instruction::Finish if self.threads[tid.index()].maker != Tid::NONE => {
                self.cpus[cpu].pay(Account::Syscall, self.machine.kernel.syscall_ns);
                self.end_running(cpu, tid);
            }
            Instruction::Finish => self.exit(cpu, pid, 0)?,
            Instruction::Wait { all } => return self.wait(cpu, tid, *all),
            Instruction::Kill => {
                let children = self.kernel.process(pid).map(|process| process.children.clone()).unwrap_or_default();
                let alive = |child: &&Pid| self.kernel.process(**child).is_some_and(|process| process.is_alive());
                if let Some(&child) = children.iter().rev().find(alive) {
                    let done = self.kernel.kill(pid, child);
                    self.outcome(cpu, pid, done)?;
                }
            }
            Instruction::Loop { times: 0, end } => {
                self.tasks[tid.index()].next = *end;
                return Ok(Step::Again);
            }
            Instruction::Loop { times, .. } => self.tasks[tid.index()].begin_loop(*times),
            Instruction::Next { start } => {
                let task = &mut self.tasks[tid.index()];
                if task.end_round() {
                    task.next = *start;
                    return Ok(Step::Again);
                }
            }
            Instruction::Jump(address) => {
                self.tasks[tid.index()].next = *address;
                return Ok(Step::Again);
            }
            Instruction::Choose(places) => {
                self.choose(tid, places);
                return Ok(Step::Again);
            }
            Instruction::Share(index) => return Ok(self.share(cpu, tid, code, *index, limit)),
            Instruction::Begin(_) => {
                let now = self.cpus[cpu].now;
                self.tasks[tid.index()].begin(now);
            }
            Instruction::End(measure) => {
                let now = self.cpus[cpu].now;
                let began = self.tasks[tid.index()].end();
                self.measures[*measure as usize].note(now.saturating_sub(began));
            }
            Instruction::BeginDeadline(time) => {
                let until = self.cpus[cpu].now + *time;
                self.tasks[tid.index()].begin_deadline(until);
            }
            Instruction::EndDeadline => self.tasks[tid.index()].end_deadline(),
            Instruction::Expire { load, end } => {
                if self.has_expired(cpu, tid, *load) {
                    self.tasks[tid.index()].next = *end;
                    return Ok(Step::Again);
                }
            }
        }
        Ok(Step::Next)
    }

    fn exit(&mut self, cpu: usize, pid: Pid, code: i32) -> Result<(), RunError> {
        self.events += self.kernel.resident_pages(pid) / ENTRIES_PER_EVENT;
        let done = self.kernel.exit(pid, code);
        self.outcome(cpu, pid, done)?;
        Ok(())
    }

    /// A time of a program, drawn if it is not always the same.
    fn time(&mut self, tid: Tid, time: Time) -> Picos {
        match time {
            Time::Fixed(time) => time,
            Time::Drawn(index) => {
                let sampler = &self.code.samplers[index as usize];
                sampler.draw(self.tasks[tid.index()].durations(self.seed, self.threads[tid.index()].stream))
            }
        }
    }

    /// A thread or a task begins to wait for a time.
    fn sleep_for(&mut self, cpu: usize, tid: Tid, time: Time) {
        let time = self.time(tid, time);
        if self.is_user_task(tid) {
            self.wait_for(cpu, tid, self.cpus[cpu].now + time, Wait::Time);
        } else {
            self.cpus[cpu].pay(Account::Syscall, self.machine.kernel.syscall_ns);
            self.wait_in_kernel(cpu, tid, time);
        }
    }

    fn wait_in_kernel(&mut self, cpu: usize, tid: Tid, time: Picos) {
        self.tasks[tid.index()].waits = Wait::Time;
        let wake = self.cpus[cpu].now + time;
        self.sleep_until(tid, wake, Alarm::Time);
    }

    /// A thread or a task calls and waits for what is not of this machine.
    fn wait_outside(&mut self, cpu: usize, tid: Tid, time: Time, kind: Outside) {
        self.cpus[cpu].pay(Account::Syscall, self.machine.kernel.syscall_ns);
        let time = self.time(tid, time);
        self.outside[kind as usize].note(time);
        match kind {
            Outside::Io if self.is_user_task(tid) => {
                self.wait_for(cpu, tid, self.cpus[cpu].now + time, Wait::Input);
            }
            Outside::Block if self.is_user_task(tid) => self.block_in_kernel(cpu, tid, time),
            Outside::Io | Outside::Block => self.wait_in_kernel(cpu, tid, time),
        }
    }

    /// Computes until it is over or time is up.
    pub(super) fn compute(&mut self, cpu: usize, tid: Tid, account: Account, time: Picos, limit: Limit) -> Step {
        let room = self.reach(cpu, limit).saturating_sub(self.cpus[cpu].now);
        let state = &mut self.cpus[cpu];
        let task = &mut self.tasks[tid.index()];
        if task.left == Picos::ZERO {
            (task.left, task.account) = (time, account);
        }
        let part = task.left.min(room);
        task.left = task.left - part;
        state.pay(account, part);
        if task.left == Picos::ZERO { Step::Next } else { Step::Again }
    }

    fn make_thread(&mut self, cpu: usize, tid: Tid, index: u32) -> Result<Step, RunError> {
        self.fence(cpu);
        let pid = self.cpus[cpu].pid;
        let limit = self.machine.kernel.threads_max;
        if self.alive >= limit {
            self.refusals += 1;
            if self.refusals == 1 {
                self.kernel.note(format!("process {pid} may not make a thread: the limit of {limit} is reached"));
            }
            return Ok(Step::Next);
        }
        let code = self.code.threads[index as usize].clone();
        self.kernel.charge_thread(pid);
        self.settle(cpu);
        let task = self.tasks[tid.index()].child(code.entry);
        let share = share(self.threads[tid.index()].share, &code.attributes);
        self.add_made(tid, code.name, task, share, cpu);
        Ok(Step::Next)
    }

    /// A task, and what it is under the model.
    fn task(&mut self, cpu: usize, tid: Tid, index: u32) -> Result<Step, RunError> {
        let code = &self.code.threads[index as usize];
        let (entry, name, stack) = (code.entry, code.name, code.stack);
        let before = self.threads.len();
        self.makes_task = Some(cpu);
        let step = match self.scenario.model.as_ref().map_or(TaskKind::Thread, |model| model.tasks) {
            TaskKind::Process => self.child(cpu, tid, ChildKind::Fork, entry),
            TaskKind::Thread => self.make_thread(cpu, tid, index),
            TaskKind::Job | TaskKind::User => {
                let pid = self.cpus[cpu].pid;
                if !self.has_runtime(pid) {
                    return Err(self.problem(pid, "makes a task, and has no runtime under this model".into()));
                }
                let task = self.tasks[tid.index()].child(entry);
                self.make_task(cpu, tid, name, task, stack);
                Ok(Step::Next)
            }
        };
        if self.tasks_are_processes() {
            self.name_process(tid, before, name);
        }
        self.note_task(cpu, tid, before);
        step
    }

    fn tasks_are_processes(&self) -> bool {
        self.scenario.model.as_ref().is_some_and(|model| model.tasks == TaskKind::Process)
    }

    fn child(&mut self, cpu: usize, tid: Tid, kind: ChildKind, entry: Option<u32>) -> Result<Step, RunError> {
        let began = self.cpus[cpu].now;
        let pid = self.cpus[cpu].pid;
        let child = match kind {
            ChildKind::Fork => self.kernel.fork(pid),
            ChildKind::Vfork => self.kernel.vfork(pid),
            ChildKind::CloneVm => self.kernel.clone_vm(pid),
        };
        let Some(child) = self.outcome(cpu, pid, child)? else { return Ok(Step::Next) };
        if kind == ChildKind::Fork {
            let time = self.cpus[cpu].now - began;
            let work = self.kernel.last_fork();
            self.forks.push(ForkRecord { at: began, pid, child, time, work });
            self.events += (work.clean + work.dirtied + work.scattered) / ENTRIES_PER_EVENT;
        }
        let task = self.tasks[tid.index()].child(entry);
        if kind == ChildKind::Vfork {
            self.wait_for_children(cpu, tid, Wait::Vfork);
        }
        self.regions.inherit(pid, child);
        self.start_child(cpu, tid, child, task);
        Ok(Step::Next)
    }

    fn start_child(&mut self, cpu: usize, maker: Tid, child: Pid, task: Task) {
        let share = self.threads[maker.index()].share;
        let first = self.add_first(child, task, share, self.cpus[cpu].now, Some(cpu));
        self.followed(maker, first);
    }

    fn wait_for_children(&mut self, cpu: usize, tid: Tid, wait: Wait) {
        self.tasks[tid.index()].waits = wait;
        self.parents.entry(self.cpus[cpu].pid).or_default().push(tid);
    }

    fn wait(&mut self, cpu: usize, tid: Tid, all: bool) -> Result<Step, RunError> {
        let pid = self.cpus[cpu].pid;
        match self.kernel.wait(pid) {
            Ok(Some(_)) => {
                self.settle(cpu);
                self.acquired(tid, Object::Children(pid));
                Ok(if all { Step::Again } else { Step::Next })
            }
            Ok(None) => {
                self.settle(cpu);
                self.wait_for_children(cpu, tid, Wait::Child);
                Ok(Step::Again)
            }
            Err(KernelError::NoChild(_)) => {
                self.settle(cpu);
                Ok(Step::Next)
            }
            Err(error) => {
                self.outcome::<()>(cpu, pid, Err(error))?;
                Ok(Step::Next)
            }
        }
    }

    fn choose(&mut self, tid: Tid, places: &[(u32, u32)]) {
        let total = places.iter().map(|&(weight, _)| weight).sum();
        let task = &mut self.tasks[tid.index()];
        let mut draw = task.draw(total, self.seed, self.threads[tid.index()].stream);
        for &(weight, address) in places {
            if draw < weight {
                task.next = address;
                return;
            }
            draw -= weight;
        }
        unreachable!("the draw is below the sum of the weights");
    }

    /// Address and size of what a thread touches. Its own stack is mapped when it is touched first.
    pub(super) fn place_of(&mut self, cpu: usize, tid: Tid, range: &Range) -> Result<(u64, u64), RunError> {
        let Thread { pid, maker, stack, .. } = self.threads[tid.index()];
        // Where a runtime keeps the stacks of tasks is not simulated: they touch that of the process.
        if maker == Tid::NONE || range.region != "stack" || self.is_task(tid) {
            return self.range(pid, range);
        }
        let guard = if stack > 0 {
            stack
        } else {
            let mapped = self.kernel.map_stack(pid, tid.0);
            let mapped = self.outcome(cpu, pid, mapped)?;
            let (guard, _) = mapped.ok_or_else(|| self.problem(pid, "has no room for a stack".into()))?;
            self.threads[tid.index()].stack = guard;
            guard
        };
        let size = self.machine.kernel.stack_limit.bytes();
        self.part(pid, range, ((guard + 1) << 12, size))
    }

    /// Address and size of a part of a region.
    pub(super) fn range(&mut self, pid: Pid, range: &Range) -> Result<(u64, u64), RunError> {
        let known = self.regions.get(pid, &range.region);
        let Some(found) = known.or_else(|| self.image_region(pid, &range.region)) else {
            return Err(self.problem(pid, format!("there is no region {}", range.region)));
        };
        self.part(pid, range, found)
    }

    fn part(&self, pid: Pid, range: &Range, (base, size): (u64, u64)) -> Result<(u64, u64), RunError> {
        if range.offset >= size || range.size.is_some_and(|part| part > size - range.offset) {
            let part = range.size.map_or_else(|| "the rest".to_owned(), |part| format!("{part} bytes"));
            let problem = format!("{part} from {} on do not lie in the {size} bytes of {}", range.offset, range.region);
            return Err(self.problem(pid, problem));
        }
        Ok((base + range.offset, range.size.unwrap_or(size - range.offset)))
    }

    /// Text, data and stack, which no program makes.
    fn image_region(&self, pid: Pid, name: &str) -> Option<(u64, u64)> {
        let process = self.kernel.process(pid)?;
        if let Some((guard, end)) = process.thread_stack.filter(|_| name == "stack") {
            return Some(((guard + 1) << 12, (end - guard - 1) << 12));
        }
        let region = self.kernel.vm().space(process.space?).named(name)?;
        let is_image = matches!(region.kind, RegionKind::Text | RegionKind::Data | RegionKind::Stack);
        is_image.then_some((region.start << 12, region.pages() << 12))
    }

    /// Pays for a call. A process that the call ended is no error of the run; what cannot be is.
    pub(super) fn outcome<T>(
        &mut self,
        cpu: usize,
        pid: Pid,
        outcome: Result<T, KernelError>,
    ) -> Result<Option<T>, RunError> {
        self.settle(cpu);
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(KernelError::Segmentation { .. } | KernelError::OutOfMemory { .. } | KernelError::Init) => Ok(None),
            Err(error @ KernelError::ProcessLimit { .. }) => {
                self.kernel.note(error.to_string());
                Ok(None)
            }
            Err(error @ (KernelError::Map { .. } | KernelError::NoProcess(_) | KernelError::NoChild(_))) => {
                Err(self.problem(pid, error.to_string()))
            }
            Err(error @ KernelError::Exhausted(_)) => Err(error.into()),
        }
    }

    pub(super) fn problem(&self, pid: Pid, problem: String) -> RunError {
        let name = self.kernel.process(pid).map(|process| process.name.clone()).unwrap_or_default();
        RunError::Program { pid, name, problem }
    }
}
