//! Virtual memory: frames, page tables, address spaces, faults, fork, swap.
//!
//! `docs/virtual-memory.md` is the specification. This floor knows no time and no processes: it does what a kernel does to
//! memory and counts what it did ([`work`]); the floor above puts a price on that.

pub mod address_space;
mod audit;
mod config;
mod evict;
mod fault;
mod fork;
pub mod frames;
mod known;
pub mod object;
pub mod page_table;
mod protect;
mod reclaim;
pub mod swap;
mod teardown;
mod virtual_memory;
pub mod work;

pub use config::{ForkPolicy, VmConfig};
pub use fault::{AccessError, SegmentationFault};
pub use known::KnownPages;
pub use protect::ProtectError;
pub use teardown::HeapError;
pub use virtual_memory::{Image, MapRequest, OutOfMemory, SpaceId, VirtualMemory, WalkPath};
pub use work::Touch;
