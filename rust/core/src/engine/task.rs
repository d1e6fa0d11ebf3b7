//! Where a thread is in its program.

use super::overlap::Overlap;
use super::share::Sharing;
use crate::base::{Picos, Rng};
use crate::kernel::Account;
use crate::workload::Cursor;
use crate::workload::code::Address;

/// The execution of a program by one thread. What only some programs need is in `more`.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// The next instruction.
    pub next: Address,
    /// Why it does not run.
    pub waits: Wait,
    /// What is left of the computation at hand; nothing of one that has not begun.
    pub left: Picos,
    /// What that time is spent on.
    pub account: Account,
    /// It is about to take a lock.
    pub is_trying: bool,
    /// Locks that it holds; of 255 or more it is not told how many, and it counts as holding some from then on.
    pub held: u8,
    /// It is a part of the instruction at hand, which goes on behind it.
    pub is_within: bool,
    more: Option<Box<More>>,
}

/// What a program remembers that loops, touches, measures or draws.
#[derive(Clone, Debug, Default)]
struct More {
    /// Rounds left of the loops that it is in, innermost last.
    loops: Vec<u64>,
    /// When what is measured began, innermost last.
    marks: Vec<Picos>,
    /// Until when it has for what it does, innermost last; none is later than those before it.
    deadlines: Vec<Picos>,
    /// Where touches are, by their index: their pattern, and how many accesses of this one are left.
    cursors: Vec<(u32, TouchState)>,
    /// The same of touches of working sets.
    visits: Vec<(u32, VisitState)>,
    /// Of the choices that it makes.
    draws: Option<Rng>,
    /// Of the times that it draws.
    durations: Option<Rng>,
    /// Of accesses to shared variables.
    sharing: Sharing,
}

/// A touch that is not over, or where the next one goes on.
#[derive(Clone, Debug)]
pub(super) struct TouchState {
    pub cursor: Cursor,
    /// Accesses that are left of the touch at hand; nothing between two.
    pub left: Option<u64>,
    /// Latencies that overlap.
    pub overlap: Overlap,
}

/// A touch of a working set that is not over, or that has not come to all pages.
#[derive(Clone, Debug)]
pub(super) struct VisitState {
    /// Units of the part.
    pub units: u64,
    /// Accesses that are left.
    pub left: Option<u64>,
    /// Which page comes next, as long as pages may fault.
    pub cursor: Option<Box<Cursor>>,
}

/// What an alarm is for. One that its wait does not need any longer stays, and is not to end another wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// The end of a wait for a time, which nothing else ends.
    Time,
    /// A look after time and input.
    Poll,
    /// A look for a request.
    Request,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: it runs or could.
    Nothing,
    /// Nothing any more: it could run, and has not since. Said of tasks whose operations are counted.
    Over,
    /// A child that ends.
    Child,
    /// A child of vfork that ends or calls exec.
    Vfork,
    /// A point in time.
    Time,
    /// The ends of threads: of that name, or of all that it made.
    Join(Option<u32>),
    /// A semaphore.
    Semaphore(u32),
    /// A lock.
    Lock(u32),
    /// A condition.
    Condition(u32),
    /// Others that come to a barrier.
    Barrier(u32),
    /// Room in a channel.
    Send(u32),
    /// A message.
    Receive(u32),
    /// What the task waits for that it carries.
    Mounted,
    /// A task to run.
    Work,
    /// Time or input that tasks wait for.
    Poll,
    /// The end of a blocking call.
    Block,
    /// Input.
    Input,
    /// The next request of a load.
    Request(u32),
    /// The answer of a dependency.
    Call(u32),
}

impl Task {
    /// The start of a program.
    pub fn new(next: Address) -> Self {
        Self {
            next,
            waits: Wait::Nothing,
            left: Picos::ZERO,
            account: Account::User,
            held: 0,
            is_trying: false,
            is_within: false,
            more: None,
        }
    }

