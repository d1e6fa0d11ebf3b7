//! Memory at the fidelity `footprint`: what accesses to working sets cost, and what of them survives while others run,
//! without a single address.
//!
//! A working set says how large it is and how it is used again ([`Profile`]). Caches and TLBs remember for each when they were
//! touched ([`recency`]); what was touched since and how many lines a set keeps ([`sets`]) says what misses. A run of
//! any number of accesses costs a few steps a level. `docs/footprint-model.md` has the formulas, their sources and their errors.
//!
//! Left out: prefetchers, inclusion and exclusion, write policies, and what page walks do to caches.

mod cost;
mod draws;
mod level;
mod machine;
mod play;
mod profile;
mod recency;
mod sets;
#[cfg(test)]
mod tests;

pub use cost::{ByCause, CAUSES, Cause, Cost, LEVELS_MAX};
pub use profile::{Pattern, Profile, UNITS_MAX};

use super::config::MachineConfig;
use crate::base::ConfigError;
use cost::{Carry, Expected};
use level::{Alone, Answer, Asked, Here, Level, NOWHERE, Place, Reuse, ask, settle};
use machine::{Machine, PAGES};
use profile::{Blocks, Order};
use recency::Recency;
use std::collections::HashMap;

/// Caches and TLBs of a path together.
const PATH_MAX: usize = 2 * LEVELS_MAX;

/// Most accesses of a run that are told apart.
const LARGEST: f64 = (1u64 << 53) as f64;

/// A working set: a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(u32);

/// The caches and TLBs of a machine, and all working sets on it.
#[derive(Clone, Debug)]
pub struct Footprint {
    machine: Machine,
    recencies: Vec<Recency>,
    kinds: Vec<Kind>,
    kinds_by_profile: HashMap<ProfileKey, u32>,
    sets: Vec<WorkingSet>,
    free: [Vec<u32>; 2],
    /// A row of levels for each working set; for a shared one, a row a cpu, of which the first has the shared levels.
    places: Vec<Place>,
    carries: Vec<Carry>,
}

/// What working sets of one profile have in common.
#[derive(Clone, Debug)]
struct Kind {
    lines: Reuse,
    pages: Reuse,
    page: usize,
    walk_cycles: f64,
    is_dependent: bool,
    is_write: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ProfileKey([u64; 7]);

/// One working set.
#[derive(Clone, Copy, Debug)]
struct WorkingSet {
    kind: u32,
    /// The place of its first row.
    row: u32,
    is_shared: bool,
    /// Lines that were ever touched; for drawn lines, draws.
    known: f64,
    /// Lines that the private caches of the cpu of its last run have written and still hold.
    left_behind: f64,
}

/// The answers of all levels to one run.
struct Answers {
    levels: [Answer; PATH_MAX],
    /// Lines of which it is new that they were touched; draws.
    known: f64,
    /// Lines that came from another cpu's caches.
    transferred: f64,
}

impl Footprint {
    /// A checked machine with everything empty.
    ///
    /// # Errors
    /// More than [`LEVELS_MAX`] caches or TLBs on the path of data.
    pub fn new(config: &MachineConfig) -> Result<Self, ConfigError> {
        let (machine, recencies) = Machine::new(config)?;
        Ok(Self {
            carries: vec![Carry::default(); machine.cpus],
            machine,
            recencies,
            kinds: Vec::new(),
            kinds_by_profile: HashMap::new(),
            sets: Vec::new(),
            free: [Vec::new(), Vec::new()],
            places: Vec::new(),
        })
    }

    /// Adds a working set that one thread uses, nothing of it in any cache.
    ///
    /// # Errors
    /// A profile that breaks a rule.
    pub fn add_set(&mut self, profile: &Profile) -> Result<SetId, ConfigError> {
        self.add(profile, false)
    }

    /// Adds a working set that threads on several cpus use: each cpu's private caches hold lines of it.
    ///
    /// # Errors
    /// A profile that breaks a rule.
    pub fn add_shared_set(&mut self, profile: &Profile) -> Result<SetId, ConfigError> {
        self.add(profile, true)
    }

    /// Nobody uses the working set any more. Its lines stay in the caches until others take their places.
    pub fn drop_set(&mut self, set: SetId) {
        let WorkingSet { is_shared, .. } = self.sets[set.0 as usize];
        self.free[usize::from(is_shared)].push(set.0);
    }

