//! What is in a trace: how many accesses of which kind and size, how much memory they touch.
//!
//! The lines that were touched are kept as one 64-bit map for each 4 KiB page, so that counting is exact for up to
//! [`PAGES_MAX`] pages (14 GiB of touched memory) in some 110 MB, and a lower bound beyond.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::input::widen;
use super::{AccessKind, BatchRef};

/// Bytes of a line.
pub const LINE_BYTES: u64 = 64;

/// Bytes of a page.
pub const PAGE_BYTES: u64 = 4096;

/// Pages that are told apart: what a hash table of 2^22 buckets holds.
pub const PAGES_MAX: usize = (1 << 22) / 8 * 7;

/// Threads that are told apart.
pub const THREADS_MAX: usize = 1 << 16;

/// Gathers what is in a trace, a batch at a time.
#[derive(Debug, Default)]
pub struct TraceInfo {
    summary: TraceSummary,
    sizes: BTreeMap<u32, u64>,
    threads: HashSet<u32>,
    /// Touched lines of each touched page.
    pages: HashMap<u64, u64>,
    /// The page that was touched last, and the lines touched since it became that.
    last: Option<(u64, u64)>,
    last_thread: Option<u32>,
    /// The size seen last, and how often since it changed.
    last_size: (u32, u64),
}

/// What is in a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceSummary {
    /// Accesses of every kind.
    pub accesses: u64,
    /// Loads.
    pub reads: u64,
    /// Stores.
    pub writes: u64,
    /// Instruction fetches.
    pub fetches: u64,
    /// Distinct thread ids; at least 1 unless the trace is empty.
    pub threads: u64,
    /// Whether there may be more threads than [`Self::threads`], since [`THREADS_MAX`] were told apart.
    pub threads_is_lower_bound: bool,
    /// Distinct 64-byte lines that some byte was accessed of, by fetches too.
    pub lines: u64,
    /// Distinct 4 KiB pages, likewise.
    pub pages: u64,
    /// Whether there may be more lines and pages, since [`PAGES_MAX`] were told apart.
    pub pages_is_lower_bound: bool,
    /// The lowest address that was accessed.
    pub lowest_address: Option<u64>,
    /// The highest address that was accessed: that of the last byte of an access.
    pub highest_address: Option<u64>,
    /// Sum of all sizes.
    pub bytes: u64,
    /// Accesses of which not all bytes lie in one 64-byte line.
    pub line_crossings: u64,
    /// How many accesses have each size, by size.
    pub sizes: Vec<(u32, u64)>,
}

impl TraceInfo {
    /// Starts with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds accesses.
    pub fn add(&mut self, batch: BatchRef<'_>) {
        for index in 0..batch.len() {
            let access = batch.get(index);
            let size = access.size.max(1);
            let (first, last) = (access.address, access.address.saturating_add(u64::from(size) - 1));
            match access.kind {
                AccessKind::Read => self.summary.reads += 1,
                AccessKind::Write => self.summary.writes += 1,
                AccessKind::Fetch => self.summary.fetches += 1,
            }
            self.summary.bytes += u64::from(access.size);
            self.summary.line_crossings += u64::from(first / LINE_BYTES != last / LINE_BYTES);
            self.summary.lowest_address = Some(self.summary.lowest_address.map_or(first, |lowest| lowest.min(first)));
            self.summary.highest_address = Some(self.summary.highest_address.map_or(last, |highest| highest.max(last)));
            self.add_size(access.size);
            self.add_thread(access.thread);
            for page in first / PAGE_BYTES..=last / PAGE_BYTES {
                self.add_lines(page, lines_of(page, first, last));
            }
        }
        self.summary.accesses += widen(batch.len());
    }

    /// Says what there was.
    pub fn finish(mut self) -> TraceSummary {
        self.flush_lines();
        self.flush_sizes();
        TraceSummary {
            threads: widen(self.threads.len()),
            lines: self.pages.values().map(|lines| u64::from(lines.count_ones())).sum(),
            pages: widen(self.pages.len()),
            sizes: self.sizes.into_iter().filter(|&(_, count)| count > 0).collect(),
            ..self.summary
        }
    }

    #[inline]
    fn add_size(&mut self, size: u32) {
        if self.last_size.0 != size {
            self.flush_sizes();
            self.last_size = (size, 0);
        }
        self.last_size.1 += 1;
    }

