//! Page walks that read table entries through the caches.
//!
//! Where entries lie is in [`tables`], the host's side of nested paging in [`nested`], what spares a walk some of its
//! reads in [`structure_cache`], and the order of it all in [`walker`]. Nobody here looks into a cache: a walk hands the
//! physical addresses of its reads, one after the other, to whoever serves them. After the Intel SDM, volume 3, chapters
//! "Paging" and "Caching translation information"; accessed and dirty bits are not modelled.

pub mod nested;
pub mod structure_cache;
pub mod tables;
pub mod walker;

pub use nested::Host;
pub use tables::{AddressSpaces, TablePath, leaf_level};
pub use walker::{Walk, Walker};
