//! The memory system: caches, TLBs, prefetchers, coherence. `docs/memory-model.md` is its specification.

pub mod batch;
pub mod cache;
pub mod causes;
pub mod config;
pub mod directory;
pub mod footprint;
pub mod geometry;
pub mod hash;
pub mod hierarchy;
pub mod lines;
pub mod one_pass;
mod owned_lines;
pub mod page;
pub mod page_table;
pub mod page_walk;
pub mod placement;
pub mod prefetch;
pub mod replacement;
pub mod stats;
pub mod tlb;

pub use causes::{Cause, Causes};
pub use config::MachineConfig;
pub use geometry::Geometry;
pub use hierarchy::{Hits, Mapping, MemorySystem, OutOfMemory, Outcome, PageRange, Reference};
