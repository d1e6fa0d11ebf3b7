//! Laws over random calls: no task is lost or runs twice, nobody sleeps beside work, and one slot is its naive model.

use super::super::config::{
    Capacity, HandOff, Input, Interval, LastLook, NextSlot, Notify, Order, Overflow, Searching, Shared, SharedQueues,
    Steal, Victims,
};
use super::*;
use crate::base::Rng;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// Any of some values.
fn any_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(values.to_vec())
}

fn preset() -> impl Strategy<Value = WorkStealingConfig> {
    any_of(&WorkStealingConfig::presets().map(|(_, config)| config))
}

prop_compose! {
    fn queues()(
        local in 1_u32..6,
        is_bounded in any::<bool>(),
        overflow in any_of(&[Overflow::OldestHalf, Overflow::NewestHalf]),
        order in any_of(&[Order::Fifo, Order::Lifo]),
        next_slot in any_of(&[NextSlot::None, NextSlot::Go, NextSlot::Tokio]),
        next_slot_polls in 1_u32..4,
        next_slot_stealable in any::<bool>(),
        shared_queues in any_of(&[SharedQueues::One, SharedQueues::PerSlot]),
        shared_batch in 1_u32..8,
        shared_interval in any_of(&[Interval::Never, Interval::Tuned, Interval::Fixed(1), Interval::Fixed(3)]),
    ) -> WorkStealingConfig {
        WorkStealingConfig {
            local_queue: Capacity(is_bounded.then_some(local)), overflow, order, next_slot, next_slot_polls,
            next_slot_stealable, shared_queues, shared_batch, shared_interval, ..WorkStealingConfig::default()
        }
    }
}

prop_compose! {
    fn places()(places in prop::collection::vec(
        any_of(&[Place::NextSlot, Place::Local, Place::Shared, Place::LocalOrShared, Place::Deferred]), 4,
    )) -> [Place; 4] {
        [places[0], places[1], places[2], places[3]]
    }
}

prop_compose! {
    fn any_config()(
        queues in queues(),
        places in places(),
        steal in any_of(&[Steal::Half, Steal::One]),
        steal_rounds in 1_u32..5,
        victims in any_of(&[Victims::Coprime, Victims::Ring]),
        returns_to_victim in any::<bool>(),
        searching in any_of(&[Searching::HalfOfBusy, Searching::Half, Searching::All]),
        shared in any_of(&[Shared::First, Shared::AmongVictims]),
        notify in any_of(&[Notify::UnlessSearching, Notify::IfEmpty]),
        last_look in any_of(&[LastLook::All, LastLook::Searching, LastLook::LastSearching]),
        hand_off in any_of(&[HandOff::IfNeeded, HandOff::Runs, HandOff::Searches]),
        input in any_of(&[Input::AsWoken, Input::Spread]),
        remembers_wakes in any::<bool>(),
    ) -> WorkStealingConfig {
        let [spawned, woken, yielded, preempted] = places;
        WorkStealingConfig {
            steal, steal_rounds, victims, returns_to_victim, searching, shared, notify, last_look, hand_off,
            spawned, woken, yielded, preempted, input, remembers_wakes, ..queues
        }
    }
}

/// Who drives a runtime as an engine would, one call at a time at a slot drawn at random, and counts tasks itself.
struct Driver {
    runtime: WorkStealing,
    waiting: BTreeSet<u32>,
    /// What each slot runs.
    runs: Vec<Option<u32>>,
    /// Slots that found nothing when they last asked.
    is_empty_handed: Vec<bool>,
    tasks: u32,
    rng: Rng,
}

impl Driver {
    fn new(config: &WorkStealingConfig, slots: u16, seed: u64) -> Self {
        let count = usize::from(slots);
        let runtime = WorkStealing::new(config, slots, seed);
        let (runs, is_empty_handed) = (vec![None; count], vec![false; count]);
        Self { runtime, waiting: BTreeSet::new(), runs, is_empty_handed, tasks: 0, rng: Rng::stream(seed, "test", 0) }
    }

