//! What a runtime decides: which user task runs next on which of its slots.
//!
//! A slot is what tasks run on, one at a time: a P of Go, the core of a Tokio worker, a carrier of a fork-join pool. A
//! discipline knows no time, no threads and no cpus: the engine tells it what happened and pays for what it says it did.

use super::slots::Slots;
use crate::base::Picos;
use crate::kernel::Tid;

/// The number of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

impl Slot {
    /// The place in a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How a task came to be able to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// It was just made.
    Spawned,
    /// What it waited for has happened.
    Woken,
    /// It gave way by itself.
    Yielded,
    /// It was made to give way.
    Preempted,
    /// It comes back from a blocking call and found no slot.
    Returned,
}

/// What it took to let a task be able to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Whether it went to a queue that all slots share.
    pub is_global: bool,
    /// Tasks that moved to the shared queue since the slot's own was full.
    pub overflowed: u32,
    /// Whether somebody may have to be woken for it: then [`Discipline::wake`] is asked.
    pub notifies: bool,
    /// Whether there was no room: the task is nowhere, and who pushed it has to wait or to give up.
    pub is_full: bool,
}

/// What a slot does next, and what it took to find out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// The task that runs; none if there is nothing to do.
    pub task: Option<Tid>,
    /// It goes on with the slice of the one before it.
    pub inherits_slice: bool,
    /// Tasks taken from the shared queue.
    pub from_global: u32,
    /// Tasks taken from another slot.
    pub stolen: u32,
    /// Which.
    pub victim: Option<Slot>,
    /// Slots whose queues were looked at.
    pub visited: u32,
    /// Naps before it may take what another slot is about to run: with one there is no task yet. The slot sleeps a little
    /// and asks again; by then the other may have run it.
    pub naps: u32,
    /// Whether the slot was searching and found something: then [`Discipline::wake`] is asked.
    pub notifies: bool,
}

/// How a slot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody has it.
    Idle,
    /// A carrier looks for work with it.
    Searching,
    /// A carrier runs tasks with it.
    Running,
    /// Its carrier is in a blocking call.
    Blocked,
}

/// The queues of a runtime.
///
/// The order of calls for one slot: `wake` or `claim` takes it out of idleness; then `next` until that finds nothing and
/// `retire` says that it may idle. All random choices come from the discipline's own stream of the seed.
pub trait Discipline: std::fmt::Debug + Send {
    /// A task could run. `by` is the slot of who let it: none for one from outside, such as a thread that is no carrier.
    fn push(&mut self, task: Tid, by: Option<Slot>, how: Push) -> Pushed;

    /// An idle slot that a carrier is to search with, if one is needed now. It is [`Status::Searching`] from then on.
    fn wake(&mut self) -> Option<Slot>;

    /// Whether tasks whose input has come are put into queues all at once, by [`inject`](Self::inject).
    fn spreads_input(&self) -> bool {
        false
    }

    /// Several tasks could run since their input has come, in this order. `started` is given idle slots that carriers are to
    /// go on with at once: they are [`Status::Running`] from then on.
    fn inject(&mut self, tasks: &[Tid], by: Option<Slot>, _started: &mut Vec<Slot>) -> Pushed {
        let mut all = Pushed::default();
        for &task in tasks {
            let one = self.push(task, by, Push::Woken);
            all.is_global |= one.is_global;
            all.notifies |= one.notifies;
            all.overflowed += one.overflowed;
        }
        all
    }

    /// What a slot runs next. With a task it is [`Status::Running`] from then on; a slot that looks at others for one may
    /// be [`Status::Searching`] before.
    fn next(&mut self, slot: Slot) -> Next;

    /// A slot has found nothing: it idles from then on, unless a last look at queues finds something, which is told by
    /// `false`: then `next` is asked again.
    fn retire(&mut self, slot: Slot) -> bool;

    /// The slot is taken from a carrier that blocks. Returns whether another carrier is to take it at once, running
    /// (`Some(false)`) or searching (`Some(true)`); else it idles.
    fn hand_off(&mut self, slot: Slot) -> Option<bool>;

    /// The task that a slot runs has run for so long since `next` gave it out. Some disciplines adapt to it.
    fn polled(&mut self, _slot: Slot, _time: Picos) {}

    /// What a slot ran has done all that it may in one go: nothing runs as a part of it any more. What would have goes
    /// behind others.
    fn exhaust(&mut self, _slot: Slot) -> Pushed {
        Pushed::default()
    }

    /// Whether a slot has tasks of its own that wait.
    fn has_work(&self, slot: Slot) -> bool;

    /// Tasks that wait, in all queues.
    fn queued(&self) -> usize;

    /// How all slots stand.
    fn slots(&self) -> &Slots;

    /// The same, to change it.
    fn slots_mut(&mut self) -> &mut Slots;

    /// Takes an idle slot for a carrier that comes back from a blocking call or is made anew: `preferred` if that is idle.
    /// It is [`Status::Running`] from then on.
    fn claim(&mut self, preferred: Option<Slot>) -> Option<Slot> {
        self.slots_mut().claim(preferred)
    }

    /// The carrier of a slot begins a call that may block.
    fn block(&mut self, slot: Slot) {
        self.slots_mut().set(slot, Status::Blocked);
    }

    /// The call is over, and nobody took the slot in between.
    fn unblock(&mut self, slot: Slot) {
        self.slots_mut().set(slot, Status::Running);
    }

    /// How a slot stands.
    fn status(&self, slot: Slot) -> Status {
        self.slots().status(slot)
    }

    /// Slots that search.
    fn searching(&self) -> usize {
        self.slots().searching()
    }

    /// Slots that idle.
    fn idle(&self) -> usize {
        self.slots().idle()
    }
}
