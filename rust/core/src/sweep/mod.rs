//! Many simulations: points in, one row of metrics each, on all cpus.
//!
//! A [`Job`] is what all points of a sweep share: what is run, which paths change, which metrics are kept, the trace. A
//! [`Chunk`] is a list of points. A row depends on its point alone, so neither the number of threads nor the way in which
//! points are cut into chunks changes it. A machine or scenario that several points share is read and checked once.
//!
//! A point that fails is a row that says why. One that panics is tried twice and then given up: a simulator's broken
//! invariant must not take the other points with it.

mod identity;
mod job;
mod metrics;
mod point;
mod pool;
mod ready;
mod run;
#[cfg(test)]
mod tests;

pub use identity::{Digest, Trace};
pub use job::{Job, JobSpec, Target};
pub use metrics::{Cell, Names, Selection};
pub use point::{Chunk, Point};
pub use pool::Pool;
pub use run::{Outcome, Row};
