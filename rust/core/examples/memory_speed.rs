//! How fast the memory system is by itself: `memory_speed MACHINE.json CPUS MILLIONS RUNS`.
//!
//! Each cpu has a working set of its own, one part in four of its accesses are stores, and three threads take turns on it.
//! Prints the rate without and with the causes of misses, for working sets of several sizes.

use runq_core::base::Rng;
use runq_core::memory::config::PageSize;
use runq_core::memory::page_walk::TablePath;
use runq_core::memory::{MachineConfig, Mapping, MemorySystem, Reference};
use runq_core::trace::AccessKind;
use std::time::Instant;

/// Tables whose entries lie one after another by page, level by level, above all pages.
struct Tables(u64);

impl TablePath for Tables {
    fn entry_paddr(&self, level: u32) -> u64 {
        u64::from(level) << 36 | self.0 >> (9 * (level - 1)) << 3
    }
}

/// Accesses that follow one another on a cpu.
const WINDOW: u32 = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "memory_speed MACHINE.json CPUS MILLIONS RUNS";
    let mut machine = MachineConfig::from_json(&std::fs::read_to_string(arguments.next().ok_or(usage)?)?)?;
    machine.cpus = arguments.next().ok_or(usage)?.parse()?;
    let accesses = arguments.next().ok_or(usage)?.parse::<u32>()? * 1_000_000;
    let runs: u32 = arguments.next().ok_or(usage)?.parse()?;
    for size_kib in [32, 256, 4096, 65536] {
        for tracks in [false, true] {
            let mut seconds: Vec<f64> = (0..runs).map(|_| run(&machine, size_kib << 10, accesses, tracks)).collect();
            seconds.sort_by(f64::total_cmp);
            let rate = f64::from(accesses) / seconds[seconds.len() / 2] / 1e6;
            println!("{size_kib} KiB a thread, causes {tracks}: {rate:.2} M/s");
        }
    }
    Ok(())
}

/// Seconds for so many accesses.
fn run(machine: &MachineConfig, size: u64, accesses: u32, tracks: bool) -> f64 {
    let mut system = MemorySystem::new(machine, &[], false, 0);
    if tracks {
        system.track_causes();
    }
    let mut draws = Rng::stream(0, "accesses", 0);
    let start = Instant::now();
    for turn in 0..accesses / WINDOW {
        let cpu = turn % machine.cpus;
        let thread = cpu * 3 + turn / (machine.cpus * 8) % 3;
        system.set_thread(cpu, thread);
        for _ in 0..WINDOW {
            let draw = draws.next_u64();
            // Half of the accesses go to an eighth of the working set.
            let reach = if draw & 1 == 0 { size / 8 } else { size };
            let vaddr = ((draw >> 16) % reach) & !7;
            let kind = if draw >> 1 & 3 == 0 { AccessKind::Write } else { AccessKind::Read };
            let place = u64::from(thread) * size + vaddr;
            let reference = Reference { vaddr, bytes: 8, kind, cpu, asid: thread, ip: 0 };
            let mapping = Mapping { paddr: place, page_size: PageSize::Size4K, path: &Tables(place >> 12) };
            system.access_mapped(&reference, &mapping).expect("the host has memory");
        }
    }
    start.elapsed().as_secs_f64()
}