    /// The thread on `cpu` makes so many further accesses to a working set.
    #[inline]
    pub fn run(&mut self, cpu: usize, set: SetId, accesses: u64) -> Cost {
        let (expected, answers) = self.expect(cpu, set, accesses as f64);
        self.settle(cpu, set, &answers);
        self.carries[cpu].cut(&expected)
    }

    /// How many accesses of a working set fit into so many cycles from now on, at least one: what [`run`](Self::run) takes
    /// for these is at most `cycles`, and at most one part in 64 less if it is more than that for one access more.
    pub fn within(&self, cpu: usize, set: SetId, cycles: u64) -> u64 {
        let goal = cycles as f64;
        let cost = |accesses: f64| self.expect(cpu, set, accesses).0.cycles();
        // One that fits, with its cost, and one that does not.
        let (mut low, mut low_cost) = (0.0, 0.0);
        let mut high = libm::floor(goal / cost(1.0).max(1e-3)).clamp(2.0, LARGEST);
        let mut high_cost = cost(high);
        while high_cost <= goal {
            (low, low_cost) = (high, high_cost);
            if low >= LARGEST {
                break;
            }
            high = (high * 4.0).min(LARGEST);
            high_cost = cost(high);
        }
        for step in 0..64 {
            if high - low <= 1.0 || goal - low_cost <= goal / 64.0 {
                break;
            }
            let by_slope = low + (high - low) * ((goal - low_cost) / (high_cost - low_cost));
            let middle = if step % 3 == 2 { 0.5 * (low + high) } else { by_slope };
            let middle = libm::floor(middle).clamp(low + 1.0, (high - 1.0).max(low + 1.0));
            let middle_cost = cost(middle);
            if middle_cost <= goal {
                (low, low_cost) = (middle, middle_cost);
            } else {
                (high, high_cost) = (middle, middle_cost);
            }
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^53")]
        let fitting = low as u64;
        fitting.max(1)
    }

    /// The TLBs of a cpu become empty, shared ones included.
    pub fn flush_tlbs(&mut self, cpu: usize) {
        for level in &self.machine.levels[self.machine.caches..] {
            self.recencies[self.machine.recency(level, cpu)].clear();
        }
    }

    /// A cpu loses the translations of a working set: its address space has lost its identifier there.
    pub fn forget_translations(&mut self, cpu: usize, set: SetId) {
        for place in self.machine.caches..self.machine.levels.len() {
            let row = self.row(cpu, set, place);
            let here = &mut self.places[row];
            if self.machine.levels[place].is_shared || usize::from(here.cpu) == cpu {
                (here.oldest, here.newest) = (-1.0, -1.0);
            }
        }
    }

    /// Caches on the path of data.
    pub fn caches(&self) -> usize {
        self.machine.caches
    }

    /// Bytes that one more working set of a thread takes.
    pub fn bytes_a_set(&self) -> usize {
        size_of::<WorkingSet>() + self.machine.levels.len() * size_of::<Place>()
    }

    fn add(&mut self, profile: &Profile, is_shared: bool) -> Result<SetId, ConfigError> {
        profile.check("profile")?;
        let kind = self.kind(profile);
        let width = self.machine.levels.len();
        let rows = if is_shared { self.machine.cpus } else { 1 };
        let fresh = |row| WorkingSet { kind, row, is_shared, known: 0.0, left_behind: 0.0 };
        if let Some(set) = self.free[usize::from(is_shared)].pop() {
            let row = self.sets[set as usize].row;
            self.sets[set as usize] = fresh(row);
            self.places[row as usize * width..(row as usize + rows) * width].fill(Place::EMPTY);
            return Ok(SetId(set));
        }
        let row = u32::try_from(self.places.len() / width.max(1)).expect("fewer than 2^32 rows");
        self.places.resize(self.places.len() + rows * width, Place::EMPTY);
        self.sets.push(fresh(row));
        Ok(SetId(u32::try_from(self.sets.len() - 1).expect("fewer than 2^32 working sets")))
    }

    /// The kind of a profile, made where it is new.
    fn kind(&mut self, profile: &Profile) -> u32 {
        let key = ProfileKey::of(profile);
        if let Some(&kind) = self.kinds_by_profile.get(&key) {
            return kind;
        }
        let page_bytes = 1u64 << profile.page.bits();
        let lines = self.reuse(profile.blocks(self.machine.line_bytes), page_bytes / self.machine.line_bytes);
        let pages = self.reuse(profile.blocks(page_bytes), 1);
        let bytes = profile.units as f64 * profile.unit_bytes as f64;
        let kind = Kind {
            walk_cycles: self.walk_cycles(&lines, &pages, bytes),
            lines,
            pages,
            page: PAGES.iter().position(|&page| page == profile.page).expect("all page sizes are listed"),
            is_dependent: profile.is_dependent,
            is_write: profile.is_write,
        };
        self.kinds.push(kind);
        let place = u32::try_from(self.kinds.len() - 1).expect("fewer than 2^32 kinds");
        self.kinds_by_profile.insert(key, place);
        place
    }

    /// What a thread that is alone finds at each level. `page_blocks`: of one page, whose places are consecutive.
    fn reuse(&self, blocks: Blocks, page_blocks: u64) -> Reuse {
        let Blocks { count, touches_a_run, spacing, order } = blocks;
        let machine = &self.machine;
        let alone = machine.levels.iter().map(|level| {
            let sets = &machine.sets[level.sets];
            // Units further apart than a block leave sets out.
            let used = (level.count / spacing.min(page_blocks as f64)).max(1.0);
            let density = 1.0 / used;
            let own = count * density;
            let time = match &order {
                Order::Cycle => f64::INFINITY,
                Order::Drawn(draws) => draws.time_of(sets.kept(own, 0.0) / own),
            };
            let misses = match &order {
                Order::Cycle => sets.misses(own, 0.0) / own,
                Order::Drawn(draws) => draws.at(time)[1],
            };
            Alone { density, misses, time }
        });
        Reuse { blocks: count, accesses_a_touch: touches_a_run, alone: alone.collect(), order }
    }

    /// A walk of a working set whose tables are warm.
    fn walk_cycles(&self, lines: &Reuse, pages: &Reuse, bytes: f64) -> f64 {
        let walk = &self.machine.walk;
        if walk.leaf_reads == 0.0 {
            return walk.start;
        }
        let machine = &self.machine;
        let caches = &machine.levels[..machine.caches];
        let Some(first) = caches.get(walk.first_cache) else {
            let reads = walk.leaf_reads + walk.upper_reads.iter().filter(|&&covered| bytes > covered).count() as f64;
            return walk.start + reads * machine.memory_latency;
        };
        // Eight leaf entries share a line. Pages in order come to a line eight times in a row; a drawn page finds its line
        // where as many other lines fit as were touched in between.
        let table_lines = (pages.blocks / 8.0).max(1.0);
        let mut leaf = first.latency;
        for (cache, level) in caches.iter().enumerate().skip(walk.first_cache) {
            let misses = match pages.order {
                Order::Cycle => lines.alone[cache].misses / 8.0,
                Order::Drawn(_) => {
                    let own = 2.0 * table_lines / level.count;
                    machine.sets[level.sets].misses(own, 0.0) / own
                }
            };
            leaf += misses * (machine.latency_behind(cache) - level.latency);
        }
        let upper = walk.upper_reads.iter().filter(|&&covered| bytes > covered).count() as f64;
        walk.start + walk.leaf_reads * leaf + upper * walk.leaf_reads * first.latency
    }

    #[inline]
    fn row(&self, cpu: usize, set: SetId, level: usize) -> usize {
        let WorkingSet { row, is_shared, .. } = self.sets[set.0 as usize];
        let own_row = if is_shared && !self.machine.levels[level].is_shared { cpu } else { 0 };
        (row as usize + own_row) * self.machine.levels.len() + level
    }

    /// What a level remembers of a working set on a cpu.
    #[inline]
    fn place(&self, cpu: usize, set: SetId, level: usize) -> Place {
        let place = self.places[self.row(cpu, set, level)];
        let is_here = self.machine.levels[level].is_shared || usize::from(place.cpu) == cpu;
        if is_here { place } else { Place::EMPTY }
    }

    /// A working set at a level, as a cpu finds it.
    #[inline]
    fn here<'a>(&'a self, cpu: usize, id: SetId, level: usize, reuse: &'a Reuse) -> Here<'a> {
        let machine = &self.machine;
        let Level { count, sets, .. } = machine.levels[level];
        Here {
            reuse,
            alone: &reuse.alone[level],
            place: self.place(cpu, id, level),
            sets: &machine.sets[sets],
            count,
            recency: &self.recencies[machine.recency(&machine.levels[level], cpu)],
        }
    }

    /// What a run costs; changes nothing.
    #[inline]
    fn expect(&self, cpu: usize, id: SetId, accesses: f64) -> (Expected, Answers) {
        let machine = &self.machine;
        let set = &self.sets[id.0 as usize];
        let kind = &self.kinds[set.kind as usize];
        let mut answers = Answers { levels: [Answer::default(); PATH_MAX], known: 0.0, transferred: 0.0 };
        let mut expected = Expected::default();
        if accesses <= 0.0 {
            return (expected, answers);
        }
        let mut asked = Asked::of(&kind.lines, accesses, set.known);
        answers.known = if matches!(kind.lines.order, Order::Drawn(_)) { asked.first } else { asked.unknown };
        let missing = if set.is_shared && kind.is_write { Cause::Coherence } else { Cause::Migration };
        let mut latency = 0.0;
        for cache in 0..machine.caches {
            let level = &machine.levels[cache];
            let answer = ask(&self.here(cpu, id, cache, &kind.lines), asked, missing);
            let behind = machine.latency_behind(cache) - level.latency;
            expected.misses[cache] = answer.misses;
            for (stall, misses) in expected.stall.iter_mut().zip(&answer.misses) {
                *stall += misses * behind;
            }
            latency += answer.total * behind;
            asked.next(&answer, kind.lines.order_is_drawn());
            if cache + 1 == machine.private_caches && machine.is_coherent {
                let migrated = answer.misses[Cause::Migration as usize].min(set.left_behind);
                let coherent = answer.misses[Cause::Coherence as usize];
                let transferred = migrated + coherent;
                if transferred > 0.0 {
                    let longer = machine.transfer - machine.latency_behind(cache);
                    expected.stall[Cause::Migration as usize] += migrated * longer;
                    expected.stall[Cause::Coherence as usize] += coherent * longer;
                    latency += transferred * longer;
                    asked.drop(transferred);
                    answers.transferred = transferred;
                }
            }
            answers.levels[cache] = answer;
        }
        let translation = self.translate(cpu, id, kind, accesses, &mut expected, &mut answers);
        let hit = if machine.caches == 0 { machine.memory_latency.min(1.0) } else { machine.levels[0].latency };
        if machine.caches == 0 {
            let misses = accesses * (machine.memory_latency - hit);
            expected.stall[Cause::Capacity as usize] += misses;
            latency += misses;
        }
        self.price(kind, accesses, hit, latency, translation, &mut expected);
        (expected, answers)
    }

    /// The latency of translations beside the first TLB's.
    #[inline]
    fn translate(
        &self,
        cpu: usize,
        id: SetId,
        kind: &Kind,
        accesses: f64,
        expected: &mut Expected,
        answers: &mut Answers,
    ) -> f64 {
        let machine = &self.machine;
        let path = &machine.tlb_paths[kind.page];
        if !path.is_translated {
            return 0.0;
        }
        let mut asked = Asked::of(&kind.pages, accesses, 0.0);
        let mut misses = accesses / kind.pages.accesses_a_touch;
        let mut latency = 0.0;
        let mut before = 0.0;
        let mut lookups = accesses;
        for (tlb, &place) in path.levels.iter().enumerate() {
            let level = &machine.levels[place];
            latency += lookups * (level.latency - before);
            before = level.latency;
            let answer = ask(&self.here(cpu, id, place, &kind.pages), asked, Cause::Migration);
            misses = answer.total;
            lookups = misses;
            expected.tlb_misses[tlb] = misses;
            asked.next(&answer, kind.pages.order_is_drawn());
            answers.levels[place] = answer;
        }
        if path.levels.is_empty() {
            // TLBs that hold no page of this size: every access walks.
            misses = accesses;
        }
        expected.walks = misses;
        latency + misses * kind.walk_cycles
    }

    /// Turns latencies into cycles: dependent accesses wait for all of it, of independent ones `mlp` overlap and one begins
    /// each cycle.
    #[inline]
    fn price(&self, kind: &Kind, accesses: f64, hit: f64, stall: f64, translation: f64, expected: &mut Expected) {
        let mlp = if kind.is_dependent { 1.0 } else { self.machine.mlp };
        let whole = accesses * hit + stall + translation;
        let cycles = if kind.is_dependent { whole } else { (whole / mlp).max(accesses) };
        // Of an access, the latency of a hit is its own time, and at least the cycle in which it begins.
        let user =
            if kind.is_dependent { accesses * hit } else { (accesses * hit / mlp).max(accesses.min(accesses * hit)) };
        let user = user.min(cycles);
        let beyond = cycles - user;
        let waited = stall + translation;
        let share = if waited > 0.0 { beyond / waited } else { 0.0 };
        expected.user = if waited > 0.0 { user } else { cycles };
        expected.walk = translation * share;
        expected.stall.iter_mut().for_each(|stall| *stall *= share);
    }

    /// Puts down what a run has changed.
    #[inline]
    fn settle(&mut self, cpu: usize, id: SetId, answers: &Answers) {
        let machine = &self.machine;
        let kind = &self.kinds[self.sets[id.0 as usize].kind as usize];
        if machine.is_coherent && kind.is_write {
            self.before_write(cpu, id, answers);
        }
        let machine = &self.machine;
        let kind = &self.kinds[self.sets[id.0 as usize].kind as usize];
        let width = machine.levels.len();
        for level in 0..width {
            let answer = &answers.levels[level];
            if !answer.has_touched() {
                continue;
            }
            let reuse = if level < machine.caches { &kind.lines } else { &kind.pages };
            let place = &self.machine.levels[level];
            let row = self.row(cpu, id, level);
            let here = &mut self.places[row];
            if !place.is_shared && usize::from(here.cpu) != cpu {
                *here = Place::EMPTY;
            }
            settle(answer, reuse, here, &mut self.recencies[machine.recency(place, cpu)]);
            if !place.is_shared {
                here.cpu = u16::try_from(cpu).expect("at most 64 cpus");
            }
        }
        self.sets[id.0 as usize].known += answers.known;
    }

    /// Writes take lines away from other cpus.
    fn before_write(&mut self, cpu: usize, id: SetId, answers: &Answers) {
        let machine = &self.machine;
        let WorkingSet { kind, is_shared, .. } = self.sets[id.0 as usize];
        let kind = &self.kinds[kind as usize];
        let Some(last) = machine.private_caches.checked_sub(1) else { return };
        if !is_shared {
            let row = self.row(cpu, id, last);
            let place = self.places[row];
            let old_cpu = place.cpu;
            if old_cpu != NOWHERE && usize::from(old_cpu) != cpu {
                let level = &machine.levels[last];
                let recency = &self.recencies[machine.recency(level, old_cpu.into())];
                let left = kind.lines.held(&place, &machine.sets[level.sets], level, last, recency);
                self.sets[id.0 as usize].left_behind = left;
            }
            let set = &mut self.sets[id.0 as usize];
            set.left_behind = (set.left_behind - answers.transferred).max(0.0);
            return;
        }
        let share = (answers.levels[0].touched() / kind.lines.blocks).min(1.0);
        let rows = (0..machine.cpus).filter(|&other| other != cpu);
        let width = machine.levels.len();
        let first = self.sets[id.0 as usize].row as usize;
        for other in rows {
            for level in 0..machine.private_caches {
                let place = &mut self.places[(first + other) * width + level];
                kind.lines.lose(place, share);
            }
        }
    }
}

impl ProfileKey {
    fn of(profile: &Profile) -> Self {
        let (order, first, second) = match profile.pattern {
            Pattern::Sequential => (0, 0, 0),
            Pattern::Strided(stride) => (1, stride, 0),
            Pattern::Chase => (2, 0, 0),
            Pattern::Uniform => (3, 0, 0),
            Pattern::Zipf(skew) => (4, skew.to_bits(), 0),
            Pattern::Hot { fraction, probability } => (5, fraction.to_bits(), probability.to_bits()),
        };
        let flags = [profile.is_scattered, profile.is_dependent, profile.is_write];
        let flags = flags.into_iter().fold(0, |bits, flag| bits << 1 | u64::from(flag));
        Self([profile.units, profile.unit_bytes, profile.page.bits().into(), order, first, second, flags])
    }
}
