//! The buddy allocator: blocks of 2^order frames at multiples of their size.
//!
//! Models which block is handed out (Knowlton 1965; Linux 6.x `mm/page_alloc.c`, without its per-cpu lists, zones and
//! migrate types) and where a kernel that has run for long would find it.

use super::Pfn;
use super::free_map::FreeMap;
use crate::base::Rng;

/// log2 of the frames of the largest block, 1 GiB.
pub const ORDER_MAX: u32 = 18;

/// log2 of the frames of a page of 2 MiB.
pub const ORDER_2M: u32 = 9;

/// Blocks drawn before the nearest free one is taken.
const DRAWS: u32 = 16;

/// Where blocks are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FramePlacement {
    /// The lowest block of the smallest order that suffices.
    #[default]
    Contiguous,
    /// A block drawn from the seed.
    Random,
    /// As contiguous, but one frame of every 2 MiB is in use by others.
    Fragmented,
}

/// All free blocks.
#[derive(Clone, Debug)]
pub struct Buddy {
    /// By order: the numbers of free blocks, in units of their size.
    free: Vec<FreeMap>,
    /// Bit k: there are free blocks of order k.
    orders: u32,
    frames: u64,
    frames_free: u64,
    /// What is left of the block that single frames were last taken from, the lowest first. It stands for the free blocks
    /// that it would be cut into, and is cut when anything else happens.
    run: std::ops::Range<u64>,
    draws: Option<Rng>,
}

impl Buddy {
    /// `frames` free frames, but those that `placement` lets others have.
    pub fn new(frames: u64, placement: FramePlacement, seed: u64) -> Self {
        let mut draws = Rng::stream(seed, "vm.frames", 0);
        let free = (0..=ORDER_MAX).map(|order| FreeMap::new(frames >> order)).collect();
        let mut buddy = Self { free, orders: 0, frames, frames_free: frames, run: 0..0, draws: None };
        let mut first = 0;
        while first < frames {
            let order =
                (0..=ORDER_MAX).rev().find(|&order| first.is_multiple_of(1 << order) && first + (1 << order) <= frames);
            let order = order.expect("one frame always fits");
            buddy.insert(order, first >> order);
            first += 1 << order;
        }
        match placement {
            FramePlacement::Contiguous => {}
            FramePlacement::Random => buddy.draws = Some(draws),
            FramePlacement::Fragmented => {
                for block in 0..frames >> ORDER_2M {
                    let taken = buddy.carve((block << ORDER_2M) + u64::from(draws.below(1 << ORDER_2M)), 0);
                    assert!(taken, "all frames are free at the start");
                }
            }
        }
        buddy
    }

    /// Frames that are free.
    pub fn frames_free(&self) -> u64 {
        self.frames_free
    }

    /// A block of that order, or nothing if no free block has room for it.
    pub fn allocate(&mut self, order: u32) -> Option<Pfn> {
        if order == 0 && self.draws.is_none() {
            return self.single().map(Pfn);
        }
        self.cut_run();
        let first = if self.draws.is_some() { self.draw(order)? } else { self.nearest(order, 0)? };
        Some(Pfn(first))
    }

    /// The lowest frame of the smallest block.
    fn single(&mut self) -> Option<u64> {
        if self.run.is_empty() {
            if self.orders == 0 {
                return None;
            }
            let order = self.orders.trailing_zeros();
            let block = self.free[order as usize].first_from(0)?;
            self.remove(order, block);
            self.run = block << order..(block + 1) << order;
        }
        self.frames_free -= 1;
        self.run.next()
    }

    /// Makes free blocks of what is left of the run.
    fn cut_run(&mut self) {
        while !self.run.is_empty() {
            let (first, left) = (self.run.start, self.run.end - self.run.start);
            let order = first.trailing_zeros().min(left.ilog2());
            self.insert(order, first >> order);
            self.run.start += 1 << order;
        }
    }

    /// Takes one given block if it is free.
    pub fn carve(&mut self, first: u64, order: u32) -> bool {
        self.cut_run();
        let height = (order..=ORDER_MAX).find(|&height| self.free[height as usize].contains(first >> height));
        if let Some(height) = height {
            self.take(first, order, height);
        }
        height.is_some()
    }

    /// Takes a block out of the free one of order `height` that it lies in.
    fn take(&mut self, first: u64, order: u32, mut height: u32) {
        self.remove(height, first >> height);
        while height > order {
            height -= 1;
            self.insert(height, (first >> height) ^ 1);
        }
        self.frames_free -= 1 << order;
    }

    fn insert(&mut self, order: u32, block: u64) {
        self.free[order as usize].insert(block);
        self.orders |= 1 << order;
    }

