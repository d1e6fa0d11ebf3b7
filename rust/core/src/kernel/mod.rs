//! The kernel: processes, their control blocks, and the system calls that make, change and end them.
//!
//! `docs/virtual-memory.md` is the specification. What memory management does is [`crate::vm`]'s; this floor says who it is
//! done to, what it costs (`costs`) and who pays.

mod costs;
mod error;
mod inspect;
pub mod ledger;
mod lifecycle;
mod options;
mod process;
mod syscalls;
mod thread;

pub use costs::Costs;
pub use error::KernelError;
pub use inspect::fault_counts;
pub use ledger::{Account, Ledger};
pub use options::KernelOptions;
pub use process::{End, INIT, Pid, Process, State};
pub use syscalls::MapCall;
pub use thread::{NO_CPU, Role, Share, Thread, Tid};

use crate::base::Picos;
use crate::memory::config::MachineConfig;
use crate::vm::address_space::Access;
use crate::vm::work::{FaultKind, ForkWork};
use crate::vm::{AccessError, Image, OutOfMemory, SpaceId, Touch, VirtualMemory, VmConfig};
use std::collections::BTreeMap;

/// A line of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Picos,
    /// What happened.
    pub text: String,
}

/// Translations that all cpus have to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shootdown {
    /// The address space.
    pub space: SpaceId,
    /// Pages of 4 KiB, first and behind the last; all of the space if absent.
    pub pages: Option<(u64, u64)>,
}

/// Shootdowns that are told one by one.
const SHOOTDOWNS_MAX: usize = 1 << 12;

/// Pages of the image of a program that nobody described.
const IMAGE_PAGES: u64 = 4;

/// A running kernel.
#[derive(Debug)]
pub struct Kernel {
    vm: VirtualMemory,
    costs: Costs,
    processes: BTreeMap<Pid, Process>,
    /// Processes that have ended and were waited for.
    reaped: Vec<Process>,
    next_pid: u32,
    processes_max: u32,
    /// The time of the call that runs: set by who drives the kernel.
    now: Picos,
    /// What calls have cost since it was last taken.
    bill: Ledger,
    /// What all calls have cost.
    billed: Ledger,
    /// Processes that may go on, since it was last taken.
    woken: Vec<Pid>,
    /// Processes that ended, since it was last taken.
    ended: Vec<Pid>,
    /// By cpu: who runs there.
    running: Vec<Option<Pid>>,
    /// The cpu that makes the call at hand; nobody says so who drives a kernel by hand.
    caller: Option<usize>,
    /// Cpus that were interrupted, since it was last taken.
    interrupted: Vec<usize>,
    /// Translations that are no longer valid, since it was last taken.
    shootdowns: Vec<Shootdown>,
    log: Vec<LogLine>,
    last_fork: ForkWork,
    /// Programs that were started so far.
    images: u64,
}

impl Kernel {
    /// A kernel with process 1 alone.
    pub fn new(machine: &MachineConfig, options: &KernelOptions) -> Result<Self, OutOfMemory> {
        let config = &machine.kernel;
        let vm = VirtualMemory::new(VmConfig {
            frames: machine.memory_size.bytes() >> 12,
            placement: options.placement,
            levels: config.page_table_levels,
            swap_pages: config.swap_size.bytes() >> 12,
            swap_policy: options.swap_policy,
            stack_pages_max: config.stack_limit.bytes() >> 12,
            aslr: options.aslr,
            fork_policy: options.fork_policy,
            seed: options.seed,
        });
        let mut kernel = Self {
            vm,
            costs: Costs { kernel: config.clone() },
            processes: BTreeMap::new(),
            reaped: Vec::new(),
            next_pid: INIT.0,
            processes_max: config.processes_max,
            now: Picos::ZERO,
            bill: Ledger::default(),
            billed: Ledger::default(),
            woken: Vec::new(),
            ended: Vec::new(),
            running: vec![None; machine.cpus as usize],
            caller: None,
            interrupted: Vec::new(),
            shootdowns: Vec::new(),
            log: Vec::new(),
            last_fork: ForkWork::default(),
            images: 0,
        };
        let space = kernel.vm.new_image(&image("init"))?;
        let pid = kernel.take_pid();
        let mut init = Process::new(pid, pid, "init", space, Picos::ZERO);
        init.state = State::Waiting;
        kernel.processes.insert(pid, init);
        Ok(kernel)
    }

