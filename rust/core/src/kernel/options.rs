//! What a kernel is told beside the machine.

use crate::base::ConfigError;
use crate::memory::MachineConfig;
use crate::sched::policies::EevdfConfig;
use crate::sched::{PolicyConfig, Queues};
use crate::vm::ForkPolicy;
use crate::vm::frames::FramePlacement;
use crate::vm::swap::SwapPolicy;
use serde::{Deserialize, Serialize};

/// The least memory that a kernel runs in: tables and images of a few processes.
const MEMORY_MIN: u64 = 256 << 10;

/// The most: every frame has a few bytes in the simulator.
const MEMORY_MAX: u64 = 1 << 40;

/// Choices of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KernelOptions {
    /// Where frames are taken from.
    pub placement: FramePlacement,
    /// Which page makes room when memory is full.
    pub swap_policy: SwapPolicy,
    /// Whether addresses are drawn from the seed.
    pub aslr: bool,
    /// What a fork does with tables.
    pub fork_policy: ForkPolicy,
    /// Who runs next: a policy by its name, or a table of that name with its numbers.
    #[serde(deserialize_with = "PolicyConfig::by_name")]
    pub scheduler: PolicyConfig,
    /// Whether cpus pick from one queue or each from its own.
    pub queues: Queues,
    /// Whether a cpu takes from the queues of others: when it has nobody, and at ticks when another has two more.
    pub steal: bool,
    /// Whether who is woken joins the cpu of who wakes it, if nobody else runs there.
    pub wake_affine: bool,
    /// Of all random numbers.
    pub seed: u64,
}

impl Default for KernelOptions {
    fn default() -> Self {
        Self {
            placement: FramePlacement::default(),
            swap_policy: SwapPolicy::default(),
            aslr: true,
            fork_policy: ForkPolicy::default(),
            scheduler: PolicyConfig::Eevdf(EevdfConfig::default()),
            queues: Queues::Auto,
            steal: true,
            wake_affine: false,
            seed: 0,
        }
    }
}

impl KernelOptions {
    /// Reads and checks options written as JSON.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let tree = crate::memory::config::tree_from_json("options", text)?;
        let options: Self = crate::memory::config::from_tree("options", tree)?;
        options.check()?;
        Ok(options)
    }

    /// Whether each cpu has a queue of its own. `has_affinity`: some thread may not run everywhere.
    ///
    /// # Errors
    /// One queue for all cpus cannot serve such threads.
    pub fn is_per_cpu(&self, has_affinity: bool) -> Result<bool, ConfigError> {
        match self.queues {
            Queues::Shared if has_affinity => {
                let rule = "must be per-cpu where threads have an affinity";
                Err(ConfigError::new("kernel.queues", rule, "shared"))
            }
            Queues::Shared => Ok(false),
            Queues::PerCpu => Ok(true),
            Queues::Auto => Ok(has_affinity || self.scheduler.is_per_cpu()),
        }
    }

    /// Holds the rules for a machine that a kernel is to run on.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn check_machine(machine: &MachineConfig) -> Result<(), ConfigError> {
        let bytes = machine.memory_size.bytes();
        if !(MEMORY_MIN..=MEMORY_MAX).contains(&bytes) {
            let rule = "must be 256KiB to 1TiB for a kernel to run";
            return Err(ConfigError::new("memory_size", rule, machine.memory_size));
        }
        Ok(())
    }

    /// Holds the rules that types do not.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.swap_policy == SwapPolicy::Opt {
            let rule = "must not need the future: opt is for reference strings";
            return Err(ConfigError::new("swap_policy", rule, "opt"));
        }
        self.scheduler.check()?;
        if self.queues == Queues::Shared && self.scheduler.is_per_cpu() {
            return Err(ConfigError::new("kernel.queues", "must be per-cpu under this scheduler", "shared"));
        }
        Ok(())
    }
}
