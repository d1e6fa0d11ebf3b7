//! The caches of a machine and how they stand to one another: what is outside each and what is inside.

use super::super::cache::Cache;
use super::super::causes::Tracking;
use super::super::config::{Coherence, Inclusion, MachineConfig, StreamKind};
use super::super::directory::Directory;

/// The place beyond the last level of a path: no cache has this index.
pub(super) const MEMORY: usize = usize::MAX;

/// One cache and its neighbours, which are named by their index in [`Levels`].
pub(super) struct Level {
    pub cache: Cache,
    /// Place in the machine's list.
    pub place: u8,
    /// The cpu that it belongs to, if it is private.
    pub cpu: Option<usize>,
    /// The next level on its path.
    pub next: usize,
    pub is_next_exclusive: bool,
    /// The next level, if a miss here of a line that it has concerns these two alone.
    pub near: Option<usize>,
    /// A hit of a load or fetch here concerns nobody else, nor does one of a store if the directory lets it.
    pub is_quiet: bool,
    /// Of an inclusive level: all caches whose requests come to it, private ones with their cpu.
    pub inside: Vec<(usize, Option<usize>)>,
}

/// All caches of a machine.
pub(super) struct Levels {
    pub levels: Vec<Level>,
    /// The first level of each cpu: for data, for fetches.
    pub first: Vec<[usize; 2]>,
    /// The first level that the page walks of each cpu ask.
    pub first_of_walks: Vec<usize>,
    /// Reads of page walks that other cpus' caches served.
    pub walk_transfers: u64,
    /// The private caches of each cpu; empty without a directory.
    pub domains: Vec<Vec<usize>>,
    pub directory: Option<Directory>,
    /// Where data goes that a modified line's owner gives away.
    pub first_shared: usize,
    pub presents_write_backs: bool,
    pub memory_latency_cycles: u64,
    pub transfer_cycles: u64,
    /// Levels at which the reference under way missed once more than its `missed` says.
    pub missed_again: Vec<u8>,
    /// What the causes of misses are told by, if they are.
    pub tracking: Option<Box<Tracking>>,
}

impl Levels {
    /// Empty caches.
    pub fn new(machine: &MachineConfig, seed: u64) -> Self {
        let plan = Plan::new(machine);
        let mut levels = Vec::new();
        for (place, config) in machine.caches.iter().enumerate() {
            for cpu in 0..plan.copies(place) {
                let next_place = plan.next_place(place);
                levels.push(Level {
                    cache: Cache::new(machine, place, cpu, seed),
                    place: u8::try_from(place).expect("levels are at most 32"),
                    cpu: (!config.shared).then_some(cpu),
                    next: next_place.map_or(MEMORY, |next| plan.index(next, cpu)),
                    is_next_exclusive: false,
                    is_quiet: false,
                    near: None,
                    inside: plan.inside(place, cpu),
                });
            }
        }
        for index in 0..levels.len() {
            levels[index].is_next_exclusive =
                levels.get(levels[index].next).is_some_and(|next: &Level| next.cache.rules.is_exclusive);
        }
        let cpus = 0..machine.cpus as usize;
        let is_coherent = machine.cpus > 1 && machine.coherence == Coherence::Mesi;
        let private = machine.caches.iter().find(|cache| !cache.shared).filter(|_| is_coherent);
        for level in &mut levels {
            let rules = level.cache.rules;
            level.is_quiet = rules.is_write_back && !rules.is_prefetching && (level.cpu.is_some() || private.is_none());
        }
        for index in 0..levels.len() {
            levels[index].near = near(&levels, index);
        }
        Self {
            first: cpus
                .clone()
                .map(|cpu| [plan.first(StreamKind::Data, cpu), plan.first(StreamKind::Instruction, cpu)])
                .collect(),
            first_of_walks: cpus
                .clone()
                .map(|cpu| machine.first_walk_cache().map_or(MEMORY, |place| plan.index(place, cpu)))
                .collect(),
            walk_transfers: 0,
            domains: cpus.filter(|_| private.is_some()).map(|cpu| plan.private_of(cpu)).collect(),
            directory: private
                .map(|cache| Directory::new(cache.line_size.bytes().trailing_zeros(), machine.cpus as usize)),
            first_shared: machine
                .caches
                .iter()
                .position(|cache| cache.shared)
                .map_or(MEMORY, |place| plan.index(place, 0)),
            presents_write_backs: machine.present_write_backs,
            memory_latency_cycles: u64::from(machine.memory_latency_cycles),
            transfer_cycles: u64::from(machine.transfer_cycles),
            missed_again: Vec::with_capacity(8),
            tracking: None,
            levels,
        }
    }

