//! Page walks of a chunk: which entries they read, before which reference.

use super::cascade::{EntryRead, Walks};
use super::frames::Frames;
use crate::memory::config::{MachineConfig, PageSize};
use crate::memory::page_walk::{Walk, Walker, leaf_level};
use crate::trace::batch::WRITE_BIT;
use std::ops::Range;

/// The walker, and what the walks of the last chunk read.
pub(super) struct WalkReads {
    pub walker: Walker,
    page: PageSize,
    reads: Vec<EntryRead>,
}

/// References that go through the caches together with what their walks read.
pub(super) struct Piece<'a> {
    pub references: Range<usize>,
    pub walks: Walks<'a>,
}

impl WalkReads {
    /// A walker that has walked nothing, or none if the machine's walks read no tables.
    pub fn new(machine: &MachineConfig) -> Option<Self> {
        let walker = Walker::new(machine)?;
        Some(Self { walker, page: machine.page_size, reads: Vec::new() })
    }

    /// Walks for the references at some positions of a chunk, whose pages have frames.
    pub fn walk(&mut self, words: &[u64], positions: &[u16], frames: &Frames) {
        let Self { walker, reads, page } = self;
        let (host, leaf) = (frames.host(), leaf_level(*page));
        reads.clear();
        reads.reserve(2 * positions.len());
        for &position in positions {
            let vaddr = words[usize::from(position)] & !WRITE_BIT;
            let paddr = frames.guest_paddr(vaddr).unwrap_or(0);
            let walk = Walk { cpu: 0, asid: 0, vaddr, leaf, paddr };
            walker.walk(walk, &frames.path(vaddr), host, &mut |paddr| reads.push(EntryRead { paddr, position }));
        }
    }

    /// Cuts a chunk of `count` references so that each piece has at most `most` of them and reads, or is one reference.
    pub fn pieces(&self, count: usize, most: usize) -> impl Iterator<Item = Piece<'_>> {
        let (mut reference, mut read) = (0, 0);
        std::iter::from_fn(move || {
            if reference == count {
                return None;
            }
            let (from, first_read) = (reference, read);
            if count - from + self.reads.len() - read <= most {
                (reference, read) = (count, self.reads.len());
            } else {
                // To the last reference that fits with its reads.
                while reference < count {
                    let own =
                        self.reads[read..].iter().take_while(|read| usize::from(read.position) == reference).count();
                    if reference > from && reference + 1 - from + read + own - first_read > most {
                        break;
                    }
                    reference += 1;
                    read += own;
                }
            }
            let base = u16::try_from(from).expect("a chunk is short");
            let walks = Walks { reads: &self.reads[first_read..read], base };
            Some(Piece { references: from..reference, walks })
        })
    }
}
