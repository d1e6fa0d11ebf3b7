//! Memory at the fidelity `footprint`: working sets and what survives of them, a few steps however many accesses there are.
//!
//! Faults are those of the kernel all the same: as long as a part of a region may still fault its pages are touched one by
//! one, and once all of them are there the part is only a working set. Whatever changes translations of an address space
//! makes all its parts suspect again.

use super::lines::Lines;
use crate::base::{ConfigError, Picos};
use crate::kernel::{Kernel, Shootdown, Tid};
use crate::memory::Cause;
use crate::memory::config::{MachineConfig, PageSize};
use crate::memory::footprint::{Cost, Footprint, Hits, LEVELS_MAX, Profile, SetId};
use crate::memory::hash::NumberMap;
use crate::vm::SpaceId;

/// Parts of a cycle in which rates are kept.
const RATE: u64 = 1000;

/// How accesses follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each waits for the one before.
    Dependent,
    /// They overlap, and read.
    Read,
    /// They overlap, and write.
    Written,
}

/// A part of a region and how it is gone through: who goes through it otherwise has another working set of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Part {
    pub space: SpaceId,
    /// Its first byte.
    pub base: u64,
    /// Bytes of a unit, and how many there are.
    pub unit: u64,
    pub units: u64,
    /// Which touches use it alike: see [`Code::orders`](crate::workload::Code::orders).
    pub order: u32,
}

/// Whose data the kernel goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// That of a cpu.
    Cpu(usize),
    /// That of a thread.
    Thread(Tid),
    /// That of an address space.
    Space(SpaceId),
}

/// The number of a part that is used.
pub(super) type Place = u32;

/// The working set of a part, and whether its pages are there.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Nobody's, if its address space is gone.
    part: Option<Part>,
    set: SetId,
    /// The place of its address space.
    space: u32,
    /// For reads and for writes: the state of the address space in which all pages allowed them; 0 if they never did.
    calm: [u64; 2],
    /// Accesses since the last fault.
    quiet: u64,
    /// The last run: cycles and accesses.
    last: [u64; 2],
}

impl Held {
    /// What an access took the last time, in thousandths of cycles.
    fn rate(&self) -> u64 {
        let [cycles, accesses] = self.last;
        cycles.saturating_mul(RATE) / accesses.max(1)
    }
}

/// An address space.
#[derive(Clone, Debug, Default)]
struct Space {
    /// How often its translations have changed.
    state: u64,
    parts: Vec<Place>,
    /// The kernel's data of it.
    kernel: Option<SetId>,
}

/// All working sets of a run.
#[derive(Debug)]
pub(super) struct Footprints {
    model: Footprint,
    frequency_mhz: u32,
    lines: Lines,
    has_swap: bool,
    parts: Vec<Held>,
    free_parts: Vec<Place>,
    by_part: NumberMap<Part, Place>,
    /// Which part was found last for touches and address spaces that fall together.
    found: [Place; FOUND],
    spaces: Vec<Space>,
    free_spaces: Vec<u32>,
    by_space: NumberMap<SpaceId, u32>,
    /// The kernel's data of cpus and threads.
    cpus: Vec<Option<SetId>>,
    threads: Vec<Option<SetId>>,
}

/// Places of parts that are remembered: a power of two.
const FOUND: usize = 64;

/// A cost in time, by cause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub user: Picos,
    pub walk: Picos,
    pub stalls: [Picos; Cause::ALL.len()],
    pub misses: [[f64; Cause::ALL.len()]; LEVELS_MAX],
}

/// The time of accesses that all hit.
#[derive(Clone, Copy, Debug)]
pub(super) struct HitTime {
    pub user: Picos,
    pub walk: Picos,
}

