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
use crate::memory::footprint::{Cost, Footprint, LEVELS_MAX, Profile, SetId};
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

/// What working sets are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A part of a region that is used in one way.
    Part(Part),
    /// The kernel's data of a cpu.
    Cpu(usize),
    /// The kernel's data of a thread.
    Thread(Tid),
    /// The kernel's data of an address space.
    Space(SpaceId),
}

/// One working set, and whether its pages are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub set: SetId,
    /// For reads and for writes: the state of the address space in which all pages allowed them; 0 if they never did.
    calm: [u64; 2],
    /// Accesses since the last fault.
    quiet: u64,
    /// What an access took the last time, in thousandths of cycles.
    rate: u64,
}

/// All working sets of a run.
#[derive(Debug)]
pub(super) struct Footprints {
    model: Footprint,
    frequency_mhz: u32,
    lines: Lines,
    has_swap: bool,
    held: NumberMap<Owner, Held>,
    /// By address space: how often its translations have changed, and its working sets.
    spaces: NumberMap<SpaceId, (u64, Vec<Owner>)>,
}

/// A cost in time, by cause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub user: Picos,
    pub walk: Picos,
    pub stalls: [Picos; Cause::ALL.len()],
    pub misses: [[f64; Cause::ALL.len()]; LEVELS_MAX],
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
            held: NumberMap::default(),
            spaces: NumberMap::default(),
        })
    }

    /// The working set of an owner, made if it is new. `is_shared`: threads on several cpus use it.
    ///
    /// # Errors
    /// A profile that the model cannot have.
    pub fn set(&mut self, owner: Owner, profile: &Profile, is_shared: bool) -> Result<Held, ConfigError> {
        if let Some(held) = self.held.get(&owner) {
            return Ok(*held);
        }
        let set = if is_shared { self.model.add_shared_set(profile)? } else { self.model.add_set(profile)? };
        let held = Held { set, calm: [0; 2], quiet: 0, rate: u64::MAX };
        self.held.insert(owner, held);
        if let Owner::Part(Part { space, .. }) | Owner::Space(space) = owner {
            self.spaces.entry(space).or_insert((1, Vec::new())).1.push(owner);
        }
        Ok(held)
    }

    /// Whether all pages of a part are there for certain, and allow what is done. Where pages go to swap nothing is certain.
    pub fn is_calm(&self, space: SpaceId, held: &Held, is_write: bool) -> bool {
        let state = self.spaces.get(&space).map(|(state, _)| *state);
        !self.has_swap && state.is_some_and(|state| held.calm[usize::from(is_write)] == state)
    }

    /// Notes an access that the kernel has allowed. Once as many as there are pages have passed without a fault they are
    /// looked at.
    pub fn note_access(&mut self, kernel: &Kernel, owner: Owner, has_faulted: bool, is_write: bool) {
        let Owner::Part(Part { space, base, unit, units, .. }) = owner else { return };
        let Some(held) = self.held.get_mut(&owner) else { return };
        held.quiet = if has_faulted { 0 } else { held.quiet + 1 };
        let (first, last) = (base >> 12, (base + unit * units - 1) >> 12);
        if held.quiet > last - first {
            held.quiet = 0;
            let is_there = |vpn| kernel.vm().entry(space, vpn).0.allows(is_write);
            if (first..=last).all(is_there) {
                held.calm[usize::from(is_write)] = self.spaces.get(&space).map_or(0, |(state, _)| *state);
            }
        }
    }

    /// How many of so many accesses fit into some time, at least one.
    pub fn within(&self, cpu: usize, held: &Held, time: Picos, accesses: u64) -> u64 {
        let cycles = u128::from(time.0) * u128::from(self.frequency_mhz) / 1_000_000;
        let cycles = u64::try_from(cycles).unwrap_or(u64::MAX).max(1);
        // What took far less than there is now the last time is not looked at closely.
        if held.rate.saturating_mul(accesses) / RATE < cycles / 4 {
            return accesses;
        }
        self.model.within(cpu, held.set, cycles).min(accesses)
    }

    /// So many accesses to a working set.
    pub fn run(&mut self, cpu: usize, owner: Owner, accesses: u64, kind: Kind) -> Spent {
        let held = self.held.get_mut(&owner).expect("who runs has a working set");
        let cost = self.model.run(cpu, held.set, accesses);
        held.rate = cost.cycles().saturating_mul(RATE) / accesses.max(1);
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

    /// The kernel goes through some lines of its data, `mlp` of its misses under way at a time. Nothing is paid for hits.
    pub fn touch_kernel(&mut self, cpu: usize, owner: Owner, lines: u64, mlp: u64) -> Option<Spent> {
        let profile = Profile { is_dependent: true, is_physical: true, ..Profile::new(lines.max(1), 64) };
        let set = self.set(owner, &profile, false).ok()?.set;
        let cost = self.model.run(cpu, set, lines);
        Some(Spent { user: Picos::ZERO, walk: Picos::ZERO, ..self.spent(&cost, mlp) })
    }

    fn spent(&self, cost: &Cost, overlap: u64) -> Spent {
        let time = |cycles: u64| Picos::from_cycles(cycles, self.frequency_mhz);
        Spent {
            user: time(cost.user_cycles),
            walk: time(cost.walk_cycles),
            stalls: cost.stall_cycles.map(|cycles| time(cycles / overlap)),
            misses: cost.misses,
        }
    }

    /// Drops the translations that a cpu has of an address space.
    pub fn forget_space(&mut self, cpu: usize, space: SpaceId) {
        let Some((_, owners)) = self.spaces.get(&space) else { return };
        for owner in owners {
            if let Some(held) = self.held.get(owner) {
                self.model.forget_translations(cpu, held.set);
            }
        }
    }

    /// Drops all translations of a cpu.
    pub fn forget_all(&mut self, cpu: usize) {
        self.model.flush_tlbs(cpu);
    }

    /// Translations of an address space have changed; it may be gone.
    pub fn shoot_down(&mut self, kernel: &Kernel, shootdowns: &[Shootdown]) {
        for shootdown in shootdowns {
            let Some((state, owners)) = self.spaces.get_mut(&shootdown.space) else { continue };
            *state += 1;
            if shootdown.pages.is_none() && kernel.vm().users(shootdown.space) == 0 {
                for owner in std::mem::take(owners) {
                    if let Some(held) = self.held.remove(&owner) {
                        self.model.drop_set(held.set);
                    }
                }
                self.spaces.remove(&shootdown.space);
            }
        }
    }

    /// The kernel's data of a thread is no longer used.
    pub fn drop_thread(&mut self, tid: Tid) {
        if let Some(held) = self.held.remove(&Owner::Thread(tid)) {
            self.model.drop_set(held.set);
        }
    }
}

/// Page sizes by the order of their frames.
pub(super) fn page_of(order: u32) -> PageSize {
    match order {
        0 => PageSize::Size4K,
        9 => PageSize::Size2M,
        _ => PageSize::Size1G,
    }
}
