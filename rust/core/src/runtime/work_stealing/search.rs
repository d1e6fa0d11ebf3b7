//! Looking for work at other slots.

use super::WorkStealing;
use super::config::{Searching, Steal};
use super::victims::Walk;
use crate::kernel::Tid;
use crate::runtime::discipline::{Next, Slot, Status};

/// What a slot wants to take from before another's queue, once it has given it the time to run that itself.
#[derive(Clone, Copy, Debug)]
pub struct Nap {
    victim: usize,
    task: Tid,
    /// Who is visited if it is gone.
    walk: Walk,
}

impl WorkStealing {
    /// Takes work from others, if the slot may search.
    pub(super) fn search(&mut self, slot: Slot, found: &mut Next) -> Option<Tid> {
        if let Some(task) = self.same_again(slot, found) {
            return Some(task);
        }
        if !self.may_search(slot) {
            return None;
        }
        if self.slots.status(slot) != Status::Searching {
            self.slots.set(slot, Status::Searching);
            self.is_wake_missed = false;
        }
        if self.queued == 0 {
            self.search_in_vain(slot, found);
            return None;
        }
        for round in 1..=self.config.steal_rounds {
            let walk = self.orders.walk(&mut self.rngs[slot.index()]);
            let is_last = round == self.config.steal_rounds;
            if let Some(task) = self.visit(slot, walk, is_last, found) {
                return Some(task);
            }
        }
        None
    }

    /// All that a search comes to where nothing is queued: it looks at every other slot and at the queues among them.
    fn search_in_vain(&mut self, slot: Slot, found: &mut Next) {
        let looks = self.orders.count() - self.slots.idle() - 1;
        let rounds = self.config.steal_rounds;
        self.orders.skip(&mut self.rngs[slot.index()], rounds);
        found.visited += u32::try_from(looks).expect("slots have 16 bits") * rounds;
    }

    /// Goes on after a nap: takes what it napped for if that is still there.
    pub(super) fn after_nap(&mut self, slot: Slot, nap: Nap, found: &mut Next) -> Option<Tid> {
        let next = &mut self.own[nap.victim].next;
        if *next == Some(nap.task) {
            (found.stolen, found.victim) = (1, Some(slot_at(nap.victim)));
            return next.take();
        }
        self.visit(slot, nap.walk, true, found)
    }

    /// Whether who took the task of `found` leaves more in the same queue.
    pub(super) fn leaves_some(&self, slot: Slot, found: &Next) -> bool {
        if found.stolen == 0 && found.from_global == 0 {
            return self.own[slot.index()].has_work();
        }
        self.sources[slot.index()].is_some_and(|source| !self.is_source_empty(source))
    }

    /// Whether any slot has what others may take.
    pub(super) fn is_any_stealable(&self) -> bool {
        self.queued > self.shared.len()
            && self.own.iter().any(|own| !own.queue.is_empty() || self.config.next_slot_stealable && own.next.is_some())
    }

    fn may_search(&self, slot: Slot) -> bool {
        let (searching, slots) = (self.slots.searching(), self.slots.count());
        self.slots.status(slot) == Status::Searching
            || match self.config.searching {
                Searching::All => true,
                Searching::Half => 2 * searching < slots,
                Searching::HalfOfBusy => 2 * searching < slots - self.slots.idle(),
            }
    }

    /// Takes from the queue that the slot took from last.
    fn same_again(&mut self, slot: Slot, found: &mut Next) -> Option<Tid> {
        if !self.config.returns_to_victim {
            return None;
        }
        let source = self.sources[slot.index()]?;
        found.visited += 1;
        self.take(slot, source, found)
    }

    /// Visits others in an order, until one has something to take.
    fn visit(&mut self, slot: Slot, mut walk: Walk, is_last: bool, found: &mut Next) -> Option<Tid> {
        let takes_next = is_last && self.config.next_slot_stealable;
        while let Some(source) = walk.next() {
            if self.is_skipped(slot, source) {
                continue;
            }
            found.visited += 1;
            if let Some(task) = self.take(slot, source, found) {
                return Some(task);
            }
            let next = self.own.get(source).and_then(|own| own.next);
            if let Some(task) = next.filter(|_| takes_next) {
                if self.status_of(source) == Status::Running {
                    self.naps[slot.index()] = Some(Nap { victim: source, task, walk });
                    found.naps = 1;
                    return None;
                }
                (found.stolen, found.victim) = (1, Some(slot_at(source)));
                return self.own[source].next.take();
            }
        }
        None
    }

    /// Nobody visits itself or who idles.
    fn is_skipped(&self, slot: Slot, source: usize) -> bool {
        source == slot.index() || source < self.own.len() && self.status_of(source) == Status::Idle
    }

    fn status_of(&self, source: usize) -> Status {
        self.slots.status(slot_at(source))
    }

    fn is_source_empty(&self, source: usize) -> bool {
        match source.checked_sub(self.own.len()) {
            Some(queue) => self.shared.is_queue_empty(queue),
            None => self.own[source].queue.is_empty(),
        }
    }

    /// Takes from the queue of a slot, or from a shared one.
    fn take(&mut self, slot: Slot, source: usize, found: &mut Next) -> Option<Tid> {
        let task = match source.checked_sub(self.own.len()) {
            Some(queue) => {
                let task = self.shared.pop_from(queue)?;
                found.from_global = 1;
                task
            }
            None => self.steal(slot, source, found)?,
        };
        self.sources[slot.index()] = Some(source);
        Some(task)
    }

    /// Takes the oldest tasks of another slot. The newest of them is told; the others join the slot's own queue.
    fn steal(&mut self, slot: Slot, victim: usize, found: &mut Next) -> Option<Tid> {
        let len = self.own[victim].queue.len();
        let wanted = match self.config.steal {
            Steal::Half => len - len / 2,
            Steal::One => len.min(1),
        };
        let count = wanted.min(self.own[slot.index()].room().saturating_add(1));
        if count == 0 {
            return None;
        }
        (found.stolen, found.victim) = (u32::try_from(count).expect("a queue is small"), Some(slot_at(victim)));
        for _ in 1..count {
            let task = self.own[victim].queue.pop_front().expect("so many were there");
            self.own[slot.index()].queue.push_back(task);
        }
        self.own[victim].queue.pop_front()
    }
}

/// The slot at a place in a table.
fn slot_at(place: usize) -> Slot {
    Slot(u16::try_from(place).expect("slots have 16 bits"))
}
