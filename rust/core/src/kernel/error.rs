//! What a system call refuses.

use super::process::Pid;
use crate::vm::address_space::MapError;
use crate::vm::{OutOfMemory, SegmentationFault};

/// A system call that failed, or that ended its process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// No such process, or it has ended.
    #[error("no process {0} is alive")]
    NoProcess(Pid),
    /// Too many processes.
    #[error("process {pid} may not make another: the limit of {limit} processes is reached")]
    ProcessLimit {
        /// Who tried.
        pid: Pid,
        /// The limit.
        limit: u32,
    },
    /// Nobody to wait for.
    #[error("process {0} has no child to wait for")]
    NoChild(Pid),
    /// The range is wrong.
    #[error("process {pid}: {error}")]
    Map {
        /// Who tried.
        pid: Pid,
        /// What is wrong.
        error: MapError,
    },
    /// Process 1 holds the others together.
    #[error("process 1 does not end")]
    Init,
    /// The access was forbidden and the process has ended.
    #[error("process {pid} ({name}): {fault}")]
    Segmentation {
        /// The process.
        pid: Pid,
        /// What it ran.
        name: String,
        /// What it did.
        fault: SegmentationFault,
    },
    /// Memory is full, and this process was ended for it.
    #[error("{report}")]
    OutOfMemory {
        /// The process that was ended.
        pid: Pid,
        /// What the kernel says.
        report: String,
    },
    /// Memory is full; nobody can be ended.
    #[error("out of memory: {0}")]
    Exhausted(OutOfMemory),
}
