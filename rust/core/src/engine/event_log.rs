//! The event log: what happens to tasks and to the workers that run them.
//!
//! Watches only: nothing of a run depends on whether it is kept. It holds the first events in order of time, up to a
//! limit, and is complete up to the last that it holds. Cpus run ahead of one another, so that events come out of order:
//! they are sorted once, at the end. Left out: what happens to threads that are no tasks and carry none.

use super::loads::task_number;
use super::run::Run;
use super::task::Wait;
use crate::base::Picos;
use crate::kernel::{Role, Tid};
use crate::runtime::Slot;
use std::collections::BTreeMap;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A task was made.
    Spawn,
    /// A task could not be made.
    Refuse,
    /// It runs for the first time.
    Start,
    /// It runs on.
    Run,
    /// It waits, and its thread goes on without it.
    Park,
    /// It waits, and its thread with it.
    Block,
    /// What it waited for has happened.
    Unpark,
    /// It gave way by itself.
    Yield,
    /// The runtime made it give way.
    Preempt,
    /// The kernel took the cpu from its thread.
    SwitchOut,
    /// Its blocking call is over, and no worker idles: it queues without a thread.
    Requeue,
    /// It has ended.
    End,
    /// A worker took tasks from another.
    Steal,
    /// A worker was taken from a thread that blocks.
    HandOff,
    /// A worker is given to a thread to look for work.
    Wake,
    /// A thread takes a worker that idles.
    Claim,
    /// A worker idles.
    Retire,
}

impl EventKind {
    /// All of them by name, in the order of their codes.
    pub const NAMES: [&str; 17] = [
        "spawn",
        "refuse",
        "start",
        "run",
        "park",
        "block",
        "unpark",
        "yield",
        "preempt",
        "switch-out",
        "requeue",
        "end",
        "steal",
        "hand-off",
        "wake",
        "claim",
        "retire",
    ];
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub at: Picos,
    pub kind: EventKind,
    /// The task that it is about, and where that was or is.
    pub task: Tid,
    pub worker: Option<Slot>,
    pub thread: Tid,
    pub cpu: Option<usize>,
    /// Who did it: a task, and the thread that it ran on.
    pub by: (Tid, Tid),
    /// The worker that tasks were taken from, and how many.
    pub from: Option<Slot>,
    pub count: u32,
    /// What the task waits for.
    pub waits: Wait,
}

impl Event {
    /// Of this kind at a time, about nothing yet.
    pub const fn new(kind: EventKind, at: Picos) -> Self {
        Self {
            at,
            kind,
            task: Tid::NONE,
            worker: None,
            thread: Tid::NONE,
            cpu: None,
            by: (Tid::NONE, Tid::NONE),
            from: None,
            count: 0,
            waits: Wait::Nothing,
        }
    }
}

/// The events so far.
#[derive(Clone, Debug)]
pub(super) struct EventLog {
    events: Vec<Event>,
    limit: usize,
    /// How many there were beyond the limit, and when the earliest of them was.
    dropped: u64,
    dropped_at: Picos,
}

impl EventLog {
    /// An empty log for so many events.
    pub fn new(limit: u32) -> Self {
        Self { events: Vec::new(), limit: limit as usize, dropped: 0, dropped_at: Picos::NEVER }
    }

    fn push(&mut self, event: Event) {
        if self.events.len() < self.limit {
            self.events.push(event);
        } else {
            self.dropped += 1;
            self.dropped_at = self.dropped_at.min(event.at);
        }
    }
}

/// The events of a run in order of time, a column for each thing that is told of them. -1 stands for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventColumns {
    /// When, in picoseconds.
    pub at: Vec<i64>,
    /// What, by its place in [`EventKind::NAMES`].
    pub kind: Vec<i32>,
    /// Numbers: the task, its worker, thread and cpu; who did it; from which worker, and how many tasks.
    pub numbers: [Vec<i32>; 8],
    /// What the task waits for, by its place in `texts`.
    pub waits_for: Vec<i32>,
    /// What tasks wait for, in words.
    pub texts: Vec<String>,
    /// Events that were not kept: all later than those that were.
    pub dropped: u64,
}

impl EventColumns {
    /// What the columns of numbers are called.
    pub const NUMBERS: [&str; 8] = ["task", "worker", "thread", "cpu", "by_task", "by_thread", "from_worker", "count"];
}

impl Run {
    /// Notes an event, if events are kept.
    pub(super) fn log_event(&mut self, event: impl FnOnce(&Self) -> Event) {
        if self.event_log.is_none() {
            return;
        }
        let event = event(self);
        if let Some(log) = &mut self.event_log {
            log.push(event);
        }
    }

