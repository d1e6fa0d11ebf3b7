//! Work stealing: each slot has a queue of its own, and who has nothing takes from others.
//!
//! Go, Tokio and the fork-join pool of Java differ in which queue a task joins, what a slot looks at in which order, how
//! much it takes, who may search and who is woken; each is a choice of its own here, and the presets are what those
//! runtimes chose. Polling of the network and timers are the engine's. Left out are failed compare-and-swaps: what a slot
//! sees when it looks is what it gets.
//! Sources: golang/go `src/runtime/proc.go`, tokio-rs/tokio `runtime/scheduler/multi_thread`, openjdk/jdk
//! `ForkJoinPool.java` and `VirtualThread.java`.

pub mod config;
mod inject;
mod interval;
mod own;
mod presets;
mod search;
mod shared;
#[cfg(test)]
mod tests;
mod victims;

pub use config::WorkStealingConfig;

use super::discipline::{Discipline, Next, Push, Pushed, Slot, Status};
use super::slots::{Slots, Wakes};
use crate::base::{Picos, Rng};
use crate::kernel::Tid;
use config::{HandOff, LastLook, NextSlot, Notify, Place, Shared};
use interval::SharedTurn;
use own::Own;
use search::Nap;
use shared::SharedTasks;
use victims::Orders;

/// The queues of a work-stealing runtime.
#[derive(Debug)]
pub struct WorkStealing {
    config: WorkStealingConfig,
    slots: Slots,
    own: Vec<Own>,
    turns: Vec<SharedTurn>,
    /// What a slot is about to take after its nap.
    naps: Vec<Option<Nap>>,
    /// Where a slot took from last: a slot, or behind them a shared queue.
    sources: Vec<Option<usize>>,
    rngs: Vec<Rng>,
    shared: SharedTasks,
    orders: Orders,
    queued: usize,
    /// A wake has found no idle slot, and nobody has begun to search since.
    is_wake_missed: bool,
    /// Tasks on their way from a full queue to the shared one.
    spilled: Vec<Tid>,
}

impl WorkStealing {
    /// Empty queues for so many slots, with the random numbers of a seed.
    pub fn new(config: &WorkStealingConfig, slots: u16, seed: u64) -> Self {
        let count = usize::from(slots);
        let shared = SharedTasks::new(config, count);
        let visited = match config.shared {
            Shared::First => count,
            Shared::AmongVictims => count + shared.count(),
        };
        let rngs = (0..u64::from(slots)).map(|slot| Rng::stream(seed, "runtime_victim", slot)).collect();
        Self {
            config: config.clone(),
            slots: Slots::new(slots, Wakes::Newest),
            own: vec![Own::new(config); count],
            turns: vec![SharedTurn::new(config.shared_interval); count],
            naps: vec![None; count],
            sources: vec![None; count],
            rngs,
            shared,
            orders: Orders::new(config.victims, u32::try_from(visited).expect("slots are few")),
            queued: 0,
            is_wake_missed: false,
            spilled: Vec::new(),
        }
    }

    const fn place(&self, how: Push) -> Place {
        match how {
            Push::Spawned => self.config.spawned,
            Push::Woken => self.config.woken,
            Push::Yielded => self.config.yielded,
            Push::Preempted => self.config.preempted,
            Push::Returned => Place::Shared,
        }
    }

    fn push_shared(&mut self, task: Tid, by: Option<Slot>) -> Pushed {
        let queue = self.shared.queue_of(by);
        let was_empty = self.shared.is_queue_empty(queue);
        self.shared.push(queue, task);
        Pushed { is_global: true, notifies: self.notifies_of(was_empty), ..Pushed::default() }
    }

    fn push_local(&mut self, task: Tid, slot: Slot) -> Pushed {
        let own = &mut self.own[slot.index()];
        let was_empty = own.queue.is_empty();
        own.push(task, &mut self.spilled);
        let overflowed = u32::try_from(self.spilled.len()).expect("a queue is small");
        let queue = self.shared.queue_of(Some(slot));
        for task in self.spilled.drain(..) {
            self.shared.push(queue, task);
        }
        Pushed { overflowed, notifies: self.notifies_of(was_empty), ..Pushed::default() }
    }

