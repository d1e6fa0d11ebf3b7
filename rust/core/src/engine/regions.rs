//! What programs call their memory: addresses and sizes by process and name.

use crate::kernel::Pid;
use std::collections::BTreeMap;

/// An address and a size.
type Place = (u64, u64);

/// An address and how many units are touched from there on.
type Part = (u64, u64);

/// The regions of all processes.
#[derive(Debug, Default)]
pub(super) struct Regions {
    by_process: BTreeMap<Pid, BTreeMap<String, Place>>,
    /// How often anything has changed.
    state: u64,
    /// By touch: the process that made it last, the state then, and where it went.
    found: Vec<Option<(Pid, u64, Part)>>,
}

impl Regions {
    /// A process has a region from now on, or another of that name.
    pub fn add(&mut self, pid: Pid, name: &str, place: Place) {
        self.state += 1;
        self.by_process.entry(pid).or_default().insert(name.to_owned(), place);
    }

    /// A child has what its parent has.
    pub fn inherit(&mut self, parent: Pid, child: Pid) {
        if let Some(regions) = self.by_process.get(&parent).cloned() {
            self.state += 1;
            self.by_process.insert(child, regions);
        }
    }

    /// A process has none any more.
    pub fn forget(&mut self, pid: Pid) {
        self.state += 1;
        self.by_process.remove(&pid);
    }

    pub fn get(&self, pid: Pid, name: &str) -> Option<Place> {
        self.by_process.get(&pid)?.get(name).copied()
    }

    /// Where a touch of a process goes, if it went there the last time that one made it and nothing has changed since.
    #[inline]
    pub fn found(&self, pid: Pid, touch: u32) -> Option<Part> {
        match *self.found.get(touch as usize)? {
            Some((last, state, part)) if last == pid && state == self.state => Some(part),
            _ => None,
        }
    }

    /// A touch of a process goes to a part of one of its regions.
    pub fn remember(&mut self, pid: Pid, touch: u32, part: Part) {
        let touch = touch as usize;
        if self.found.len() <= touch {
            self.found.resize(touch + 1, None);
        }
        self.found[touch] = Some((pid, self.state, part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_holds_until_something_changes() {
        let (parent, child) = (Pid(2), Pid(3));
        let mut regions = Regions::default();
        regions.add(parent, "heap", (4096, 8192));
        assert_eq!(regions.found(parent, 5), None);
        regions.remember(parent, 5, (4096, 64));
        assert_eq!((regions.found(parent, 5), regions.found(parent, 4)), (Some((4096, 64)), None));
        assert_eq!(regions.found(child, 5), None);
        regions.inherit(parent, child);
        assert_eq!(regions.found(parent, 5), None);
        assert_eq!(regions.get(child, "heap"), Some((4096, 8192)));
        regions.forget(parent);
        assert_eq!((regions.get(parent, "heap"), regions.get(child, "heap")), (None, Some((4096, 8192))));
    }
}
