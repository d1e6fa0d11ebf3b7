//! The memory system: caches, TLBs, prefetchers, coherence. `docs/memory-model.md` is its specification.

pub mod config;

pub use config::MachineConfig;
