//! What accesses cost, and why.

use crate::memory::causes::Cause;

/// How many causes there are.
pub const CAUSES: usize = Cause::ALL.len();

/// Most caches, and most TLBs, on the path of data.
pub const LEVELS_MAX: usize = 4;

/// Something for each cause, in the order of [`Cause`].
pub type ByCause = [f64; CAUSES];

/// What a run of accesses cost. Cycles are whole; what is left of one is carried to the next run on the cpu. Misses are
/// expected numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Cycles of accesses as if the first cache had everything.
    pub user_cycles: u64,
    /// Cycles of waiting for lines, by [`Cause`].
    pub stall_cycles: [u64; CAUSES],
    /// Cycles of translation.
    pub walk_cycles: u64,
    /// Page walks.
    pub walks: f64,
    /// Misses of each cache on the path by [`Cause`].
    pub misses: [ByCause; LEVELS_MAX],
    /// Misses of each TLB on the path.
    pub tlb_misses: [f64; LEVELS_MAX],
}

impl Cost {
    /// All cycles.
    pub fn cycles(&self) -> u64 {
        self.user_cycles + self.walk_cycles + self.stall_cycles.iter().sum::<u64>()
    }
}

/// A cost before it is cut into whole cycles.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    pub user: f64,
    pub walk: f64,
    pub stall: ByCause,
    pub walks: f64,
    pub misses: [ByCause; LEVELS_MAX],
    pub tlb_misses: [f64; LEVELS_MAX],
}

impl Expected {
    pub fn cycles(&self) -> f64 {
        self.user + self.walk + self.stall.iter().sum::<f64>()
    }
}

/// What is left of cycles.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carry([f64; CAUSES + 2]);

impl Carry {
    #[inline(always)]
    pub fn cut(&mut self, expected: &Expected) -> Cost {
        Cost {
            user_cycles: self.cut_user(expected.user),
            walk_cycles: self.cut_walk(expected.walk),
            stall_cycles: std::array::from_fn(|cause| self.whole(cause, expected.stall[cause])),
            walks: expected.walks,
            misses: expected.misses,
            tlb_misses: expected.tlb_misses,
        }
    }

    /// Whole cycles of accesses.
    #[inline]
    pub fn cut_user(&mut self, cycles: f64) -> u64 {
        self.whole(CAUSES, cycles)
    }

    /// Whole cycles of translation.
    #[inline]
    pub fn cut_walk(&mut self, cycles: f64) -> u64 {
        self.whole(CAUSES + 1, cycles)
    }

    #[inline]
    fn whole(&mut self, place: usize, cycles: f64) -> u64 {
        // What is left is less than a cycle.
        if cycles == 0.0 {
            return 0;
        }
        let sum = self.0[place] + cycles;
        #[allow(clippy::cast_possible_truncation, reason = "cycles of one run")]
        let cut = sum as i64;
        self.0[place] = sum - cut as f64;
        #[allow(clippy::cast_sign_loss, reason = "cycles are not negative")]
        let cut = cut as u64;
        cut
    }
}
