//! Levels in a row: what one asks, the next serves, chunk by chunk.
//!
//! Fronts are levels for data alone and for fetches alone; behind them, levels for both. Where both fronts have levels
//! their requests are merged by position in the chunk. TLBs are levels whose lines are pages and where nothing becomes
//! dirty.

use super::kernel::{self, Dirty, Kernel, Requests};
use super::words::{Buffer, WALK, count_flags, count_flags_and_walks, count_writes, of_cpu};
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
    /// Where each stood in the chunk, if some are left out; then none is a fetch.
    pub positions: &'a [u16],
    /// What page walks read before them.
    pub walks: Walks<'a>,
}

/// Reads of page walks, in order, each before the reference at its position.
#[derive(Clone, Copy, Default)]
pub(super) struct Walks<'a> {
    pub reads: &'a [EntryRead],
    /// Position of the first reference, from which those of the cascade count.
    pub base: u16,
}

/// An entry of a page table that is read.
#[derive(Clone, Copy)]
pub(super) struct EntryRead {
    pub paddr: u64,
    /// Position of the reference that it is read for.
    pub position: u16,
}

/// What page walks have to do with a cascade.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Walking {
    /// Nothing.
    No,
    /// Its misses are walks: their positions are told.
    Causes,
    /// Their reads enter at the level at this place of the machine's list.
    EntersAt(usize),
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
    walking: Walking,
    with_walks: Buffer,
    bumps: Vec<u16>,
    // Ascending: the positions of a chunk that nothing is left out of.
    in_order: Vec<u16>,
    /// Positions in the last chunk of the references that no level served, of a cascade that causes walks.
    pub unserved_positions: Vec<u16>,
    /// Counters of all levels, in the order of the machine's list.
    pub stats: Vec<LevelStats>,
    /// References of data and of fetches that no level served.
    pub unserved: [u64; 2],
}

