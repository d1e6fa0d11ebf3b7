//! A batch of accesses in columns: the currency between readers and simulators.
//!
//! The main column is the record of the raw `.u64` format: bit 63 says write, bits 0..62 are the byte address. A raw
//! trace in memory therefore is a batch already and is never copied. The other columns are empty where a trace does
//! not have them.

/// The bit of a word that says that the access writes.
pub const WRITE_BIT: u64 = 1 << 63;

/// Addresses lie below this: 8 EiB.
pub const ADDRESS_LIMIT: u64 = 1 << 63;

/// The largest access, in bytes. Longer ones do not exist in any instruction set and point to a broken trace.
pub const SIZE_MAX: u32 = 1 << 16;

/// What an access does. The numbers are the labels of the dinero format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AccessKind {
    /// A load.
    Read = 0,
    /// A store.
    Write = 1,
    /// An instruction fetch.
    Fetch = 2,
}

impl AccessKind {
    /// The word for it in CSV traces and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Fetch => "fetch",
        }
    }
}

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Byte address, below [`ADDRESS_LIMIT`].
    pub address: u64,
    /// Bytes, from 1 to [`SIZE_MAX`].
    pub size: u32,
    /// What it does.
    pub kind: AccessKind,
    /// The thread that made it; 0 where the trace does not say.
    pub thread: u32,
    /// Address of the instruction that made it; 0 where the trace does not say. A fetch has its own address here.
    pub ip: u64,
}

/// Which optional columns a trace has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Accesses have sizes; otherwise each counts as 1 byte.
    pub sizes: bool,
    /// Some accesses are instruction fetches.
    pub fetches: bool,
    /// Accesses have thread ids.
    pub threads: bool,
    /// Accesses have instruction addresses.
    pub ips: bool,
}

/// Accesses in columns that own their memory. A reader fills the same batch again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Address in bits 0..62, [`WRITE_BIT`] on a write.
    pub words: Vec<u64>,
    /// Bytes of each access, or empty: 1 byte each.
    pub sizes: Vec<u32>,
    /// Whether each access is an instruction fetch, or empty: none is.
    pub fetches: Vec<bool>,
    /// Thread of each access, or empty: all 0.
    pub threads: Vec<u32>,
    /// Instruction address of each access, or empty: unknown.
    pub ips: Vec<u64>,
}

impl Batch {
    /// Forgets the accesses and keeps the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.sizes.clear();
        self.fetches.clear();
        self.threads.clear();
        self.ips.clear();
    }

    /// Number of accesses.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no access.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Makes room for `additional` more accesses in the columns that `columns` names.
    pub fn reserve(&mut self, additional: usize, columns: Columns) {
        self.words.reserve(additional);
        self.sizes.reserve(if columns.sizes { additional } else { 0 });
        self.fetches.reserve(if columns.fetches { additional } else { 0 });
        self.threads.reserve(if columns.threads { additional } else { 0 });
        self.ips.reserve(if columns.ips { additional } else { 0 });
    }

    /// Takes the last access off.
    pub fn pop(&mut self) -> Option<Access> {
        let last = self.len().checked_sub(1)?;
        let access = self.as_ref().get(last);
        self.words.pop();
        self.sizes.pop();
        self.fetches.pop();
        self.threads.pop();
        self.ips.pop();
        Some(access)
    }

    /// Appends an access, writing exactly the columns that `columns` names.
    #[inline]
    pub fn push(&mut self, access: Access, columns: Columns) {
        debug_assert!(access.address < ADDRESS_LIMIT, "readers refuse addresses of 8 EiB and more");
        let write = if access.kind == AccessKind::Write { WRITE_BIT } else { 0 };
        self.words.push(access.address | write);
        if columns.sizes {
            self.sizes.push(access.size);
        }
        if columns.fetches {
            self.fetches.push(access.kind == AccessKind::Fetch);
        }
        if columns.threads {
            self.threads.push(access.thread);
        }
        if columns.ips {
            self.ips.push(access.ip);
        }
    }

    /// The same accesses, borrowed.
    pub fn as_ref(&self) -> BatchRef<'_> {
        BatchRef {
            words: &self.words,
            sizes: &self.sizes,
            fetches: &self.fetches,
            threads: &self.threads,
            ips: &self.ips,
        }
    }
}

/// Borrowed columns; the optional ones are empty or as long as `words`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchRef<'a> {
    /// Address in bits 0..62, [`WRITE_BIT`] on a write.
    pub words: &'a [u64],
    /// Bytes of each access, or empty: 1 byte each.
    pub sizes: &'a [u32],
    /// Whether each access is an instruction fetch, or empty: none is.
    pub fetches: &'a [bool],
    /// Thread of each access, or empty: all 0.
    pub threads: &'a [u32],
    /// Instruction address of each access, or empty: unknown.
    pub ips: &'a [u64],
}

impl<'a> BatchRef<'a> {
    /// A batch of words alone.
    pub fn from_words(words: &'a [u64]) -> Self {
        Self { words, ..Self::default() }
    }

    /// Number of accesses.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no access.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The accesses from `start` up to `end`.
    pub fn slice(&self, start: usize, end: usize) -> Self {
        fn cut<T>(column: &[T], start: usize, end: usize) -> &[T] {
            if column.is_empty() { column } else { &column[start..end] }
        }
        Self {
            words: &self.words[start..end],
            sizes: cut(self.sizes, start, end),
            fetches: cut(self.fetches, start, end),
            threads: cut(self.threads, start, end),
            ips: cut(self.ips, start, end),
        }
    }

    /// The access at `index`, put together from the columns.
    pub fn get(&self, index: usize) -> Access {
        let word = self.words[index];
        let kind = if word & WRITE_BIT != 0 {
            AccessKind::Write
        } else if self.fetches.get(index).copied().unwrap_or(false) {
            AccessKind::Fetch
        } else {
            AccessKind::Read
        };
        Access {
            address: word & !WRITE_BIT,
            size: self.sizes.get(index).copied().unwrap_or(1),
            kind,
            thread: self.threads.get(index).copied().unwrap_or(0),
            ip: self.ips.get(index).copied().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_comes_back_from_exactly_the_columns_that_are_there() {
        let access = Access { address: 9, size: 4, kind: AccessKind::Write, thread: 2, ip: 7 };
        for bits in 0..16u8 {
            let has = |bit: u8| bits & bit != 0;
            let columns = Columns { sizes: has(1), fetches: has(2), threads: has(4), ips: has(8) };
            let mut batch = Batch::default();
            batch.push(access, columns);
            let expected = Access {
                size: if columns.sizes { 4 } else { 1 },
                thread: if columns.threads { 2 } else { 0 },
                ip: if columns.ips { 7 } else { 0 },
                ..access
            };
            assert_eq!(batch.as_ref().get(0), expected);
            assert_eq!(batch.pop(), Some(expected));
            assert_eq!(batch, Batch::default());
            assert_eq!(batch.pop(), None);
        }
    }
}
