//! Where a process is in its program.

use super::addresses::Overlap;
use crate::base::{Picos, Rng};
use crate::workload::Cursor;
use crate::workload::code::Address;
use std::collections::BTreeMap;

/// The execution of a program by one process.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// The next instruction.
    pub next: Address,
    /// Rounds left of the loops that it is in, innermost last.
    pub loops: Vec<u64>,
    /// When what is measured began, innermost last.
    pub marks: Vec<Picos>,
    /// Addresses and sizes of regions by the names that the program gives them.
    pub regions: BTreeMap<String, (u64, u64)>,
    /// Where touches are: their pattern, and how many accesses of this one are left.
    pub cursors: BTreeMap<u32, TouchState>,
    /// Of the choices that it makes.
    pub draws: Rng,
    /// Why it does not run.
    pub waits: Wait,
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

/// What a process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: it runs or could.
    Nothing,
    /// A child that ends.
    Child,
    /// A child of vfork that ends or calls exec.
    Vfork,
    /// A point in time.
    Time,
}

impl Task {
    /// The start of a program. `pid` tells apart the random numbers of processes.
    pub fn new(next: Address, seed: u64, pid: u32) -> Self {
        Self {
            next,
            loops: Vec::new(),
            marks: Vec::new(),
            regions: BTreeMap::new(),
            cursors: BTreeMap::new(),
            draws: Rng::stream(seed, "choose", u64::from(pid)),
            waits: Wait::Nothing,
        }
    }

    /// The execution by a child: at an address of its own, or with the parent's next instruction and all that the parent
    /// is in the middle of.
    pub fn child(&self, next: Option<Address>, seed: u64, pid: u32) -> Self {
        let mut child = Self::new(next.unwrap_or(self.next), seed, pid);
        child.regions.clone_from(&self.regions);
        if next.is_none() {
            child.loops.clone_from(&self.loops);
            child.marks.clone_from(&self.marks);
            child.cursors.clone_from(&self.cursors);
        }
        child
    }
}
