//! Executing a program: one instruction after the other, until time is up or the process cannot go on.

use super::addresses::Overlap;
use super::cpu::Limit;
use super::measure::ForkRecord;
use super::run::{Run, RunError};
use super::task::{Task, TouchState, Wait};
use crate::base::Picos;
use crate::kernel::{Account, KernelError, Ledger, MapCall, Pid, State};
use crate::vm::address_space::{Access, RegionKind};
use crate::vm::{SpaceId, Touch};
use crate::workload::Cursor;
use crate::workload::code::{ChildKind, Instruction, Range, TouchCode};
use crate::workload::pattern::Pattern;
use std::sync::Arc;

/// Page-table entries that a call goes through in the time of a usual step: long calls count for more, so that the caller
/// is asked often enough.
const ENTRIES_PER_EVENT: u64 = 8;

/// What an instruction leads to.
enum Step {
    /// The next instruction.
    Next,
    /// The same instruction again: time is up, or the process waits.
    Again,
    /// Nothing: the process is gone, or waits and then goes on with the next instruction.
    Leave,
}

impl Run {
    /// Runs a process on a cpu. Returns whether it could go on.
    pub(super) fn execute(&mut self, cpu: usize, pid: Pid, limit: Limit) -> Result<bool, RunError> {
        let code = Arc::clone(&self.code);
        while self.cpus[cpu].now < limit.time() && self.events < limit.events {
            self.kernel.set_now(self.cpus[cpu].now);
            let next = self.task(pid).next;
            let instruction = &code.instructions[next as usize];
            // A touch counts its accesses, and makes at least one.
            self.events += u64::from(!matches!(instruction, Instruction::Touch(_)));
            let step = self.instruction(cpu, pid, instruction, limit)?;
            let is_alive = self.kernel.process(pid).is_some_and(|process| process.is_alive());
            if !is_alive {
                return Ok(false);
            }
            match step {
                Step::Next => self.task(pid).next += 1,
                Step::Again => {}
                Step::Leave => self.task(pid).next += 1,
            }
            self.show_registers(pid);
            if self.task(pid).waits != Wait::Nothing {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn instruction(&mut self, cpu: usize, pid: Pid, instruction: &Instruction, limit: Limit) -> Result<Step, RunError> {
        match instruction {
            Instruction::Compute(time) => self.spend(cpu, pid, Account::User, *time),
            Instruction::Syscall(time) => {
                let time = time.unwrap_or(self.machine.kernel.syscall_ns);
                self.spend(cpu, pid, Account::Syscall, time);
            }
            Instruction::Sleep(time) => {
                self.spend(cpu, pid, Account::Syscall, self.machine.kernel.syscall_ns);
                self.task(pid).waits = Wait::Time;
                let wake = self.cpus[cpu].now + *time;
                self.sleep_until(pid, wake);
                return Ok(Step::Leave);
            }
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
                    self.task(pid).regions.insert(map.region.clone(), (address, size));
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
                    self.task(pid).regions.insert("heap".into(), (end - size, size));
                }
            }
            Instruction::Touch(index) => return self.touch(cpu, pid, *index, limit),
            Instruction::Child(kind, entry) => return self.child(cpu, pid, *kind, *entry),
            Instruction::Spawn(name, entry) => {
                let child = self.kernel.spawn(pid, name);
                if let Some(child) = self.outcome(cpu, pid, child)? {
                    let task = Task::new(*entry, self.seed, child.0);
                    self.start_child(cpu, child, task);
                }
            }
            Instruction::Exec(name, entry) => {
                let done = self.kernel.exec(pid, name);
                if self.outcome(cpu, pid, done)?.is_some() {
                    *self.task(pid) = Task::new(*entry, self.seed, pid.0);
                    self.show_registers(pid);
                    return Ok(Step::Again);
                }
            }
            Instruction::Exit(code) => {
                self.events += self.kernel.resident_pages(pid) / ENTRIES_PER_EVENT;
                let done = self.kernel.exit(pid, *code);
                self.outcome(cpu, pid, done)?;
                return Ok(Step::Leave);
            }
            Instruction::Wait { all } => return self.wait(cpu, pid, *all),
            Instruction::Kill => {
                let children = self.kernel.process(pid).map(|process| process.children.clone()).unwrap_or_default();
                let alive = |child: &&Pid| self.kernel.process(**child).is_some_and(|process| process.is_alive());
                if let Some(&child) = children.iter().rev().find(alive) {
                    let done = self.kernel.kill(pid, child);
                    self.outcome(cpu, pid, done)?;
                }
            }
            Instruction::Loop { times: 0, end } => {
                self.task(pid).next = *end;
                return Ok(Step::Again);
            }
            Instruction::Loop { times, .. } => self.task(pid).loops.push(*times),
            Instruction::Next { start } => {
                let task = self.task(pid);
                let left = task.loops.last_mut().expect("a round belongs to a loop");
                *left -= 1;
                if *left > 0 {
                    task.next = *start;
                    return Ok(Step::Again);
                }
                task.loops.pop();
            }
            Instruction::Jump(address) => {
                self.task(pid).next = *address;
                return Ok(Step::Again);
            }
            Instruction::Choose(places) => {
                self.choose(pid, places);
                return Ok(Step::Again);
            }
            Instruction::Begin(_) => {
                let now = self.cpus[cpu].now;
                self.task(pid).marks.push(now);
            }
            Instruction::End(measure) => {
                let now = self.cpus[cpu].now;
                let began = self.task(pid).marks.pop().expect("what ends has begun");
                self.measures[*measure as usize].note(now.saturating_sub(began));
            }
        }
        Ok(Step::Next)
    }

    fn child(&mut self, cpu: usize, pid: Pid, kind: ChildKind, entry: Option<u32>) -> Result<Step, RunError> {
        let began = self.cpus[cpu].now;
        let child = match kind {
            ChildKind::Fork => self.kernel.fork(pid),
            ChildKind::Vfork => self.kernel.vfork(pid),
            ChildKind::CloneVm => self.kernel.clone_vm(pid),
            ChildKind::Thread => self.kernel.thread(pid),
        };
        let Some(child) = self.outcome(cpu, pid, child)? else { return Ok(Step::Next) };
        if kind == ChildKind::Fork {
            let time = self.cpus[cpu].now - began;
            let work = self.kernel.last_fork();
            self.forks.push(ForkRecord { at: began, pid, child, time, work });
            self.events += (work.clean + work.dirtied + work.scattered) / ENTRIES_PER_EVENT;
        }
        let seed = self.seed;
        let mut task = self.task(pid).child(entry, seed, child.0);
        if entry.is_none() {
            task.next += 1;
        }
        self.start_child(cpu, child, task);
        if kind == ChildKind::Vfork {
            self.task(pid).waits = Wait::Vfork;
            self.set_state(pid, State::Waiting);
            return Ok(Step::Leave);
        }
        Ok(Step::Next)
    }

    fn start_child(&mut self, cpu: usize, child: Pid, task: Task) {
        self.tasks.insert(child, task);
        self.show_registers(child);
        let now = self.cpus[cpu].now;
        self.make_ready(child, now);
    }

    fn wait(&mut self, cpu: usize, pid: Pid, all: bool) -> Result<Step, RunError> {
        match self.kernel.wait(pid) {
            Ok(Some(_)) => {
                self.settle(cpu);
                Ok(if all { Step::Again } else { Step::Next })
            }
            Ok(None) => {
                self.settle(cpu);
                self.task(pid).waits = Wait::Child;
                self.set_state(pid, State::Waiting);
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

    fn choose(&mut self, pid: Pid, places: &[(u32, u32)]) {
        let total = places.iter().map(|&(weight, _)| weight).sum();
        let task = self.task(pid);
        let mut draw = task.draws.below(total);
        for &(weight, address) in places {
            if draw < weight {
                task.next = address;
                return;
            }
            draw -= weight;
        }
        unreachable!("the draw is below the sum of the weights");
    }

    /// Accesses memory until the touch is over or time is up.
    fn touch(&mut self, cpu: usize, pid: Pid, index: u32, limit: Limit) -> Result<Step, RunError> {
        let code = Arc::clone(&self.code);
        let TouchCode { range, access, unit, pattern, .. } = &code.touches[index as usize];
        let (base, size) = self.range(pid, range)?;
        let units = size / unit;
        if units == 0 {
            return Err(self.problem(pid, format!("a unit of {unit} bytes does not fit into {}", range.region)));
        }
        let mut state = self.take_cursor(pid, index, pattern, units)?;
        let count = code.touches[index as usize].count.unwrap_or(pattern.count(units));
        let mut left = state.left.unwrap_or(count);
        let is_dependent = code.touches[index as usize].is_dependent;
        let space = self.kernel.process(pid).and_then(|process| process.space).expect("who runs has memory");
        let has_addresses = self.memory.is_some();
        let mut hits = 0;
        let mut failed = None;
        // Hits are paid for together: they change nothing but the time.
        while left > 0 && self.events < limit.events {
            let vaddr = base + state.cursor.next(pattern) * unit;
            left -= 1;
            self.events += 1;
            self.kernel.set_now(self.cpus[cpu].now + self.hit * hits);
            match self.kernel.access(pid, vaddr, *access) {
                Ok(touch) => {
                    if touch.fault.is_some() {
                        self.pay_fault(cpu);
                    }
                    if has_addresses {
                        let overlap = (!is_dependent).then_some(&mut state.overlap);
                        self.refer(cpu, pid, space, vaddr, *access, &touch, overlap)?;
                    } else {
                        hits += 1;
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
            if self.cpus[cpu].now + self.hit * hits >= limit.time() {
                break;
            }
        }
        state.left = (left > 0).then_some(left);
        let is_over = state.left.is_none();
        if let Some(task) = self.tasks.get_mut(&pid) {
            task.cursors.insert(index, state);
        }
        self.spend(cpu, pid, Account::User, self.hit * hits);
        if let Some(error) = failed {
            self.outcome::<()>(cpu, pid, Err(error))?;
        }
        Ok(if is_over { Step::Next } else { Step::Again })
    }

    fn pay_fault(&mut self, cpu: usize) {
        let bill = if self.memory.is_none() { self.kernel.take_fault_bill() } else { None };
        match bill {
            Some((fault, copy)) => self.cpus[cpu].fault(fault, copy),
            None => self.settle(cpu),
        }
    }

    /// Sends an access through the machine's memory system.
    #[allow(clippy::too_many_arguments, reason = "an access has as many sides")]
    fn refer(
        &mut self,
        cpu: usize,
        pid: Pid,
        space: SpaceId,
        vaddr: u64,
        access: Access,
        touch: &Touch,
        overlap: Option<&mut Overlap>,
    ) -> Result<(), RunError> {
        let Some(memory) = &mut self.memory else { return Ok(()) };
        let cost = memory.access(&self.kernel, cpu, space, vaddr, access, touch, overlap).map_err(RunError::Host)?;
        self.cpus[cpu].spend(&cost);
        self.kernel.account(pid, cost);
        Ok(())
    }

    /// Where a touch goes on; from its start if the region has another size by now.
    fn take_cursor(&mut self, pid: Pid, index: u32, pattern: &Pattern, units: u64) -> Result<TouchState, RunError> {
        let known = self.task(pid).cursors.remove(&index).filter(|state| state.cursor.units() == units);
        if let Some(state) = known {
            return Ok(state);
        }
        if let Some(unit) = pattern.unit_max().filter(|&unit| unit >= units) {
            return Err(self.problem(pid, format!("unit {unit} of a list is beyond the region's {units}")));
        }
        let cursor = Cursor::new(pattern, units, self.seed, u64::from(pid.0) << 32 | u64::from(index));
        Ok(TouchState { cursor, left: None, overlap: Overlap::default() })
    }

    /// Address and size of a part of a region.
    fn range(&mut self, pid: Pid, range: &Range) -> Result<(u64, u64), RunError> {
        let found =
            self.task(pid).regions.get(&range.region).copied().or_else(|| self.image_region(pid, &range.region));
        let Some((base, size)) = found else {
            return Err(self.problem(pid, format!("there is no region {}", range.region)));
        };
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
    fn outcome<T>(&mut self, cpu: usize, pid: Pid, outcome: Result<T, KernelError>) -> Result<Option<T>, RunError> {
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

    fn spend(&mut self, cpu: usize, pid: Pid, account: Account, time: Picos) {
        let cost = Ledger::of(account, time);
        self.cpus[cpu].spend(&cost);
        self.kernel.account(pid, cost);
    }

    fn problem(&self, pid: Pid, problem: String) -> RunError {
        let name = self.kernel.process(pid).map(|process| process.name.clone()).unwrap_or_default();
        RunError::Program { pid, name, problem }
    }

    /// What `ps` shows of the program: where it is, and its loop counters.
    pub(super) fn show_registers(&mut self, pid: Pid) {
        let task = &self.tasks[&pid];
        if let Some(process) = self.kernel.process_mut(pid) {
            process.program_counter = task.next;
            if process.registers != task.loops {
                process.registers.clone_from(&task.loops);
            }
        }
    }

    fn task(&mut self, pid: Pid) -> &mut Task {
        self.tasks.get_mut(&pid).expect("who runs has a program")
    }
}
