//! Calls between services: what clients do about slow and failed calls, what serves them, and caches in front.
//!
//! Each part is a state machine that is told the time and knows no engine: `backoff`, `budget` and `breaker` are what a
//! [`Caller`] decides by, `station` is a dependency with a capacity of its own, `cache` keeps what it said. `simulate`
//! puts them on one agenda, `contention` lets clients fight for one row. `docs/services.md` is the specification.

pub mod agenda;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod cache;
pub mod config;
pub mod contention;
pub mod policy;
mod result;
pub mod simulate;
mod slab;
pub mod station;
#[cfg(test)]
mod tests;
pub mod totals;

pub use agenda::Agenda;
pub use backoff::{Backoff, Delays, Strategy};
pub use breaker::{Breaker, BreakerConfig, Permit};
pub use budget::{Budget, TokenBucket};
pub use config::ServiceConfig;
pub use policy::{Call, CallPolicy, Caller, GiveUp, Verdict};
pub use simulate::{ServiceError, Simulation};