    fn push_next(&mut self, task: Tid, slot: Slot) -> Pushed {
        let own = &mut self.own[slot.index()];
        if !own.is_next_open {
            return self.push_local(task, slot);
        }
        let displaced = own.next.replace(task);
        let notifies = self.config.next_slot == NextSlot::Go;
        let pushed = displaced.map_or_else(Pushed::default, |task| self.push_local(task, slot));
        Pushed { notifies: notifies || pushed.notifies, ..pushed }
    }

    const fn notifies_of(&self, was_empty: bool) -> bool {
        match self.config.notify {
            Notify::UnlessSearching => true,
            Notify::IfEmpty => was_empty,
        }
    }

    /// Brings back what a slot has put aside: the last first, each to the place before the queue. Tells whether others could help.
    fn bring_back(&mut self, slot: Slot) -> bool {
        while let Some(task) = self.own[slot.index()].deferred.pop() {
            self.push_next(task, slot);
        }
        let own = &self.own[slot.index()];
        own.queue.len() + usize::from(own.next.is_some()) > 1
    }

    /// A task of the slot's own queues, or one of the shared queue if that has its turn or the slot has none.
    fn pick(&mut self, slot: Slot, found: &mut Next) -> Option<Tid> {
        let at = slot.index();
        if self.turns[at].is_now()
            && let Some(task) = self.shared.pop()
        {
            found.from_global = 1;
            return Some(task);
        }
        if let Some((task, inherits_slice)) = self.own[at].pop() {
            found.inherits_slice = inherits_slice;
            return Some(task);
        }
        match self.config.shared {
            Shared::First => self.pop_batch(slot, found),
            Shared::AmongVictims => None,
        }
    }

    /// The slot's part of the shared queue: the first task of it to run, the others for its own queue.
    fn pop_batch(&mut self, slot: Slot, found: &mut Next) -> Option<Tid> {
        let task = self.shared.pop()?;
        let own = &mut self.own[slot.index()];
        let size = self.shared.len() + 1;
        let part = size.min(size / self.slots.count() + 1).min(self.config.shared_batch as usize);
        let others = (part - 1).min(own.room());
        for _ in 0..others {
            own.queue.extend(self.shared.pop());
        }
        found.from_global = u32::try_from(others).expect("a batch is small") + 1;
        Some(task)
    }

    /// All that a slot can find, in the order of the runtime.
    fn find(&mut self, slot: Slot, found: &mut Next) -> Option<Tid> {
        let at = slot.index();
        if let Some(nap) = self.naps[at].take() {
            return self.after_nap(slot, nap, found);
        }
        if let Some(task) = self.own[at].go_on() {
            found.inherits_slice = true;
            return Some(task);
        }
        if self.turns[at].is_batch_over() {
            self.turns[at].end_batch();
            if !self.own[at].deferred.is_empty() {
                found.notifies |= self.bring_back(slot);
            }
        }
        if let Some(task) = self.pick(slot, found) {
            return Some(task);
        }
        self.turns[at].end_batch();
        if let Some(task) = self.search(slot, found) {
            return Some(task);
        }
        if found.naps == 0 && !self.own[at].deferred.is_empty() {
            found.notifies |= self.bring_back(slot);
            return self.pick(slot, found);
        }
        None
    }

    /// A slot runs a task that it found; tells whether another slot is to be woken.
    fn begin(&mut self, slot: Slot, found: &Next) -> bool {
        let at = slot.index();
        if !found.inherits_slice {
            self.turns[at].picked();
            self.own[at].end_pick();
            self.own[at].is_in_pick = true;
        }
        let was_searching = self.slots.status(slot) == Status::Searching;
        self.slots.set(slot, Status::Running);
        match self.config.notify {
            Notify::UnlessSearching => (found.notifies || was_searching) && self.slots.searching() == 0,
            Notify::IfEmpty => was_searching && self.leaves_some(slot, found),
        }
    }

