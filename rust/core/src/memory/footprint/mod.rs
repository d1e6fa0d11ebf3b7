//! Memory at the fidelity `footprint`: what accesses to working sets cost, and what of them survives while others run,
//! without a single address.
//!
//! A working set says how large it is and how it is used again ([`Profile`]). Caches and TLBs remember for each when they were
//! touched (`recency`); what was touched since and how many lines a set keeps (`sets`) says what misses. A run of
//! any number of accesses costs a few steps a level. `docs/footprint-model.md` has the formulas, their sources and their errors.
//!
//! Left out: prefetchers, inclusion and exclusion, write policies, and what page walks do to caches.

mod ask;
mod cost;
mod drawn;
mod draws;
mod hits;
mod kind;
mod level;
mod machine;
mod number;
mod play;
mod profile;
mod recency;
mod run;
mod sets;
#[cfg(test)]
mod tests;

pub use super::causes::Cause;
pub use cost::{ByCause, CAUSES, Cost, LEVELS_MAX};
pub use hits::Hits;
pub use profile::{Pattern, Profile, UNITS_MAX};

use super::config::MachineConfig;
use crate::base::ConfigError;
use cost::{Carry, Expected};
use kind::{Kind, ProfileKey};
use level::Place;
use machine::Machine;
use recency::Recency;
use run::Answers;
use std::collections::HashMap;

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
        match self.run_hits(cpu, set, accesses) {
            Some(Hits { user_cycles, walk_cycles }) => Cost { user_cycles, walk_cycles, ..Cost::default() },
            None => self.run_long(cpu, set, accesses),
        }
    }

    /// The same level by level, whatever is there.
    pub fn run_long(&mut self, cpu: usize, set: SetId, accesses: u64) -> Cost {
        let (mut expected, mut answers) = (Expected::default(), Answers::EMPTY);
        self.expect(cpu, set, accesses as f64, &mut expected, &mut answers);
        self.settle(cpu, set, &answers);
        self.carries[cpu].cut(&expected)
    }

    /// How many accesses of a working set fit into so many cycles from now on, at least one: what [`run`](Self::run) takes
    /// for these is at most `cycles`, and at most one part in 64 less if it is more than that for one access more.
    pub fn within(&self, cpu: usize, set: SetId, cycles: u64) -> u64 {
        let goal = cycles as f64;
        let cost = |accesses: f64| {
            let (mut expected, mut answers) = (Expected::default(), Answers::EMPTY);
            self.expect(cpu, set, accesses, &mut expected, &mut answers);
            expected.cycles()
        };
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

    #[inline]
    fn row(&self, cpu: usize, set: SetId, level: usize) -> usize {
        self.row_of(cpu, &self.sets[set.0 as usize], level)
    }

    #[inline]
    fn row_of(&self, cpu: usize, set: &WorkingSet, level: usize) -> usize {
        let &WorkingSet { row, is_shared, .. } = set;
        let own_row = if is_shared && !self.machine.levels[level].is_shared { cpu } else { 0 };
        (row as usize + own_row) * self.machine.levels.len() + level
    }

    /// What a level remembers of a working set on a cpu.
    #[inline]
    fn place(&self, cpu: usize, set: SetId, level: usize) -> &Place {
        let place = &self.places[self.row(cpu, set, level)];
        let is_here = self.machine.levels[level].is_shared || usize::from(place.cpu) == cpu;
        if is_here { place } else { &Place::EMPTY }
    }
}
