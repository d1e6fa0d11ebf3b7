//! Run queues: the policies of a run, and how many wait in each.

use crate::base::Picos;
use crate::kernel::{State, Thread, Tid};
use crate::sched::{Carry, Enqueue, Leave, Scheduler};
use std::cmp::Reverse;

/// The queues of a machine, one for all cpus or one for each.
pub(super) struct Queues {
    list: Vec<Box<dyn Scheduler + Send>>,
    queued: Vec<u32>,
    /// By queue: the latest time that it was told. Cpus are apart by up to a window, and policies know one clock.
    clocks: Vec<Picos>,
    is_preemptive: bool,
}

impl Queues {
    pub fn new(list: Vec<Box<dyn Scheduler + Send>>) -> Self {
        let count = list.len();
        let is_preemptive = list.iter().any(|queue| queue.is_preemptive());
        Self { list, queued: vec![0; count], clocks: vec![Picos::ZERO; count], is_preemptive }
    }

    pub fn is_preemptive(&self) -> bool {
        self.is_preemptive
    }

    pub fn is_shared(&self) -> bool {
        self.list.len() == 1
    }

    /// The queue that a cpu picks from.
    pub fn of_cpu(&self, cpu: usize) -> usize {
        if self.is_shared() { 0 } else { cpu }
    }

    /// How many wait in a queue.
    pub fn queued(&self, queue: usize) -> u32 {
        self.queued[queue]
    }

    /// How many wait in all of them.
    pub fn waiting(&self) -> u64 {
        self.queued.iter().map(|&queued| u64::from(queued)).sum()
    }

    #[inline]
    fn tell(&mut self, queue: usize, now: Picos) -> Picos {
        let clock = &mut self.clocks[queue];
        *clock = (*clock).max(now);
        *clock
    }

    #[inline]
    pub fn enqueue(&mut self, queue: usize, thread: &Thread, tid: Tid, burst: Picos, reason: Enqueue, now: Picos) {
        let now = self.tell(queue, now);
        self.list[queue].enqueue(&thread.task(tid, burst), reason, now);
        self.queued[queue] += 1;
    }

    pub fn remove(&mut self, queue: usize, tid: Tid, now: Picos) {
        let now = self.tell(queue, now);
        self.list[queue].remove(tid.task(), now);
        self.queued[queue] -= 1;
    }

    /// Lets go of one that waits and is still queued.
    pub fn forget(&mut self, queue: usize, tid: Tid, now: Picos) {
        let now = self.tell(queue, now);
        self.list[queue].remove(tid.task(), now);
    }

    #[inline]
    pub fn pick(&mut self, queue: usize, now: Picos) -> Option<Tid> {
        let now = self.tell(queue, now);
        let picked = self.list[queue].pick(now)?;
        self.queued[queue] -= 1;
        Some(Tid(picked.0))
    }

    /// Of the queue with most that wait, and at least `least` of them: whom it gives to a cpu. It joins that cpu's queue.
    pub fn steal(&mut self, cpu: usize, least: u32, threads: &[Thread], now: Picos) -> Option<Tid> {
        let mut order: Vec<usize> =
            (0..self.list.len()).filter(|&queue| queue != cpu && self.queued[queue] > 0).collect();
        order.sort_by_key(|&queue| (Reverse(self.queued[queue]), queue));
        for queue in order {
            if self.queued[queue] < least {
                return None;
            }
            if let Some((tid, carry)) = self.give(queue, cpu, threads, now) {
                self.enqueue(cpu, &threads[tid.index()], tid, Picos::NEVER, Enqueue::Migrated(carry), now);
                return Some(tid);
            }
        }
        None
    }

    /// Takes one out that may run on a cpu. Those before it that may not go back.
    fn give(&mut self, queue: usize, cpu: usize, threads: &[Thread], now: Picos) -> Option<(Tid, Carry)> {
        let now = self.tell(queue, now);
        let mut others = Vec::new();
        let mut given = None;
        while let Some((id, carry)) = self.list[queue].give_away(now) {
            let tid = Tid(id.0);
            if threads[tid.index()].may_run_on(cpu) {
                self.queued[queue] -= 1;
                given = Some((tid, carry));
                break;
            }
            others.push((tid, carry));
        }
        for (tid, carry) in others {
            let task = threads[tid.index()].task(tid, Picos::NEVER);
            self.list[queue].enqueue(&task, Enqueue::Migrated(carry), now);
        }
        given
    }

    /// A thread that is queued or runs has another share.
    pub fn reweigh(&mut self, queue: usize, thread: &Thread, tid: Tid, now: Picos) {
        let now = self.tell(queue, now);
        let is_queued = thread.state == State::Ready;
        self.list[queue].reweigh(&thread.task(tid, Picos::NEVER), is_queued, now);
    }

    #[inline]
    pub fn runs_until(&mut self, queue: usize, tid: Tid, now: Picos) -> Picos {
        // A policy's clock may be ahead of the cpu's by what cpus are apart.
        let clock = self.tell(queue, now);
        self.list[queue].runs_until(tid.task(), clock)
    }

    #[inline]
    pub fn charge(&mut self, queue: usize, tid: Tid, ran: Picos, now: Picos) {
        let now = self.tell(queue, now);
        self.list[queue].charge(tid.task(), ran, now);
    }

    pub fn must_yield(&mut self, queue: usize, tid: Tid, now: Picos) -> bool {
        let now = self.tell(queue, now);
        self.list[queue].must_yield(tid.task(), now)
    }

    #[inline]
    pub fn leave(&mut self, queue: usize, tid: Tid, reason: Leave, now: Picos) {
        let now = self.tell(queue, now);
        self.list[queue].leave(tid.task(), reason, now);
    }

    pub fn victim(&mut self, queue: usize, woken: Tid, running: &[crate::sched::TaskId], now: Picos) -> Option<usize> {
        let now = self.tell(queue, now);
        self.list[queue].victim(woken.task(), running, now)
    }

    /// Whether a thread that waits is still in a queue, so that waking it is cheap.
    #[inline]
    pub fn is_delayed(&self, queue: usize, tid: Tid) -> bool {
        self.list[queue].is_delayed(tid.task())
    }
}

impl std::fmt::Debug for Queues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queues").field("queued", &self.queued).finish_non_exhaustive()
    }
}
