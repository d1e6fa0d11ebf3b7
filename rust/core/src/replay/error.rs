//! Why a replay cannot go to its end.

/// A trace that the machine cannot replay to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// More pages than frames.
    #[error("machine.memory_size: out of physical memory: {frames} frames are in use at access {access}")]
    OutOfMemory {
        /// Frames in use.
        frames: u64,
        /// The access that found none, counted from 0 in the trace.
        access: u64,
    },
    /// The trace ended before anything was counted.
    #[error("replay.skip: no access is left to count: the trace has {accesses} and skip + warmup is {dropped}")]
    NothingCounted {
        /// Accesses in the trace.
        accesses: u64,
        /// Accesses asked to be skipped or used as warm-up.
        dropped: u64,
    },
}
