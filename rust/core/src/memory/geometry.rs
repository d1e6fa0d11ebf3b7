//! The shape of a set-associative array, taken from a checked configuration.

use super::config::{CacheConfig, PageSize, TlbConfig};

/// Sets, ways and line size of a cache; a TLB is one whose lines are pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// log2 of the number of sets.
    pub set_bits: u32,
    /// Lines a set.
    pub ways: u32,
    /// log2 of the bytes a line.
    pub line_bits: u32,
}

impl Geometry {
    /// The shape of a cache that has passed its check.
    pub fn of_cache(config: &CacheConfig) -> Self {
        let line = config.line_size.bytes();
        let sets = config.size.bytes() / (line * u64::from(config.ways));
        debug_assert!(sets.is_power_of_two() && line.is_power_of_two(), "the configuration was checked");
        Self { set_bits: sets.trailing_zeros(), ways: config.ways, line_bits: line.trailing_zeros() }
    }

    /// The shape of a TLB that has passed its check, for pages of one size.
    pub fn of_tlb(config: &TlbConfig, page: PageSize) -> Self {
        let sets = config.entries / config.ways;
        debug_assert!(sets.is_power_of_two(), "the configuration was checked");
        Self { set_bits: sets.trailing_zeros(), ways: config.ways, line_bits: page.bits() }
    }

    /// Number of sets.
    pub fn sets(self) -> usize {
        1 << self.set_bits
    }

    /// Number of lines it holds.
    pub fn lines(self) -> usize {
        self.sets() * self.ways as usize
    }
}