    /// Tells causes of misses from now on.
    pub fn track_causes(&mut self) {
        if self.tracking.is_some() {
            return;
        }
        let of_level = |level: &Level| -> Vec<usize> {
            let same = self.levels.iter().enumerate().filter(|(_, other)| other.place == level.place);
            same.map(|(index, _)| index).filter(|_| level.cpu.is_some()).collect()
        };
        let caches = self.levels.iter().map(|level| (level.cache.geometry(), of_level(level))).collect();
        self.tracking = Some(Box::new(Tracking::new(caches, self.first.len())));
    }
}

/// The next level of a level that takes lines in only from there and gives its victims back, and has nothing inside.
fn near(levels: &[Level], index: usize) -> Option<usize> {
    let level = &levels[index];
    let rules = level.cache.rules;
    let next = levels.get(level.next).filter(|next| next.is_quiet && !next.cache.rules.is_exclusive)?;
    let is_plain = level.is_quiet && rules.is_allocating && !rules.is_exclusive && level.inside.is_empty();
    (is_plain && rules.line_bits == next.cache.rules.line_bits).then_some(level.next)
}

/// Where the caches of a machine are going to be in the list of all: by level, then by cpu.
struct Plan<'a> {
    machine: &'a MachineConfig,
    starts: Vec<usize>,
}

impl<'a> Plan<'a> {
    fn new(machine: &'a MachineConfig) -> Self {
        let mut plan = Self { machine, starts: Vec::new() };
        let mut start = 0;
        for place in 0..machine.caches.len() {
            plan.starts.push(start);
            start += plan.copies(place);
        }
        plan
    }

    /// How many caches there are of a level.
    fn copies(&self, place: usize) -> usize {
        if self.machine.caches[place].shared { 1 } else { self.machine.cpus as usize }
    }

    /// The cache of a level that serves a cpu.
    fn index(&self, place: usize, cpu: usize) -> usize {
        self.starts[place] + if self.machine.caches[place].shared { 0 } else { cpu }
    }

    fn takes(&self, place: usize, stream: StreamKind) -> bool {
        let kind = self.machine.caches[place].stream_kind();
        if stream == StreamKind::Instruction { kind.takes_fetches() } else { kind.takes_data() }
    }

    fn first(&self, stream: StreamKind, cpu: usize) -> usize {
        let place = (0..self.starts.len()).find(|&place| self.takes(place, stream));
        place.map_or(MEMORY, |place| self.index(place, cpu))
    }

    /// The next level of the fetch path for an instruction cache, of the data path for any other.
    fn next_place(&self, place: usize) -> Option<usize> {
        let stream = match self.machine.caches[place].stream_kind() {
            StreamKind::Instruction => StreamKind::Instruction,
            StreamKind::Data | StreamKind::Unified => StreamKind::Data,
        };
        (place + 1..self.starts.len()).find(|&outer| self.takes(outer, stream))
    }

    /// All caches whose requests come to one, if it is inclusive.
    fn inside(&self, place: usize, cpu: usize) -> Vec<(usize, Option<usize>)> {
        let config = &self.machine.caches[place];
        if config.inclusion != Inclusion::Inclusive {
            return Vec::new();
        }
        let cpus = if config.shared { 0..self.machine.cpus as usize } else { cpu..cpu + 1 };
        let mut inside = Vec::new();
        for inner in 0..place {
            let has_in_common = [StreamKind::Data, StreamKind::Instruction]
                .into_iter()
                .any(|stream| self.takes(inner, stream) && self.takes(place, stream));
            if has_in_common && self.machine.caches[inner].shared {
                inside.push((self.index(inner, 0), None));
            } else if has_in_common {
                inside.extend(cpus.clone().map(|cpu| (self.index(inner, cpu), Some(cpu))));
            }
        }
        inside
    }

    fn private_of(&self, cpu: usize) -> Vec<usize> {
        let private = (0..self.starts.len()).filter(|&place| !self.machine.caches[place].shared);
        private.map(|place| self.index(place, cpu)).collect()
    }
}
