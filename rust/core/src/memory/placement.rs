//! Where pages lie in physical memory: which frame the next page that is touched for the first time takes.
//!
//! Models the order of allocation alone: frames are never given back, and which page got which frame is for a page table
//! to know. `contiguous` is a kernel that has just booted; `random` is one that has run for long, as a keyed permutation
//! of all frames (a balanced Feistel network, Luby & Rackoff 1988, walked until it lands in the range, Black & Rogaway
//! 2002), so that no frame is drawn twice and nothing is stored.

use super::config::{PageSize, Placement};
use crate::base::Rng;
use crate::base::rng::mix;

/// log2 of the bytes of a frame: all pages are counted in these.
pub const FRAME_BITS: u32 = 12;

/// Gives frames to pages in order of first touch.
#[derive(Clone, Debug)]
pub struct FrameAllocator {
    frames: u64,
    next_frame: u64,
    frames_in_use: u64,
    order: Order,
    // What is left of a larger page that was taken for page tables: the next place and the end.
    tables: (u64, u64),
}

/// What is done to the number of a page before it becomes a place.
#[derive(Clone, Debug)]
enum Order {
    Ascending,
    Shuffled { page: PageSize, permutation: Permutation },
}

impl FrameAllocator {
    /// All of physical memory, nothing of it in use. `pages` are the page sizes in use: one alone under `random`.
    ///
    /// Under `identity` nothing may be allocated, for addresses are physical already.
    pub fn new(placement: Placement, memory_size: u64, pages: &[PageSize], seed: u64) -> Self {
        let order = match (placement, pages) {
            (Placement::Random, &[page, ..]) => {
                assert!(pages.iter().all(|&other| other == page), "the configuration was checked");
                Order::Shuffled { page, permutation: Permutation::of_pages(memory_size, page, seed) }
            }
            _ => Order::Ascending,
        };
        Self { frames: memory_size >> FRAME_BITS, next_frame: 0, frames_in_use: 0, order, tables: (0, 0) }
    }

    /// Gives the next page of this size its place: the physical address of its first byte, or nothing if memory is full.
    ///
    /// A page larger than a frame lies at a multiple of its size; frames that are passed over for that stay empty.
    pub fn allocate(&mut self, page: PageSize) -> Option<u64> {
        let frames = 1 << (page.bits() - FRAME_BITS);
        let first = self.next_frame.next_multiple_of(frames);
        if first + frames > self.frames {
            return None;
        }
        self.next_frame = first + frames;
        self.frames_in_use += frames;
        Some(match &self.order {
            Order::Ascending => first << FRAME_BITS,
            Order::Shuffled { page: only, permutation } => {
                debug_assert_eq!(page, *only, "the configuration was checked");
                permutation.apply(first / frames) << page.bits()
            }
        })
    }

    /// Gives a page table of 4 KiB its place, or nothing if memory is full.
    ///
    /// Where larger pages are placed at random one of them is cut into tables at a time.
    pub fn allocate_table(&mut self) -> Option<u64> {
        let page = match &self.order {
            Order::Ascending => PageSize::Size4K,
            Order::Shuffled { page, .. } => *page,
        };
        if self.tables.0 == self.tables.1 {
            let place = self.allocate(page)?;
            self.tables = (place, place + (1 << page.bits()));
        }
        self.tables.0 += 1 << FRAME_BITS;
        Some(self.tables.0 - (1 << FRAME_BITS))
    }

    /// Frames of 4 KiB that pages take, gaps not counted.
    pub fn frames_in_use(&self) -> u64 {
        self.frames_in_use
    }
}

/// A permutation of the numbers below a bound, drawn from the seed.
#[derive(Clone, Debug)]
pub struct Permutation {
    bound: u64,
    half_bits: u32,
    keys: [u64; 4],
}

impl Permutation {
    /// The permutation of the pages of one size that memory has room for.
    fn of_pages(memory_size: u64, page: PageSize, seed: u64) -> Self {
        Self::new(memory_size >> page.bits(), Rng::stream(seed, "placement", u64::from(page.bits())))
    }

    /// A permutation of `[0, bound)`. `bound` is at most 2^62.
    pub fn new(bound: u64, mut keys: Rng) -> Self {
        assert!(bound <= 1 << 62, "memory sizes are bounded");
        let bits = bound.max(2).next_power_of_two().trailing_zeros();
        Self { bound, half_bits: bits.div_ceil(2), keys: std::array::from_fn(|_| keys.next_u64()) }
    }

    /// Where `value`, which is below the bound, goes.
    pub fn apply(&self, value: u64) -> u64 {
        debug_assert!(value < self.bound, "a permutation of [0, bound)");
        let mut value = self.network(value);
        // The network permutes a few times as many numbers. The cycle through `value` comes back below the bound at
        // `value` itself at the latest.
        while value >= self.bound {
            value = self.network(value);
        }
        value
    }

