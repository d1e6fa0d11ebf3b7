//! Memory traces: what one is, and readers and writers of the formats in use.

pub mod batch;
pub mod error;

pub use batch::{Access, AccessKind, Batch, BatchRef, Columns};
pub use error::TraceError;

/// A source of accesses that hands them out a batch at a time, in bounded memory.
pub trait TraceReader: Send {
    /// Clears `batch` and fills it with at most `limit` accesses.
    ///
    /// Returns `false`, with an empty batch, once the trace has ended. After an error every later call may return
    /// anything but must not panic.
    ///
    /// # Errors
    /// [`TraceError`] names the place, what was expected and what stood there.
    fn read(&mut self, batch: &mut Batch, limit: usize) -> Result<bool, TraceError>;
}
