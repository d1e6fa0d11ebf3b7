//! Who replaced whose lines, as far as they were missed.

use crate::memory::hash::NumberMap;

/// Pairs of threads that are told apart.
const PAIRS_MAX: usize = 1 << 12;

/// Counts by victim and evictor.
#[derive(Default)]
pub(super) struct Matrix {
    counts: NumberMap<(u32, u32), u64>,
    beyond: u64,
}

impl Matrix {
    /// A thread missed a line that another had replaced.
    pub fn note(&mut self, victim: u32, evictor: u32) {
        if let Some(count) = self.counts.get_mut(&(victim, evictor)) {
            *count += 1;
        } else if self.counts.len() < PAIRS_MAX {
            self.counts.insert((victim, evictor), 1);
        } else {
            self.beyond += 1;
        }
    }

    /// Victim, evictor and count, in the order of victims, then evictors.
    pub fn counts(&self) -> impl Iterator<Item = (u32, u32, u64)> + use<> {
        let mut counts: Vec<_> =
            self.counts.iter().map(|(&(victim, evictor), &count)| (victim, evictor, count)).collect();
        counts.sort_unstable();
        counts.into_iter()
    }

    /// What pairs beyond the bound have counted.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_beyond_the_bound_are_counted_together() {
        let mut matrix = Matrix::default();
        for round in 0..2 {
            for victim in (0..5000).rev() {
                matrix.note(victim, round / 2);
            }
        }
        let counts: Vec<_> = matrix.counts().collect();
        assert_eq!(counts.len(), PAIRS_MAX);
        assert_eq!((counts[0], counts[PAIRS_MAX - 1]), ((904, 0, 2), (4999, 0, 2)));
        assert_eq!(matrix.beyond(), 2 * 904);
    }
}
