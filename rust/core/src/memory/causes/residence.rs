//! What is tracked of one cache: the last use of every line that is in it, and the lines that have left.

use super::departures::{Departures, Kind, Record};
use super::usage::{Time, Use, User};
use crate::memory::geometry::Geometry;
use crate::memory::lines::Slot;

/// Ways up to which a set is looked through: beyond, nothing is told to be reordered.
const WAYS_MAX: usize = 32;

/// Why a line leaves that is not the victim of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::memory) enum Departure {
    /// Another cpu stores to it.
    Invalidated,
    /// The level inside takes it.
    Taken,
    /// An inclusive level outside has evicted it, reordered or not.
    BackInvalidated { is_reordered: bool },
}

/// A line that a fill has evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::memory) struct Gone {
    /// Its last use.
    pub last: Use,
    /// Whether others had come before it in the order of use.
    pub is_reordered: bool,
}

/// Who makes the reference under way, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor {
    pub user: User,
    pub now: Time,
    /// The first reference of its turn on this cpu.
    pub turn_start: Time,
}

impl Actor {
    pub fn uses(self) -> Use {
        Use::by(self.user, self.now)
    }
}

/// One cache.
pub(super) struct Residence {
    ways: usize,
    // By slot. That of a way that is not valid is left over.
    uses: Vec<Use>,
    pub departures: Departures,
}

impl Residence {
    pub fn new(geometry: Geometry) -> Self {
        let ways = geometry.ways as usize;
        let slots = if ways <= WAYS_MAX { geometry.lines() } else { 0 };
        Self { ways, uses: vec![Use::NONE; slots], departures: Departures::new() }
    }

    /// The last use of the line in a way.
    pub fn last_use(&self, slot: Slot) -> Use {
        self.uses.get(slot).copied().unwrap_or_default()
    }

    /// A line is used by the actor.
    #[inline]
    pub fn note_present(&mut self, slot: Slot, actor: Actor) {
        match self.uses.get_mut(slot) {
            Some(last) => *last = last.then_by(actor.user, actor.now),
            None => self.set_use(slot, actor.uses()),
        }
    }

    /// A line is used as a level inside has told.
    #[inline]
    pub fn note_use(&mut self, slot: Slot, used: Use) {
        match self.uses.get_mut(slot) {
            Some(last) => *last = last.then(used),
            None => self.set_use(slot, used),
        }
    }

    /// The last use of a line in a cache of few ways.
    #[inline(always)]
    pub fn use_mut(&mut self, slot: Slot) -> &mut Use {
        &mut self.uses[slot]
    }

    /// A line is put into a way, for whatever line was there.
    #[inline]
    pub fn note_fill(&mut self, slot: Slot, evicted: Option<u64>, used: Use, actor: Actor) -> Gone {
        let gone = match evicted {
            Some(line) => self.note_eviction(slot, line, actor),
            None => Gone::default(),
        };
        self.set_use(slot, used);
        gone
    }

    fn note_eviction(&mut self, slot: Slot, line: u64, actor: Actor) -> Gone {
        let last = self.last_use(slot);
        let is_reordered =
            last.is_known_to(actor.user) && last.time() < actor.turn_start && self.is_behind_others(slot, last, actor);
        let kind = if is_reordered { Kind::Reordered } else { Kind::Evicted };
        self.departures.note(line, Record::new(last, actor.now, kind, actor.user));
        Gone { last, is_reordered }
    }

    /// Whether another line of a full set was used last by another than the actor, and later than `last`.
    fn is_behind_others(&self, slot: Slot, last: Use, actor: Actor) -> bool {
        if self.ways > WAYS_MAX {
            return false;
        }
        let start = slot / self.ways * self.ways;
        let set = &self.uses[start..start + self.ways];
        set.iter().any(|other| other.time() > last.time() && other.user() != actor.user)
    }

    /// A line leaves that is no victim of a fill.
    pub fn note_departure(&mut self, slot: Slot, line: u64, departure: Departure, actor: Actor) {
        let kind = match departure {
            Departure::Invalidated => Kind::Invalidated,
            Departure::Taken => Kind::Taken,
            Departure::BackInvalidated { is_reordered: false } => Kind::Evicted,
            Departure::BackInvalidated { is_reordered: true } => Kind::Reordered,
        };
        let last = self.last_use(slot);
        self.departures.note(line, Record::new(last, actor.now, kind, actor.user));
    }

    fn set_use(&mut self, slot: Slot, used: Use) {
        if self.uses.len() <= slot {
            // An array of many ways fills them one after the other.
            self.uses.resize(slot + 1, Use::NONE);
        }
        self.uses[slot] = used;
    }
}