impl Cascade {
    /// Builds the levels, of a machine that has `listed` of them, for chunks of at most `chunk` references. Those for one
    /// kind come before those for both.
    pub fn new(
        plans: Vec<LevelPlan>,
        listed: usize,
        stores: Stores,
        walking: Walking,
        chunk: usize,
        wide: bool,
        simd: bool,
    ) -> Self {
        let split = walking != Walking::No || plans.iter().any(|plan| plan.stream != StreamKind::Unified);
        let stats = vec![LevelStats::default(); listed];
        let levels = plans.len();
        let (mut data, mut fetch, mut unified) = (Vec::new(), Vec::new(), Vec::new());
        // Every level adds at most one dirty victim to each request, so that words grow by a chunk a level.
        let room = |level: usize| (level + 3) * chunk;
        for (place, plan) in plans.into_iter().enumerate() {
            let front = walking != Walking::No || plan.stream != StreamKind::Unified;
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
        let entered_room = if matches!(walking, Walking::EntersAt(_)) { 2 * room(levels) } else { 0 };
        Self {
            data,
            fetch,
            unified,
            stores,
            data_words: Buffer::with_capacity(split_room, true),
            fetch_words: Buffer::with_capacity(split_room, true),
            merged: Buffer::with_capacity(merged_room, walking != Walking::No),
            with_walks: Buffer::with_capacity(entered_room, true),
            bumps: vec![0; if walking == Walking::No { 0 } else { chunk }],
            walking,
            in_order: if walking == Walking::No { Vec::new() } else { (0..=u16::MAX).take(chunk).collect() },
            unserved_positions: Vec::with_capacity(chunk),
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
        let count = input.all.len();
        let positions = match self.walking {
            Walking::Causes if input.positions.is_empty() => &self.in_order[..count],
            Walking::Causes => input.positions,
            // Those of the first level are the places themselves.
            Walking::EntersAt(place) if !input.walks.reads.is_empty() && place != self.first_place() => {
                &self.in_order[..count]
            }
            _ => &[],
        };
        let all = Requests { words: input.all, count, positions, from_cpu: true };
        let (stats, stores) = (&mut self.stats, self.stores);
        let entry = Entry::new(self.walking, input.walks, false, &mut self.with_walks, &mut self.bumps);
        let flow = Flow { requests: all, writes: count_writes(input.all), victims: 0, walks: 0 };
        let (in_data, in_unified) = by_row(entry, &self.data);
        let has_level = !(self.data.is_empty() && self.unified.is_empty());
        let left = run_row_entered(&mut self.data, flow, stores, stats, in_data);
        let left = run_row_entered(&mut self.unified, left, stores, stats, in_unified);
        self.unserved[0] += left.demand();
        if self.walking == Walking::Causes {
            let walks = if has_level { left.requests.count } else { 0 };
            self.unserved_positions.clear();
            self.unserved_positions.extend_from_slice(&left.requests.positions[..walks]);
        }
    }

    fn run_split(&mut self, input: &Input<'_>) {
        split(input, &mut self.data_words, &mut self.fetch_words);
        let (stats, stores) = (&mut self.stats, self.stores);
        let writes = count_writes(input.all);
        let entry = Entry::new(self.walking, input.walks, true, &mut self.with_walks, &mut self.bumps);
        let (in_data, in_unified) = by_row(entry, &self.data);
        let (has_data, has_fetch) = (!self.data.is_empty(), !self.fetch.is_empty());
        let data = Flow { requests: from_cpu(&self.data_words), writes, victims: 0, walks: 0 };
        let data = run_row_entered(&mut self.data, data, stores, stats, in_data);
        let fetch = Flow { requests: from_cpu(&self.fetch_words), writes: 0, victims: 0, walks: 0 };
        let fetch = run_row(&mut self.fetch, fetch, stores, stats);
        let causes_walks = self.walking == Walking::Causes;
        if self.unified.is_empty() {
            self.unserved[0] += data.demand();
            self.unserved[1] += fetch.demand();
            if causes_walks {
                // A kind of reference without a level does not walk.
                let data = if has_data { data.requests } else { Requests { count: 0, ..data.requests } };
                let fetch = if has_fetch { fetch.requests } else { Requests { count: 0, ..fetch.requests } };
                merge::<true>(&mut self.merged, data, fetch);
                self.unserved_positions.clear();
                self.unserved_positions.extend_from_slice(&self.merged.positions[..self.merged.len]);
            }
            return;
        }
        let keeps_positions = causes_walks || in_unified.is_some();
        if keeps_positions {
            merge::<true>(&mut self.merged, data.requests, fetch.requests);
        } else {
            merge::<false>(&mut self.merged, data.requests, fetch.requests);
        }
        let positions: &[u16] = if keeps_positions { &self.merged.positions } else { &[] };
        let merged = Flow {
            requests: Requests { words: &self.merged.words, count: self.merged.len, positions, from_cpu: false },
            writes: data.writes + fetch.writes,
            victims: data.victims + fetch.victims,
            walks: data.walks,
        };
        let left = run_row_entered(&mut self.unified, merged, stores, stats, in_unified);
        self.unserved[0] += left.demand();
        if causes_walks {
            self.unserved_positions.clear();
            self.unserved_positions.extend_from_slice(&left.requests.positions[..left.requests.count]);
        }
    }

    /// The place of the first level of data in the machine's list.
    fn first_place(&self) -> usize {
        self.data.first().or(self.unified.first()).map_or(usize::MAX, |level| level.index)
    }
}

/// Where reads of page walks join the requests of a chunk.
struct Entry<'a> {
    place: usize,
    walks: Walks<'a>,
    keeps_positions: bool,
    buffer: &'a mut Buffer,
    // By reference: zero.
    bumps: &'a mut [u16],
}

impl<'a> Entry<'a> {
    /// Nothing, if there are none in this chunk.
    fn new(
        walking: Walking,
        walks: Walks<'a>,
        keeps_positions: bool,
        buffer: &'a mut Buffer,
        bumps: &'a mut [u16],
    ) -> Option<Self> {
        match walking {
            Walking::EntersAt(place) if !walks.reads.is_empty() => {
                Some(Self { place, walks, keeps_positions, buffer, bumps })
            }
            _ => None,
        }
    }
}

/// The entry for the row that it is in: that of data, or else the one of both.
fn by_row<'a>(entry: Option<Entry<'a>>, data: &[Level]) -> (Option<Entry<'a>>, Option<Entry<'a>>) {
    match entry {
        Some(entry) if data.iter().any(|level| level.index == entry.place) => (Some(entry), None),
        // Behind that row nobody has to know positions.
        Some(entry) => (None, Some(Entry { keeps_positions: false, ..entry })),
        None => (None, None),
    }
}

/// [`run_row`], where reads of page walks may enter.
fn run_row_entered<'a>(
    levels: &'a mut [Level],
    flow: Flow<'a>,
    stores: Stores,
    stats: &mut [LevelStats],
    entry: Option<Entry<'a>>,
) -> Flow<'a> {
    let Some(entry) = entry else { return run_row(levels, flow, stores, stats) };
    let at = levels.iter().position(|level| level.index == entry.place).expect("the row has the level");
    let (before, from_there) = levels.split_at_mut(at);
    let flow = run_row(before, flow, stores, stats);
    let requests = flow.requests;
    join(entry.buffer, entry.bumps, requests, entry.walks, entry.keeps_positions);
    let buffer: &'a Buffer = entry.buffer;
    let positions: &[u16] = if entry.keeps_positions { &buffer.positions } else { &[] };
    let requests = Requests { words: &buffer.words, count: buffer.len, positions, from_cpu: requests.from_cpu };
    let flow = Flow { requests, walks: entry.walks.reads.len() as u64, ..flow };
    run_row(from_there, flow, stores, stats)
}

/// Puts the reads of walks before the requests of their references. Requests without positions stand at their places.
fn join(buffer: &mut Buffer, bumps: &mut [u16], requests: Requests<'_>, walks: Walks<'_>, keeps_positions: bool) {
    if requests.positions.is_empty() {
        assert!(!keeps_positions, "requests without positions have none to keep");
        join_all(buffer, bumps, requests, walks);
        return;
    }
    let (mut done, mut len) = (0, 0);
    let mut put = |word: u64, position: u16| {
        buffer.words[len] = word;
        buffer.positions[len] = position;
        len += 1;
    };
    for &EntryRead { paddr, position } in walks.reads {
        let position = position - walks.base;
        while done < requests.count && requests.positions[done] < position {
            put(requests.words[done], requests.positions[done]);
            done += 1;
        }
        put(paddr | WALK, position);
    }
    for index in done..requests.count {
        put(requests.words[index], requests.positions[index]);
    }
    buffer.len = len;
}

