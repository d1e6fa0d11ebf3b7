//! Physical memory: which frames are in use, how many entries map them, what is in them.

mod buddy;
mod free_map;
mod zeros;

pub use buddy::{Buddy, FramePlacement, ORDER_2M, ORDER_MAX};

use zeros::zeros;

/// log2 of the bytes of a frame.
pub const FRAME_BITS: u32 = 12;

/// The number of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub u64);

/// The frame that shows zeroes to all who read what nobody wrote. Never given out, never freed, counts nothing.
pub const ZERO_PAGE: Pfn = Pfn(0);

/// All frames.
///
/// A frame's count is the number of leaf entries that map it. Huge entries are counted once a block, so that mapping 1 GiB
/// costs as much as mapping 4 KiB: the count of a frame is the sum of its own and those of the blocks around it.
#[derive(Debug)]
pub struct Frames {
    buddy: Buddy,
    /// By frame: entries of 4 KiB that map it, or entries that point to it for a table.
    counts: Vec<u32>,
    /// By block of 2 MiB and of 1 GiB: huge entries that map it.
    counts_2m: Vec<u32>,
    counts_1g: Vec<u32>,
    /// By frame: what is in it, one number that stands for its bytes.
    contents: Vec<u64>,
    total: u64,
    /// The fewest frames that were ever free.
    free_min: u64,
}

impl Frames {
    /// All of physical memory. `frames` is at least 1.
    pub fn new(frames: u64, placement: FramePlacement, seed: u64) -> Self {
        let mut buddy = Buddy::new(frames, placement, seed);
        // A fragmented memory may have given the first frame to others already.
        buddy.carve(ZERO_PAGE.0, 0);
        let free_min = buddy.frames_free();
        let count = |order: u32| zeros(frames.div_ceil(1 << order));
        Self {
            buddy,
            counts: count(0),
            counts_2m: count(ORDER_2M),
            counts_1g: count(ORDER_MAX),
            contents: zeros(frames),
            total: frames,
            free_min,
        }
    }

    /// Frames of the machine.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The most frames that were in use at a time.
    pub fn peak(&self) -> u64 {
        self.total - self.free_min
    }

    /// Frames that nobody has.
    pub fn free(&self) -> u64 {
        self.buddy.frames_free()
    }

    /// A block of 2^order frames, zeroed, without references; nothing if memory is full.
    pub fn allocate(&mut self, order: u32) -> Option<Pfn> {
        let first = self.buddy.allocate(order)?;
        self.free_min = self.free_min.min(self.buddy.frames_free());
        let index = slot(first);
        self.contents[index..index + (1 << order)].fill(0);
        debug_assert_eq!(self.references(first), 0, "nobody maps a free frame");
        Some(first)
    }

    /// Leaf entries that map the frame.
    pub fn references(&self, pfn: Pfn) -> u32 {
        let own = self.counts[slot(pfn)];
        own + self.counts_2m[block(pfn, ORDER_2M)] + self.counts_1g[block(pfn, ORDER_MAX)]
    }

    /// Whether a huge entry maps the frame.
    pub fn is_mapped_huge(&self, pfn: Pfn) -> bool {
        self.counts_2m[block(pfn, ORDER_2M)] + self.counts_1g[block(pfn, ORDER_MAX)] > 0
    }

    /// Whether every frame of a block that a huge entry maps has that reference alone.
    pub fn is_block_exclusive(&self, first: Pfn, order: u32) -> bool {
        let huge = self.counts_1g[block(first, ORDER_MAX)]
            + if order == ORDER_2M { self.counts_2m[block(first, ORDER_2M)] } else { 0 };
        let index = slot(first);
        huge == 1
            && self.counts[index..index + (1 << order)].iter().all(|&count| count == 0)
            && (order == ORDER_2M || self.blocks_2m(first).all(|block| self.counts_2m[block] == 0))
    }

    /// Notes one more entry of that order.
    pub fn retain(&mut self, first: Pfn, order: u32) {
        if first != ZERO_PAGE {
            *self.count_mut(first, order) += 1;
        }
    }

    /// Notes one entry of that order less and frees what no entry maps any more. Returns whether all of it was freed.
    pub fn release(&mut self, first: Pfn, order: u32) -> bool {
        if first == ZERO_PAGE {
            return false;
        }
        let count = self.count_mut(first, order);
        assert!(*count > 0, "an entry that goes was counted when it came");
        *count -= 1;
        if *count > 0 {
            return false;
        }
        if order == 0 {
            let is_free = self.references(first) == 0;
            if is_free {
                self.buddy.release(first, 0);
            }
            return is_free;
        }
        self.release_block(first, order)
    }

    /// What is in a frame.
    pub fn contents(&self, pfn: Pfn) -> u64 {
        self.contents[slot(pfn)]
    }

