//! Execution models: how the tasks of a program become work for threads.

pub mod discipline;

pub use discipline::{Discipline, Next, Push, Pushed, Slot, Status};
