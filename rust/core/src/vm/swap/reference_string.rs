//! Page replacement on a reference string: pages in the order in which they are wanted, a number of frames, a policy.

use super::SwapPolicy;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// References to pages that were in memory.
    pub hits: u64,
    /// References to pages that were not.
    pub faults: u64,
    /// Pages that made room.
    pub evictions: u64,
    /// Whether each reference hit.
    pub is_hit: Vec<bool>,
}

/// Runs a reference string through `frames` frames, at least one. `seed` is for `random`.
pub fn run(pages: &[u64], frames: u64, policy: SwapPolicy, seed: u64) -> Outcome {
    assert!(frames > 0, "a page needs a frame");
    // Names are the ranks of pages, so that ties go to the lowest page.
    let names: BTreeMap<u64, u32> = pages.iter().copied().collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
    let string: Vec<u32> = pages.iter().map(|page| names[page]).collect();
    match policy.build(seed) {
        Some(policy) => run_policy(&string, names.len(), frames, policy),
        None => run_opt(&string, names.len(), frames),
    }
}

fn run_policy(string: &[u32], pages: usize, frames: u64, mut policy: Box<dyn super::PageReplacement>) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut is_resident, mut resident) = (vec![false; pages], 0);
    for &page in string {
        let is_hit = is_resident[page as usize];
        outcome.note(is_hit);
        if is_hit {
            policy.touch(page);
            continue;
        }
        if resident == frames {
            let victim = policy.victim().expect("memory is full of pages");
            policy.remove(victim);
            is_resident[victim as usize] = false;
            outcome.evictions += 1;
        } else {
            resident += 1;
        }
        policy.insert(page);
        is_resident[page as usize] = true;
    }
    outcome
}

/// The next use of every page in memory, furthest last.
fn run_opt(string: &[u32], pages: usize, frames: u64) -> Outcome {
    let next_uses = next_uses(string, pages);
    let mut outcome = Outcome::default();
    let mut uses: BTreeSet<(usize, Reverse<u32>)> = BTreeSet::new();
    let mut is_resident = vec![false; pages];
    for (now, &page) in string.iter().enumerate() {
        let is_hit = is_resident[page as usize];
        outcome.note(is_hit);
        if is_hit {
            uses.remove(&(now, Reverse(page)));
        } else if uses.len() as u64 == frames {
            let (_, Reverse(victim)) = uses.pop_last().expect("memory is full of pages");
            is_resident[victim as usize] = false;
            outcome.evictions += 1;
        }
        uses.insert((next_uses[now], Reverse(page)));
        is_resident[page as usize] = true;
    }
    outcome
}

/// For each reference, when its page is wanted next; the largest number if never.
fn next_uses(string: &[u32], pages: usize) -> Vec<usize> {
    let mut next = vec![usize::MAX; pages];
    let mut uses: Vec<usize> =
        string.iter().enumerate().rev().map(|(now, &page)| std::mem::replace(&mut next[page as usize], now)).collect();
    uses.reverse();
    uses
}

impl Outcome {
    fn note(&mut self, is_hit: bool) {
        self.is_hit.push(is_hit);
        if is_hit {
            self.hits += 1;
        } else {
            self.faults += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELADY: [u64; 12] = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];

    fn faults(policy: SwapPolicy, frames: u64) -> u64 {
        run(&BELADY, frames, policy, 0).faults
    }

    #[test]
    fn fifo_shows_beladys_anomaly() {
        assert_eq!(faults(SwapPolicy::Fifo, 3), 9);
        assert_eq!(faults(SwapPolicy::Fifo, 4), 10);
    }

    #[test]
    fn stack_policies_do_not() {
        assert_eq!([3, 4, 5].map(|frames| faults(SwapPolicy::Lru, frames)), [10, 8, 5]);
        assert_eq!([3, 4, 5].map(|frames| faults(SwapPolicy::Opt, frames)), [7, 6, 5]);
    }

    #[test]
    fn clock_gives_a_second_chance() {
        // 1 is referenced again, so 2 goes for 4 after the hand has cleared all bits once: 1 goes first.
        let outcome = run(&[1, 2, 3, 4, 1], 3, SwapPolicy::Clock, 0);
        assert_eq!(outcome.is_hit, [false; 5]);
        // After 4 came the bits of 2 and 3 are clear: touching 2 saves it and 3 goes.
        let outcome = run(&[1, 2, 3, 4, 2, 5, 2, 3], 3, SwapPolicy::Clock, 0);
        assert_eq!(outcome.is_hit, [false, false, false, false, true, false, true, false]);
    }

    #[test]
    fn all_policies_have_room_for_a_small_set() {
        for policy in [SwapPolicy::Fifo, SwapPolicy::Lru, SwapPolicy::Clock, SwapPolicy::Random, SwapPolicy::Opt] {
            assert_eq!(faults(policy, 5), 5, "{policy:?}");
        }
    }
}