    /// The memory.
    pub fn vm(&self) -> &VirtualMemory {
        &self.vm
    }

    /// The memory, for tests and tools that poke at it.
    pub fn vm_mut(&mut self) -> &mut VirtualMemory {
        &mut self.vm
    }

    /// All processes that exist, zombies included, by number.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    /// Processes that have ended and were waited for, in the order of that.
    pub fn reaped(&self) -> &[Process] {
        &self.reaped
    }

    /// A process that exists, alive or not.
    pub fn process(&self, pid: Pid) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// The same, to change its program counter, registers and state.
    pub fn process_mut(&mut self, pid: Pid) -> Option<&mut Process> {
        self.processes.get_mut(&pid)
    }

    /// What the kernel reported.
    pub fn log(&self) -> &[LogLine] {
        &self.log
    }

    /// What the last fork copied.
    pub fn last_fork(&self) -> ForkWork {
        self.last_fork
    }

    /// Tells the time of the calls that follow.
    pub fn set_now(&mut self, now: Picos) {
        self.now = now;
    }

    /// Tells which cpu makes the calls that follow.
    pub fn set_caller(&mut self, cpu: usize) {
        self.caller = Some(cpu);
    }

    /// Tells who runs on a cpu.
    pub fn set_running(&mut self, cpu: usize, pid: Option<Pid>) {
        self.running[cpu] = pid;
    }

    /// What calls have cost since this was last asked.
    pub fn take_bill(&mut self) -> Ledger {
        std::mem::take(&mut self.bill)
    }

    /// The same where an access is all that happened since then: the fault and its copying. Nothing if more happened, and
    /// then the whole bill waits.
    pub fn take_fault_bill(&mut self) -> Option<(Picos, Picos)> {
        if !self.woken.is_empty() || !self.ended.is_empty() {
            return None;
        }
        let take = |time: &mut Picos| std::mem::take(time);
        Some((take(&mut self.bill[Account::Fault]), take(&mut self.bill[Account::Copy])))
    }

    /// Processes that calls have made ready since this was last asked.
    pub fn take_woken(&mut self) -> Vec<Pid> {
        std::mem::take(&mut self.woken)
    }

    /// Processes that calls have ended since this was last asked.
    pub fn take_ended(&mut self) -> Vec<Pid> {
        std::mem::take(&mut self.ended)
    }