    fn remove(&mut self, order: u32, block: u64) {
        let map = &mut self.free[order as usize];
        map.remove(block);
        if map.len() == 0 {
            self.orders &= !(1 << order);
        }
    }

    /// Gives a block back; it joins its buddy as long as that is free too.
    pub fn release(&mut self, first: Pfn, order: u32) {
        self.cut_run();
        self.frames_free += 1 << order;
        let (mut block, mut order) = (first.0 >> order, order);
        while order < ORDER_MAX && self.free[order as usize].contains(block ^ 1) {
            self.remove(order, block ^ 1);
            block >>= 1;
            order += 1;
        }
        self.insert(order, block);
    }

    fn draw(&mut self, order: u32) -> Option<u64> {
        if self.orders >> order == 0 {
            return None;
        }
        let mut last = 0;
        for _ in 0..DRAWS {
            let draws = self.draws.as_mut().expect("only a random placement draws");
            last = below(draws, self.frames) >> order << order;
            if self.carve(last, order) {
                return Some(last);
            }
        }
        self.nearest(order, last)
    }

    /// Takes the first block at `from` or behind it, and round, of the smallest order that suffices and has one.
    fn nearest(&mut self, order: u32, from: u64) -> Option<u64> {
        let orders = self.orders >> order << order;
        if orders == 0 {
            return None;
        }
        let height = orders.trailing_zeros();
        let map = &self.free[height as usize];
        let block = map.first_from(from >> height).or_else(|| map.first_from(0))?;
        self.take(block << height, order, height);
        Some(block << height)
    }
}

/// A number below `bound` by the high half of a product.
fn below(draws: &mut Rng, bound: u64) -> u64 {
    #[allow(clippy::cast_possible_truncation, reason = "the product of two 64-bit numbers, shifted by 64")]
    let high = ((u128::from(draws.next_u64()) * u128::from(bound)) >> 64) as u64;
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lowest_frames_come_first() {
        let mut buddy = Buddy::new(1000, FramePlacement::Contiguous, 0);
        let frames: Vec<_> = (0..5).map(|_| buddy.allocate(0).unwrap().0).collect();
        assert_eq!(frames.len(), 5);
        // 1000 = 512 + 256 + 128 + 64 + 32 + 8: the smallest block that suffices lies at the end.
        assert_eq!(frames, [992, 993, 994, 995, 996]);
        assert_eq!(buddy.allocate(ORDER_2M), Some(Pfn(0)));
        assert_eq!(buddy.allocate(ORDER_2M), None);
    }

    #[test]
    fn fragmented_memory_has_no_huge_page() {
        let mut buddy = Buddy::new(4096, FramePlacement::Fragmented, 3);
        assert_eq!(buddy.frames_free(), 4096 - 8);
        assert_eq!(buddy.allocate(ORDER_2M), None);
        assert!(buddy.allocate(6).is_some());
    }

    proptest! {
        #[test]
        fn blocks_never_overlap_and_memory_comes_back_whole(
            frames in 1u64..5000,
            placement in prop::sample::select(vec![FramePlacement::Contiguous, FramePlacement::Random]),
            steps in prop::collection::vec((0u32..11, any::<bool>(), any::<prop::sample::Index>()), 0..120),
        ) {
            let mut buddy = Buddy::new(frames, placement, 7);
            let fresh: Vec<_> = buddy.free.iter().map(FreeMap::len).collect();
            let mut slow = buddy.clone();
            let mut held: Vec<(u64, u32)> = Vec::new();
            for (order, is_release, which) in steps {
                if is_release && !held.is_empty() {
                    let (first, order) = held.swap_remove(which.index(held.len()));
                    buddy.release(Pfn(first), order);
                    if placement == FramePlacement::Contiguous {
                        slow.release(Pfn(first), order);
                    }
                } else if let Some(Pfn(first)) = buddy.allocate(order) {
                    if placement == FramePlacement::Contiguous {
                        slow.cut_run();
                        prop_assert_eq!(slow.nearest(order, 0), Some(first));
                    }
                    prop_assert!(first.is_multiple_of(1 << order) && first + (1 << order) <= frames);
                    let overlaps = |&(other, size): &(u64, u32)| first < other + (1 << size) && other < first + (1 << order);
                    prop_assert!(!held.iter().any(overlaps));
                    held.push((first, order));
                }
                let in_use: u64 = held.iter().map(|&(_, order)| 1 << order).sum();
                prop_assert_eq!(buddy.frames_free(), frames - in_use);
            }
            for (first, order) in held {
                buddy.release(Pfn(first), order);
            }
            buddy.cut_run();
            prop_assert_eq!(buddy.free.iter().map(FreeMap::len).collect::<Vec<_>>(), fresh);
        }
    }
}
