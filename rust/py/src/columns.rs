//! Columns of any integer type into batches, a piece at a time.

use runq_core::trace::{ADDRESS_LIMIT, AccessKind, Batch, Columns, Place, SIZE_MAX, TraceError, WRITE_BIT};

/// A column of numbers or texts.
pub trait Rows: Send + Sync {
    /// Whether it holds texts.
    fn is_text(&self) -> bool;

    /// Appends the rows from `start` to `end` as unsigned numbers.
    ///
    /// # Errors
    /// The first row that holds none, and what it holds.
    fn load(&self, start: usize, end: usize, out: &mut Vec<u64>) -> Result<(), (usize, String)>;

    /// Appends the text of a row to `out`.
    ///
    /// # Errors
    /// What the row holds instead.
    fn text(&self, row: usize, out: &mut String) -> Result<(), String>;
}

/// The columns of a trace.
pub struct Table<C> {
    /// Byte addresses below 2^63.
    pub address: C,
    /// Bytes of each access.
    pub size: Option<C>,
    /// What each access does.
    pub kind: Option<C>,
    /// Thread of each access.
    pub thread: Option<C>,
    /// Instruction address of each access.
    pub ip: Option<C>,
}

/// Memory that is used again for every piece.
#[derive(Default)]
pub struct Scratch {
    numbers: Vec<u64>,
    text: String,
}

/// Kinds as numbers: the labels of the din format.
const READ: u64 = AccessKind::Read as u64;
const WRITE: u64 = AccessKind::Write as u64;
const FETCH: u64 = AccessKind::Fetch as u64;

const ADDRESS: &str = "an address below 2^63 (8 EiB)";
const SIZE: &str = "a size of 1 to 65536 bytes";
const KIND: &str = "a kind of read, write or fetch (or load, store, ifetch; r, w, i, l, s; 0, 1, 2)";
const THREAD: &str = "a thread below 2^32";
const IP: &str = "an instruction address below 2^63 (8 EiB)";

impl<C: Rows> Table<C> {
    /// Which columns there are.
    pub fn columns(&self) -> Columns {
        Columns {
            sizes: self.size.is_some(),
            fetches: self.kind.is_some(),
            threads: self.thread.is_some(),
            ips: self.ip.is_some(),
        }
    }

    /// Clears `batch` and fills it with the rows from `start` to `end`, of which messages count from `first`.
    ///
    /// # Errors
    /// The first value of the first column that is out of range, with its row.
    pub fn fill(
        &self,
        first: u64,
        (start, end): (usize, usize),
        batch: &mut Batch,
        scratch: &mut Scratch,
    ) -> Result<(), TraceError> {
        let malformed = |(row, expected, got): (usize, &str, String)| {
            TraceError::malformed("array", Place::Record(first + row as u64), expected, got)
        };
        batch.clear();
        self.fill_addresses(start, end, batch).map_err(malformed)?;
        let numbers = &mut scratch.numbers;
        if let Some(size) = &self.size {
            load(size, start, end, numbers, SIZE, |size| (1..=u64::from(SIZE_MAX)).contains(&size))
                .map_err(malformed)?;
            for (index, (&address, &size)) in batch.words.iter().zip(&*numbers).enumerate() {
                if address + size > ADDRESS_LIMIT {
                    return Err(malformed((start + index, ADDRESS, format!("{size} bytes at {address:#x}"))));
                }
            }
            batch.sizes.extend(numbers.iter().map(|&size| narrow(size)));
        }
        if let Some(thread) = &self.thread {
            load(thread, start, end, numbers, THREAD, |id| id <= u64::from(u32::MAX)).map_err(malformed)?;
            batch.threads.extend(numbers.iter().map(|&id| narrow(id)));
        }
        if let Some(ip) = &self.ip {
            load(ip, start, end, numbers, IP, |ip| ip < ADDRESS_LIMIT).map_err(malformed)?;
            batch.ips.extend_from_slice(numbers);
        }
        // Last, because it puts the write bits into the words.
        if let Some(kind) = &self.kind {
            fill_kinds(kind, (start, end), batch, scratch).map_err(malformed)?;
        }
        Ok(())
    }

    fn fill_addresses(&self, start: usize, end: usize, batch: &mut Batch) -> Result<(), (usize, &'static str, String)> {
        load(&self.address, start, end, &mut batch.words, ADDRESS, |address| address < ADDRESS_LIMIT)
    }
}

/// Loads numbers and holds each against `is_valid`.
fn load<C: Rows>(
    column: &C,
    start: usize,
    end: usize,
    numbers: &mut Vec<u64>,
    expected: &'static str,
    is_valid: impl Fn(u64) -> bool,
) -> Result<(), (usize, &'static str, String)> {
    numbers.clear();
    if column.is_text() {
        return Err((start, expected, "text".into()));
    }
    let loaded = column.load(start, end, numbers);
    match numbers.iter().position(|&number| !is_valid(number)) {
        Some(index) => Err((start + index, expected, numbers[index].to_string())),
        None => loaded.map_err(|(row, got)| (row, expected, got)),
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).expect("the number was held against its bounds")
}

/// Writes kinds into the write bits and the column of fetches, which stays empty while there is none.
fn fill_kinds<C: Rows>(
    column: &C,
    (start, end): (usize, usize),
    batch: &mut Batch,
    scratch: &mut Scratch,
) -> Result<(), (usize, &'static str, String)> {
    let Scratch { numbers, text } = scratch;
    if column.is_text() {
        numbers.clear();
        for row in start..end {
            text.clear();
            column.text(row, text).map_err(|got| (row, KIND, got))?;
            text.make_ascii_lowercase();
            numbers.push(number_of_kind(text).ok_or_else(|| (row, KIND, format!("{text:?}")))?);
        }
    } else {
        load(column, start, end, numbers, KIND, |kind| kind <= FETCH)?;
    }
    for (word, &kind) in batch.words.iter_mut().zip(&*numbers) {
        *word |= (kind & WRITE) * WRITE_BIT;
    }
    if numbers.contains(&FETCH) {
        batch.fetches.extend(numbers.iter().map(|&kind| kind == FETCH));
        // A fetch is its own instruction.
        for ((ip, &address), _) in
            batch.ips.iter_mut().zip(&batch.words).zip(&*numbers).filter(|(_, kind)| **kind == FETCH)
        {
            *ip = address;
        }
    }
    Ok(())
}

/// The words of the CSV format.
fn number_of_kind(text: &str) -> Option<u64> {
    match text {
        "read" | "r" | "load" | "l" | "0" => Some(READ),
        "write" | "w" | "store" | "s" | "1" => Some(WRITE),
        "fetch" | "i" | "ifetch" | "2" => Some(FETCH),
        _ => None,
    }
}
