//! System calls on memory: mmap, munmap, mprotect, brk, madvise.

use super::process::Pid;
use super::{Account, Kernel, KernelError, Ledger};
use crate::vm::address_space::{MapError, Permissions};
use crate::vm::work::TeardownWork;
use crate::vm::{HeapError, MapRequest, OutOfMemory, ProtectError, SpaceId};

/// What mmap is asked for.
#[derive(Clone, Debug)]
pub struct MapCall<'a> {
    /// What programs call the region.
    pub name: &'a str,
    /// Where it is to be; the kernel chooses if absent.
    pub address: Option<u64>,
    /// How large it is; rounded up to whole pages.
    pub size: u64,
    /// What accesses pass.
    pub permissions: Permissions,
    /// log2 of the frames of its pages: 0, 9 or 18.
    pub page_order: u32,
    /// Whether a child of a fork sees what the parent writes.
    pub is_shared: bool,
}

impl Kernel {
    /// Adds a region. Returns its address.
    pub fn mmap(&mut self, pid: Pid, call: &MapCall<'_>) -> Result<u64, KernelError> {
        let space = self.space_of(pid)?;
        self.charge_call(pid, self.costs.kernel.map_ns);
        let request = MapRequest {
            name: call.name,
            start: call.address.map(|address| address >> 12),
            pages: call.size.div_ceil(4096),
            permissions: call.permissions,
            page_order: call.page_order,
            is_shared: call.is_shared,
        };
        let start = self.vm.map(space, &request).map_err(|error| KernelError::Map { pid, error })?;
        Ok(start << 12)
    }

    /// Removes a range.
    pub fn munmap(&mut self, pid: Pid, address: u64, size: u64) -> Result<(), KernelError> {
        self.remove(pid, address, size, |vm, space, start, end| vm.unmap(space, start, end))
    }

    /// Gives the memory of a range back and keeps the regions (`madvise(MADV_DONTNEED)`).
    pub fn discard(&mut self, pid: Pid, address: u64, size: u64) -> Result<(), KernelError> {
        self.remove(pid, address, size, |vm, space, start, end| vm.discard(space, start, end))
    }

    /// Changes what a range allows.
    pub fn mprotect(&mut self, pid: Pid, address: u64, size: u64, permissions: Permissions) -> Result<(), KernelError> {
        let space = self.space_of(pid)?;
        let (start, end) = pages(address, size);
        let work = loop {
            match self.vm.protect(space, start, end, permissions) {
                Ok(work) => break work,
                Err(ProtectError::Map(error)) => return Err(KernelError::Map { pid, error }),
                Err(ProtectError::OutOfMemory(error)) => self.make_room(pid, error)?,
            }
        };
        let cost = self.costs.protect(&work);
        self.charge_call(pid, cost);
        self.shoot_down(pid, space, work.invalidated, (start, end));
        Ok(())
    }

    /// Sets the size of the heap in bytes. Returns the address behind it.
    pub fn brk(&mut self, pid: Pid, size: u64) -> Result<u64, KernelError> {
        let space = self.space_of(pid)?;
        let end = self.vm.space(space).heap_start + size.div_ceil(4096);
        let old = self.vm.space(space).named("heap").map_or(end, |heap| heap.end).max(end);
        let work = loop {
            match self.vm.set_heap_end(space, end) {
                Ok(work) => break work,
                Err(HeapError::Map(error)) => return Err(KernelError::Map { pid, error }),
                Err(HeapError::OutOfMemory(error)) => self.make_room(pid, error)?,
            }
        };
        self.finish_removal(pid, space, &work, (end, old));
        Ok(end << 12)
    }

    /// Makes a huge page of the pages in the 2 MiB around an address. Returns whether it could.
    pub fn collapse(&mut self, pid: Pid, address: u64) -> Result<bool, KernelError> {
        let space = self.space_of(pid)?;
        loop {
            match self.vm.collapse(space, address >> 12) {
                Ok(is_done) => {
                    let copies = self.costs.kernel.fault.copy_ns.saturating_sub(self.costs.kernel.fault.bare_ns) * 512;
                    let time = self.costs.kernel.map_ns;
                    self.charge_call(pid, time);
                    if is_done {
                        self.charge(pid, Ledger::of(Account::Copy, copies));
                        self.shoot_down(pid, space, 512, around(address));
                    }
                    return Ok(is_done);
                }
                Err(error) => self.make_room(pid, error)?,
            }
        }
    }

    /// Splits the huge page around an address. Returns whether there was one.
    pub fn split(&mut self, pid: Pid, address: u64) -> Result<bool, KernelError> {
        let space = self.space_of(pid)?;
        loop {
            match self.vm.split(space, address >> 12) {
                Ok(was_huge) => {
                    self.charge_call(pid, self.costs.kernel.map_ns);
                    self.shoot_down(pid, space, u64::from(was_huge), around(address));
                    return Ok(was_huge);
                }
                Err(error) => self.make_room(pid, error)?,
            }
        }
    }

    fn remove(
        &mut self,
        pid: Pid,
        address: u64,
        size: u64,
        mut remove: impl FnMut(&mut crate::vm::VirtualMemory, SpaceId, u64, u64) -> Result<TeardownWork, OutOfMemory>,
    ) -> Result<(), KernelError> {
        let space = self.space_of(pid)?;
        let (start, end) = pages(address, size);
        if start >= end {
            return Err(KernelError::Map { pid, error: MapError::Empty });
        }
        let work = loop {
            match remove(&mut self.vm, space, start, end) {
                Ok(work) => break work,
                Err(error) => self.make_room(pid, error)?,
            }
        };
        self.finish_removal(pid, space, &work, (start, end));
        Ok(())
    }

    fn finish_removal(&mut self, pid: Pid, space: SpaceId, work: &TeardownWork, range: (u64, u64)) {
        let cost = self.costs.kernel.map_ns + self.costs.teardown(work);
        self.charge_call(pid, cost);
        self.shoot_down(pid, space, work.invalidated, range);
    }

    /// Makes all cpus forget the translations of `pages` pages in a range.
    fn shoot_down(&mut self, pid: Pid, space: SpaceId, pages: u64, range: (u64, u64)) {
        if pages == 0 {
            return;
        }
        let ceiling = u64::from(self.costs.kernel.shootdown.flush_ceiling_pages);
        self.forget(space, (range.1 - range.0 <= ceiling).then_some(range));
        let is_here = |pid: &Pid| self.processes.get(pid).is_some_and(|process| process.space == Some(space));
        let running = self.running.iter().enumerate().filter(|(_, running)| running.as_ref().is_some_and(is_here));
        let others: Vec<usize> = match self.caller {
            Some(caller) => running.map(|(cpu, _)| cpu).filter(|&cpu| cpu != caller).collect(),
            None => running.filter(|(_, running)| **running != Some(pid)).map(|(cpu, _)| cpu).collect(),
        };
        let cost = self.costs.shootdown(pages, others.len() as u64);
        self.charge_call(pid, cost);
        self.interrupted.extend(others);
    }
}

/// The pages of the 2 MiB around an address.
fn around(address: u64) -> (u64, u64) {
    let first = address >> 21 << 9;
    (first, first + 512)
}

/// The pages that a range of bytes touches.
fn pages(address: u64, size: u64) -> (u64, u64) {
    (address >> 12, address.saturating_add(size).div_ceil(4096))
}
