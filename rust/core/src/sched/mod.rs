//! Who runs next: scheduling policies behind one narrow trait, and a fast simulation of jobs on cpus under them.
//!
//! A policy sees tasks by number, with their weights and what their current burst still needs. It knows no cpus, no
//! memory and no programs, so that the same policy serves [`jobs`] here and a kernel above. What each does in all its
//! corners is in `docs/scheduling.md`.

pub mod config;
pub mod fcfs;
pub mod jobs;
mod keyed;
mod list;
pub mod micros;
pub mod open;
pub mod policies;
pub mod scheduler;
pub mod weight;

pub use config::PolicyConfig;
pub use fcfs::{Fcfs, FcfsResult};
pub use jobs::{Job, JobsError, JobsOptions, JobsResult, Queues, Simulation, simulation, simulation_under};
pub use open::{Open, OpenConfig};
pub use scheduler::{Carry, Enqueue, Leave, Scheduler, Task, TaskId};
