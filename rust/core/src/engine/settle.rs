//! After calls of the kernel: who pays, who has ended or was woken, and what processes have cost so far.

use super::run::Run;
use crate::base::Picos;
use crate::kernel::{Account, Ledger};

impl Run {
    /// Takes what calls have cost, whom they ended and woke, and which cpus they interrupted.
    pub(super) fn settle(&mut self, cpu: usize) {
        let bill = self.kernel.take_bill();
        self.cpus[cpu].spend(&bill);
        let shootdowns = self.kernel.take_shootdowns();
        for shootdown in &shootdowns {
            if shootdown.pages.is_none() && self.kernel.vm().users(shootdown.space) == 0 {
                for other in &mut self.cpus {
                    other.asids.forget(shootdown.space);
                    other.space = other.space.filter(|&space| space != shootdown.space);
                }
            }
        }
        if let Some(memory) = &mut self.memory {
            memory.shoot_down(&shootdowns);
        }
        if let Some(footprints) = &mut self.footprints {
            footprints.shoot_down(&self.kernel, &shootdowns);
        }
        for pid in self.kernel.take_ended() {
            self.end_runtime(pid);
            self.end_group(pid, cpu);
            self.regions.forget(pid);
        }
        for pid in self.kernel.take_woken() {
            self.wake_parent(pid, cpu);
        }
        let receive = self.machine.kernel.shootdown.ipi_receive_ns;
        for other in self.kernel.take_interrupted() {
            self.catch_up(other, self.cpus[cpu].now);
            self.cpus[other].spend(&Ledger::of(Account::Interrupt, receive));
            self.turns.change(other);
        }
    }

    /// Puts what a cpu spent for who runs into the books of its process.
    #[inline]
    pub(super) fn book(&mut self, cpu: usize) {
        let state = &mut self.cpus[cpu];
        let spent = std::mem::take(&mut state.unbooked);
        if spent.total() > Picos::ZERO {
            self.kernel.account(state.pid, spent);
        }
    }

    /// Shows processes as `ps` has them: what their first threads do, and all that they have cost.
    pub(super) fn show(&mut self) {
        for cpu in 0..self.cpus.len() {
            self.book(cpu);
        }
        for (&pid, group) in &self.groups {
            let (thread, task) = (&self.threads[group.first.index()], &self.tasks[group.first.index()]);
            if let Some(process) = self.kernel.process_mut(pid).filter(|process| process.is_alive()) {
                process.program_counter = task.next;
                task.loops().clone_into(&mut process.registers);
                process.state = thread.state;
            }
        }
    }
}
