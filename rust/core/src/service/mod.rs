//! Calls between services: what clients do about slow and failed calls.
//!
//! Each part is a state machine that is told the time and knows no engine: `backoff`, `budget` and `breaker` are what a
//! [`Caller`] decides by. `contention` lets clients fight for one row. `docs/services.md` is the specification.

pub mod agenda;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod contention;
pub mod policy;

pub use agenda::Agenda;
pub use backoff::{Backoff, Delays, Strategy};
pub use breaker::{Breaker, BreakerConfig, Permit};
pub use budget::{Budget, TokenBucket};
pub use policy::{Call, CallPolicy, Caller, GiveUp, Verdict};
