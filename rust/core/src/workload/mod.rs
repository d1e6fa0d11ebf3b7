//! Programs: what processes do, as a user writes it, and compiled to flat code.
//!
//! `docs/programs.md` is the specification; `docs/distributions.md` that of times that are drawn and of loads.

pub mod arrivals;
pub mod channels;
pub mod code;
mod compile;
pub mod distribution;
pub mod locks;
mod normal;
pub mod op;
pub mod pattern;
pub mod scenario;
pub mod sharing;

pub use arrivals::{ArrivalTimes, Arrivals, Load};
pub use code::{Code, Instruction, Time};
pub use compile::PIPE_BYTES;
pub use distribution::{Distribution, Duration, Sampler};
pub use op::Op;
pub use pattern::Cursor;
pub use scenario::Scenario;
