//! Uses of lines in a row, by one thread in one cache: each does what the beginning of a reference and its use would do.

use super::cause::Cause;
use super::departures::Record;
use super::residence::{Actor, Gone, Residence};
use super::tracking::{Cpu, Watch};
use super::usage::{TIME_MAX, Time, Use, User};
use crate::memory::lines::Slot;

/// Whose turn it is on which cpu.
pub(super) struct Turn<'a> {
    pub place: &'a mut Cpu,
    pub actor: &'a mut Actor,
    pub current: &'a mut usize,
    pub cpu: usize,
}

/// How a line left a cache, if it ever did.
pub(in crate::memory) struct Departed(Option<Record>);

/// The row. [`Uses::end`] comes last.
pub(in crate::memory) struct Uses<'a> {
    inner: &'a mut Residence,
    // Of the next level, if lines come from there.
    outer: Option<&'a mut Residence>,
    watch: Watch<'a>,
    user: User,
    now: Time,
    turn: Turn<'a>,
}

impl<'a> Uses<'a> {
    #[inline]
    pub(super) fn new(
        inner: &'a mut Residence,
        outer: Option<&'a mut Residence>,
        watch: Watch<'a>,
        turn: Turn<'a>,
    ) -> Self {
        Self { inner, outer, watch, user: turn.place.thread, now: turn.actor.now, turn }
    }

    /// A reference finds its line in a slot.
    #[inline(always)]
    pub fn note(&mut self, slot: Slot) {
        self.now = (self.now + 1).min(TIME_MAX);
        let used = self.inner.use_mut(slot);
        *used = used.then_by(self.user, self.now);
    }

    /// How a line left that is not there; nothing if its thread may have used it in another cpu's cache.
    #[inline]
    pub fn departure(&mut self, line: u64) -> Option<Departed> {
        let record = self.inner.departures.get(line);
        let since = record.map_or(0, |record| record.time());
        (!self.watch.may_have_migrated(self.user, self.turn.cpu, since)).then_some(Departed(record))
    }

    /// A reference does not find its line, and the next level has it in a slot. Returns why.
    #[inline]
    pub fn note_miss(&mut self, Departed(record): Departed, outer_slot: Slot) -> Cause {
        self.now = (self.now + 1).min(TIME_MAX);
        let cause = self.watch.cause_of(self.user, record);
        let actor = self.actor();
        self.outer.as_mut().expect("lines come from there").note_present(outer_slot, actor);
        cause
    }

    /// The line of such a reference is put into a slot.
    #[inline]
    pub fn note_fill(&mut self, slot: Slot, evicted: Option<u64>) -> Gone {
        let actor = self.actor();
        self.inner.note_fill(slot, evicted, actor.uses(), actor)
    }

    /// What it evicted is written back to the next level.
    #[inline]
    pub fn note_write_back(&mut self, outer_slot: Slot, used: Use) {
        self.outer.as_mut().expect("lines come from there").note_use(outer_slot, used);
    }

    /// Who makes the reference under way.
    #[inline]
    fn actor(&self) -> Actor {
        let Turn { place, actor, .. } = &self.turn;
        let mut place = **place;
        Actor { now: self.now, ..place.begin(self.user, after(actor.now)) }
    }

    /// The row is over, of which there was at least one.
    #[inline]
    pub fn end(self) {
        let Turn { place, actor, current, cpu } = self.turn;
        let first = after(actor.now);
        *actor = Actor { now: self.now, ..place.begin(self.user, first) };
        *current = cpu;
    }
}

/// When the first reference of a row is made.
fn after(now: Time) -> Time {
    (now + 1).min(TIME_MAX)
}