    /// Whether a slot that gives itself up must not, since a last look finds something.
    fn sees_work(&self, was_searching: bool) -> bool {
        let looks = match self.config.last_look {
            LastLook::All => true,
            LastLook::Searching => was_searching,
            LastLook::LastSearching => was_searching && self.slots.searching() == 0,
        };
        let looks_at_shared = looks || self.config.last_look == LastLook::Searching;
        looks_at_shared && !self.shared.is_empty() || looks && self.is_any_stealable()
    }
}

impl Discipline for WorkStealing {
    fn push(&mut self, task: Tid, by: Option<Slot>, how: Push) -> Pushed {
        self.queued += 1;
        let place = self.place(how);
        match by.filter(|&slot| self.slots.status(slot) != Status::Idle) {
            None => self.push_shared(task, None),
            Some(slot) => match place {
                Place::NextSlot => self.push_next(task, slot),
                Place::Local => self.push_local(task, slot),
                Place::LocalOrShared if !self.own[slot.index()].queue.is_empty() => self.push_local(task, slot),
                Place::Shared | Place::LocalOrShared => self.push_shared(task, Some(slot)),
                Place::Deferred => {
                    self.own[slot.index()].deferred.push(task);
                    Pushed::default()
                }
            },
        }
    }

    fn wake(&mut self) -> Option<Slot> {
        if self.config.notify == Notify::UnlessSearching && self.slots.searching() > 0 {
            return None;
        }
        let woken = self.slots.wake();
        self.is_wake_missed |= woken.is_none() && self.config.remembers_wakes;
        woken
    }

    fn spreads_input(&self) -> bool {
        self.config.input == config::Input::Spread
    }

    fn inject(&mut self, tasks: &[Tid], by: Option<Slot>, started: &mut Vec<Slot>) -> Pushed {
        self.spread(tasks, by, started)
    }

    fn next(&mut self, slot: Slot) -> Next {
        let mut found = Next::default();
        found.task = self.find(slot, &mut found);
        if found.task.is_some() {
            self.queued -= 1;
            found.notifies = self.begin(slot, &found);
        } else {
            self.own[slot.index()].end_pick();
        }
        found
    }

    fn retire(&mut self, slot: Slot) -> bool {
        if self.naps[slot.index()].is_some() || self.has_work(slot) {
            return false;
        }
        let status = self.slots.status(slot);
        self.slots.set(slot, Status::Idle);
        if self.sees_work(status == Status::Searching) {
            self.slots.set(slot, status);
            return false;
        }
        if status != Status::Searching && std::mem::take(&mut self.is_wake_missed) {
            self.slots.set(slot, Status::Searching);
            return false;
        }
        self.sources[slot.index()] = None;
        true
    }

    fn hand_off(&mut self, slot: Slot) -> Option<bool> {
        if !self.own[slot.index()].deferred.is_empty() {
            self.bring_back(slot);
        }
        let own = &mut self.own[slot.index()];
        own.end_pick();
        if self.config.next_slot == NextSlot::Tokio
            && let Some(task) = own.next.take()
        {
            self.push_local(task, slot);
        }
        let searches = match self.config.hand_off {
            HandOff::Runs => Some(false),
            HandOff::Searches => Some(true),
            HandOff::IfNeeded if self.has_work(slot) || !self.shared.is_empty() => Some(false),
            HandOff::IfNeeded => (self.slots.searching() + self.slots.idle() == 0).then_some(true),
        };
        self.slots.set(
            slot,
            match searches {
                None => Status::Idle,
                Some(true) => Status::Searching,
                Some(false) => Status::Running,
            },
        );
        searches
    }

    fn polled(&mut self, slot: Slot, time: Picos) {
        self.turns[slot.index()].polled(time, self.own[slot.index()].is_part());
    }

    fn exhaust(&mut self, slot: Slot) -> Pushed {
        let own = &mut self.own[slot.index()];
        if !own.is_in_pick || self.config.next_slot != NextSlot::Tokio {
            return Pushed::default();
        }
        let next = own.next.take();
        own.end_pick();
        next.map_or_else(Pushed::default, |task| self.push_local(task, slot))
    }

    fn has_work(&self, slot: Slot) -> bool {
        self.own[slot.index()].has_work()
    }

    fn queued(&self) -> usize {
        self.queued
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    fn slots_mut(&mut self) -> &mut Slots {
        &mut self.slots
    }
}
