//! How processes come and go: spawn, fork, exec, exit, wait, kill, and the kernel's own reasons to end one.

use super::process::{End, INIT, Pid, Process, State};
use super::{Account, Kernel, KernelError, Ledger, image};
use crate::base::Picos;
use crate::vm::address_space::Permissions;
use crate::vm::{MapRequest, OutOfMemory, SegmentationFault};

/// The signal that cannot be caught.
const SIGKILL: i32 = 9;

impl Kernel {
    /// A child with a fresh image (`posix_spawn`).
    pub fn spawn(&mut self, parent: Pid, name: &str) -> Result<Pid, KernelError> {
        self.space_of(parent)?;
        self.check_limit(parent)?;
        let space = loop {
            match self.vm.new_image(&image(name)) {
                Ok(space) => break space,
                Err(error) => self.make_room(parent, error)?,
            }
        };
        let child = self.add_child(parent, name, space);
        self.images += 1;
        self.charge_call(parent, self.costs.kernel.fork.spawn_ns);
        Ok(child)
    }

    /// A child with a copy of the address space that is made page by page when one of the two writes.
    pub fn fork(&mut self, parent: Pid) -> Result<Pid, KernelError> {
        let space = self.space_of(parent)?;
        self.check_limit(parent)?;
        self.forget(space, None);
        let (space, work) = loop {
            match self.vm.fork(space) {
                Ok(forked) => break forked,
                Err(error) => self.make_room(parent, error)?,
            }
        };
        self.last_fork = work;
        let name = self.processes[&parent].name.clone();
        let child = self.add_child(parent, &name, space);
        self.inherit(parent, child);
        let process = self.processes.get_mut(&parent).expect("it was just there");
        process.forks += 1;
        let is_first = process.forks == 1;
        let follows_exec = process.images_at_fork != self.images;
        process.images_at_fork = self.images;
        let cost = self.costs.fork(&work, is_first, follows_exec);
        self.charge(parent, cost);
        Ok(child)
    }

    /// A child in the parent's address space; the parent waits until it ends or calls exec.
    pub fn vfork(&mut self, parent: Pid) -> Result<Pid, KernelError> {
        let child = self.clone_into(parent, self.costs.kernel.fork.vfork_ns)?;
        self.processes.get_mut(&child).expect("it was just made").is_vfork_child = true;
        self.processes.get_mut(&parent).expect("it was just there").state = State::Waiting;
        Ok(child)
    }

    /// A child in the parent's address space (`clone(CLONE_VM)`).
    pub fn clone_vm(&mut self, parent: Pid) -> Result<Pid, KernelError> {
        self.clone_into(parent, self.costs.kernel.fork.clone_vm_ns)
    }

    /// A thread as `pthread_create` makes it, for who drives a kernel by hand: a child in the same address space with a
    /// stack of its own, as large as the limit, and a guard page beneath.
    pub fn thread(&mut self, parent: Pid) -> Result<Pid, KernelError> {
        self.check_limit(parent)?;
        let (guard, end) = self.map_stack(parent, self.next_pid)?;
        let child = self.clone_into(parent, self.costs.kernel.fork.thread_ns)?;
        self.processes.get_mut(&child).expect("it was just made").thread_stack = Some((guard, end));
        Ok(child)
    }

    /// Charges a process for a thread that it makes.
    pub fn charge_thread(&mut self, pid: Pid) {
        self.charge_call(pid, self.costs.kernel.fork.thread_ns);
    }

    /// Maps a stack as large as the limit, and a guard page beneath. `number` tells it apart from others. Returns the page
    /// of the guard, and that behind the stack.
    pub fn map_stack(&mut self, pid: Pid, number: u32) -> Result<(u64, u64), KernelError> {
        let space = self.space_of(pid)?;
        let fail = |error| KernelError::Map { pid, error };
        let pages = self.costs.kernel.stack_limit.bytes() >> 12;
        let guard = self.vm.space(space).gap(pages + 1, 0).map_err(fail)?;
        let names = [format!("guard of {number}"), format!("stack of {number}")];
        let parts = [(guard, 1), (guard + 1, pages)];
        for (name, (start, pages)) in names.iter().zip(parts) {
            let is_guard = start == guard;
            let permissions = if is_guard { Permissions::NONE } else { Permissions::READ_WRITE };
            let request = MapRequest { name, start: Some(start), pages, permissions, page_order: 0, is_shared: false };
            self.vm.map(space, &request).map_err(fail)?;
        }
        Ok((guard, guard + 1 + pages))
    }

