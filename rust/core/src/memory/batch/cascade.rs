//! Levels in a row: what one asks, the next serves, chunk by chunk.
//!
//! Fronts are levels for data alone and for fetches alone; behind them, levels for both. Where both fronts have levels
//! their requests are merged by position in the chunk. TLBs are levels whose lines are pages and where nothing becomes
//! dirty.

use super::kernel::{self, Dirty, Kernel, Requests};
use super::words::{Buffer, count_flags, count_writes, of_cpu};
use crate::base::Rng;
use crate::memory::config::{ReplacementKind, StreamKind};
use crate::memory::geometry::Geometry;
use crate::memory::stats::LevelStats;

/// What a level of a cascade is made of.
pub(super) struct LevelPlan {
    /// The level's place in the machine's list.
    pub index: usize,
    pub geometry: Geometry,
    pub replacement: ReplacementKind,
    pub stream: StreamKind,
    pub rng: Rng,
}

/// How lines become dirty in a cascade.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stores {
    /// Never: TLBs.
    Ignored,
    /// In the first level, and further out by write-backs if they are presented.
    WriteBack { presented: bool },
}

/// References on their way into a cascade, in the order of the trace.
pub(super) struct Input<'a> {
    /// All references.
    pub all: &'a [u64],
    /// Which of them are fetches; empty if none is.
    pub fetches: &'a [bool],
}

struct Level {
    kernel: Box<dyn Kernel>,
    index: usize,
    out: Buffer,
}

/// Levels in a row.
pub(super) struct Cascade {
    data: Vec<Level>,
    fetch: Vec<Level>,
    unified: Vec<Level>,
    stores: Stores,
    data_words: Buffer,
    fetch_words: Buffer,
    merged: Buffer,
    /// Counters of all levels, in the order of the machine's list.
    pub stats: Vec<LevelStats>,
    /// References of data and of fetches that no level served.
    pub unserved: [u64; 2],
}

impl Cascade {
    /// Builds the levels, of a machine that has `listed` of them, for chunks of at most `chunk` references. Those for one
    /// kind come before those for both.
    pub fn new(plans: Vec<LevelPlan>, listed: usize, stores: Stores, chunk: usize, wide: bool, simd: bool) -> Self {
        let split = plans.iter().any(|plan| plan.stream != StreamKind::Unified);
        let stats = vec![LevelStats::default(); listed];
        let (mut data, mut fetch, mut unified) = (Vec::new(), Vec::new(), Vec::new());
        // Every level adds at most one dirty victim to each request, so that words grow by a chunk a level.
        let room = |level: usize| (level + 3) * chunk;
        for (place, plan) in plans.into_iter().enumerate() {
            let front = plan.stream != StreamKind::Unified;
            let kernel = kernel::build(plan.geometry, plan.replacement, plan.rng, wide, simd);
            let level = Level { kernel, index: plan.index, out: Buffer::with_capacity(2 * room(place), front) };
            match plan.stream {
                StreamKind::Data => data.push(level),
                StreamKind::Instruction => fetch.push(level),
                StreamKind::Unified => unified.push(level),
            }
        }
        let split_room = if split { chunk } else { 0 };
        let merged_room = if split { 2 * room(data.len() + fetch.len()) } else { 0 };
        Self {
            data,
            fetch,
            unified,
            stores,
            data_words: Buffer::with_capacity(split_room, true),
            fetch_words: Buffer::with_capacity(split_room, true),
            merged: Buffer::with_capacity(merged_room, false),
            stats,
            unserved: [0; 2],
        }
    }

    /// The outermost level of data and of fetches, as its place in the machine's list.
    pub fn last_of_paths(&self) -> [Option<usize>; 2] {
        [&self.data, &self.fetch].map(|front| self.unified.last().or(front.last()).map(|level| level.index))
    }

    /// Goes over to 64-bit entries in all levels; `original` gives the real address of a compact one.
    pub fn widen(&mut self, original: &dyn Fn(u64) -> u64) {
        for level in self.data.iter_mut().chain(&mut self.fetch).chain(&mut self.unified) {
            level.kernel.widen(original);
        }
    }

    /// Counts references of data that hit the first level and need not be sent through it.
    pub fn count_hits(&mut self, hits: u64) {
        let first = self.data.first().or(self.unified.first()).expect("data has a level");
        self.stats[first.index].reads += hits;
    }

    /// Sends a chunk through the levels.
    pub fn run(&mut self, input: &Input<'_>) {
        let has_fronts = !(self.data.is_empty() && self.fetch.is_empty());
        if has_fronts && !input.fetches.is_empty() {
            self.run_split(input);
            return;
        }
        // Data alone, or one path for both: no order to restore. Which kind is left in the end no longer shows, but
        // then both cost the same.
        let all = Requests { words: input.all, count: input.all.len(), positions: &[], from_cpu: true };
        let (stats, stores) = (&mut self.stats, self.stores);
        let flow = Flow { requests: all, writes: count_writes(input.all), victims: 0 };
        let left = run_row(&mut self.data, flow, stores, stats);
        let left = run_row(&mut self.unified, left, stores, stats);
        self.unserved[0] += left.demand();
    }