    /// Writes a frame.
    pub fn set_contents(&mut self, pfn: Pfn, contents: u64) {
        self.contents[slot(pfn)] = contents;
    }

    /// Copies the contents of a block.
    pub fn copy(&mut self, from: Pfn, to: Pfn, order: u32) {
        let from = slot(from);
        self.contents.copy_within(from..from + (1 << order), slot(to));
    }

    /// Turns a huge entry's count into one for each of the 512 parts that map it from now on.
    pub fn split(&mut self, first: Pfn, order: u32) {
        *self.count_mut(first, order) -= 1;
        let parts = if order == ORDER_2M { 0 } else { ORDER_2M };
        for part in 0..512 {
            *self.count_mut(Pfn(first.0 + (part << parts)), parts) += 1;
        }
    }

    /// Frees the frames of a block that no entry of any size maps.
    fn release_block(&mut self, first: Pfn, order: u32) -> bool {
        if order == ORDER_2M && self.counts_1g[block(first, ORDER_MAX)] > 0 {
            return false;
        }
        let index = slot(first);
        let frames = index..index + (1 << order);
        let blocks_free = order == ORDER_2M || self.blocks_2m(first).all(|block| self.counts_2m[block] == 0);
        if blocks_free && self.counts[frames].iter().all(|&count| count == 0) {
            self.buddy.release(first, order);
            return true;
        }
        if order == ORDER_MAX {
            for part in 0..512 {
                let part = Pfn(first.0 + (part << ORDER_2M));
                if self.counts_2m[block(part, ORDER_2M)] == 0 {
                    self.release_block(part, ORDER_2M);
                }
            }
        } else {
            for frame in first.0..first.0 + 512 {
                if self.counts[slot(Pfn(frame))] == 0 {
                    self.buddy.release(Pfn(frame), 0);
                }
            }
        }
        false
    }

    fn blocks_2m(&self, first: Pfn) -> std::ops::Range<usize> {
        let start = block(first, ORDER_2M);
        start..(start + 512).min(self.counts_2m.len())
    }

    fn count_mut(&mut self, first: Pfn, order: u32) -> &mut u32 {
        match order {
            0 => &mut self.counts[slot(first)],
            ORDER_2M => &mut self.counts_2m[block(first, ORDER_2M)],
            _ => &mut self.counts_1g[block(first, ORDER_MAX)],
        }
    }
}

fn slot(pfn: Pfn) -> usize {
    usize::try_from(pfn.0).expect("memory sizes are bounded")
}

fn block(pfn: Pfn, order: u32) -> usize {
    slot(Pfn(pfn.0 >> order))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Frames {
        Frames::new(4096, FramePlacement::Contiguous, 0)
    }

    #[test]
    fn frame_is_freed_with_its_last_reference() {
        let mut frames = frames();
        let free = frames.free();
        let pfn = frames.allocate(0).unwrap();
        frames.retain(pfn, 0);
        frames.retain(pfn, 0);
        assert!(!frames.release(pfn, 0));
        assert_eq!(frames.free(), free - 1);
        assert!(frames.release(pfn, 0));
        assert_eq!(frames.free(), free);
    }

    #[test]
    fn huge_page_counts_once_for_each_of_its_frames() {
        let mut frames = frames();
        let first = frames.allocate(ORDER_2M).unwrap();
        frames.retain(first, ORDER_2M);
        assert_eq!(frames.references(Pfn(first.0 + 77)), 1);
        assert!(frames.is_block_exclusive(first, ORDER_2M));
        frames.retain(first, ORDER_2M);
        assert!(!frames.is_block_exclusive(first, ORDER_2M));
    }

    #[test]
    fn split_huge_page_is_freed_frame_by_frame() {
        let mut frames = frames();
        let free = frames.free();
        let first = frames.allocate(ORDER_2M).unwrap();
        frames.retain(first, ORDER_2M);
        frames.retain(first, ORDER_2M);
        frames.split(first, ORDER_2M);
        // One side keeps the huge page, the other has 512 small ones and drops two of them.
        assert!(!frames.release(first, 0));
        assert!(!frames.release(Pfn(first.0 + 5), 0));
        assert_eq!(frames.references(Pfn(first.0 + 5)), 1);
        assert_eq!(frames.references(Pfn(first.0 + 6)), 2);
        // Now the huge entry goes: the two frames go with it.
        assert!(!frames.release(first, ORDER_2M));
        assert_eq!(frames.free(), free - 510);
        for frame in (first.0 + 1..first.0 + 512).filter(|&frame| frame != first.0 + 5) {
            assert!(frames.release(Pfn(frame), 0));
        }
        assert_eq!(frames.free(), free);
    }
}