    fn network(&self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right.wrapping_add(key)) & mask));
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];

    #[test]
    fn permutation_takes_every_number_below_the_bound_once() {
        for bound in (1..70).chain([255, 256, 257, 1000, 4097]) {
            let permutation = Permutation::new(bound, Rng::stream(bound, "placement", 12));
            let mut images: Vec<u64> = (0..bound).map(|value| permutation.apply(value)).collect();
            images.sort_unstable();
            assert_eq!(images, (0..bound).collect::<Vec<_>>(), "bound {bound}");
        }
    }

    #[test]
    fn network_has_the_smallest_even_number_of_bits() {
        for (bound, half_bits) in [(1, 1), (2, 1), (4, 1), (5, 2), (16, 2), (17, 3), (64, 3), (65, 4), (1 << 40, 20)] {
            assert_eq!(Permutation::new(bound, Rng::stream(0, "placement", 12)).half_bits, half_bits, "bound {bound}");
        }
    }

    #[test]
    fn images_are_those_of_the_reference_model() {
        let images = |bound, count| {
            let permutation = Permutation::new(bound, Rng::stream(7, "placement", 12));
            (0..count).map(|value| permutation.apply(value)).collect::<Vec<_>>()
        };
        assert_eq!(images(10, 8), [8, 0, 6, 7, 4, 2, 3, 5]);
        assert_eq!(images(1000, 8), [466, 440, 278, 2, 101, 423, 952, 909]);
    }

    #[test]
    fn another_seed_shuffles_otherwise() {
        let order = |seed| {
            let mut frames = FrameAllocator::new(Placement::Random, 1 << 22, &[PageSize::Size4K], seed);
            (0..1024).map(|_| frames.allocate(PageSize::Size4K).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }

    #[test]
    fn contiguous_pages_follow_one_another_until_memory_is_full() {
        let mut frames = FrameAllocator::new(Placement::Contiguous, (3 << 12) + 4095, &[PageSize::Size4K], 0);
        let places: Vec<_> = (0..4).map(|_| frames.allocate(PageSize::Size4K)).collect();
        assert_eq!(places, [Some(0), Some(1 << 12), Some(2 << 12), None]);
        assert_eq!(frames.frames_in_use(), 3);
    }

    #[test]
    fn large_page_lies_at_a_multiple_of_its_size_and_the_gap_stays_empty() {
        let mut frames = FrameAllocator::new(Placement::Contiguous, 3 << 30, &SIZES, 0);
        assert_eq!(frames.allocate(PageSize::Size4K), Some(0));
        assert_eq!(frames.allocate(PageSize::Size2M), Some(2 << 20));
        assert_eq!(frames.allocate(PageSize::Size4K), Some(4 << 20));
        assert_eq!(frames.allocate(PageSize::Size1G), Some(1 << 30));
        assert_eq!(frames.allocate(PageSize::Size4K), Some(2 << 30));
        assert_eq!(frames.allocate(PageSize::Size1G), None);
        assert_eq!(frames.allocate(PageSize::Size2M), Some((2 << 30) + (2 << 20)));
        assert_eq!(frames.frames_in_use(), 1 + 512 + 1 + 262_144 + 1 + 512);
    }

    #[test]
    fn tables_are_pieces_of_a_page_taken_for_them() {
        let mut frames = FrameAllocator::new(Placement::Random, 10 << 21, &[PageSize::Size2M], 3);
        let mut same = frames.clone();
        let pages: Vec<_> = (0..3).map(|_| same.allocate(PageSize::Size2M).unwrap()).collect();
        let tables: Vec<_> = (0..513).map(|_| frames.allocate_table().unwrap()).collect();
        assert_eq!((tables[0], tables[1], tables[511]), (pages[0], pages[0] + 4096, pages[0] + 511 * 4096));
        assert_eq!((tables[512], frames.allocate(PageSize::Size2M).unwrap()), (pages[1], pages[2]));
        let mut frames = FrameAllocator::new(Placement::Contiguous, 3 << 30, &SIZES, 0);
        assert_eq!((frames.allocate_table(), frames.allocate_table()), (Some(0), Some(4096)));
    }

    #[test]
    fn random_pages_are_whole_and_take_all_of_memory() {
        let mut frames = FrameAllocator::new(Placement::Random, 10 << 21, &[PageSize::Size2M], 3);
        let mut places: Vec<_> = (0..10).map(|_| frames.allocate(PageSize::Size2M).unwrap()).collect();
        assert_eq!(frames.allocate(PageSize::Size2M), None);
        places.sort_unstable();
        assert_eq!(places, (0..10).map(|index| index << 21).collect::<Vec<_>>());
    }
}
