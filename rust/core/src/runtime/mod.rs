//! Execution models: how the tasks of a program become work for threads.

pub mod config;
pub mod discipline;
pub mod fifo;
pub mod model;
pub mod per_slot;
mod presets;
mod read;
pub mod slots;
pub mod work_stealing;

pub use config::RuntimeConfig;
pub use discipline::{Discipline, Next, Push, Pushed, Slot, Status};
pub use model::{HandOff, Model, Poller, TaskCosts, TaskKind, TaskMemory};
pub use slots::Slots;
pub use work_stealing::WorkStealingConfig;