    fn push(&mut self, task: u32, by: Option<Slot>) {
        assert!(self.waiting.insert(task), "it waits once");
        let how = [Push::Spawned, Push::Woken, Push::Yielded, Push::Preempted, Push::Returned];
        let pushed = self.runtime.push(Tid(task), by, how[self.rng.below(5) as usize]);
        self.wake_if(pushed.notifies);
    }

    /// Input has come for some tasks.
    fn inject(&mut self, by: Option<Slot>) {
        let count = 1 + self.rng.below(6);
        let tasks: Vec<Tid> = (1..=count).map(|place| Tid(self.tasks + place)).collect();
        self.tasks += count;
        self.waiting.extend(tasks.iter().map(|task| task.0));
        let mut started = Vec::new();
        let pushed = self.runtime.inject(&tasks, by, &mut started);
        for slot in started {
            assert_eq!(self.runtime.status(slot), Status::Running);
            self.is_empty_handed[slot.index()] = false;
        }
        self.wake_if(pushed.notifies);
    }

    fn wake_if(&mut self, notifies: bool) {
        if notifies && let Some(slot) = self.runtime.wake() {
            assert_eq!(self.runtime.status(slot), Status::Searching);
            self.is_empty_handed[slot.index()] = false;
        }
    }

    /// A slot does what is next for it; what it ran is over, or goes on waiting.
    fn step(&mut self, slot: Slot, pushes: bool) {
        let at = slot.index();
        match self.runtime.status(slot) {
            Status::Idle => {}
            Status::Blocked => match self.rng.below(2) {
                0 => self.runtime.unblock(slot),
                _ => self.hand_off(slot),
            },
            Status::Searching | Status::Running if self.is_empty_handed[at] => {
                self.is_empty_handed[at] = false;
                self.runtime.retire(slot);
            }
            Status::Running if self.runs[at].is_some() && pushes && self.rng.below(2) == 0 => {
                self.tasks += 1;
                self.push(self.tasks, Some(slot));
                if self.rng.below(4) == 0 {
                    self.inject(Some(slot));
                }
            }
            Status::Running if self.runs[at].is_some() && self.rng.below(8) == 0 => self.runtime.block(slot),
            _ => self.next(slot, pushes),
        }
    }

    fn hand_off(&mut self, slot: Slot) {
        let task = self.runs[slot.index()].take();
        self.runtime.hand_off(slot);
        if let Some(task) = task {
            self.push(task, None);
        }
    }

    fn next(&mut self, slot: Slot, pushes: bool) {
        let at = slot.index();
        if let Some(task) = self.runs[at].take()
            && pushes
            && self.rng.below(3) == 0
        {
            self.push(task, Some(slot));
        }
        self.runtime.polled(slot, Picos(u64::from(self.rng.below(1 << 30))));
        let has_napped = self.runtime.naps[at].is_some();
        let next = self.runtime.next(slot);
        match next.task {
            Some(Tid(task)) => {
                assert!(self.waiting.remove(&task), "it was given out once");
                assert_eq!(next.naps, 0, "a nap comes before the task");
                assert_eq!(self.runtime.status(slot), Status::Running);
                self.runs[at] = Some(task);
            }
            None => {
                let has_searched = self.runtime.status(slot) == Status::Searching && next.naps == 0 && !has_napped;
                assert!(!has_searched || !self.runtime.is_any_stealable(), "who searches finds");
                self.is_empty_handed[at] = next.naps == 0;
            }
        }
        self.wake_if(next.notifies);
    }

    fn check(&self) {
        let count = |status| (0..self.runs.len()).filter(|&slot| self.runtime.status(slot_of(slot)) == status).count();
        assert_eq!(self.runtime.queued(), self.waiting.len());
        assert_eq!(self.runtime.searching(), count(Status::Searching));
        assert_eq!(self.runtime.idle(), count(Status::Idle));
        let own = |own: &Own| own.queue.len() + own.deferred.len() + usize::from(own.next.is_some());
        assert_eq!(self.runtime.own.iter().map(own).sum::<usize>() + self.runtime.shared.len(), self.waiting.len());
    }