/// [`join`] where no reference is left out: every word's place is known, so nothing branches on what walks.
fn join_all(buffer: &mut Buffer, bumps: &mut [u16], requests: Requests<'_>, walks: Walks<'_>) {
    // As many reads before it, and as many references.
    for (index, &EntryRead { paddr, position }) in walks.reads.iter().enumerate() {
        let position = usize::from(position - walks.base);
        buffer.words[index + position] = paddr | WALK;
        bumps[position] += 1;
    }
    let mut reads = 0;
    let places = bumps.iter_mut().zip(&requests.words[..requests.count]).enumerate();
    for (index, (bump, &word)) in places {
        reads += usize::from(std::mem::take(bump));
        buffer.words[index + reads] = word;
    }
    buffer.len = requests.count + walks.reads.len();
}

/// Requests on their way, with the number of stores, of dirty victims and of reads of page walks among them.
#[derive(Clone, Copy)]
struct Flow<'a> {
    requests: Requests<'a>,
    writes: u64,
    victims: u64,
    walks: u64,
}

impl Flow<'_> {
    /// How many requests are demand: references, or fills for them.
    fn demand(&self) -> u64 {
        self.requests.count as u64 - self.victims - self.walks
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
        let (writes, victims, walks) = if flow.walks > 0 {
            count_flags_and_walks(level.out.words())
        } else {
            let (writes, victims) = count_flags(level.out.words());
            (writes, victims, 0)
        };
        let positions: &[u16] = if requests.positions.is_empty() { &[] } else { &level.out.positions };
        let asks = Requests { words: &level.out.words, count: level.out.len, positions, from_cpu: false };
        let next = Flow { requests: asks, writes, victims, walks };
        let stats = &mut stats[level.index];
        stats.reads += flow.demand() - flow.writes;
        stats.writes += flow.writes;
        stats.misses += next.demand();
        stats.write_misses += next.writes;
        stats.read_misses += next.demand() - next.writes;
        stats.write_backs_in += flow.victims;
        stats.write_back_misses += tally.misses - next.demand() - next.walks;
        stats.walk_reads += flow.walks;
        stats.walk_read_misses += next.walks;
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
fn merge<const POSITIONS: bool>(merged: &mut Buffer, data: Requests<'_>, fetch: Requests<'_>) {
    let (mut i, mut j) = (0, 0);
    for place in 0..data.count + fetch.count {
        let take_data = j == fetch.count || (i < data.count && data.positions[i] <= fetch.positions[j]);
        let (from, index) = if take_data { (data, &mut i) } else { (fetch, &mut j) };
        let word = from.words[*index];
        merged.words[place] = if from.from_cpu { of_cpu(word) } else { word };
        if POSITIONS {
            merged.positions[place] = from.positions[*index];
        }
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
        merge::<false>(&mut merged, passed_on(&data), passed_on(&fetch));
        assert_eq!(merged.words(), [4, 20, 24, 8, 8 | DIRTY_VICTIM]);
    }

    #[test]
    fn requests_of_the_cpu_are_passed_on_as_fills() {
        let mut merged = Buffer::with_capacity(8, false);
        merge::<false>(&mut merged, from_cpu(&buffer(&[(65 | 1 << 63, 0)])), from_cpu(&buffer(&[])));
        assert_eq!(merged.words(), [64 | FOR_STORE]);
    }

    #[test]
    fn reads_of_walks_stand_before_their_references() {
        let read = |paddr, position| EntryRead { paddr, position };
        let reads = [read(800, 10), read(808, 10), read(816, 12)];
        let walks = Walks { reads: &reads, base: 10 };
        let all = buffer(&[(4, 0), (8, 1), (12, 2)]);
        let expected = [800 | WALK, 808 | WALK, 4, 8, 816 | WALK, 12];
        let mut joined = Buffer::with_capacity(8, true);
        let mut bumps = [0; 3];
        let unmarked = Requests { positions: &[], ..from_cpu(&all) };
        join(&mut joined, &mut bumps, unmarked, walks, false);
        assert_eq!((joined.words(), bumps), (&expected[..], [0; 3]));
        join(&mut joined, &mut bumps, from_cpu(&all), walks, true);
        assert_eq!((joined.words(), &joined.positions[..joined.len]), (&expected[..], &[0, 0, 0, 1, 2, 2][..]));
        // What was asked for the references before does not wait for a walk.
        let some = buffer(&[(4, 0), (4 | DIRTY_VICTIM, 0), (12, 2)]);
        join(&mut joined, &mut bumps, from_cpu(&some), walks, true);
        assert_eq!(joined.words(), [800 | WALK, 808 | WALK, 4, 4 | DIRTY_VICTIM, 816 | WALK, 12]);
    }
}
