//! Swap: which page makes room when memory is full, and where it goes.
//!
//! A policy is a file of its own behind [`PageReplacement`]. `opt` needs the future and is for reference strings alone
//! ([`reference_string`]).

mod clock;
mod fifo;
mod list;
mod lru;
mod random;
pub mod reference_string;
mod slots;

pub use slots::Slots;

use serde::{Deserialize, Serialize};

/// Chooses the page that goes. Pages are small numbers: those of their frames.
pub trait PageReplacement: std::fmt::Debug + Send + Sync {
    /// A page came into memory.
    fn insert(&mut self, page: u32);
    /// A page in memory was accessed.
    fn touch(&mut self, page: u32);
    /// A page left memory.
    fn remove(&mut self, page: u32);
    /// The page to evict, which stays until it is removed; nothing if there is none.
    fn victim(&mut self) -> Option<u32>;
}

/// Which page makes room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwapPolicy {
    /// First in, first out.
    Fifo,
    /// Least recently used.
    #[default]
    Lru,
    /// Second chance.
    Clock,
    /// Drawn from the seed.
    Random,
    /// The one whose next use is furthest: the least faults that are possible (Belady 1966).
    Opt,
}

impl SwapPolicy {
    /// The policy without pages; nothing for `opt`, which has to know the future.
    pub fn build(self, seed: u64) -> Option<Box<dyn PageReplacement>> {
        Some(match self {
            Self::Fifo => Box::<fifo::Fifo>::default(),
            Self::Lru => Box::<lru::Lru>::default(),
            Self::Clock => Box::<clock::Clock>::default(),
            Self::Random => Box::new(random::Random::new(seed)),
            Self::Opt => return None,
        })
    }
}
