//! What every floor uses: errors, random streams, time.

pub mod error;
pub mod rng;
pub mod time;

pub use error::ConfigError;
pub use rng::Rng;
pub use time::Picos;
