//! What every floor uses: errors, random streams, digests.

pub mod error;

pub use error::ConfigError;
