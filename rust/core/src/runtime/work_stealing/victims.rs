//! In which order a slot visits the queues of others.

use super::config::Victims;
use crate::base::Rng;

/// The orders in which so many queues can be visited.
#[derive(Clone, Debug)]
pub struct Orders {
    count: u32,
    strides: Vec<u32>,
}

/// One visit to each queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    at: u32,
    stride: u32,
    left: u32,
    count: u32,
}

impl Orders {
    /// The orders of a kind for so many queues, at least one.
    pub fn new(kind: Victims, count: u32) -> Self {
        let strides = match kind {
            Victims::Coprime => (1..=count).filter(|&stride| gcd(stride, count) == 1).collect(),
            Victims::Ring => vec![1],
        };
        Self { count, strides }
    }

    /// Queues that are visited.
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// Draws so many that nobody walks.
    pub fn skip(&self, rng: &mut Rng, walks: u32) {
        let numbers = if self.strides.len() == 1 { 1 } else { 2 };
        rng.skip(numbers * u64::from(walks));
    }

    /// Draws one of them.
    pub fn walk(&self, rng: &mut Rng) -> Walk {
        let at = rng.below(self.count);
        let strides = u32::try_from(self.strides.len()).expect("no more strides than queues");
        let stride = if strides == 1 { self.strides[0] } else { self.strides[rng.below(strides) as usize] };
        Walk { at, stride, left: self.count, count: self.count }
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let here = self.at;
        self.at += self.stride;
        if self.at >= self.count {
            self.at -= self.count;
        }
        Some(here as usize)
    }
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_visits_every_queue_once() {
        for kind in [Victims::Coprime, Victims::Ring] {
            for count in 1..=30 {
                let (orders, mut rng) = (Orders::new(kind, count), Rng::stream(0, "test", 0));
                for _ in 0..20 {
                    let mut seen: Vec<usize> = orders.walk(&mut rng).collect();
                    seen.sort_unstable();
                    assert!(seen.into_iter().eq(0..count as usize));
                }
            }
        }
    }

    #[test]
    fn walks_that_are_skipped_take_as_many_numbers() {
        for (kind, count) in [(Victims::Coprime, 1), (Victims::Coprime, 6), (Victims::Ring, 6)] {
            let (orders, mut rng) = (Orders::new(kind, count), Rng::stream(0, "test", 0));
            let mut other = rng.clone();
            (0..7).for_each(|_| _ = orders.walk(&mut rng));
            orders.skip(&mut other, 7);
            assert_eq!(rng, other);
        }
    }

    #[test]
    fn strides_have_no_factor_in_common_with_the_number_of_queues() {
        assert_eq!(Orders::new(Victims::Coprime, 12).strides, [1, 5, 7, 11]);
        assert_eq!(Orders::new(Victims::Coprime, 1).strides, [1]);
        assert_eq!(Orders::new(Victims::Ring, 12).strides, [1]);
    }

    #[test]
    fn starts_and_strides_are_drawn() {
        let (orders, mut rng) = (Orders::new(Victims::Coprime, 5), Rng::stream(0, "test", 0));
        let walks: std::collections::BTreeSet<Vec<usize>> = (0..500).map(|_| orders.walk(&mut rng).collect()).collect();
        assert_eq!(walks.len(), 5 * 4);
    }
}
