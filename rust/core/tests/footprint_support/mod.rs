//! Random machines, working sets and turns, run at both fidelities of memory.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]

use runq_core::base::Rng;
use runq_core::memory::footprint::{Footprint, Pattern, Profile};
use runq_core::memory::{MachineConfig, MemorySystem, Reference};
use runq_core::trace::batch::AccessKind;
use runq_core::workload::op::Touch;
use runq_core::workload::pattern::{Cursor, Pattern as Order};
use serde_json::json;

/// What one case showed, in cycles.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was drawn, for people.
    #[allow(dead_code, reason = "the example prints it")]
    pub text: String,
    /// A run of a thread that is alone, at the fidelity `addresses` and at `footprint`.
    pub alone: [f64; 2],
    /// What a run costs more than that where threads take turns.
    pub switch: [f64; 2],
}

impl Outcome {
    /// The error of a run's cost.
    pub fn alone_error(&self) -> f64 {
        self.alone[1] / self.alone[0] - 1.0
    }

    /// The error of a switch's cost; nothing where it is less than a hundredth of the run.
    pub fn switch_error(&self) -> Option<f64> {
        let is_felt = self.switch[0].max(self.switch[1]) > 0.01 * self.alone[0];
        is_felt.then(|| self.switch[1] / self.switch[0].max(0.01 * self.alone[0]) - 1.0)
    }
}

struct Thread {
    profile: Profile,
    order: Order,
    cursor: Cursor,
    base: u64,
    asid: u32,
}

impl Thread {
    fn next(&mut self) -> u64 {
        self.base + self.cursor.next(&self.order) * self.profile.unit_bytes
    }
}

/// A run at the fidelity `addresses`: independent accesses overlap.
fn run(system: &mut MemorySystem, thread: &mut Thread, cpu: u32, accesses: u64, mlp: u64) -> f64 {
    let mut latency = 0;
    for _ in 0..accesses {
        let reference =
            Reference { vaddr: thread.next(), bytes: 1, kind: AccessKind::Read, cpu, asid: thread.asid, ip: 0 };
        latency += system.access(&reference).expect("memory is large").latency_cycles;
    }
    if thread.profile.is_dependent { latency as f64 } else { latency.div_ceil(mlp).max(accesses) as f64 }
}

struct Draw(Rng);

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        self.0.below(bound)
    }

    fn unit(&mut self) -> f64 {
        f64::from(self.0.below(1 << 30)) / f64::from(1 << 30)
    }

    /// Between both, each factor of two as likely.
    fn between(&mut self, from: f64, to: f64) -> f64 {
        from * (to / from).powf(self.unit())
    }

    fn one<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(u32::try_from(from.len()).expect("few")) as usize]
    }
}

fn machine(draw: &mut Draw) -> (MachineConfig, String) {
    let cpus = 1 + draw.below(2);
    let levels = 1 + draw.below(3);
    let placement = draw.one(&["contiguous", "random"]);
    let mut text = format!("{cpus} cpus {placement}");
    let mut caches = Vec::new();
    let (mut bits, mut ways_least) = (13 + draw.below(3), 0);
    for level in 1..=levels {
        let ways = draw.one(&[2u32, 4, 8, 16]).max(ways_least);
        ways_least = 2;
        let replacement = draw.one(&["lru", "tree-plru", "srrip"]);
        text += &format!(" {}K/{ways}{replacement}", 1u64 << (bits - 10));
        let shared = level == 3 || level == 2 && levels == 2 && draw.below(2) == 0;
        caches.push(json!({
            "name": format!("L{level}"), "size": 1u64 << bits, "ways": ways, "replacement": replacement, "shared": shared,
        }));
        bits = (bits + 2 + draw.below(3)).min(23);
    }
    let machine = json!({
        "cpus": cpus, "placement": placement, "caches": caches, "mlp": draw.one(&[1, 4, 10]),
        "tlbs": [
            {"name": "dTLB", "entries": 64, "ways": 4},
            {"name": "STLB", "entries": 1024, "ways": 8},
        ],
    });
    (MachineConfig::from_value(machine).expect("a machine that is right"), text)
}