    /// Gives the stack of a thread back. Returns whether it could; stacks have small pages, so that it takes no memory.
    pub fn unmap_stack(&mut self, pid: Pid, guard: u64) -> bool {
        let Ok(space) = self.space_of(pid) else { return false };
        let end = guard + 1 + (self.costs.kernel.stack_limit.bytes() >> 12);
        let Ok(work) = self.vm.unmap(space, guard, end) else { return false };
        let cost = self.costs.teardown(&work);
        self.charge_call(pid, cost);
        if work.invalidated > 0 {
            self.forget(space, Some((guard, end)));
        }
        true
    }

    /// Replaces a process's memory by the image of a program.
    pub fn exec(&mut self, pid: Pid, name: &str) -> Result<(), KernelError> {
        let old = self.space_of(pid)?;
        let space = loop {
            match self.vm.new_image(&image(name)) {
                Ok(space) => break space,
                Err(error) => self.make_room(pid, error)?,
            }
        };
        let work = self.vm.exit(old);
        if self.vm.users(old) == 0 {
            self.forget(old, None);
        }
        self.images += 1;
        let cost = self.costs.kernel.fork.exec_ns + self.costs.teardown(&work);
        self.charge_call(pid, cost);
        let process = self.processes.get_mut(&pid).expect("it has a space");
        process.space = Some(space);
        name.clone_into(&mut process.name);
        process.last_fault_vpn = None;
        self.end_vfork(pid);
        Ok(())
    }

    /// Ends a process by its own will.
    pub fn exit(&mut self, pid: Pid, code: i32) -> Result<(), KernelError> {
        if pid == INIT {
            return Err(KernelError::Init);
        }
        self.space_of(pid)?;
        self.end(pid, End::Exit(code));
        Ok(())
    }

    /// Ends another process by a signal.
    pub fn kill(&mut self, pid: Pid, target: Pid) -> Result<(), KernelError> {
        self.space_of(pid)?;
        self.charge_call(pid, self.costs.kernel.signal_ns);
        if target == INIT {
            return Err(KernelError::Init);
        }
        self.space_of(target)?;
        self.end(target, End::Signal(SIGKILL));
        Ok(())
    }

    /// Takes the oldest child that has ended: its number and exit code; nothing if all still run.
    pub fn wait(&mut self, pid: Pid) -> Result<Option<(Pid, i32)>, KernelError> {
        self.space_of(pid)?;
        self.charge_call(pid, self.costs.kernel.syscall_ns);
        let children = &self.processes[&pid].children;
        if children.is_empty() {
            return Err(KernelError::NoChild(pid));
        }
        let Some(&child) = children.iter().find(|child| !self.processes[child].is_alive()) else { return Ok(None) };
        let code = self.reap(child);
        Ok(Some((child, code)))
    }

    /// Ends the process with the most resident pages so that a call of `pid` can be tried again; an error if that is
    /// `pid` itself, or nobody.
    pub(super) fn make_room(&mut self, pid: Pid, error: OutOfMemory) -> Result<(), KernelError> {
        let of_init = self.processes[&INIT].space;
        let resident = |process: &Process| process.space.map(|space| self.vm.space(space).resident_pages);
        let victim = self
            .processes
            .values()
            .filter(|process| process.space != of_init)
            .filter_map(|process| resident(process).map(|pages| (pages, process.pid)))
            .max();
        let Some((pages, victim)) = victim else { return Err(KernelError::Exhausted(error)) };
        let process = &self.processes[&victim];
        let text = format!(
            "out of memory: killed process {victim} ({}), resident {} kB; process {pid} wanted memory: {error}",
            process.name,
            pages * 4
        );
        let space = process.space;
        self.report(text.clone());
        let sharers: Vec<Pid> =
            self.processes.values().filter(|other| other.space == space).map(|other| other.pid).collect();
        for sharer in &sharers {
            self.end(*sharer, End::OutOfMemory(text.clone()));
        }
        if sharers.contains(&pid) {
            return Err(KernelError::OutOfMemory { pid, report: text });
        }
        Ok(())
    }

