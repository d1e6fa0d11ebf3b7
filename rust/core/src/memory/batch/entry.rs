//! What an array holds for a line: its tag and, in the lowest bit, whether it is dirty.

/// An array element, 32 bits wide as long as tags fit, else 64.
pub(in crate::memory) trait Entry: Copy + PartialEq + 'static {
    /// Holds no line and is not dirty: the tag of all ones, which no line has.
    const INVALID: Self;

    /// Stands where a set has a place but no way: the same tag, dirty.
    const NO_WAY: Self;

    /// The entry of a clean line, from its address.
    fn clean(address: u64, tag_shift: u32) -> Self;

    /// The same line, dirty if `dirty` is 1.
    fn with_dirty(self, dirty: u64) -> Self;

    /// 1 if dirty, else 0.
    fn dirty(self) -> u64;

    /// The tag.
    fn tag(self) -> u64;

    /// Whether both are the same line.
    fn same_line(self, other: Self) -> bool {
        self.tag() == other.tag()
    }
}

impl Entry for u32 {
    const INVALID: Self = !1;
    const NO_WAY: Self = !0;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "compact addresses leave 31 bits above the tag shift")]
    fn clean(address: u64, tag_shift: u32) -> Self {
        ((address >> tag_shift) as u32) << 1
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "0 or 1")]
    fn with_dirty(self, dirty: u64) -> Self {
        self | dirty as u32
    }

    #[inline(always)]
    fn dirty(self) -> u64 {
        u64::from(self & 1)
    }

    #[inline(always)]
    fn tag(self) -> u64 {
        u64::from(self >> 1)
    }
}

impl Entry for u64 {
    const INVALID: Self = !1;
    const NO_WAY: Self = !0;

    #[inline(always)]
    fn clean(address: u64, tag_shift: u32) -> Self {
        (address >> tag_shift) << 1
    }

    #[inline(always)]
    fn with_dirty(self, dirty: u64) -> Self {
        self | dirty
    }

    #[inline(always)]
    fn dirty(self) -> u64 {
        self & 1
    }

    #[inline(always)]
    fn tag(self) -> u64 {
        self >> 1
    }
}
