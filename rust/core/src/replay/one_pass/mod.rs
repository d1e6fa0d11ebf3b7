//! One pass over a trace for many caches: what drives `memory::one_pass`.
//!
//! Takes the kind of access that is asked for, cuts it at lines, sends it through the inner levels if there are any, and
//! hands what these do not serve to the pass. Specification: `docs/miss-ratio-curves.md`.

mod options;

pub use options::{AssociativityOptions, CurveOptions, InputOptions, PassPolicy};

use crate::base::ConfigError;
use crate::memory::batch::{CHUNK, MissFilter};
use crate::memory::config::StreamKind;
use crate::memory::one_pass::{AllAssociativity, Curve, ExactCurve, SampledCurve, TooManyLines};
use crate::trace::BatchRef;
use crate::trace::batch::{ADDRESS_LIMIT, WRITE_BIT};

/// A pass that cannot go to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnePassError {
    /// More lines than memory.
    #[error(transparent)]
    TooManyLines(#[from] TooManyLines),
    /// No access of the kind that was asked for.
    #[error("one_pass.kind: no access is left to count: the trace has {accesses}, and none is of the kind asked for")]
    NothingCounted {
        /// Accesses in the trace.
        accesses: u64,
    },
}

/// What a pass counted of its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// References of the trace: accesses of the kind asked for, cut at lines.
    pub accesses: u64,
    /// Those of them that the inner levels did not serve: what the pass saw. Without inner levels all.
    pub references: u64,
    /// Accesses of another kind.
    pub ignored: u64,
}

/// From accesses to what a pass sees.
struct Input {
    kind: StreamKind,
    // Where accesses are cut.
    cut_bits: u32,
    inner: Option<MissFilter>,
    counts: Counts,
    // Accesses of the trace.
    seen: u64,
    cut: Vec<u64>,
    missed: Vec<u64>,
}

impl Input {
    fn new(options: &InputOptions) -> Self {
        let inner = options.inner.as_ref().map(|machine| MissFilter::new(machine, options.seed, true));
        Self {
            kind: options.kind,
            cut_bits: options.cut_bits(),
            inner,
            counts: Counts::default(),
            seen: 0,
            cut: Vec::new(),
            missed: Vec::new(),
        }
    }

