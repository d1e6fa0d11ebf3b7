//! From accesses to references: fetches that nobody takes are dropped, the rest is cut at line boundaries.

use crate::memory::MachineConfig;
use crate::trace::batch::{ADDRESS_LIMIT, WRITE_BIT};
use crate::trace::{AccessKind, Batch, BatchRef, Columns};

/// Where accesses are cut when there is no cache on their path: log2 of the bytes.
const CUT_BITS: u32 = 6;

/// Cuts accesses for one machine.
pub(super) struct Cutter {
    takes_fetches: bool,
    data_bits: u32,
    fetch_bits: u32,
    columns: Columns,
    pieces: Batch,
    // Index of the access, in the batch it came from, that each piece is a part of.
    origins: Vec<usize>,
}

/// References, each within one line.
pub(super) struct Pieces<'a> {
    /// The references; `sizes` are theirs, or empty where every access was one already.
    pub batch: BatchRef<'a>,
    /// Index of the access in the batch that each comes from, or empty: the same index.
    pub origins: &'a [usize],
}

/// Accesses taken from the front of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Accesses of the batch that were looked at.
    pub consumed: usize,
    /// Those of them that count as accesses on this machine.
    pub accesses: usize,
}

impl Cutter {
    pub fn new(machine: &MachineConfig, takes_fetches: bool, columns: Columns) -> Self {
        let line_bits = |takes: fn(&crate::memory::config::CacheConfig) -> bool| {
            machine.caches.iter().find(|cache| takes(cache)).map_or(CUT_BITS, |c| c.line_size.bytes().trailing_zeros())
        };
        Self {
            takes_fetches,
            data_bits: line_bits(|cache| cache.stream_kind().takes_data()),
            fetch_bits: line_bits(|cache| cache.stream_kind().takes_fetches()),
            columns,
            pieces: Batch::default(),
            origins: Vec::new(),
        }
    }

    /// How many accesses from the front of `batch` are needed for `wanted` that the machine takes.
    pub fn take(&self, batch: BatchRef<'_>, wanted: usize) -> Taken {
        if self.takes_fetches || batch.fetches.is_empty() {
            let count = wanted.min(batch.len());
            return Taken { consumed: count, accesses: count };
        }
        let mut taken = Taken::default();
        for &fetch in batch.fetches {
            if taken.accesses == wanted {
                break;
            }
            taken.consumed += 1;
            taken.accesses += usize::from(!fetch);
        }
        taken
    }

    /// The references of a batch.
    pub fn cut<'a>(&'a mut self, batch: BatchRef<'a>) -> Pieces<'a> {
        let drops = !self.takes_fetches && batch.fetches.contains(&true);
        if !drops && !self.crosses(batch) {
            return Pieces { batch, origins: &[] };
        }
        self.pieces.clear();
        self.origins.clear();
        for index in 0..batch.len() {
            let access = batch.get(index);
            let line_bits = match access.kind {
                AccessKind::Fetch if !self.takes_fetches => continue,
                AccessKind::Fetch => self.fetch_bits,
                AccessKind::Read | AccessKind::Write => self.data_bits,
            };
            let end = (access.address + u64::from(access.size.max(1))).min(ADDRESS_LIMIT);
            let mut address = access.address;
            while address < end {
                let line_end = ((address >> line_bits) + 1) << line_bits;
                let size = u32::try_from(end.min(line_end) - address).expect("a part of an access");
                self.pieces.push(crate::trace::Access { address, size, ..access }, self.columns);
                self.origins.push(index);
                address = line_end;
            }
        }
        Pieces { batch: self.pieces.as_ref(), origins: &self.origins }
    }

    /// Whether an access crosses a line, for all that its size says.
    fn crosses(&self, batch: BatchRef<'_>) -> bool {
        // Fetches count as the kind with the shorter lines: then nothing is cut that need not be, as `cut` knows better.
        let line = 1u64 << self.data_bits.min(self.fetch_bits);
        batch
            .words
            .iter()
            .zip(batch.sizes)
            .any(|(&word, &size)| (word & !WRITE_BIT & (line - 1)) + u64::from(size) > line)
    }
}