    fn run_split(&mut self, input: &Input<'_>) {
        split(input, &mut self.data_words, &mut self.fetch_words);
        let (stats, stores) = (&mut self.stats, self.stores);
        let writes = count_writes(input.all);
        let data = Flow { requests: from_cpu(&self.data_words), writes, victims: 0 };
        let data = run_row(&mut self.data, data, stores, stats);
        let fetch = Flow { requests: from_cpu(&self.fetch_words), writes: 0, victims: 0 };
        let fetch = run_row(&mut self.fetch, fetch, stores, stats);
        if self.unified.is_empty() {
            self.unserved[0] += data.demand();
            self.unserved[1] += fetch.demand();
            return;
        }
        merge(&mut self.merged, data.requests, fetch.requests);
        let merged = Flow {
            requests: Requests { words: &self.merged.words, count: self.merged.len, positions: &[], from_cpu: false },
            writes: data.writes + fetch.writes,
            victims: data.victims + fetch.victims,
        };
        let left = run_row(&mut self.unified, merged, stores, stats);
        self.unserved[0] += left.demand();
    }
}

/// Requests on their way, with the number of stores and of dirty victims among them.
struct Flow<'a> {
    requests: Requests<'a>,
    writes: u64,
    victims: u64,
}

impl Flow<'_> {
    /// How many requests are demand: references, or fills for them.
    fn demand(&self) -> u64 {
        self.requests.count as u64 - self.victims
    }
}

/// Sends requests through levels in a row, counting at each; returns what the last one asks.
fn run_row<'a>(levels: &'a mut [Level], flow: Flow<'a>, stores: Stores, stats: &mut [LevelStats]) -> Flow<'a> {
    let mut flow = flow;
    for level in levels {
        let requests = flow.requests;
        let dirty = match stores {
            Stores::Ignored => Dirty::Never,
            Stores::WriteBack { presented: true } => Dirty::Presented,
            Stores::WriteBack { presented: false } if requests.from_cpu => Dirty::Counted,
            Stores::WriteBack { presented: false } => Dirty::Never,
        };
        let tally = level.kernel.run(requests, dirty, &mut level.out);
        let (writes, victims) = count_flags(level.out.words());
        let positions: &[u16] = if requests.positions.is_empty() { &[] } else { &level.out.positions };
        let asks = Requests { words: &level.out.words, count: level.out.len, positions, from_cpu: false };
        let next = Flow { requests: asks, writes, victims };
        let stats = &mut stats[level.index];
        stats.reads += flow.demand() - flow.writes;
        stats.writes += flow.writes;
        stats.misses += next.demand();
        stats.write_misses += next.writes;
        stats.read_misses += next.demand() - next.writes;
        stats.write_backs_in += flow.victims;
        stats.write_back_misses += tally.misses - next.demand();
        stats.write_backs += next.victims + tally.hidden_victims;
        flow = next;
    }
    flow
}

fn from_cpu(buffer: &Buffer) -> Requests<'_> {
    Requests { words: &buffer.words, count: buffer.len, positions: &buffer.positions, from_cpu: true }
}

/// Sorts references by kind and notes where each stood.
fn split(input: &Input<'_>, data: &mut Buffer, fetch: &mut Buffer) {
    (data.len, fetch.len) = (0, 0);
    for ((position, &word), &is_fetch) in (0..=u16::MAX).zip(input.all).zip(input.fetches) {
        // Both are written and one is kept: no branch on the kind.
        data.words[data.len] = word;
        data.positions[data.len] = position;
        fetch.words[fetch.len] = word;
        fetch.positions[fetch.len] = position;
        fetch.len += usize::from(is_fetch);
        data.len += usize::from(!is_fetch);
    }
}

/// Brings the requests of both fronts back into the order of the trace, in the form that levels pass on.
fn merge(merged: &mut Buffer, data: Requests<'_>, fetch: Requests<'_>) {
    let (mut i, mut j) = (0, 0);
    for place in 0..data.count + fetch.count {
        let take_data = j == fetch.count || (i < data.count && data.positions[i] <= fetch.positions[j]);
        let (from, index) = if take_data { (data, &mut i) } else { (fetch, &mut j) };
        let word = from.words[*index];
        merged.words[place] = if from.from_cpu { of_cpu(word) } else { word };
        *index += 1;
    }
    merged.len = data.count + fetch.count;
}

#[cfg(test)]
mod tests {
    use super::super::words::{DIRTY_VICTIM, FOR_STORE};
    use super::*;

    fn buffer(pairs: &[(u64, u16)]) -> Buffer {
        let mut buffer = Buffer::with_capacity(8, true);
        for &(word, position) in pairs {
            buffer.words[buffer.len] = word;
            buffer.positions[buffer.len] = position;
            buffer.len += 1;
        }
        buffer
    }

    #[test]
    fn merge_restores_the_order_of_the_trace() {
        let data = buffer(&[(4, 0), (8, 3), (8 | DIRTY_VICTIM, 3)]);
        let fetch = buffer(&[(20, 1), (24, 2)]);
        let mut merged = Buffer::with_capacity(8, false);
        let passed_on = |buffer| Requests { from_cpu: false, ..from_cpu(buffer) };
        merge(&mut merged, passed_on(&data), passed_on(&fetch));
        assert_eq!(merged.words(), [4, 20, 24, 8, 8 | DIRTY_VICTIM]);
    }

    #[test]
    fn requests_of_the_cpu_are_passed_on_as_fills() {
        let mut merged = Buffer::with_capacity(8, false);
        merge(&mut merged, from_cpu(&buffer(&[(65 | 1 << 63, 0)])), from_cpu(&buffer(&[])));
        assert_eq!(merged.words(), [64 | FOR_STORE]);
    }
}