fn thread(draw: &mut Draw, index: u32, lines_max: f64, seed: u64, text: &mut String) -> Thread {
    let units = draw.between(32.0, lines_max) as u64;
    let is_dependent = draw.below(2) == 0;
    let (pattern, json) = match draw.below(8) {
        0 | 1 => (Pattern::Sequential, json!({"region": "r"})),
        2 => (Pattern::Strided(5), json!({"region": "r", "pattern": "strided", "stride": 5})),
        3 | 4 => (Pattern::Chase, json!({"region": "r", "pattern": "chase"})),
        5 => (Pattern::Uniform, json!({"region": "r", "pattern": "uniform"})),
        6 => {
            let skew = draw.one(&[0.6, 1.0]);
            (Pattern::Zipf(skew), json!({"region": "r", "pattern": "zipf", "skew": skew}))
        }
        _ => (Pattern::Hot { fraction: 0.1, probability: 0.9 }, json!({"region": "r", "pattern": "hot"})),
    };
    *text += &format!(" | {pattern:?} {}K{}", units / 16, if is_dependent { " dep" } else { "" });
    let touch: Touch = serde_json::from_value(json).expect("a touch that is right");
    let order = Order::new(&touch, "touch").expect("a pattern that is right");
    let cursor = Cursor::new(&order, units, seed, index.into());
    let profile = Profile { pattern, is_dependent, ..Profile::new(units, 64) };
    // Bases that are no multiples of caches.
    let base = ((u64::from(index) + 1) << 32) + (u64::from(draw.below(1000)) << 12);
    Thread { profile, order, cursor, base, asid: index }
}

/// Draws the case of a seed and runs it at both fidelities. Where pages lie at random the mean over some placements is
/// taken, since that is what the model predicts.
pub fn case(seed: u64, accesses: u64, placements: u64) -> Outcome {
    let mut mean = placed(seed, accesses, 0);
    if mean.text.contains("random") && placements > 1 {
        for placement in 1..placements {
            let other = placed(seed, accesses, placement);
            mean.alone[0] += other.alone[0];
            mean.switch[0] += other.switch[0];
        }
        mean.alone[0] /= placements as f64;
        mean.switch[0] /= placements as f64;
    }
    mean
}

fn placed(seed: u64, accesses: u64, placement: u64) -> Outcome {
    let mut draw = Draw(Rng::stream(seed, "footprint.cases", 0));
    let (config, mut text) = machine(&mut draw);
    let mlp = u64::from(config.mlp);
    let outer = config.caches.last().expect("a cache").size.bytes() as f64 / 64.0;
    let first = config.caches[0].size.bytes() as f64 / 64.0;
    let count = 2 + draw.below(7);
    // Some cases play in the inner caches, some in the outer.
    let lines_max = draw.between(2.0 * first, f64::max(outer, 3.0 * first)).min(accesses as f64 / 4.0);
    let mut threads: Vec<Thread> =
        (0..count).map(|index| thread(&mut draw, index, lines_max, seed, &mut text)).collect();
    let length = draw.between(200.0, f64::min(20_000.0, accesses as f64 / 40.0));
    text += &format!(" | runs {length:.0}");

    let mut systems: Vec<MemorySystem> =
        (0..=count).map(|_| MemorySystem::new(&config, &[], false, seed + (placement << 32))).collect();
    let mut models = vec![Footprint::new(&config).expect("few levels"); count as usize + 1];
    let mut sets = Vec::new();
    for thread in &threads {
        let set = models[0].add_set(&thread.profile).expect("a good profile");
        let alone = models[sets.len() + 1].add_set(&thread.profile).expect("a good profile");
        sets.push((set, alone));
    }
    let (mut alone, mut together) = ([0.0; 2], [0.0; 2]);
    let (mut done, mut runs, mut turn) = (0, 0.0, 0);
    // Every thread goes over its working set before anything counts.
    while done < 2 * accesses {
        let index = turn % count as usize;
        let cpu = (index as u32) % config.cpus;
        let is_first = turn < count as usize;
        let units = threads[index].profile.units;
        let run_length = if is_first { 2 * units } else { (length * (0.5 + draw.unit())) as u64 + 1 };
        let is_counted = done >= accesses && !is_first;
        let mut ghost =
            Thread { cursor: threads[index].cursor.clone(), order: threads[index].order.clone(), ..threads[index] };
        let costs = [
            run(&mut systems[index + 1], &mut ghost, 0, run_length, mlp),
            models[index + 1].run(0, sets[index].1, run_length).cycles() as f64,
            run(&mut systems[0], &mut threads[index], cpu, run_length, mlp),
            models[0].run(cpu as usize, sets[index].0, run_length).cycles() as f64,
        ];
        if is_counted {
            for fidelity in 0..2 {
                alone[fidelity] += costs[fidelity];
                together[fidelity] += costs[fidelity + 2];
            }
            runs += 1.0;
        }
        if !is_first {
            done += run_length;
        }
        turn += 1;
    }
    let switch = [0, 1].map(|fidelity| (together[fidelity] - alone[fidelity]) / runs);
    Outcome { text, alone: alone.map(|cycles| cycles / runs), switch }
}

/// The value at a part of sorted values.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}
