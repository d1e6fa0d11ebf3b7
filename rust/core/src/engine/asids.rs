//! Identifiers of address spaces as Linux hands them out: few a cpu, in turn.
//!
//! `choose_new_asid` of `arch/x86/mm/tlb.c` (Linux 6.x): an address space that still has its identifier keeps its
//! translations; another takes the next one in turn, whoever has it. In a ring of more address spaces than identifiers
//! each takes that of the one that runs next, so that all lose their translations at every switch.

use crate::vm::SpaceId;

/// The identifiers of one cpu.
#[derive(Clone, Debug)]
pub(super) struct Asids {
    owners: Vec<Option<SpaceId>>,
    next: usize,
}

/// What loading an address space leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// It has its translations.
    Kept,
    /// It begins without any, and so will who had the identifier.
    Fresh(Option<SpaceId>),
    /// There are no identifiers: all translations are gone.
    FlushAll,
}

impl Asids {
    pub fn new(count: u32) -> Self {
        Self { owners: vec![None; count as usize], next: 0 }
    }

    /// Loads an address space.
    pub fn load(&mut self, space: SpaceId) -> Load {
        if self.owners.is_empty() {
            return Load::FlushAll;
        }
        if self.owners.contains(&Some(space)) {
            return Load::Kept;
        }
        let place = self.next;
        self.next = (place + 1) % self.owners.len();
        Load::Fresh(self.owners[place].replace(space))
    }

    /// Lets go of an address space that is no more.
    pub fn forget(&mut self, space: SpaceId) {
        for owner in &mut self.owners {
            if *owner == Some(space) {
                *owner = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(count: u32, rounds: u32) -> u32 {
        let mut asids = Asids::new(6);
        let loads = (0..rounds * count).map(|turn| asids.load(SpaceId(turn % count)));
        loads.filter(|load| *load != Load::Kept).count().try_into().unwrap()
    }

    #[test]
    fn six_in_a_ring_keep_their_identifiers_and_seven_lose_them_at_every_turn() {
        assert_eq!(fresh(6, 10), 6);
        assert_eq!(fresh(7, 10), 70);
    }

    #[test]
    fn one_visitor_costs_a_ring_of_six_one_round() {
        let mut asids = Asids::new(6);
        (0..6).for_each(|space| assert_ne!(asids.load(SpaceId(space)), Load::Kept));
        asids.load(SpaceId(9));
        let lost = (0..60).filter(|turn| asids.load(SpaceId(turn % 6)) != Load::Kept).count();
        assert_eq!(lost, 6);
    }

    #[test]
    fn without_identifiers_everything_is_flushed() {
        assert_eq!(Asids::new(0).load(SpaceId(1)), Load::FlushAll);
    }
}
