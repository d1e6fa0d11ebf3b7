//! Which frame a page lies in, for pages of one size: a table by compact page number.
//!
//! Reading it costs two dependent loads, no hashing: pages are looked up far more often than TLBs miss, since the batch
//! engine asks once a reference. With compact addresses of more than 43 bits a hash map takes over.

use crate::memory::config::{MachineConfig, PageSize};
use crate::memory::hash::NumberMap;
use crate::memory::page_walk::{AddressSpaces, Host, TablePath};
use crate::trace::batch::WRITE_BIT;
use std::collections::HashMap;

/// log2 of the pages a leaf of the table.
const LEAF_BITS: u32 = 9;
const LEAF: usize = 1 << LEAF_BITS;
const LEAF_MASK: u64 = LEAF as u64 - 1;

/// More pages than frames.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoFrame;

/// Page tables without their cost.
pub(super) struct Frames {
    // What a TLB entry covers; under nested paging the guest's pages may be larger.
    page: PageSize,
    spaces: AddressSpaces,
    guest: Option<Guest>,
    table: Table,
}

/// Under nested paging, where the pages of a guest are by its own account.
struct Guest {
    page: PageSize,
    // By page number.
    places: NumberMap<u64, u64>,
}

/// All threads share one address space here.
const ASID: u32 = 0;

enum Table {
    // `leaves[directory[page / LEAF] * LEAF + page % LEAF]` is one more than the frame number; 0 stands for no frame.
    // Leaf 0 belongs to no page and stays empty.
    Dense { directory: Vec<u32>, leaves: Vec<u32> },
    Hashed(HashMap<u64, u64>),
}

impl Frames {
    pub fn new(machine: &MachineConfig, seed: u64, wide: bool) -> Self {
        let page = machine.tlb_page_size(machine.page_size);
        let spaces = AddressSpaces::new(machine, &[machine.page_size], seed);
        let guest = spaces.host().map(|_| Guest { page: machine.page_size, places: NumberMap::default() });
        let table = if wide {
            Table::Hashed(HashMap::new())
        } else {
            Table::Dense { directory: Vec::new(), leaves: vec![0; LEAF] }
        };
        Self { page, spaces, guest, table }
    }

    /// Frames that are in use, of 4 KiB.
    pub fn in_use(&self) -> u64 {
        self.spaces.frames_in_use()
    }

    /// The entries that a walk of an address that was translated reads.
    pub fn path(&self, vaddr: u64) -> impl TablePath + '_ {
        self.spaces.path(vaddr, ASID)
    }

    /// The host, under nested paging.
    pub fn host(&self) -> Option<&Host> {
        self.spaces.host()
    }

    /// Under nested paging the guest-physical address of one that was translated.
    pub fn guest_paddr(&self, vaddr: u64) -> Option<u64> {
        let guest = self.guest.as_ref()?;
        Some(guest.places[&(vaddr >> guest.page.bits())] | vaddr & ((1 << guest.page.bits()) - 1))
    }

    /// Goes over to the hash map and to real addresses; `original` gives the real address of a compact one.
    pub fn widen(&mut self, original: &dyn Fn(u64) -> u64) {
        let bits = self.page.bits();
        let Table::Dense { directory, leaves } = &self.table else { return };
        let mut frames = HashMap::new();
        for (high, &leaf) in directory.iter().enumerate() {
            for (low, &frame) in leaves[leaf as usize * LEAF..][..LEAF].iter().enumerate() {
                if frame != 0 {
                    let page = original(((high * LEAF + low) as u64) << bits) >> bits;
                    frames.insert(page, u64::from(frame) - 1);
                }
            }
        }
        self.table = Table::Hashed(frames);
    }

    /// Writes the physical form of every compact word to `out`, giving frames to pages seen for the first time. `real` are
    /// the same words with real addresses.
    ///
    /// # Errors
    /// The index of the word whose page found no frame.
    pub fn translate(&mut self, words: &[u64], real: &[u64], out: &mut [u64]) -> Result<(), (usize, NoFrame)> {
        let bits = self.page.bits();
        let offset_mask = WRITE_BIT | ((1 << bits) - 1);
        let mut next = 0;
        loop {
            // Known pages, until one that is not.
            match &self.table {
                Table::Dense { directory, leaves } => {
                    for (&word, out) in words[next..].iter().zip(&mut out[next..]) {
                        let Some(frame) = known(directory, leaves, (word & !WRITE_BIT) >> bits) else { break };
                        *out = word & offset_mask | frame << bits;
                        next += 1;
                    }
                }
                Table::Hashed(frames) => {
                    for (&word, out) in words[next..].iter().zip(&mut out[next..]) {
                        let Some(frame) = frames.get(&((word & !WRITE_BIT) >> bits)) else { break };
                        *out = word & offset_mask | frame << bits;
                        next += 1;
                    }
                }
            }
            let Some(word) = words.get(next) else { return Ok(()) };
            self.give((word & !WRITE_BIT) >> bits, real[next] & !WRITE_BIT).map_err(|error| (next, error))?;
        }
    }

    /// The frame of a page, a new one if it has none yet. `vaddr` is a real address in it.
    ///
    /// # Errors
    /// No frame is left.
    pub fn frame_of(&mut self, page: u64, vaddr: u64) -> Result<u64, NoFrame> {
        let frame = match &self.table {
            Table::Dense { directory, leaves } => known(directory, leaves, page),
            Table::Hashed(frames) => frames.get(&page).copied(),
        };
        match frame {
            Some(frame) => Ok(frame),
            None => self.give(page, vaddr),
        }
    }

    /// The physical address of one that is touched for the first time in its page.
    fn place(&mut self, vaddr: u64) -> Option<u64> {
        let Self { page, spaces, guest, .. } = self;
        let Some(guest) = guest else { return spaces.place(vaddr, *page, ASID) };
        let number = vaddr >> guest.page.bits();
        let place = match guest.places.get(&number) {
            Some(&place) => place,
            None => {
                let place = spaces.place(vaddr, guest.page, ASID)?;
                guest.places.insert(number, place);
                place
            }
        };
        spaces.back(place | vaddr & ((1 << guest.page.bits()) - 1))
    }

    #[cold]
    #[inline(never)]
    fn give(&mut self, page: u64, vaddr: u64) -> Result<u64, NoFrame> {
        let frame = self.place(vaddr).ok_or(NoFrame)? >> self.page.bits();
        match &mut self.table {
            Table::Dense { directory, leaves } => {
                let high = usize::try_from(page >> LEAF_BITS).expect("compact pages are few");
                if directory.len() <= high {
                    directory.resize(high + 1, 0);
                }
                if directory[high] == 0 {
                    directory[high] = u32::try_from(leaves.len() / LEAF).expect("frame numbers fit 32 bits");
                    leaves.resize(leaves.len() + LEAF, 0);
                }
                let low = usize::try_from(page & LEAF_MASK).expect("below the size of a leaf");
                leaves[directory[high] as usize * LEAF + low] =
                    u32::try_from(frame + 1).expect("frame numbers fit 32 bits");
            }
            Table::Hashed(frames) => {
                frames.insert(page, frame);
            }
        }
        Ok(frame)
    }
}

/// The frame of a page in the dense table.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "compact page numbers have at most 31 bits")]
fn known(directory: &[u32], leaves: &[u32], page: u64) -> Option<u64> {
    let leaf = *directory.get((page >> LEAF_BITS) as usize)? as usize;
    let frame = *leaves.get(leaf * LEAF + (page & LEAF_MASK) as usize)?;
    if frame == 0 { None } else { Some(u64::from(frame) - 1) }
}
