//! Placeholder for the general engine's interface, to be replaced by the engine itself.
#![allow(missing_docs, clippy::needless_pass_by_value)]

use super::MachineConfig;
use super::config::PageSize;
use super::stats::MemoryStats;
use crate::trace::AccessKind;

pub struct Reference {
    pub vaddr: u64,
    pub bytes: u32,
    pub kind: AccessKind,
    pub cpu: u32,
    pub asid: u32,
    pub ip: u64,
}
pub struct Outcome {
    pub latency_cycles: u64,
    pub walked: bool,
    pub missed: u32,
}
pub struct PageRange {
    pub start: u64,
    pub end: u64,
    pub page_size: PageSize,
}
pub struct OutOfMemory {
    pub frames: u64,
}
pub struct MemorySystem;
impl MemorySystem {
    pub fn new(_machine: &MachineConfig, _ranges: &[PageRange], _dependent: bool, _seed: u64) -> Self {
        Self
    }
    pub fn access(&mut self, _reference: &Reference) -> Result<Outcome, OutOfMemory> {
        Ok(Outcome { latency_cycles: 0, walked: false, missed: 0 })
    }
    pub fn stats(&self) -> MemoryStats {
        MemoryStats::default()
    }
}
