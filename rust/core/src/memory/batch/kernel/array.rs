//! The entries of all sets, each set starting at a multiple of 32 bytes.

use super::super::entry::Entry;
use crate::memory::geometry::Geometry;

/// Lanes of a vector of 32-bit entries; sets are padded to one, two or four vectors.
pub(in crate::memory) const LANES: usize = 8;

/// Bytes to which the first set is aligned: a cache line of the host.
const ALIGNMENT: usize = 64;

/// Sets of entries. Lanes behind the last way never hold a line.
pub(in crate::memory) struct Array<T> {
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

    /// An array of sets of so many places. Those that are no way, if there are more of them than ways, are the first.
    pub fn with_places(geometry: Geometry, places: usize) -> Self {
        let mut array = Self::new(geometry);
        let stride = array.stride;
        for set in array.entries().chunks_exact_mut(stride) {
            set[..places - geometry.ways as usize].fill(T::NO_WAY);
        }
        array
    }

    /// The entries of all sets.
    pub fn entries(&mut self) -> &mut [T] {
        let end = self.start + self.geometry.sets() * self.stride;
        &mut self.entries[self.start..end]
    }
}

impl Array<u32> {
    /// The same lines in wide entries, by their real addresses; `original` gives the real address of a compact one.
    pub fn widen(&mut self, original: &dyn Fn(u64) -> u64) -> Array<u64> {
        let mut wide = Array::new(self.geometry);
        let (tag_shift, line_bits, stride) = (self.tag_shift, self.geometry.line_bits, self.stride);
        let sets = wide.entries().chunks_exact_mut(stride).zip(self.entries().chunks_exact(stride));
        for (set_number, (wide, narrow)) in (0u64..).zip(sets) {
            for (wide, &narrow) in wide.iter_mut().zip(narrow) {
                *wide = match narrow {
                    u32::INVALID => u64::INVALID,
                    u32::NO_WAY => u64::NO_WAY,
                    _ => {
                        let address = original(narrow.tag() << tag_shift | set_number << line_bits);
                        u64::clean(address, tag_shift).with_dirty(narrow.dirty())
                    }
                };
            }
        }
        wide
    }
}