impl Footprints {
    /// Nothing in any cache.
    ///
    /// # Errors
    /// A machine that the model cannot have.
    pub fn new(machine: &MachineConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            model: Footprint::new(machine)?,
            frequency_mhz: machine.frequency_mhz,
            lines: Lines::new(machine),
            has_swap: machine.kernel.swap_size.bytes() > 0,
            parts: Vec::new(),
            free_parts: Vec::new(),
            by_part: NumberMap::default(),
            found: [0; FOUND],
            spaces: Vec::new(),
            free_spaces: Vec::new(),
            by_space: NumberMap::default(),
            cpus: vec![None; machine.cpus as usize],
            threads: Vec::new(),
        })
    }

    /// The place of a part that is known.
    #[inline]
    pub fn find(&mut self, part: &Part) -> Option<Place> {
        let hint = &mut self.found[part.order.wrapping_add(part.space.0.wrapping_mul(5)) as usize % FOUND];
        let is_found = self.parts.get(*hint as usize).is_some_and(|held| held.part.as_ref() == Some(part));
        if !is_found {
            *hint = look_up(&self.by_part, part)?;
        }
        Some(*hint)
    }

    /// Adds a part that is new. `is_shared`: threads on several cpus use it.
    ///
    /// # Errors
    /// A profile that the model cannot have.
    pub fn add(&mut self, part: Part, profile: &Profile, is_shared: bool) -> Result<Place, ConfigError> {
        let set = if is_shared { self.model.add_shared_set(profile)? } else { self.model.add_set(profile)? };
        let space = self.space(part.space);
        let held = Held { part: Some(part), set, space, calm: [0; 2], quiet: 0, last: [u64::MAX, 1] };
        let place = match self.free_parts.pop() {
            Some(place) => {
                self.parts[place as usize] = held;
                place
            }
            None => {
                self.parts.push(held);
                Place::try_from(self.parts.len() - 1).expect("fewer than 2^32 parts")
            }
        };
        self.by_part.insert(part, place);
        self.spaces[space as usize].parts.push(place);
        Ok(place)
    }

    /// The place of an address space.
    fn space(&mut self, space: SpaceId) -> u32 {
        *self.by_space.entry(space).or_insert_with(|| {
            let fresh = Space { state: 1, ..Space::default() };
            if let Some(place) = self.free_spaces.pop() {
                self.spaces[place as usize] = fresh;
                return place;
            }
            self.spaces.push(fresh);
            u32::try_from(self.spaces.len() - 1).expect("fewer than 2^32 address spaces")
        })
    }

    /// Whether all pages of a part are there for certain, and allow what is done. Where pages go to swap nothing is certain.
    #[inline]
    pub fn is_calm(&self, place: Place, is_write: bool) -> bool {
        let held = &self.parts[place as usize];
        !self.has_swap && held.calm[usize::from(is_write)] == self.spaces[held.space as usize].state
    }

    /// Notes an access that the kernel has allowed. Once as many as there are pages have passed without a fault they are
    /// looked at.
    pub fn note_access(&mut self, kernel: &Kernel, place: Place, has_faulted: bool, is_write: bool) {
        let held = &mut self.parts[place as usize];
        let Some(Part { space, base, unit, units, .. }) = held.part else { return };
        held.quiet = if has_faulted { 0 } else { held.quiet + 1 };
        let (first, last) = (base >> 12, (base + unit * units - 1) >> 12);
        if held.quiet > last - first {
            held.quiet = 0;
            let is_there = |vpn| kernel.vm().entry(space, vpn).0.allows(is_write);
            if (first..=last).all(is_there) {
                held.calm[usize::from(is_write)] = self.spaces[held.space as usize].state;
            }
        }
    }

    /// How many of so many accesses fit into some time, at least one.
    pub fn within(&self, cpu: usize, place: Place, time: Picos, accesses: u64) -> u64 {
        let held = &self.parts[place as usize];
        let cycles = match time.0.checked_mul(self.frequency_mhz.into()) {
            Some(product) => product / 1_000_000,
            None => {
                let cycles = u128::from(time.0) * u128::from(self.frequency_mhz) / 1_000_000;
                u64::try_from(cycles).unwrap_or(u64::MAX)
            }
        };
        let cycles = cycles.max(1);
        // What took far less than there is now the last time is not looked at closely.
        if held.rate().saturating_mul(accesses) / RATE < cycles / 4 {
            return accesses;
        }
        self.model.within(cpu, held.set, cycles).min(accesses)
    }

    /// So many accesses to a part, if all of it is in the first cache and TLB.
    #[inline]
    pub fn run_hits(&mut self, cpu: usize, place: Place, accesses: u64) -> Option<HitTime> {
        let held = &mut self.parts[place as usize];
        let Hits { user_cycles, walk_cycles } = self.model.run_hits(cpu, held.set, accesses)?;
        held.last = [user_cycles + walk_cycles, accesses];
        Some(HitTime { user: self.time(user_cycles), walk: self.time(walk_cycles) })
    }

    /// So many accesses to a part.
    pub fn run(&mut self, cpu: usize, place: Place, accesses: u64, kind: Kind) -> Spent {
        let held = &mut self.parts[place as usize];
        let cost = self.model.run_long(cpu, held.set, accesses);
        held.last = [cost.cycles(), accesses];
        let mut spent = self.spent(&cost, 1);
        if kind == Kind::Dependent {
            return spent;
        }
        // Lines come in one after the other, however many are waited for at a time.
        let misses = cost.misses.iter().map(|level| level.iter().sum::<f64>().min(accesses as f64));
        let least = self.lines.least(accesses, misses, kind == Kind::Written);
        let short = least.saturating_sub(cost.user_cycles + cost.stall_cycles.iter().sum::<u64>());
        spent.stalls[Cause::Capacity as usize] += Picos::from_cycles(short, self.frequency_mhz);
        spent
    }

    /// The kernel goes through some lines of its data, `mlp` of its misses under way at a time. Nothing is paid for hits,
    /// and nothing told if all are.
    #[inline]
    pub fn touch_kernel(&mut self, cpu: usize, owner: Owner, lines: u64, mlp: u64) -> Option<Spent> {
        let set = match self.kernel_set(owner) {
            Some(set) => set,
            None => self.add_kernel_set(owner, lines)?,
        };
        if self.model.run_hits(cpu, set, lines).is_some() {
            return None;
        }
        let cost = self.model.run_long(cpu, set, lines);
        Some(Spent { user: Picos::ZERO, walk: Picos::ZERO, ..self.spent(&cost, mlp) })
    }

    #[inline]
    fn kernel_set(&self, owner: Owner) -> Option<SetId> {
        match owner {
            Owner::Cpu(cpu) => self.cpus[cpu],
            Owner::Thread(tid) => self.threads.get(tid.index()).copied().flatten(),
            Owner::Space(space) => self.spaces[*self.by_space.get(&space)? as usize].kernel,
        }
    }

    fn add_kernel_set(&mut self, owner: Owner, lines: u64) -> Option<SetId> {
        let profile = Profile { is_dependent: true, is_physical: true, ..Profile::new(lines.max(1), 64) };
        let set = self.model.add_set(&profile).ok()?;
        match owner {
            Owner::Cpu(cpu) => self.cpus[cpu] = Some(set),
            Owner::Thread(tid) => {
                if self.threads.len() <= tid.index() {
                    self.threads.resize(tid.index() + 1, None);
                }
                self.threads[tid.index()] = Some(set);
            }
            Owner::Space(space) => {
                let place = self.space(space);
                self.spaces[place as usize].kernel = Some(set);
            }
        }
        Some(set)
    }

    #[inline(always)]
    fn spent(&self, cost: &Cost, overlap: u64) -> Spent {
        Spent {
            user: self.time(cost.user_cycles),
            walk: self.time(cost.walk_cycles),
            stalls: cost.stall_cycles.map(|cycles| if cycles == 0 { Picos::ZERO } else { self.time(cycles / overlap) }),
            misses: cost.misses,
        }
    }

    /// The time of so many cycles: mostly of some kind there are none, which is known without a division.
    #[inline]
    fn time(&self, cycles: u64) -> Picos {
        if cycles == 0 { Picos::ZERO } else { Picos::from_cycles(cycles, self.frequency_mhz) }
    }

    /// Drops the translations that a cpu has of an address space.
    pub fn forget_space(&mut self, cpu: usize, space: SpaceId) {
        let Some(&place) = self.by_space.get(&space) else { return };
        for &part in &self.spaces[place as usize].parts {
            self.model.forget_translations(cpu, self.parts[part as usize].set);
        }
    }

    /// Drops all translations of a cpu.
    pub fn forget_all(&mut self, cpu: usize) {
        self.model.flush_tlbs(cpu);
    }

    /// Translations of an address space have changed; it may be gone.
    pub fn shoot_down(&mut self, kernel: &Kernel, shootdowns: &[Shootdown]) {
        for shootdown in shootdowns {
            let Some(&place) = self.by_space.get(&shootdown.space) else { continue };
            self.spaces[place as usize].state += 1;
            if shootdown.pages.is_none() && kernel.vm().users(shootdown.space) == 0 {
                self.by_space.remove(&shootdown.space);
                self.drop_space(place);
            }
        }
    }

    fn drop_space(&mut self, place: u32) {
        let Space { parts, kernel, .. } = std::mem::take(&mut self.spaces[place as usize]);
        for part in parts {
            let held = &mut self.parts[part as usize];
            if let Some(part) = held.part.take() {
                self.by_part.remove(&part);
            }
            self.model.drop_set(held.set);
            self.free_parts.push(part);
        }
        if let Some(set) = kernel {
            self.model.drop_set(set);
        }
        self.free_spaces.push(place);
    }

    /// The kernel's data of a thread is no longer used.
    pub fn drop_thread(&mut self, tid: Tid) {
        if let Some(set) = self.threads.get_mut(tid.index()).and_then(Option::take) {
            self.model.drop_set(set);
        }
    }
}

/// Apart from where parts are found at once, which would work out the hash all the same.
#[cold]
#[inline(never)]
fn look_up(by_part: &NumberMap<Part, Place>, part: &Part) -> Option<Place> {
    by_part.get(part).copied()
}

/// Page sizes by the order of their frames.
pub(super) fn page_of(order: u32) -> PageSize {
    match order {
        0 => PageSize::Size4K,
        9 => PageSize::Size2M,
        _ => PageSize::Size1G,
    }
}
