//! A context switch, step by step: save, pick, restore, the address space, return; and what the kernel's own data does to
//! caches on the way.
//!
//! What brought the cpu into the kernel, a tick or a system call, has been paid for by then. An address space stays loaded
//! while a cpu idles, as Linux' lazy TLB mode has it: going back to the same one costs nothing.

use super::asids::Load;
use super::footprints::Owner;
use super::run::Run;
use crate::base::Picos;
use crate::kernel::{Account, Tid};
use crate::memory::config::Size;

/// Distance of the pieces of kernel data.
const SLOT_BYTES: u64 = 32 << 10;

/// Where data of threads and address spaces begins, behind that of cpus.
const THREADS_START: u64 = 1 << 24;
const SPACES_START: u64 = 1 << 40;

/// Lines of a page: pieces begin at different ones, as pieces of a slab do.
const PAGE_LINES: u64 = 64;
const LINE_BYTES: u64 = 64;

impl Run {
    /// Switches a cpu to a thread. Going on with the one that ran last costs nothing but the choice.
    pub(super) fn switch(&mut self, cpu: usize, tid: Tid) {
        let costs = &self.machine.kernel.switch;
        let (pick, rest) = (costs.pick_ns, costs.save_ns + costs.restore_ns + costs.return_ns);
        let state = &mut self.cpus[cpu];
        let is_same = state.last.is_none_or(|last| last == tid);
        if state.last.is_some() {
            state.pay_kernel(Account::Sched, pick);
        }
        if let Some(memory) = &mut self.memory {
            memory.set_thread(cpu, tid.0);
        }
        if !is_same {
            let state = &mut self.cpus[cpu];
            state.switches += 1;
            state.pay_kernel(Account::Switch, rest);
        }
        self.load_space(cpu, tid);
        if !is_same {
            self.touch_kernel_of_cpu(cpu);
            self.touch_kernel(cpu, Owner::Thread(tid), self.machine.kernel.footprint.thread);
            self.cpus[cpu].is_warm = true;
        }
    }

    /// Loads the address space of a thread, if another is loaded.
    pub(super) fn load_space(&mut self, cpu: usize, tid: Tid) {
        let pid = self.threads[tid.index()].pid;
        let Some(space) = self.kernel.process(pid).and_then(|process| process.space) else { return };
        let state = &mut self.cpus[cpu];
        let old = state.space.replace(space);
        if old == Some(space) {
            return;
        }
        let load = state.asids.load(space);
        match (load, &mut self.memory, &mut self.footprints) {
            (Load::Fresh(Some(loser)), Some(memory), _) => memory.forget_space(cpu, loser),
            (Load::Fresh(Some(loser)), _, Some(footprints)) => footprints.forget_space(cpu, loser),
            (Load::FlushAll, Some(memory), _) => memory.forget_all(cpu),
            (Load::FlushAll, _, Some(footprints)) => footprints.forget_all(cpu),
            _ => {}
        }
        if old.is_none() {
            // Nothing was loaded: the first one on the cpu, or that of a new program, which exec has paid for.
            return;
        }
        let costs = &self.machine.kernel.switch;
        let (space_ns, flush_ns) = (costs.space_ns, costs.flush_ns);
        let state = &mut self.cpus[cpu];
        state.space_switches += 1;
        state.pay_kernel(Account::Switch, space_ns);
        if load != Load::Kept {
            state.flushes += 1;
            state.pay_kernel(Account::Switch, flush_ns);
        }
        self.touch_kernel(cpu, Owner::Space(space), self.machine.kernel.footprint.space);
    }

    /// A system call that waits, wakes or yields goes through a part of the thread's data.
    pub(super) fn touch_kernel_of_call(&mut self, cpu: usize, tid: Tid) {
        // By working sets, what the switch has just brought is there.
        if self.footprints.is_none() || !self.cpus[cpu].is_warm {
            self.touch_kernel(cpu, Owner::Thread(tid), self.machine.kernel.footprint.syscall);
        }
    }

    /// The data of a cpu.
    pub(super) fn touch_kernel_of_cpu(&mut self, cpu: usize) {
        self.touch_kernel(cpu, Owner::Cpu(cpu), self.machine.kernel.footprint.cpu);
    }

    fn touch_kernel(&mut self, cpu: usize, owner: Owner, size: Size) {
        let mlp = self.machine.kernel.footprint.mlp.into();
        let lines = size.bytes() / LINE_BYTES;
        let stall = if let Some(memory) = &mut self.memory {
            let paddr = self.machine.memory_size.bytes() + place_of(owner);
            memory.touch_kernel(cpu, paddr, lines, mlp, &mut self.books)
        } else if let Some(footprints) = &mut self.footprints {
            let Some(spent) = footprints.touch_kernel(cpu, owner, lines, mlp) else { return };
            self.books.note_run(None, lines, &spent, Picos::ZERO);
            spent.stalls.iter().copied().sum()
        } else {
            return;
        };
        if stall > Picos::ZERO {
            self.cpus[cpu].pay_kernel(Account::Stall, stall);
        }
    }
}

/// Where a piece of kernel data lies, behind all memory.
fn place_of(owner: Owner) -> u64 {
    let (start, index) = match owner {
        Owner::Cpu(cpu) => (0, cpu as u64),
        Owner::Thread(tid) => (THREADS_START, tid.0.into()),
        Owner::Space(space) => (SPACES_START, space.0.into()),
    };
    start + index * SLOT_BYTES + index * 7 % PAGE_LINES * LINE_BYTES
}