    fn run(&mut self, steps: u32) {
        let slots = u32::try_from(self.runs.len()).unwrap();
        for _ in 0..steps {
            match self.rng.below(slots + 1) {
                0 if self.rng.below(3) == 0 => self.inject(None),
                0 => {
                    self.tasks += 1;
                    self.push(self.tasks, None);
                }
                slot => self.step(slot_of(slot as usize - 1), true),
            }
            self.check();
        }
        for _ in 0..steps * 100 {
            if self.runtime.idle() == self.runs.len() {
                break;
            }
            let slot = slot_of(self.rng.below(slots) as usize);
            self.step(slot, false);
            self.check();
        }
        assert_eq!(self.runtime.idle(), self.runs.len(), "all idle in the end");
        assert_eq!(self.waiting.len(), 0, "nobody idles beside work");
    }
}

fn slot_of(slot: usize) -> Slot {
    Slot(u16::try_from(slot).unwrap())
}

/// Go with one slot: the specification in a few lines.
#[derive(Default)]
struct NaiveGo {
    next: Option<u32>,
    ring: VecDeque<u32>,
    global: VecDeque<u32>,
    tick: u32,
}

impl NaiveGo {
    fn ready(&mut self, task: u32) {
        let Some(old) = self.next.replace(task) else { return };
        if self.ring.len() == 256 {
            self.global.extend(self.ring.drain(..128));
            self.global.push_back(old);
        } else {
            self.ring.push_back(old);
        }
    }

    fn schedule(&mut self) -> Option<u32> {
        let inherited = if self.tick.is_multiple_of(61) && !self.global.is_empty() { None } else { self.next.take() };
        if inherited.is_some() {
            return inherited;
        }
        let from_global = self.tick.is_multiple_of(61) && !self.global.is_empty();
        let task = if from_global { self.global.pop_front() } else { self.ring.pop_front() };
        let task = task.or_else(|| {
            let first = self.global.pop_front();
            let others = self.global.len().min(127);
            self.ring.extend(self.global.drain(..others));
            first
        });
        self.tick += u32::from(task.is_some());
        task
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn presets_lose_no_task_and_let_nobody_sleep_beside_work(config in preset(), slots in 1_u16..9, seed: u64) {
        Driver::new(&config, slots, seed).run(400);
    }

    #[test]
    fn any_choices_lose_no_task_and_let_nobody_sleep_beside_work(config in any_config(), slots in 1_u16..6, seed: u64) {
        Driver::new(&config, slots, seed).run(400);
    }

    #[test]
    fn one_slot_of_go_is_its_naive_model(moves in prop::collection::vec((0..10_u32, 1..40_u32), 1..200)) {
        let mut runtime = running(&WorkStealingConfig::go(), 1, 1);
        let (mut naive, mut task) = (NaiveGo::default(), 0);
        for (kind, count) in moves {
            for _ in 0..count {
                task += 1;
                match kind {
                    0..4 => {
                        runtime.push(Tid(task), Some(A), Push::Woken);
                        naive.ready(task);
                    }
                    4..6 => {
                        runtime.push(Tid(task), Some(A), Push::Yielded);
                        naive.global.push_back(task);
                    }
                    _ => prop_assert_eq!(runtime.next(A).task.map(|task| task.0), naive.schedule()),
                }
            }
        }
    }

    #[test]
    fn equal_seeds_give_equal_answers(config in preset(), seed: u64) {
        let trace = || {
            let mut driver = Driver::new(&config, 4, seed);
            driver.run(200);
            format!("{:?}", driver.runtime)
        };
        prop_assert_eq!(trace(), trace());
    }
}
