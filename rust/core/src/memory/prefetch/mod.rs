//! Prefetchers: which lines a level fetches before they are asked for.
//!
//! A prefetcher is one file behind [`Prefetcher`]. It sees the demand requests of its level, one after another, and names
//! lines; whether they are fetched is the hierarchy's business, and so are marks, arrival and counters. To add one: its
//! file, a variant of [`PrefetcherKind`], an arm of [`build`], a reference model in `tests/reference`.

mod next_line;
mod stream;
mod stride;

use super::config::{CacheConfig, PrefetcherKind};
use next_line::NextLine;
use stream::Stream;
use stride::Stride;

/// log2 of the bytes of the page that a prefetcher stays in, which is physical and always the smallest.
pub const PAGE_BITS: u32 = 12;

/// Lines named at a time; the check of a configuration holds it.
const DEGREE_MAX: usize = 16;

/// A demand request, as a prefetcher sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Where the reference starts.
    pub paddr: u64,
    /// The line of this level that it lies in.
    pub line: u64,
    /// Address of the instruction; 0 if unknown.
    pub ip: u64,
    /// Whether it missed, or was the first to hit a prefetched line.
    pub is_new: bool,
}

/// The lines that one request makes a prefetcher name, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Named {
    lines: [u64; DEGREE_MAX],
    count: usize,
}

impl Named {
    /// Appends a line.
    fn push(&mut self, line: u64) {
        self.lines[self.count] = line;
        self.count += 1;
    }

    /// The lines.
    pub fn lines(&self) -> &[u64] {
        &self.lines[..self.count]
    }
}

/// Names lines to fetch. Lines outside the page of the trigger may be named and are not fetched.
pub trait Prefetcher: Send {
    /// Sees a demand request and names at most as many lines as its degree.
    fn observe(&mut self, trigger: &Trigger, named: &mut Named);
}

/// The prefetcher of a cache, if it has one.
pub fn build(cache: &CacheConfig, line_bits: u32) -> Option<Box<dyn Prefetcher>> {
    let degree = cache.prefetch_degree;
    Some(match cache.prefetcher {
        PrefetcherKind::None => return None,
        PrefetcherKind::NextLine => Box::new(NextLine::new(degree)),
        PrefetcherKind::Stride => Box::new(Stride::new(degree, line_bits)),
        PrefetcherKind::Stream => Box::new(Stream::new(degree)),
    })
}

#[cfg(test)]
mod test_support {
    use super::*;

    /// No lines.
    pub const NONE: [u64; 0] = [];

    /// What a prefetcher names on a request of instruction `ip` to `paddr`, with lines of 64 bytes.
    pub fn observe(prefetcher: &mut dyn Prefetcher, paddr: u64, ip: u64, is_new: bool) -> Vec<u64> {
        let mut named = Named::default();
        prefetcher.observe(&Trigger { paddr, line: paddr / 64, ip, is_new }, &mut named);
        named.lines().to_vec()
    }
}