    /// Notes what happens to a task, if it is one: where it is, and who runs on a cpu did it.
    #[inline(always)]
    pub(super) fn log_task(&mut self, kind: EventKind, task: Tid, at: Picos, by: Option<usize>) {
        if self.event_log.is_some() && self.is_logged(task) {
            self.keep_task(kind, task, at, by);
        }
    }

    fn keep_task(&mut self, kind: EventKind, task: Tid, at: Picos, by: Option<usize>) {
        self.log_event(|run| {
            let (thread, worker, cpu) = run.task_place(task);
            let waits = match kind {
                EventKind::Park | EventKind::Block => run.tasks[task.index()].waits,
                _ => Wait::Nothing,
            };
            let (thread, by) = (thread.unwrap_or(Tid::NONE), run.who_runs(by));
            Event { task, worker, thread, cpu, by, waits, ..Event::new(kind, at) }
        });
    }

    /// Notes what happens to a worker and a thread, which may have a task. Who runs on a cpu did it.
    #[inline(always)]
    pub(super) fn log_worker(&mut self, kind: EventKind, worker: Slot, thread: Tid, task: Option<Tid>, cpu: usize) {
        self.log_event(|run| {
            let state = &run.cpus[cpu];
            let is_own = state.running == Some(thread);
            let by = if is_own { (Tid::NONE, Tid::NONE) } else { run.who_runs(Some(cpu)) };
            let (task, cpu) = (task.unwrap_or(Tid::NONE), is_own.then_some(cpu));
            Event { task, worker: Some(worker), thread, cpu, by, ..Event::new(kind, state.now) }
        });
    }

    fn is_logged(&self, tid: Tid) -> bool {
        let thread = &self.threads[tid.index()];
        // The first thread of a program may be a task that has no number.
        task_number(thread).is_some() || (thread.role == Role::Task && thread.maker == Tid::NONE)
    }

    /// The task that runs on a cpu, and its thread.
    pub(super) fn who_runs(&self, cpu: Option<usize>) -> (Tid, Tid) {
        let Some((cpu, thread)) = cpu.and_then(|cpu| Some((&self.cpus[cpu], self.cpus[cpu].running?))) else {
            return (Tid::NONE, Tid::NONE);
        };
        let task = if self.is_logged(cpu.active) { cpu.active } else { Tid::NONE };
        (task, thread)
    }

    /// The events that were kept, in order of time.
    pub(super) fn event_columns(&mut self) -> Option<EventColumns> {
        let log = self.event_log.take()?;
        let is_kept =
            |event: &&Event| event.at < log.dropped_at && (event.task == Tid::NONE || self.is_logged(event.task));
        let mut events: Vec<&Event> = log.events.iter().filter(is_kept).collect();
        events.sort_by_key(|event| event.at);
        let left_out = log.events.iter().filter(|event| event.at >= log.dropped_at).count() as u64;
        let mut texts = Texts::default();
        let mut columns = EventColumns { dropped: log.dropped + left_out, ..EventColumns::default() };
        for event in events {
            columns.at.push(i64::try_from(event.at.0).unwrap_or(i64::MAX));
            columns.kind.push(event.kind as i32);
            let thread = |tid: Tid| if tid == Tid::NONE { None } else { Some(tid.0) };
            let task = |tid: Tid| if tid == Tid::NONE { None } else { task_number(&self.threads[tid.index()]) };
            let slot = |slot: Option<Slot>| slot.map(|slot| slot.0.into());
            let row = [
                task(event.task),
                slot(event.worker),
                thread(event.thread),
                event.cpu.map(|cpu| u32::try_from(cpu).expect("at most 64 cpus")),
                task(event.by.0),
                thread(event.by.1),
                slot(event.from),
                (event.count > 0).then_some(event.count),
            ];
            for (column, value) in columns.numbers.iter_mut().zip(row) {
                column.push(value.map_or(-1, |value| i32::try_from(value).unwrap_or(i32::MAX)));
            }
            columns.waits_for.push(match event.waits {
                Wait::Nothing => -1,
                wait => texts.place_of(self.describe_wait(wait)),
            });
        }
        columns.texts = texts.list;
        Some(columns)
    }
}

/// Texts, each once.
#[derive(Debug, Default)]
struct Texts {
    list: Vec<String>,
    places: BTreeMap<String, i32>,
}

impl Texts {
    fn place_of(&mut self, text: String) -> i32 {
        if let Some(&place) = self.places.get(&text) {
            return place;
        }
        let place = i32::try_from(self.list.len()).expect("programs name few things");
        self.list.push(text.clone());
        self.places.insert(text, place);
        place
    }
}
