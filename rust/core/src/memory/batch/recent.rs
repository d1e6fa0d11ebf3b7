//! References to the page that a TLB set was used for last: most of a friendly trace, and nothing to do for.
//!
//! Touching the most recent line of an LRU set again changes nothing, so such references need not go to the TLBs at
//! all; their frame stands beside the page. Whether that is worth asking is decided chunk by chunk, see [`Patience`].

use super::frames::{Frames, NoFrame};
use super::kernel::Patience;
use super::words::LOOK_AHEAD;
use crate::memory::config::PageSize;
use crate::trace::batch::WRITE_BIT;

/// The most recent page of each set of a first-level LRU TLB.
pub(super) struct Recent {
    page: PageSize,
    // By set: the page and the address of its frame.
    sets: Vec<(u64, u64)>,
    patience: Patience,
    /// References that were not filtered out, of the last chunk.
    pub left: Vec<u64>,
    /// Where they stood in it.
    pub positions: Vec<u16>,
}

/// No page: compact addresses have fewer bits.
const NO_PAGE: u64 = u64::MAX;

impl Recent {
    pub fn new(page: PageSize, sets: usize, chunk: usize) -> Self {
        let patience = Patience::default();
        let (left, positions) = (vec![0; chunk + LOOK_AHEAD], vec![0; chunk]);
        Self { page, sets: vec![(NO_PAGE, 0); sets], patience, left, positions }
    }

    /// Whether to filter the next chunk.
    pub fn is_worth_it(&mut self) -> bool {
        self.patience.ask_first()
    }

    /// Translates a chunk and puts what the TLBs must see into `left`; returns how many that are. `real` are the same
    /// words with real addresses.
    ///
    /// # Errors
    /// The index of the word whose page found no frame.
    pub fn filter(
        &mut self,
        words: &[u64],
        real: &[u64],
        frames: &mut Option<Frames>,
        physical: &mut [u64],
    ) -> Result<usize, (usize, NoFrame)> {
        // Chunks that were not filtered have changed the TLBs behind our back.
        self.sets.fill((NO_PAGE, 0));
        let bits = self.page.bits();
        let offset_mask = WRITE_BIT | ((1 << bits) - 1);
        let set_mask = self.sets.len() - 1;
        let mut left = 0;
        for (index, (&word, physical)) in words.iter().zip(physical).enumerate() {
            let page = (word & !WRITE_BIT) >> bits;
            #[allow(clippy::cast_possible_truncation, reason = "the mask keeps what fits")]
            let set = &mut self.sets[page as usize & set_mask];
            if set.0 != page {
                let frame = match frames {
                    Some(frames) => frames.frame_of(page, real[index] & !WRITE_BIT).map_err(|error| (index, error))?,
                    None => page,
                };
                *set = (page, frame << bits);
                self.left[left] = word;
                #[allow(clippy::cast_possible_truncation, reason = "a chunk has fewer references")]
                let position = index as u16;
                self.positions[left] = position;
                left += 1;
            }
            *physical = word & offset_mask | set.1;
        }
        self.patience.learn(words.len(), left);
        Ok(left)
    }
}
