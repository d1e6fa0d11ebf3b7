//! When each line was used last: a hash table with open addresses, of 16 bytes a slot.
//!
//! Its memory is bounded by the number of lines: it is kept at most four fifths full and at least two fifths.

use super::TooManyLines;
use super::associativity::prefetch;
use crate::base::rng::mix;

/// No line has this number.
const NONE: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Slot {
    line: u64,
    time: u64,
}

const EMPTY: Slot = Slot { line: NONE, time: 0 };

/// Times by line.
pub(super) struct LineTable {
    // A power of two of them.
    slots: Vec<Slot>,
    len: usize,
}

impl LineTable {
    /// An empty table with room for some lines.
    pub fn new() -> Self {
        Self { slots: vec![EMPTY; 1 << 10], len: 0 }
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Forgets all lines and keeps the memory.
    pub fn clear(&mut self) {
        self.slots.fill(EMPTY);
        self.len = 0;
    }

    fn home(&self, line: u64) -> usize {
        let bits = self.slots.len().trailing_zeros();
        usize::try_from(mix(line) >> (u64::BITS - bits)).expect("a slot of the table")
    }

    /// Asks the cpu for the place of a line that is used soon.
    #[inline(always)]
    pub fn prefetch(&self, line: u64) {
        prefetch(&self.slots, self.home(line));
    }

    /// Sets the time of a line; returns the one before, if it had one.
    ///
    /// # Errors
    /// The table would have to grow and cannot.
    #[inline]
    pub fn replace(&mut self, line: u64, time: u64) -> Result<Option<u64>, TooManyLines> {
        let place = self.find(line);
        let slot = &mut self.slots[place];
        if slot.line == line {
            return Ok(Some(std::mem::replace(&mut slot.time, time)));
        }
        *slot = Slot { line, time };
        self.len += 1;
        if self.len > self.slots.len() / 5 * 4 {
            self.grow()?;
        }
        Ok(None)
    }

    /// Gives every line another time.
    pub fn renumber(&mut self, new: impl Fn(u64) -> u64) {
        for slot in self.slots.iter_mut().filter(|slot| slot.line != NONE) {
            slot.time = new(slot.time);
        }
    }

    /// The slot of a line, or the one that it takes.
    #[inline(always)]
    fn find(&self, line: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = self.home(line);
        while self.slots[place].line != line && self.slots[place].line != NONE {
            place = (place + 1) & mask;
        }
        place
    }

    #[cold]
    fn grow(&mut self) -> Result<(), TooManyLines> {
        let mut slots = Vec::new();
        let wanted = self.slots.len() * 2;
        slots.try_reserve_exact(wanted).map_err(|_| TooManyLines { lines: self.len as u64 })?;
        slots.resize(wanted, EMPTY);
        let old = std::mem::replace(&mut self.slots, slots);
        for slot in old.into_iter().filter(|slot| slot.line != NONE) {
            let place = self.find(slot.line);
            self.slots[place] = slot;
        }
        Ok(())
    }
}