    /// The execution by a child: at an address of its own, or behind the maker's instruction and with all that the maker
    /// is in the middle of.
    pub fn child(&self, entry: Option<Address>) -> Self {
        if let Some(entry) = entry {
            let mut child = Self::new(entry);
            if self.deadline() < Picos::NEVER {
                child.more().deadlines.push(self.deadline());
            }
            return child;
        }
        let mut child = Self::new(self.next + 1);
        if let Some(more) = &self.more {
            child.more = Some(Box::new(More {
                loops: more.loops.clone(),
                marks: more.marks.clone(),
                deadlines: more.deadlines.clone(),
                cursors: more.cursors.clone(),
                visits: more.visits.clone(),
                ..More::default()
            }));
        }
        child
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Rounds left of the loops that it is in, innermost last.
    pub fn loops(&self) -> &[u64] {
        self.more.as_ref().map_or(&[], |more| &more.loops)
    }

    /// Begins a loop of so many rounds.
    pub fn begin_loop(&mut self, rounds: u64) {
        self.more().loops.push(rounds);
    }

    /// Ends a round of the innermost loop. Returns whether another one follows.
    pub fn end_round(&mut self) -> bool {
        let loops = &mut self.more().loops;
        let left = loops.last_mut().expect("a round belongs to a loop");
        *left -= 1;
        let goes_on = *left > 0;
        if !goes_on {
            loops.pop();
        }
        goes_on
    }

    /// Notes when something that is measured began.
    pub fn begin(&mut self, now: Picos) {
        self.more().marks.push(now);
    }

    /// When what ends now began.
    pub fn end(&mut self) -> Picos {
        self.more().marks.pop().expect("what ends has begun")
    }

    /// Has until a time for what follows, and no longer than it had before.
    pub fn begin_deadline(&mut self, until: Picos) {
        let until = until.min(self.deadline());
        self.more().deadlines.push(until);
    }

    /// Has as long as before.
    pub fn end_deadline(&mut self) {
        self.more().deadlines.pop().expect("what ends has begun");
    }

    /// Until when it has.
    pub fn deadline(&self) -> Picos {
        self.more.as_ref().and_then(|more| more.deadlines.last().copied()).unwrap_or(Picos::NEVER)
    }

    /// A number below `bound`. `tid` tells apart the random numbers of threads.
    pub fn draw(&mut self, bound: u32, seed: u64, tid: u32) -> u32 {
        let draws = &mut self.more().draws;
        draws.get_or_insert_with(|| Rng::stream(seed, "choose", tid.into())).below(bound)
    }

    /// Random numbers for times. `tid` tells apart those of threads.
    pub fn durations(&mut self, seed: u64, tid: u32) -> &mut Rng {
        self.more().durations.get_or_insert_with(|| Rng::stream(seed, "durations", tid.into()))
    }

    /// Where it is within accesses to a shared variable, if it ever made some.
    pub fn sharing(&self) -> Option<&Sharing> {
        Some(&self.more.as_ref()?.sharing)
    }

    /// Takes that out.
    pub fn take_sharing(&mut self) -> Sharing {
        std::mem::take(&mut self.more().sharing)
    }

    /// Puts it back.
    pub fn put_sharing(&mut self, sharing: Sharing) {
        self.more().sharing = sharing;
    }

    /// Takes the state of a touch out.
    pub fn take_cursor(&mut self, index: u32) -> Option<TouchState> {
        let cursors = &mut self.more.as_mut()?.cursors;
        let place = cursors.iter().position(|&(known, _)| known == index)?;
        Some(cursors.swap_remove(place).1)
    }

    /// Puts it back.
    pub fn put_cursor(&mut self, index: u32, state: TouchState) {
        self.more().cursors.push((index, state));
    }

    /// Takes the state of a touch of a working set out.
    pub fn take_visit(&mut self, index: u32) -> Option<VisitState> {
        let visits = &mut self.more.as_mut()?.visits;
        let place = visits.iter().position(|&(known, _)| known == index)?;
        Some(visits.swap_remove(place).1)
    }

    /// Puts it back.
    pub fn put_visit(&mut self, index: u32, state: VisitState) {
        self.more().visits.push((index, state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_tasks_fit_into_memory() {
        assert!(size_of::<Task>() <= 40, "{}", size_of::<Task>());
    }
}