    /// Ends a process that touched what it may not.
    pub(super) fn segmentation_fault(&mut self, pid: Pid, fault: SegmentationFault) -> KernelError {
        let process = self.processes.get_mut(&pid).expect("it has a space");
        process.faults[crate::vm::work::FaultKind::Protection] += 1;
        let name = process.name.clone();
        let bare = self.costs.kernel.fault.bare_ns;
        self.charge(pid, Ledger::of(Account::Fault, bare));
        self.report(format!("process {pid} ({name}): {fault}"));
        if pid != INIT {
            self.end(pid, End::SegmentationFault(fault.clone()));
        }
        KernelError::Segmentation { pid, name, fault }
    }

    fn check_limit(&self, pid: Pid) -> Result<(), KernelError> {
        let limit = self.processes_max;
        if self.processes.len() >= limit as usize {
            return Err(KernelError::ProcessLimit { pid, limit });
        }
        Ok(())
    }

    fn clone_into(&mut self, parent: Pid, cost: Picos) -> Result<Pid, KernelError> {
        let space = self.space_of(parent)?;
        self.check_limit(parent)?;
        self.vm.share(space);
        let name = self.processes[&parent].name.clone();
        let child = self.add_child(parent, &name, space);
        self.inherit(parent, child);
        self.charge_call(parent, cost);
        Ok(child)
    }

    fn add_child(&mut self, parent: Pid, name: &str, space: crate::vm::SpaceId) -> Pid {
        let pid = self.take_pid();
        self.processes.insert(pid, Process::new(pid, parent, name, space, self.now));
        self.processes.get_mut(&parent).expect("a child has a parent").children.push(pid);
        pid
    }

    fn inherit(&mut self, parent: Pid, child: Pid) {
        let parent = &self.processes[&parent];
        let inherited = (parent.open_files.clone(), parent.program_counter, parent.registers.clone());
        let child = self.processes.get_mut(&child).expect("it was just made");
        (child.open_files, child.program_counter, child.registers) = inherited;
    }

    fn end(&mut self, pid: Pid, end: End) {
        let process = self.processes.get_mut(&pid).expect("only a living process ends");
        let space = process.space.take().expect("only a living process ends");
        let is_by_choice = matches!(end, End::Exit(_));
        process.state = State::Terminated;
        self.ended.push(pid);
        process.end = Some(end);
        process.ended_at = Some(self.now);
        process.open_files.clear();
        let (parent, children) = (process.parent, std::mem::take(&mut process.children));
        let stack = process.thread_stack.take().filter(|_| self.vm.users(space) > 1);
        // Stacks have small pages, so that giving one back takes no memory.
        let unmapped = stack.and_then(|(start, end)| self.vm.unmap(space, start, end).ok());
        let mut work = self.vm.exit(space);
        if let Some(stack) = unmapped {
            work += stack;
        }
        if self.vm.users(space) == 0 {
            self.forget(space, None);
        }
        let base = match (is_by_choice, self.vm.users(space)) {
            (false, _) => Picos::ZERO,
            (true, 0) => self.costs.kernel.teardown.exit_ns,
            (true, _) => self.costs.kernel.syscall_ns,
        };
        let cost = base + self.costs.teardown(&work);
        self.charge_call(pid, cost);
        self.end_vfork(pid);
        for child in children {
            self.adopt(child);
        }
        if self.processes[&pid].is_orphan {
            self.reap(pid);
        } else {
            self.woken.push(parent);
        }
    }

    /// Process 1 takes an orphan, and waits for it at once if it has ended.
    fn adopt(&mut self, child: Pid) {
        let process = self.processes.get_mut(&child).expect("children exist until they are waited for");
        process.parent = INIT;
        process.is_orphan = true;
        process.is_vfork_child = false; // who waited for it has ended
        let is_alive = process.is_alive();
        self.processes.get_mut(&INIT).expect("process 1 does not end").children.push(child);
        if !is_alive {
            self.reap(child);
        }
    }

    fn reap(&mut self, child: Pid) -> i32 {
        let process = self.processes.remove(&child).expect("children exist until they are waited for");
        let code = process.end.as_ref().map_or(0, End::code);
        if let Some(parent) = self.processes.get_mut(&process.parent) {
            parent.children.retain(|&other| other != child);
        }
        self.reaped.push(process);
        code
    }

    /// Lets the parent of a vfork go on.
    fn end_vfork(&mut self, pid: Pid) {
        let process = self.processes.get_mut(&pid).expect("it was just there");
        if std::mem::take(&mut process.is_vfork_child) {
            let parent = process.parent;
            if let Some(parent) = self.processes.get_mut(&parent).filter(|parent| parent.is_alive()) {
                parent.state = State::Ready;
            }
            self.woken.push(parent);
        }
    }
}
