//! What every floor uses: errors, random streams, digests.

pub mod error;
pub mod rng;

pub use error::ConfigError;
pub use rng::Rng;
