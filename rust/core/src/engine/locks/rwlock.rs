//! Reader-writer locks on a futex: handed over to those who sleep, by what the lock prefers.

use super::super::error::RunError;
use super::super::execute::Step;
use super::super::races::Object;
use super::super::run::Run;
use super::table::Phase;
use crate::base::Picos;
use crate::kernel::Tid;
use crate::workload::locks::Prefer;
use std::collections::VecDeque;

/// What a reader-writer lock has beside other locks. A writer is its holder.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Shared {
    prefer: Prefer,
    /// Who reads, and since when.
    pub readers: Vec<(Tid, Picos)>,
    /// Who waits, in order, and whether it writes.
    queue: VecDeque<(Tid, bool)>,
}

impl Shared {
    pub fn new(prefer: Prefer) -> Self {
        Self { prefer, readers: Vec::new(), queue: VecDeque::new() }
    }

    /// Whether a reader may come in that does not wait yet.
    fn admits_reader(&self) -> bool {
        match self.prefer {
            Prefer::Readers => true,
            Prefer::Writers => self.queue.iter().all(|&(_, is_write)| !is_write),
            Prefer::Fifo => self.queue.is_empty(),
        }
    }

    /// Who may come in next of those who wait, once nobody writes.
    fn next(&mut self) -> Option<(Tid, bool)> {
        let first = |wanted: bool| self.queue.iter().position(|&(_, is_write)| is_write == wanted);
        let place = match self.prefer {
            Prefer::Readers => first(false).or_else(|| first(true)),
            Prefer::Writers => first(true).or_else(|| first(false)),
            Prefer::Fifo => (!self.queue.is_empty()).then_some(0),
        }?;
        if self.queue[place].1 && !self.readers.is_empty() {
            return None;
        }
        self.queue.remove(place)
    }
}

impl Run {
    /// Takes a reader-writer lock, for writing or for reading.
    pub(in crate::engine) fn lock_shared(
        &mut self,
        cpu: usize,
        tid: Tid,
        index: u32,
        is_write: bool,
    ) -> Result<Step, RunError> {
        if self.tasks[tid.index()].is_trying {
            debug_assert_eq!(self.locks.attempt(tid).phase, Phase::Granted, "it sleeps until it has the lock");
            self.end_waiting(tid);
            return Ok(Step::Next);
        }
        if !self.is_first(cpu) {
            return Ok(self.let_others_go_first(cpu));
        }
        self.check_usable(tid, index)?;
        self.use_word(cpu, tid, index, false);
        self.forget_dead(index);
        let lock = &self.locks.list[index as usize];
        let is_free = lock.holder == Tid::NONE;
        let may_enter = is_free && if is_write { lock.shared.readers.is_empty() } else { lock.shared.admits_reader() };
        if may_enter {
            let now = self.cpus[cpu].now;
            self.admit(tid, index, is_write, now);
            return Ok(Step::Next);
        }
        self.begin_waiting(cpu, tid, index);
        self.locks.list[index as usize].shared.queue.push_back((tid, is_write));
        self.begin_park(cpu, tid);
        self.fall_asleep(cpu, tid, index);
        Ok(Step::Again)
    }

    fn admit(&mut self, tid: Tid, index: u32, is_write: bool, at: Picos) {
        if is_write {
            self.give(tid, index, at);
            return;
        }
        self.acquired(tid, Object::Lock(index));
        self.count_held(tid, 1);
        let lock = &mut self.locks.list[index as usize];
        lock.shared.readers.push((tid, at));
        lock.stats.acquisitions += 1;
        if self.tasks[tid.index()].is_trying {
            self.note_wait(tid, index, at);
        }
    }

    /// Gives a reader-writer lock back, and lets in who may come.
    pub(super) fn unlock_shared(&mut self, cpu: usize, tid: Tid, index: u32) -> Result<Step, RunError> {
        let lock = &mut self.locks.list[index as usize];
        let reads = lock.shared.readers.iter().position(|&(reader, _)| reader == tid);
        if lock.holder != tid && reads.is_none() {
            return Err(self.stranger(tid, index, "unlocks"));
        }
        if let Some(place) = reads {
            (_, lock.taken) = lock.shared.readers.remove(place);
        } else {
            lock.holder = Tid::NONE;
        }
        self.use_word(cpu, tid, index, true);
        self.note_release(cpu, tid, index, reads.is_some());
        self.forget_dead(index);
        while self.locks.list[index as usize].holder == Tid::NONE {
            let Some((next, is_write)) = self.locks.list[index as usize].shared.next() else { break };
            let now = self.cpus[cpu].now;
            self.locks.list[index as usize].stats.hand_offs += 1;
            self.admit(next, index, is_write, now);
            self.note_woken(next, now, Phase::Granted);
            self.unpark(cpu, tid, next);
        }
        Ok(Step::Next)
    }

    fn forget_dead(&mut self, index: u32) {
        let threads = &self.threads;
        self.locks.list[index as usize].shared.queue.retain(|(tid, _)| threads[tid.index()].is_alive());
    }
}
