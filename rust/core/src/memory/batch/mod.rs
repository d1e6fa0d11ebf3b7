//! The fast memory engine: chunks of references go through the machine level by level.
//!
//! As long as no outer level changes an inner one, a level needs to know of the references only what misses in the
//! levels inside it, and in which order. So a chunk of [`CHUNK`] references runs through the first level as a whole, its
//! misses and dirty victims are collected in order, and these are the next level's chunk. The loop of a level is then
//! tight, its state stays in the host's caches, and a level that is rarely reached costs nothing.
//!
//! Results are equal, counter by counter, to those of the general engine, which defines them.

mod cascade;
pub(in crate::memory) mod entry;
mod filter;
mod frames;
pub(in crate::memory) mod kernel;
mod recent;
pub(in crate::memory) mod segments;
mod system;
mod walks;
mod words;

pub use filter::MissFilter;
pub use system::{BatchSystem, CHUNK, OutOfFrames, takes_fetches};
