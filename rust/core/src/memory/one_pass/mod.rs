//! One pass over a trace, many caches: what each of a family of caches misses, without a run for each.
//!
//! - [`AllAssociativity`]: every number of ways of every number of sets, under LRU or FIFO (`lru`, `fifo`).
//! - [`ExactCurve`]: every size of a fully associative LRU cache, by stack distances (`distance`).
//! - [`SampledCurve`]: the same, estimated from a sample of lines (`sample`, `front`).
//!
//! All of them count demand misses of caches that allocate on every miss. They know lines alone, so that a TLB is a
//! cache whose lines are pages. What they leave out: write-backs, prefetches, and levels that change one another.
//!
//! Sources: R. L. Mattson, J. Gecsei, D. R. Slutz, I. L. Traiger, "Evaluation techniques for storage hierarchies", IBM
//! Systems Journal 9(2), 1970 (stacks); M. D. Hill, A. J. Smith, "Evaluating associativity in CPU caches", IEEE
//! Transactions on Computers 38(12), 1989 (all-associativity). `docs/miss-ratio-curves.md` is the specification.

mod associativity;
mod curve;
mod distance;
mod fifo;
mod fifo_avx2;
mod front;
mod line_table;
mod live_times;
mod lru;
mod lru_avx2;
mod sample;
mod sample_filter;

pub use associativity::{AllAssociativity, Order, state_bytes};
pub use curve::{Curve, ExactCurve};
pub use sample::SampledCurve;

/// More distinct lines than there is memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of memory for {lines} distinct lines")]
pub struct TooManyLines {
    /// Lines so far.
    pub lines: u64,
}
