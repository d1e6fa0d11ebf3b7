//! The entries of all sets, each set starting at a multiple of 32 bytes.

use super::super::entry::Entry;
use crate::memory::geometry::Geometry;

/// Lanes of a vector of 32-bit entries; sets are padded to one, two or four vectors.
pub(super) const LANES: usize = 8;

/// Bytes to which the first set is aligned: a cache line of the host.
const ALIGNMENT: usize = 64;

/// Sets of entries. Lanes behind the last way never hold a line.
pub(super) struct Array<T> {
    pub geometry: Geometry,
    /// How far an address is shifted to give its tag.
    pub tag_shift: u32,
    /// Entries from one set to the next.
    pub stride: usize,
    entries: Vec<T>,
    start: usize,
}

impl<T: Entry> Array<T> {
    pub fn new(geometry: Geometry) -> Self {
        let stride = (geometry.ways as usize).next_power_of_two().max(LANES);
        let slack = ALIGNMENT / size_of::<T>();
        // The vector is never resized, so the first aligned place in it stays aligned.
        let entries = vec![T::INVALID; geometry.sets() * stride + slack];
        let start = entries.as_ptr().align_offset(ALIGNMENT).min(slack);
        Self { geometry, tag_shift: geometry.line_bits + geometry.set_bits, stride, entries, start }
    }

    /// The entries of all sets.
    pub fn entries(&mut self) -> &mut [T] {
        let end = self.start + self.geometry.sets() * self.stride;
        &mut self.entries[self.start..end]
    }
}

impl Array<u32> {
    /// The same lines in wide entries.
    pub fn widen(&mut self) -> Array<u64> {
        let mut wide = Array::new(self.geometry);
        for (wide, &narrow) in wide.entries().iter_mut().zip(self.entries().iter()) {
            if narrow != u32::INVALID {
                *wide = u64::from(narrow);
            }
        }
        wide
    }
}
