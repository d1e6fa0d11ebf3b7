//! What the directory's word does to caches: copies of other cpus are invalidated or cleaned before a reference is looked
//! up, and afterwards the directory learns which lines have left.

use super::super::causes::{Departure, Use};
use super::super::directory::{Demands, cpus};
use super::levels::Levels;

impl Levels {
    /// Before a reference of `bytes` bytes is looked up, which is none to [what a cpu may read](Self::may_read). Returns
    /// whether it is a transfer, and the cycles of an upgrade.
    pub(super) fn before_reference(&mut self, cpu: usize, paddr: u64, bytes: u32, is_store: bool) -> (bool, u64) {
        let Some(directory) = &mut self.directory else { return (false, 0) };
        let line = directory.line_of(paddr);
        let demands = directory.before(cpu, paddr, bytes, is_store);
        if demands != Demands::default() {
            self.meet(demands, line);
        }
        (demands.is_transfer, if demands.is_upgrade { self.transfer_cycles } else { 0 })
    }

    /// Whether the private level `first` holds a line: what the cpu holds it may read, and has not lost.
    pub(super) fn may_read(&self, first: usize, paddr: u64) -> bool {
        let level = self.levels.get(first).filter(|level| level.cpu.is_some());
        level.is_some_and(|level| level.cache.find(level.cache.line_of(paddr)).is_some())
    }

    /// Does to the caches what a reference to a line demands.
    fn meet(&mut self, demands: Demands, line: u64) {
        for cpu in cpus(demands.invalidate) {
            for place in 0..self.domains[cpu].len() {
                let index = self.domains[cpu][place];
                self.note_departure(index, line, Departure::Invalidated);
                self.levels[index].cache.remove(line);
            }
        }
        let Some(owner) = demands.clean else { return };
        for &index in &self.domains[owner] {
            self.levels[index].cache.clean(line);
        }
        if self.presents_write_backs {
            let line_bits = self.levels[self.domains[owner][0]].cache.rules.line_bits;
            self.write_back(self.first_shared, line << line_bits, Use::PRESENT);
        }
    }

    /// After a reference is done.
    pub(super) fn after_reference(&mut self, cpu: usize, paddr: u64, is_store: bool) {
        self.settle();
        if let Some(directory) = &mut self.directory
            && is_store
        {
            directory.after_store(cpu, paddr);
        }
    }

    /// Whether a prefetch for `cpu` has to leave alone what lies at `paddr`.
    pub(super) fn is_owned_by_another(&mut self, cpu: usize, paddr: u64) -> bool {
        self.settle();
        self.directory.as_ref().is_some_and(|directory| directory.is_owned_by_another(cpu, directory.line_of(paddr)))
    }

    /// Lets the directory ask the caches which lines have left for good.
    fn settle(&mut self) {
        let Some(directory) = &mut self.directory else { return };
        let (levels, domains) = (&self.levels, &self.domains);
        // What left one cache is most often in the next.
        let holds = |cpu: usize, line| domains[cpu].iter().rev().any(|&index| levels[index].cache.find(line).is_some());
        directory.settle(holds);
    }
}
