//! Memory at the fidelity `addresses`: every access goes through TLBs, page walks and caches.

use crate::base::Picos;
use crate::kernel::{Account, Kernel, Ledger, Shootdown};
use crate::memory::config::{MachineConfig, PageSize};
use crate::memory::{Mapping, MemorySystem, OutOfMemory, Reference};
use crate::trace::batch::AccessKind;
use crate::vm::address_space::Access;
use crate::vm::{SpaceId, Touch};

/// The machine's memory system, and how its cycles become time.
pub(super) struct Addresses {
    system: MemorySystem,
    frequency_mhz: u32,
    mlp: u64,
    hit_cycles: u64,
    cpus: u32,
    /// Pages up to which translations are forgotten one by one.
    ceiling: u64,
}

/// Accesses of one touch so far, and what they took: independent ones overlap.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overlap {
    accesses: u64,
    latency_cycles: u64,
}

impl Addresses {
    pub fn new(machine: &MachineConfig, seed: u64) -> Self {
        let hit_cycles = machine.caches.first().map_or(1, |_| u64::from(machine.latency_cycles_of(0)));
        Self {
            system: MemorySystem::new(machine, &[], false, seed),
            frequency_mhz: machine.frequency_mhz,
            mlp: u64::from(machine.mlp),
            hit_cycles,
            cpus: machine.cpus,
            ceiling: u64::from(machine.kernel.shootdown.flush_ceiling_pages),
        }
    }

    /// What an access that the kernel has allowed takes. A dependent one waits for all of its latency; of independent
    /// ones `mlp` are under way at a time, and one begins each cycle.
    ///
    /// # Errors
    /// The host of a guest has no memory left.
    #[allow(clippy::too_many_arguments, reason = "an access has as many sides")]
    pub fn access(
        &mut self,
        kernel: &Kernel,
        cpu: usize,
        space: SpaceId,
        vaddr: u64,
        access: Access,
        touch: &Touch,
        overlap: Option<&mut Overlap>,
    ) -> Result<Ledger, OutOfMemory> {
        let kind = match access {
            Access::Read => AccessKind::Read,
            Access::Write => AccessKind::Write,
            Access::Execute => AccessKind::Fetch,
        };
        let cpu = u32::try_from(cpu).expect("at most 64 cpus");
        let reference = Reference { vaddr, bytes: 1, kind, cpu, asid: space.0, ip: 0 };
        let page_size = match touch.order {
            0 => PageSize::Size4K,
            9 => PageSize::Size2M,
            _ => PageSize::Size1G,
        };
        let path = kernel.vm().path(space, vaddr >> 12);
        let mapping = Mapping { paddr: touch.pfn.0 << 12 | vaddr & 4095, page_size, path: &path };
        let outcome = self.system.access_mapped(&reference, &mapping)?;
        let latency = outcome.latency_cycles;
        let cycles = match overlap {
            None => latency,
            Some(overlap) => overlap.add(latency, self.mlp),
        };
        let user = cycles.min(self.hit_cycles);
        let beyond = cycles - user;
        // Of what is waited for, translation has the share that it has in the whole latency.
        let walk = (beyond * outcome.translation_cycles)
            .checked_div(latency.saturating_sub(self.hit_cycles))
            .unwrap_or(0)
            .min(beyond);
        let time = |cycles| Picos::from_cycles(cycles, self.frequency_mhz);
        // Rounded once, so that the parts add up to the whole.
        let (whole, user, walk) = (time(cycles), time(user), time(walk));
        let walk = walk.min(whole.saturating_sub(user));
        Ok(Ledger::of(Account::User, user).and(Account::Walk, walk).and(Account::Stall, whole - user - walk))
    }

    /// Makes all cpus forget what is no longer valid.
    pub fn shoot_down(&mut self, shootdowns: &[Shootdown]) {
        for &Shootdown { space, pages } in shootdowns {
            for cpu in 0..self.cpus {
                match pages.filter(|(start, end)| end - start <= self.ceiling) {
                    Some((start, end)) => {
                        for vpn in start..end {
                            for size in [PageSize::Size4K, PageSize::Size2M] {
                                self.system.invalidate_page(cpu, space.0, vpn << 12, size);
                            }
                        }
                    }
                    None => self.system.invalidate_asid(cpu, space.0),
                }
            }
        }
    }

    /// What was counted.
    pub fn system(&self) -> &MemorySystem {
        &self.system
    }
}

impl Overlap {
    /// Adds an access. Returns the cycles by which it lengthens the touch.
    fn add(&mut self, latency: u64, mlp: u64) -> u64 {
        let cycles = |overlap: &Self| overlap.accesses.max(overlap.latency_cycles.div_ceil(mlp));
        let before = cycles(self);
        self.accesses += 1;
        self.latency_cycles += latency;
        cycles(self) - before
    }
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addresses").field("cpus", &self.cpus).finish_non_exhaustive()
    }
}