    fn flush_sizes(&mut self) {
        let (size, count) = self.last_size;
        *self.sizes.entry(size).or_default() += count;
    }

    #[inline]
    fn add_thread(&mut self, thread: u32) {
        if self.last_thread == Some(thread) {
            return;
        }
        self.last_thread = Some(thread);
        if self.threads.len() < THREADS_MAX {
            self.threads.insert(thread);
        } else if !self.threads.contains(&thread) {
            self.summary.threads_is_lower_bound = true;
        }
    }

    #[inline]
    fn add_lines(&mut self, page: u64, lines: u64) {
        match &mut self.last {
            Some((last_page, last_lines)) if *last_page == page => *last_lines |= lines,
            _ => {
                self.flush_lines();
                self.last = Some((page, lines));
            }
        }
    }

    fn flush_lines(&mut self) {
        let Some((page, lines)) = self.last.take() else { return };
        let is_full = self.pages.len() >= PAGES_MAX;
        match self.pages.get_mut(&page) {
            Some(known) => *known |= lines,
            None if is_full => self.summary.pages_is_lower_bound = true,
            None => {
                self.pages.insert(page, lines);
            }
        }
    }
}

/// The lines of `page` that the bytes from `first` to `last` lie in, as bits.
fn lines_of(page: u64, first: u64, last: u64) -> u64 {
    let start = page * PAGE_BYTES;
    let from = first.saturating_sub(start) / LINE_BYTES;
    let to = (last - start).min(PAGE_BYTES - 1) / LINE_BYTES;
    (u64::MAX << from) & (u64::MAX >> (PAGE_BYTES / LINE_BYTES - 1 - to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Access, Batch, Columns};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const ALL: Columns = Columns { sizes: true, fetches: true, threads: true, ips: true };

    fn summary_of(accesses: &[Access]) -> TraceSummary {
        let mut info = TraceInfo::new();
        let mut batch = Batch::default();
        for &access in accesses {
            batch.push(access, ALL);
        }
        info.add(batch.as_ref());
        info.finish()
    }

    #[test]
    fn empty_trace_has_nothing() {
        assert_eq!(TraceInfo::new().finish(), TraceSummary::default());
    }

    #[test]
    fn access_over_two_pages_touches_lines_of_both() {
        let access = Access { address: 4096 * 3 - 64, size: 65, kind: AccessKind::Write, thread: 0, ip: 0 };
        let summary = summary_of(&[access]);
        assert_eq!((summary.lines, summary.pages, summary.line_crossings), (2, 2, 1));
        assert_eq!((summary.lowest_address, summary.highest_address), (Some(12224), Some(12288)));
        assert_eq!(summary.sizes, [(65, 1)]);
    }

    fn any_access() -> impl Strategy<Value = Access> {
        let kind = prop_oneof![Just(AccessKind::Read), Just(AccessKind::Write), Just(AccessKind::Fetch)];
        (prop_oneof![0u64..20_000, 0u64..1 << 62], prop_oneof![1u32..20, 1u32..65536], kind, 0u32..4)
            .prop_map(|(address, size, kind, thread)| Access { address, size, kind, thread, ip: 0 })
    }

    proptest! {
        #[test]
        fn counts_are_those_of_sets_of_numbers(accesses in prop::collection::vec(any_access(), 0..40)) {
            let touched = |bytes: u64| accesses
                .iter()
                .flat_map(|a| a.address / bytes..=(a.address + u64::from(a.size) - 1) / bytes)
                .collect::<BTreeSet<_>>()
                .len();
            let summary = summary_of(&accesses);
            prop_assert_eq!(summary.lines, widen(touched(LINE_BYTES)));
            prop_assert_eq!(summary.pages, widen(touched(PAGE_BYTES)));
            prop_assert_eq!(summary.threads, widen(accesses.iter().map(|a| a.thread).collect::<BTreeSet<_>>().len()));
            prop_assert_eq!(summary.bytes, accesses.iter().map(|a| u64::from(a.size)).sum::<u64>());
            prop_assert_eq!(summary.sizes.iter().map(|size| size.1).sum::<u64>(), summary.accesses);
            prop_assert_eq!(summary.reads + summary.writes + summary.fetches, summary.accesses);
            prop_assert!(!summary.pages_is_lower_bound && !summary.threads_is_lower_bound);
        }
    }
}
