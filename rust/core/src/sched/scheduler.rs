//! The interface between what moves tasks (the mechanism) and what chooses among them (a policy).

use crate::base::Picos;

/// A task by its number. Numbers are small and dense: policies keep tables by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u32);

impl TaskId {
    /// The place in a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a policy may know of a task when it could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// How much it still runs before it blocks or ends.
    pub burst: Picos,
    /// Its share among others, as Linux weighs it: 1024 is nice 0.
    pub weight: u32,
    /// Its share among others, as lotteries and strides weigh it.
    pub tickets: u32,
    /// How urgent it is; smaller numbers go first.
    pub priority: u32,
}

/// What a policy hands on with a task that moves to another queue: a lag, a level. Only the same policy reads it.
pub type Carry = i128;

/// Why a task joins a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueue {
    /// It is new.
    New,
    /// What it waited for has happened.
    Wake,
    /// It ran, and a woken one made it stop.
    Preempted,
    /// It ran, and gave way by itself.
    Yielded,
    /// It ran as long as the policy had allowed.
    SliceUsed,
    /// It comes from another queue.
    Migrated(Carry),
}

/// Why a running task leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It waits for something.
    Blocked,
    /// It is over.
    Ended,
}

/// One run queue. The mechanism asks, the policy answers and changes nothing but itself.
///
/// A task that was picked runs until it is enqueued again (preempted, yielded, slice used up) or leaves. Before either,
/// and before every [`victim`](Self::victim), the mechanism charges what it has run. Times never go back.
pub trait Scheduler {
    /// A task could run from now on.
    fn enqueue(&mut self, task: &Task, reason: Enqueue, now: Picos);

    /// A task that is queued goes away.
    fn remove(&mut self, id: TaskId, now: Picos);

    /// Chooses who runs, and takes it out of the queue. Nobody, only if nobody is queued.
    fn pick(&mut self, now: Picos) -> Option<TaskId>;

    /// A task that is queued or runs has another share or priority.
    fn reweigh(&mut self, _task: &Task, _is_queued: bool, _now: Picos) {}

    /// When the policy wants to be asked again about who just began to run, or goes on. Later than `now`.
    fn runs_until(&mut self, _id: TaskId, _now: Picos) -> Picos {
        Picos::NEVER
    }

    /// A running task has run for some time since it was picked or charged last.
    fn charge(&mut self, _id: TaskId, _ran: Picos, _now: Picos) {}

    /// Whether a running task has to make room, at the time that [`runs_until`](Self::runs_until) said.
    fn must_yield(&mut self, _id: TaskId, _now: Picos) -> bool {
        true
    }

    /// A running task blocks or ends.
    fn leave(&mut self, _id: TaskId, _reason: Leave, _now: Picos) {}

    /// Whether a task that left is still queued, so that its wake-up is cheap: EEVDF's delayed dequeue.
    fn is_delayed(&self, _id: TaskId) -> bool {
        false
    }

    /// Whether [`victim`](Self::victim) is worth a question.
    fn is_preemptive(&self) -> bool {
        false
    }

    /// Which of the running tasks makes room for one that is new or woke and now waits in the queue.
    fn victim(&mut self, _woken: TaskId, _running: &[TaskId], _now: Picos) -> Option<usize> {
        None
    }

    /// Chooses whom another queue may have, and takes it out.
    fn give_away(&mut self, now: Picos) -> Option<(TaskId, Carry)> {
        self.pick(now).map(|id| (id, 0))
    }
}
