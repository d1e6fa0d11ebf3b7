//! The words that flow between levels, and the buffers that hold them.
//!
//! A chunk enters as words of the raw trace format (bit 63: write, the rest: byte address). What one level asks of the
//! next is the address with two flags in its lowest bits, which lie below any line size:
//!
//! | flags | request |
//! |---|---|
//! | `00` | `read`: a fill for a load |
//! | `01` | `write`: a fill for a store that missed inside |
//! | `10` | `write_back`: a dirty victim |
//!
//! Bit 62 marks a read of a page walk, from the cpu or not. Physical addresses do not have it, and where a machine walks,
//! tags are cut off below it, so that kernels pass it on and see nothing of it.

use crate::trace::batch::WRITE_BIT;

/// Set on a fill for a store.
pub(super) const FOR_STORE: u64 = 1;
/// Set on a dirty victim.
pub(super) const DIRTY_VICTIM: u64 = 2;

/// Set on a read of a page walk.
pub(super) const WALK: u64 = 1 << 62;

/// The longest shift of an address to its tag, and the bits of a narrow tag, that leave [`WALK`] out.
pub(super) const WALK_TAG_SHIFT_MAX: u32 = 31;

/// A word of the cpu in the form that levels pass on, where no level has to know that it stores.
pub(super) fn of_cpu(word: u64) -> u64 {
    word & !WRITE_BIT & !(FOR_STORE | DIRTY_VICTIM) | ((word >> 63) * FOR_STORE)
}

/// How far ahead a kernel may read when it prefetches sets: buffers have that many words of slack.
pub(super) const LOOK_AHEAD: usize = 16;

/// Words with the position of their reference in the chunk, when order has to be restored later.
#[derive(Default)]
pub(super) struct Buffer {
    pub words: Vec<u64>,
    pub positions: Vec<u16>,
    pub len: usize,
}

impl Buffer {
    pub fn with_capacity(words: usize, positions: bool) -> Self {
        Self {
            words: vec![0; words + LOOK_AHEAD],
            positions: vec![0; if positions { words + LOOK_AHEAD } else { 0 }],
            len: 0,
        }
    }

    pub fn words(&self) -> &[u64] {
        &self.words[..self.len]
    }
}

/// Compiles a function for AVX2 beside the baseline and calls what the cpu has: loops over words become vector loops.
macro_rules! for_this_cpu {
    ($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $body:block) => {
        $(#[$doc])*
        pub(super) fn $name($($argument: $type),*) -> $result {
            #[inline(always)]
            fn body($($argument: $type),*) -> $result $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $type),*) -> $result {
                    body($($argument),*)
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the cpu has the feature.
                    return unsafe { avx2($($argument),*) };
                }
            }
            body($($argument),*)
        }
    };
}

for_this_cpu! {
    /// How many of the words are fills for stores, and how many are dirty victims.
    fn count_flags(words: &[u64]) -> (u64, u64) {
        let (mut stores, mut victims) = (0, 0);
        for word in words {
            stores += word & FOR_STORE;
            victims += (word / DIRTY_VICTIM) & 1;
        }
        (stores, victims)
    }
}

for_this_cpu! {
    /// [`count_flags`], and how many of the words are reads of page walks.
    fn count_flags_and_walks(words: &[u64]) -> (u64, u64, u64) {
        let (mut stores, mut victims, mut walks) = (0, 0, 0);
        for word in words {
            stores += word & FOR_STORE;
            victims += (word / DIRTY_VICTIM) & 1;
            walks += (word / WALK) & 1;
        }
        (stores, victims, walks)
    }
}

for_this_cpu! {
    /// How many words of the cpu are writes.
    fn count_writes(words: &[u64]) -> u64 {
        words.iter().map(|word| word >> 63).sum()
    }
}

for_this_cpu! {
    /// The bits that are set in any of the addresses.
    fn bits_in_use(words: &[u64]) -> u64 {
        words.iter().fold(0, |bits, word| bits | word) & !WRITE_BIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_counted_apart() {
        let words = [64, 64 | FOR_STORE, 128 | DIRTY_VICTIM, 192 | FOR_STORE, 256 | WALK];
        assert_eq!(count_flags(&words), (2, 1));
        assert_eq!(count_flags_and_walks(&words), (2, 1, 1));
    }
}
