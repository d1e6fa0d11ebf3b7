//! Memory traces: what one is, and readers and writers of the formats in use.
//!
//! [`open_path`] gives a [`TraceReader`], which fills one [`Batch`] again and again. Every reader works in bounded
//! memory and answers any input with accesses or a [`TraceError`] that names the place; none of them panics.

pub mod batch;
mod champsim;
mod csv;
pub mod decompress;
mod detect;
mod din;
pub mod error;
pub mod format;
pub mod info;
mod input;
mod lackey;
mod number;
pub mod open;
mod output;
mod raw;
mod text;
pub mod write;

pub use batch::{ADDRESS_LIMIT, Access, AccessKind, Batch, BatchRef, Columns, SIZE_MAX, WRITE_BIT};
pub use error::{Place, TraceError};
pub use format::{Compression, Format};
pub use info::{TraceInfo, TraceSummary};
pub use open::{OpenTrace, open_path, open_stream};
pub use write::{TraceWriter, WriteReport, create_path, create_stream};

/// The most accesses that one call of [`TraceReader::read`] returns, whatever its limit.
pub const READ_MAX: usize = 1 << 16;

/// A source of accesses that hands them out a batch at a time, in bounded memory.
pub trait TraceReader: Send {
    /// Clears `batch` and fills it with `limit` accesses, or [`READ_MAX`] if that is less; with fewer only at the end
    /// of the trace, so that the cut into batches does not depend on how the bytes arrive. A limit of 0 counts as 1.
    ///
    /// Returns `false`, with an empty batch, once the trace has ended. After an error every later call may return
    /// anything but must not panic.
    ///
    /// # Errors
    /// [`TraceError`] names the place, what was expected and what stood there.
    fn read(&mut self, batch: &mut Batch, limit: usize) -> Result<bool, TraceError>;
}
