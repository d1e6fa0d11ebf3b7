//! Tasks of a runtime: user tasks and jobs on the threads that carry them.
//!
//! A task has a number among threads and a program as they have; what it lacks is a place in the kernel's queues. Its
//! *carrier* is a thread whose work is the runtime's: find a task, run it until it waits, find the next. A *slot* is the
//! right to do so. Queues belong to a [`Discipline`]; here is who is asked and when, what it costs, and which threads wait
//! for work.

mod carry;
mod due;
mod look;
mod mount;
mod operations;
mod poll;
mod ready;
mod report;
mod start;
mod sysmon;
#[cfg(test)]
mod tests;

use crate::base::Picos;
use crate::kernel::{Pid, Tid};
use crate::runtime::{Discipline, Model, Slot};
use due::Due;
pub(super) use report::{LATE_MAX, Report};

/// The number of a carrier.
type CarrierId = u32;

/// A thread that carries tasks.
#[derive(Clone, Copy, Debug)]
struct Carrier {
    tid: Tid,
    /// What it has the right to run on.
    slot: Option<Slot>,
    /// What it had before a blocking call.
    last_slot: Option<Slot>,
    /// Whom it runs, or waits for.
    mounted: Option<Tid>,
    /// Tasks since it looked after time and input.
    since_poll: u32,
    /// It has looked everywhere and tries again for a while.
    has_spun: bool,
    /// Its task is to give way.
    is_preempted: bool,
    /// Operations that its task may still do without waiting.
    operations: u32,
}

/// What the monitor remembers of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The slot's turn when it was seen first.
    turn: u64,
    /// When.
    at: Picos,
    /// The same of blocking calls.
    call: u64,
    call_at: Picos,
}

/// How a slot's carrier is and has been.
#[derive(Clone, Copy, Debug, Default)]
struct SlotState {
    carrier: Option<CarrierId>,
    /// Slices so far: one that a task inherits is none.
    turn: u64,
    /// Blocking calls so far.
    calls: u64,
    /// Since when its carrier is in one.
    blocked_at: Picos,
    seen: Seen,
}

/// The runtime of the process that has tasks.
#[derive(Debug)]
pub(super) struct Runtime {
    pub model: Model,
    pid: Pid,
    discipline: Box<dyn Discipline>,
    carriers: Vec<Carrier>,
    /// By thread: which carrier it is, if it is one.
    carrier_ids: Vec<Option<CarrierId>>,
    /// Carriers that wait for work, and have no slot unless each has its own; the last one is woken first.
    parked: Vec<CarrierId>,
    slots: Vec<SlotState>,
    /// Tasks that wait for time and for input.
    due: Due,
    /// Who waits for these, and until when.
    poller: Option<(Tid, Picos)>,
    /// The thread that looks after time and input, if that is one of its own.
    poll_thread: Option<Tid>,
    /// The monitor, and how long it sleeps between two looks.
    monitor: Option<Tid>,
    monitor_delay: Picos,
    monitor_idle: u32,
    monitor_sleeps: bool,
    /// Bytes of tasks at which garbage is collected next.
    collect_at: u64,
    /// Timers that the thread for time has not seen.
    unseen: u64,
    /// It has met the limit of threads.
    is_at_limit: bool,
    report: Report,
    /// Room for tasks whose input has come, and for slots that are started for them.
    input: Vec<Tid>,
    started: Vec<Slot>,
}

impl Runtime {
    /// Which carrier a thread is.
    #[inline]
    fn carrier_id(&self, thread: Tid) -> Option<CarrierId> {
        self.carrier_ids.get(thread.index()).copied().flatten()
    }

    /// Which carrier a thread is that is one.
    #[inline]
    fn id_of(&self, carrier: Tid) -> CarrierId {
        self.carrier_id(carrier).expect("it is a carrier")
    }

    /// Gives back what only a run that goes on needs.
    pub(super) fn let_go(&mut self) {
        self.due = Due::default();
    }
}
