//! What memory there is and how it is used.

use super::frames::FramePlacement;
use super::swap::SwapPolicy;
use serde::{Deserialize, Serialize};

/// What a fork does with the tables of level 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForkPolicy {
    /// They are copied at once.
    #[default]
    Copy,
    /// They are shared and copied when someone changes them (Zhao et al., "On-demand-fork", EuroSys 2021).
    OnDemand,
}

/// What memory there is and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmConfig {
    /// Frames of the machine, at least 2.
    pub frames: u64,
    /// Where frames are taken from.
    pub placement: FramePlacement,
    /// Levels of page tables, 4 or 5.
    pub levels: u32,
    /// Pages that swap has room for.
    pub swap_pages: u64,
    /// Which page makes room; not `opt`.
    pub swap_policy: SwapPolicy,
    /// The most pages of a stack.
    pub stack_pages_max: u64,
    /// Whether addresses are drawn from the seed.
    pub aslr: bool,
    /// What a fork does with tables.
    pub fork_policy: ForkPolicy,
    /// Of all random numbers.
    pub seed: u64,
}

impl Default for VmConfig {
    fn default() -> Self {
        Self {
            frames: 1 << 22,
            placement: FramePlacement::default(),
            levels: 4,
            swap_pages: 0,
            swap_policy: SwapPolicy::default(),
            stack_pages_max: 2048,
            aslr: true,
            fork_policy: ForkPolicy::default(),
            seed: 0,
        }
    }
}