    /// Cpus that calls have interrupted since this was last asked, each as often as it was.
    pub fn take_interrupted(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.interrupted)
    }

    /// Translations that calls have made invalid since this was last asked.
    pub fn take_shootdowns(&mut self) -> Vec<Shootdown> {
        std::mem::take(&mut self.shootdowns)
    }

    /// Prices.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// Accesses memory. A fault is billed; what is forbidden ends the process.
    pub fn access(&mut self, pid: Pid, vaddr: u64, access: Access) -> Result<Touch, KernelError> {
        self.with_memory(pid, |vm, space| vm.access(space, vaddr, access), vaddr)
    }

    /// Writes a page as a whole: the number that stands for its bytes.
    pub fn write(&mut self, pid: Pid, vaddr: u64, contents: u64) -> Result<Touch, KernelError> {
        self.with_memory(pid, |vm, space| vm.write(space, vaddr, contents), vaddr)
    }

    /// Reads a page as a whole.
    pub fn read(&mut self, pid: Pid, vaddr: u64) -> Result<(u64, Touch), KernelError> {
        let touch = self.access(pid, vaddr, Access::Read)?;
        Ok((self.vm.contents(touch.pfn), touch))
    }

    fn with_memory(
        &mut self,
        pid: Pid,
        mut access: impl FnMut(&mut VirtualMemory, SpaceId) -> Result<Touch, AccessError>,
        vaddr: u64,
    ) -> Result<Touch, KernelError> {
        let space = self.space_of(pid)?;
        loop {
            let swap_outs = self.vm.swap_outs();
            match access(&mut self.vm, space) {
                Ok(touch) => {
                    if touch.invalidated > 0 {
                        let vpn = vaddr >> 12;
                        self.forget(space, Some((vpn, vpn + 1)));
                    }
                    if touch.fault.is_some() || touch.stack_grew {
                        self.bill_fault(pid, &touch, vaddr >> 12, self.vm.swap_outs() - swap_outs);
                    }
                    return Ok(touch);
                }
                Err(AccessError::Segmentation(fault)) => return Err(self.segmentation_fault(pid, fault)),
                Err(AccessError::OutOfMemory(error)) => self.make_room(pid, error)?,
            }
        }
    }

    fn bill_fault(&mut self, pid: Pid, touch: &Touch, vpn: u64, swap_outs: u64) {
        let process = self.processes.get_mut(&pid).expect("it has a space");
        let is_in_order = process.last_fault_vpn.is_none_or(|last| last.wrapping_add(1) == vpn);
        process.last_fault_vpn = Some(vpn);
        if let Some(kind) = touch.fault {
            process.faults[kind] += 1;
        }
        if touch.stack_grew {
            process.faults[FaultKind::StackGrowth] += 1;
        }
        let (fault, copy) = self.costs.touch(touch, is_in_order, swap_outs);
        for ledger in [&mut process.ledger, &mut self.bill, &mut self.billed] {
            ledger[Account::Fault] += fault;
            ledger[Account::Copy] += copy;
        }
    }

    /// Adds a line to the log.
    pub fn note(&mut self, text: String) {
        self.report(text);
    }

    /// Adds to what a process has cost: time that passed outside of calls.
    #[inline(always)]
    pub fn account(&mut self, pid: Pid, cost: Ledger) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.ledger += cost;
        } else if let Some(process) = self.reaped.iter_mut().rev().find(|process| process.pid == pid) {
            // It ended just now, and was waited for at once.
            process.ledger += cost;
        }
    }

    /// Adds to what the call costs and to what the process has cost.
    fn charge(&mut self, pid: Pid, cost: Ledger) {
        self.bill += cost;
        self.billed += cost;
        if let Some(process) = self.processes.get_mut(&pid) {
            process.ledger += cost;
        }
    }

    /// Notes that translations are invalid.
    fn forget(&mut self, space: SpaceId, pages: Option<(u64, u64)>) {
        // Nobody asks a kernel that runs by itself: one entry for all is enough then.
        if self.shootdowns.len() >= SHOOTDOWNS_MAX {
            self.shootdowns.clear();
            self.shootdowns.extend(self.vm.spaces().map(|(space, _)| Shootdown { space, pages: None }));
        }
        self.shootdowns.push(Shootdown { space, pages });
    }

    fn charge_call(&mut self, pid: Pid, time: Picos) {
        self.charge(pid, Ledger::of(Account::Syscall, time));
    }

    fn space_of(&self, pid: Pid) -> Result<SpaceId, KernelError> {
        self.processes.get(&pid).and_then(|process| process.space).ok_or(KernelError::NoProcess(pid))
    }

    fn take_pid(&mut self) -> Pid {
        let pid = Pid(self.next_pid);
        self.next_pid += 1;
        pid
    }

    fn report(&mut self, text: String) {
        self.log.push(LogLine { at: self.now, text });
    }
}

/// The image of a program that nobody described.
fn image(name: &str) -> Image<'_> {
    Image { name, text_pages: IMAGE_PAGES, data_pages: IMAGE_PAGES, stack_pages: IMAGE_PAGES }
}