    /// Hands what a pass sees of a batch to `each`, a piece at a time.
    fn feed<E>(&mut self, batch: BatchRef<'_>, mut each: impl FnMut(&[u64]) -> Result<(), E>) -> Result<(), E> {
        for start in (0..batch.len()).step_by(CHUNK) {
            let chunk = batch.slice(start, batch.len().min(start + CHUNK));
            self.seen += chunk.len() as u64;
            let words = if self.is_whole(chunk) {
                chunk.words
            } else {
                self.cut(chunk);
                &self.cut
            };
            self.counts.accesses += words.len() as u64;
            match &mut self.inner {
                None => each(words)?,
                Some(inner) => {
                    // Cutting may have made more than a chunk.
                    for words in words.chunks(CHUNK) {
                        inner.run(words, &mut self.missed);
                        self.counts.references += self.missed.len() as u64;
                        each(&self.missed)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether every access of a chunk is taken and lies within one line.
    fn is_whole(&self, chunk: BatchRef<'_>) -> bool {
        let line = 1u64 << self.cut_bits;
        let crosses = |(&word, &size): (&u64, &u32)| (word & !WRITE_BIT & (line - 1)) + u64::from(size) > line;
        let all_taken = match self.kind {
            StreamKind::Unified => true,
            StreamKind::Data => !chunk.fetches.contains(&true),
            StreamKind::Instruction => !chunk.fetches.is_empty() && !chunk.fetches.contains(&false),
        };
        all_taken && !chunk.words.iter().zip(chunk.sizes).any(crosses)
    }

    fn cut(&mut self, chunk: BatchRef<'_>) {
        self.cut.clear();
        for (index, &word) in chunk.words.iter().enumerate() {
            let is_fetch = chunk.fetches.get(index).is_some_and(|&fetch| fetch);
            if (is_fetch && !self.kind.takes_fetches()) || (!is_fetch && !self.kind.takes_data()) {
                self.counts.ignored += 1;
                continue;
            }
            let address = word & !WRITE_BIT;
            let size = chunk.sizes.get(index).map_or(1, |&size| u64::from(size.max(1)));
            let last = (address + size).min(ADDRESS_LIMIT) - 1;
            self.cut.push(word);
            for line in (address >> self.cut_bits) + 1..=last >> self.cut_bits {
                self.cut.push(line << self.cut_bits | (word & WRITE_BIT));
            }
        }
    }

    fn finish(&self) -> Result<Counts, OnePassError> {
        if self.counts.accesses == 0 {
            return Err(OnePassError::NothingCounted { accesses: self.seen });
        }
        let references = if self.inner.is_some() { self.counts.references } else { self.counts.accesses };
        Ok(Counts { references, ..self.counts })
    }
}

/// Caches of many numbers of sets and ways, in one pass.
pub struct AssociativityPass {
    input: Input,
    pass: AllAssociativity,
    sets: Vec<u64>,
    max_ways: u32,
}

/// Misses of caches of many geometries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssociativityResult {
    /// What was counted of the input.
    pub counts: Counts,
    /// Number of sets of each row; rows ascend by it and then by ways.
    pub sets: Vec<u64>,
    /// Number of ways.
    pub ways: Vec<u64>,
    /// Misses.
    pub misses: Vec<u64>,
}

impl AssociativityPass {
    /// Builds the caches.
    ///
    /// # Errors
    /// A broken rule of the options, with its path.
    pub fn new(options: &AssociativityOptions) -> Result<Self, ConfigError> {
        options.check()?;
        let mut sets = options.sets.clone();
        sets.sort_unstable();
        let set_bits: Vec<u32> = sets.iter().map(|sets| sets.trailing_zeros()).collect();
        let line_bits = options.input.line_bits();
        Ok(Self {
            input: Input::new(&options.input),
            pass: AllAssociativity::new(options.order.into(), line_bits, &set_bits, options.max_ways, true),
            sets,
            max_ways: options.max_ways,
        })
    }

    /// Takes a batch of any length.
    ///
    /// # Errors
    /// None; it is a result as that of the other pass is.
    pub fn feed(&mut self, batch: BatchRef<'_>) -> Result<(), OnePassError> {
        let pass = &mut self.pass;
        self.input.feed(batch, |words| {
            pass.feed(words);
            Ok(())
        })
    }

    /// Ends the pass.
    ///
    /// # Errors
    /// [`OnePassError::NothingCounted`].
    pub fn finish(self) -> Result<AssociativityResult, OnePassError> {
        let mut result = AssociativityResult { counts: self.input.finish()?, ..AssociativityResult::default() };
        for (&sets, misses) in self.sets.iter().zip(self.pass.misses()) {
            result.sets.extend(misses.iter().map(|_| sets));
            result.ways.extend(1..=u64::from(self.max_ways));
            result.misses.extend(misses);
        }
        Ok(result)
    }
}

/// Fully associative LRU caches of every size, in one pass.
pub struct CurvePass {
    input: Input,
    pass: Pass,
}

enum Pass {
    Exact(Box<ExactCurve>),
    Sampled(Box<SampledCurve>),
}

impl CurvePass {
    /// Prepares the pass.
    ///
    /// # Errors
    /// A broken rule of the options, with its path.
    pub fn new(options: &CurveOptions) -> Result<Self, ConfigError> {
        options.check()?;
        let line_bits = options.input.line_bits();
        let pass = match options.rate() {
            None => Pass::Exact(Box::new(ExactCurve::new(line_bits))),
            Some(rate) => Pass::Sampled(Box::new(SampledCurve::new(line_bits, rate, options.input.seed))),
        };
        Ok(Self { input: Input::new(&options.input), pass })
    }

    /// Takes a batch of any length.
    ///
    /// # Errors
    /// [`OnePassError::TooManyLines`].
    pub fn feed(&mut self, batch: BatchRef<'_>) -> Result<(), OnePassError> {
        let pass = &mut self.pass;
        self.input.feed(batch, |words| {
            match pass {
                Pass::Exact(pass) => pass.feed(words)?,
                Pass::Sampled(pass) => pass.feed(words)?,
            }
            Ok(())
        })
    }

    /// Ends the pass.
    ///
    /// # Errors
    /// [`OnePassError::NothingCounted`].
    pub fn finish(self) -> Result<(Counts, Curve), OnePassError> {
        let counts = self.input.finish()?;
        let curve = match self.pass {
            Pass::Exact(pass) => pass.curve(),
            Pass::Sampled(pass) => pass.curve(),
        };
        Ok((counts, curve))
    }
}
