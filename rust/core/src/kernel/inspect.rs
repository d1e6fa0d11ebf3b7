//! Looking at a kernel without changing it: what `ps`, `pmap` and a debugger show.

use super::ledger::Account;
use super::process::{Pid, Process};
use super::{Kernel, KernelError, Ledger};
use crate::vm::work::{FaultCounts, FaultKind};
use serde_json::{Map, Value, json};

impl Kernel {
    /// What all calls have cost so far.
    pub fn billed(&self) -> &Ledger {
        &self.billed
    }

    /// Pages of 4 KiB that a process has in memory; none once it has ended.
    pub fn resident_pages(&self, pid: Pid) -> u64 {
        self.space_of(pid).map_or(0, |space| self.vm.space(space).resident_pages)
    }

    /// What a page shows, without touching it; nothing if it shows nothing yet.
    ///
    /// # Errors
    /// The process is not alive.
    pub fn peek(&self, pid: Pid, vaddr: u64) -> Result<Option<u64>, KernelError> {
        Ok(self.vm.peek(self.space_of(pid)?, vaddr >> 12))
    }

    /// The physical addresses of the entries that a walk reads, root first; the last of them and its level.
    ///
    /// # Errors
    /// The process is not alive.
    pub fn walk(&self, pid: Pid, vaddr: u64) -> Result<(Vec<u64>, u64, u32), KernelError> {
        let space = self.space_of(pid)?;
        let (entry, level) = self.vm.entry(space, vaddr >> 12);
        Ok((self.vm.walk(space, vaddr >> 12), entry.0, level))
    }

    /// All regions of a process in order of address.
    ///
    /// # Errors
    /// The process is not alive.
    pub fn regions(&self, pid: Pid) -> Result<Value, KernelError> {
        let space = self.vm.space(self.space_of(pid)?);
        let row = |region: &crate::vm::address_space::Region| {
            json!({
                "start": region.start << 12,
                "end": region.end << 12,
                "kind": region.kind,
                "name": region.name,
                "permissions": region.permissions.to_string(),
                "page_size": page_size(region.page_order),
                "shared": region.object.is_some(),
            })
        };
        Ok(space.regions().map(row).collect())
    }

    /// One line of `ps`.
    pub fn row(&self, process: &Process) -> Value {
        let (resident, tables, virtual_pages) = process.space.map_or((0, 0, 0), |space| {
            let pages = self.vm.space(space).regions().map(crate::vm::address_space::Region::pages).sum::<u64>();
            (self.vm.space(space).resident_pages, self.vm.vm_pte_bytes(space), pages)
        });
        json!({
            "pid": process.pid,
            "parent": process.parent,
            "name": process.name,
            "state": process.state,
            "exit_code": process.end.as_ref().map(super::End::code),
            "end": process.end.as_ref().map(ToString::to_string),
            "children": process.children,
            "program_counter": process.program_counter,
            "registers": process.registers,
            "open_files": process.open_files,
            "resident_pages": resident,
            "virtual_pages": virtual_pages,
            "vm_pte_bytes": tables,
            "forks": process.forks,
            "faults": fault_counts(&process.faults),
            "started_at_ns": process.started_at,
            "ended_at_ns": process.ended_at,
            "cpu_ns": process.ledger.total() - process.ledger[Account::Idle],
            "ledger": process.ledger,
        })
    }
}

/// Faults by kind; kinds that never happened are left out.
pub fn fault_counts(faults: &FaultCounts) -> Value {
    FaultKind::ALL
        .into_iter()
        .filter(|&kind| faults[kind] > 0)
        .map(|kind| (kind.name().to_owned(), faults[kind].into()))
        .collect::<Map<String, Value>>()
        .into()
}

/// How a page size is written.
fn page_size(order: u32) -> &'static str {
    match order {
        0 => "4KiB",
        9 => "2MiB",
        _ => "1GiB",
    }
}
