//! Programs: what processes do, as a user writes it, and compiled to flat code.
//!
//! `docs/programs.md` is the specification.

pub mod code;
mod compile;
pub mod op;
pub mod pattern;
pub mod scenario;

pub use code::{Code, Instruction};
pub use compile::PIPE_BYTES;
pub use op::Op;
pub use pattern::Cursor;
pub use scenario::Scenario;
