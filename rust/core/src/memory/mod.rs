//! The memory system: caches, TLBs, prefetchers, coherence. `docs/memory-model.md` is its specification.

pub mod batch;
pub mod config;
pub mod geometry;
pub mod hash;
pub mod hierarchy;
pub mod lines;
pub mod placement;
pub mod replacement;
pub mod stats;

pub use config::MachineConfig;
pub use geometry::Geometry;
