//! Lines that have left a cache: who used each last, and how it left.
//!
//! A record a line that was ever there, for as long as the run: a line without one has never been there. Records lie in
//! blocks of neighbouring lines, so that a walk through memory walks through records.

use super::usage::{Time, Use, User};
use crate::memory::hash::NumberMap;

/// log2 of the lines a block.
const BLOCK_BITS: u32 = 6;

const USER_BITS: u32 = 25;
const KIND_BITS: u32 = 2;

/// How a line left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For another line's sake.
    Evicted,
    /// The same; others had come before it in the order of use.
    Reordered,
    /// Another cpu stored to it.
    Invalidated,
    /// The level inside took it.
    Taken,
}

const KINDS: [Kind; 4] = [Kind::Evicted, Kind::Reordered, Kind::Invalidated, Kind::Taken];

/// What is known of a line that has left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    /// Its last use before that.
    pub last: Use,
    // Time, kind and who did it; 0 where the line never left.
    left: u64,
}

impl Record {
    pub fn new(last: Use, time: Time, kind: Kind, by: User) -> Self {
        debug_assert!(time > 0, "the first reference is at time 1");
        let left = (time << KIND_BITS | kind as u64) << USER_BITS | u64::from(by.0);
        Self { last, left }
    }

    pub fn kind(self) -> Kind {
        KINDS[usize::try_from(self.left >> USER_BITS & 3).expect("two bits")]
    }

    pub fn time(self) -> Time {
        self.left >> (USER_BITS + KIND_BITS)
    }

    /// Whose reference made it leave.
    pub fn by(self) -> User {
        User(u32::try_from(self.left & ((1 << USER_BITS) - 1)).expect("25 bits"))
    }
}

/// Records of one cache.
pub(super) struct Departures {
    // By the high bits of lines, the number of their block.
    blocks: NumberMap<u64, u32>,
    records: Vec<Record>,
    // The block asked for last, and where its records begin.
    recent: (u64, usize),
}

impl Departures {
    pub fn new() -> Self {
        Self { blocks: NumberMap::default(), records: Vec::new(), recent: (u64::MAX, 0) }
    }

    /// The record of a line, if it ever left.
    #[inline]
    pub fn get(&mut self, line: u64) -> Option<Record> {
        let block = line >> BLOCK_BITS;
        if self.recent.0 != block {
            self.recent = (block, start_of(*self.blocks.get(&block)?));
        }
        let record = self.records[self.recent.1 + place_in_block(line)];
        (record.left != 0).then_some(record)
    }

    /// Notes that a line left.
    #[inline]
    pub fn note(&mut self, line: u64, record: Record) {
        let block = line >> BLOCK_BITS;
        if self.recent.0 != block {
            let next = u32::try_from(self.records.len() >> BLOCK_BITS).expect("fewer blocks than fit into memory");
            let number = *self.blocks.entry(block).or_insert(next);
            if number == next {
                self.records.resize(self.records.len() + (1 << BLOCK_BITS), Record::default());
            }
            self.recent = (block, start_of(number));
        }
        self.records[self.recent.1 + place_in_block(line)] = record;
    }
}

fn start_of(block: u32) -> usize {
    (block as usize) << BLOCK_BITS
}

fn place_in_block(line: u64) -> usize {
    usize::try_from(line & ((1 << BLOCK_BITS) - 1)).expect("six bits")
}

#[cfg(test)]
mod tests {
    use super::super::usage::TIME_MAX;
    use super::*;

    #[test]
    fn records_are_those_of_their_lines() {
        let mut departures = Departures::new();
        let lines = [0, 1, 63, 64, 1 << 57, 5];
        for (time, &line) in (1..).zip(&lines) {
            assert!(departures.get(line).is_none());
            departures.note(line, Record::new(Use::by(User(2), time), time + 1, Kind::Evicted, User(7)));
        }
        for (time, &line) in (1..).zip(&lines) {
            let record = departures.get(line).unwrap();
            assert_eq!((record.last.time(), record.time(), record.by()), (time, time + 1, User(7)));
        }
    }

    #[test]
    fn record_keeps_its_parts() {
        for kind in KINDS {
            let record = Record::new(Use::NONE, TIME_MAX, kind, User::LAST);
            assert_eq!((record.kind(), record.time(), record.by()), (kind, TIME_MAX, User::LAST));
        }
    }
}
