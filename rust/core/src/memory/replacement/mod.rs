//! Replacement policies: which line of a full set makes room.
//!
//! A policy is one file behind [`Replacement`]. It sees sets and ways, never addresses, and never changes the cache.
//! To add one: its file, a variant of [`ReplacementKind`](super::config::ReplacementKind), an arm of
//! [`with_policy`](crate::with_policy), a reference model in `tests/reference`.

mod bit_plru;
mod order;
mod planes;
mod qlru;
mod random;
mod rrip;
mod tree_plru;

pub use bit_plru::BitPlru;
pub use order::{Fifo, Lip, Lru, Mru};
pub use planes::FEW_WAYS;
pub use qlru::Qlru;
pub use random::RandomWay;
pub use rrip::{Brrip, Drrip, Srrip};
pub use tree_plru::TreePlru;

use super::geometry::Geometry;
use crate::base::Rng;
use std::ops::RangeInclusive;

/// A way of a set, from 0.
pub type Way = usize;

/// Chooses victims. To touch a way twice in a row is the same as to touch it once. `set` is below the number of sets, `way` below the number of ways.
pub trait Replacement {
    /// For sets of how many ways the batch engine's vector form is worth compiling, since `refer` has no branch.
    const VECTOR_WAYS: RangeInclusive<u32> = RangeInclusive::new(1, 0);

    /// State for every set of a cache; `rng` is the cache's own stream.
    fn new(geometry: Geometry, rng: Rng) -> Self;

    /// The line in `way` of `set` was used.
    fn touch(&mut self, set: usize, way: Way);

    /// A new line was put into `way` of `set`.
    fn fill(&mut self, set: usize, way: Way);

    /// The way of `set` to evict. Asked only when every way is valid.
    fn victim(&mut self, set: usize) -> Way;

    /// A reference to a set whose ways are all valid: [`touch`](Self::touch) of `way` if it was `found` there, else
    /// [`victim`](Self::victim) and [`fill`](Self::fill). Returns the way that holds the line then.
    ///
    /// On hard traces nobody can predict `found`, so policies that need to be fast do this without a branch on it.
    #[inline(always)]
    fn refer(&mut self, set: usize, found: bool, way: Way) -> Way {
        if found {
            self.touch(set, way);
            return way;
        }
        let way = self.victim(set);
        self.fill(set, way);
        way
    }

    /// Where the state of a set lies, for who wants to have it fetched before it is needed. It is not for reading.
    #[inline(always)]
    fn address(&self, _set: usize) -> *const u8 {
        std::ptr::null()
    }
}

/// Runs `$body` with `$policy` bound to the type of the policy that `$kind` names: the one `match` before a loop.
#[macro_export]
macro_rules! with_policy {
    ($kind:expr, $ways:expr, $policy:ident => $body:expr) => {{
        use $crate::memory::config::ReplacementKind;
        use $crate::memory::replacement as policies;
        match $kind {
            ReplacementKind::Lru => {
                type $policy = policies::Lru;
                $body
            }
            ReplacementKind::Mru => {
                type $policy = policies::Mru;
                $body
            }
            ReplacementKind::Lip => {
                type $policy = policies::Lip;
                $body
            }
            ReplacementKind::Fifo => {
                type $policy = policies::Fifo;
                $body
            }
            ReplacementKind::Random => {
                type $policy = policies::RandomWay;
                $body
            }
            ReplacementKind::TreePlru => {
                type $policy = policies::TreePlru;
                $body
            }
            ReplacementKind::BitPlru => {
                type $policy = policies::BitPlru;
                $body
            }
            ReplacementKind::Qlru if $ways <= policies::FEW_WAYS => {
                type $policy = policies::Qlru<u64>;
                $body
            }
            ReplacementKind::Qlru => {
                type $policy = policies::Qlru<u128>;
                $body
            }
            ReplacementKind::Srrip if $ways <= policies::FEW_WAYS => {
                type $policy = policies::Srrip<u64>;
                $body
            }
            ReplacementKind::Srrip => {
                type $policy = policies::Srrip<u128>;
                $body
            }
            ReplacementKind::Brrip if $ways <= policies::FEW_WAYS => {
                type $policy = policies::Brrip<u64>;
                $body
            }
            ReplacementKind::Brrip => {
                type $policy = policies::Brrip<u128>;
                $body
            }
            ReplacementKind::Drrip if $ways <= policies::FEW_WAYS => {
                type $policy = policies::Drrip<u64>;
                $body
            }
            ReplacementKind::Drrip => {
                type $policy = policies::Drrip<u128>;
                $body
            }
        }
    }};
}
