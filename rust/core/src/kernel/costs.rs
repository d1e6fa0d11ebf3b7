//! The price of what memory management did: counted events times the machine's cost of each.

use super::ledger::{Account, Ledger};
use crate::base::Picos;
use crate::memory::config::KernelConfig;
use crate::vm::Touch;
use crate::vm::work::{FaultKind, ForkWork, ProtectWork, TeardownWork};

/// Prices of events.
#[derive(Clone, Debug)]
pub struct Costs {
    /// As the machine says.
    pub kernel: KernelConfig,
}

impl Costs {
    /// What an access costs beyond the access itself. `is_in_order`: its page follows the one that faulted last.
    /// Returns the time of the fault itself and that of zeroing and copying.
    pub fn touch(&self, touch: &Touch, is_in_order: bool, swap_outs: u64) -> (Picos, Picos) {
        let fault = &self.kernel.fault;
        let Some(kind) = touch.fault else { return (Picos::ZERO, Picos::ZERO) };
        let either = |in_order, random| if is_in_order { in_order } else { random };
        let fresh = either(fault.fresh_page_ns, fault.fresh_page_random_ns);
        let copy = either(fault.copy_ns, fault.copy_random_ns);
        let whole = match kind {
            FaultKind::ZeroPage | FaultKind::Protection | FaultKind::StackGrowth => fault.bare_ns,
            FaultKind::File if touch.is_fresh => fault.file_ns + fresh.saturating_sub(fault.bare_ns),
            FaultKind::File => fault.file_ns,
            FaultKind::FirstTouch => fresh,
            FaultKind::HugeFirstTouch => {
                // As much zeroing as the small pages that it stands for.
                fault.bare_ns + fault.fresh_page_ns.saturating_sub(fault.bare_ns) * (1 << touch.order)
            }
            FaultKind::WriteAfterZero | FaultKind::CowCopy => copy,
            FaultKind::Reuse => fault.reuse_ns,
            FaultKind::HugeCow => fault.huge_split_ns,
            FaultKind::SwapIn => fault.swap_in_ns,
        };
        let bare = match kind {
            FaultKind::Reuse | FaultKind::SwapIn => whole,
            FaultKind::File => fault.file_ns,
            _ => fault.bare_ns.min(whole),
        };
        let tables = self.kernel.fork.pte_clean_ns * (512 * touch.tables_copied);
        (bare + fault.swap_out_ns * swap_outs, whole.saturating_sub(bare) + tables)
    }

    /// What a fork costs the parent. `follows_exec`: another program has run since its last one.
    pub fn fork(&self, work: &ForkWork, is_first: bool, follows_exec: bool) -> Ledger {
        let fork = &self.kernel.fork;
        let entries = fork.pte_clean_ns * (work.clean + work.swapped)
            + fork.pte_dirtied_ns * work.dirtied
            + fork.pte_scattered_ns * work.scattered
            + fork.huge_clean_ns * work.huge_clean
            + fork.huge_dirtied_ns * work.huge_dirtied
            + fork.table_shared_ns * work.shared_tables;
        let cold = match (is_first, follows_exec) {
            (true, _) => fork.first_ns,
            (false, true) => fork.after_exec_ns,
            (false, false) => Picos::ZERO,
        };
        Ledger::of(Account::Syscall, fork.base_ns + cold).and(Account::Copy, entries)
    }

    /// What dropping mappings costs, without the call around it and without the flush.
    pub fn teardown(&self, work: &TeardownWork) -> Picos {
        let teardown = &self.kernel.teardown;
        teardown.pte_shared_ns * (work.shared + work.swapped)
            + teardown.page_private_ns * work.private
            + teardown.huge_shared_ns * work.huge_shared
            + teardown.huge_private_ns * work.huge_private
            + self.kernel.fork.pte_clean_ns * (512 * work.tables_copied)
    }

    /// What a change of permissions costs, without the flush.
    pub fn protect(&self, work: &ProtectWork) -> Picos {
        self.kernel.map_ns
            + self.kernel.region_ns * work.regions_changed
            + self.kernel.pte_change_ns * work.entries
            + self.kernel.fork.pte_clean_ns * (512 * work.tables_copied)
    }

    /// What this cpu does so that translations of so many pages are forgotten everywhere; `others` are cpus that run
    /// in the same address space.
    pub fn shootdown(&self, pages: u64, others: u64) -> Picos {
        let shootdown = &self.kernel.shootdown;
        if pages == 0 {
            return Picos::ZERO;
        }
        let own = if pages > u64::from(shootdown.flush_ceiling_pages) {
            shootdown.flush_ns
        } else {
            shootdown.invlpg_ns * pages
        };
        own + shootdown.ipi_ns * others
    }
}
