//! Uses of lines in a row, by one thread in one cache: each does what the beginning of a reference and its use would do.

use super::residence::Actor;
use super::tracking::Cpu;
use super::usage::{TIME_MAX, Time, Use, User};
use crate::memory::lines::Slot;

/// Whose turn it is on which cpu.
pub(super) struct Turn<'a> {
    pub place: &'a mut Cpu,
    pub actor: &'a mut Actor,
    pub current: &'a mut usize,
    pub cpu: usize,
}

/// The row. [`Uses::end`] comes last.
pub(in crate::memory) struct Uses<'a> {
    uses: &'a mut [Use],
    user: User,
    now: Time,
    turn: Turn<'a>,
}

impl<'a> Uses<'a> {
    #[inline]
    pub(super) fn new(uses: &'a mut [Use], turn: Turn<'a>) -> Self {
        Self { uses, user: turn.place.thread, now: turn.actor.now, turn }
    }

    /// A reference finds its line in a slot.
    #[inline(always)]
    pub fn note(&mut self, slot: Slot) {
        self.now = (self.now + 1).min(TIME_MAX);
        let used = &mut self.uses[slot];
        *used = used.then_by(self.user, self.now);
    }

    /// The row is over, of which there was at least one.
    #[inline]
    pub fn end(self) {
        let Turn { place, actor, current, cpu } = self.turn;
        let first = (actor.now + 1).min(TIME_MAX);
        *actor = Actor { now: self.now, ..place.begin(self.user, first) };
        *current = cpu;
    }
}
