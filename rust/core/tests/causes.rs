//! The causes of misses against a naive model, which keeps the whole history of every line in every cache.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use proptest::prelude::*;
use runq_core::memory::causes::KERNEL;
use runq_core::memory::{Cause, MachineConfig, MemorySystem, Reference};
use runq_core::trace::AccessKind;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const CPUS: usize = 3;

/// One thing that happens on a cpu.
#[derive(Clone, Copy, Debug)]
enum Step {
    Access { line: u64, is_store: bool },
    Kernel { line: u64, is_store: bool },
    Switch { thread: u32 },
}

#[derive(Clone, Debug)]
struct LevelSpec {
    sets: u64,
    ways: usize,
    is_shared: bool,
    is_inclusive: bool,
}

/// A line in a cache, from its fill on.
#[derive(Clone, Debug, Default)]
struct Stay {
    line: u64,
    is_dirty: bool,
    /// Time and thread of every use.
    uses: BTreeSet<(u64, u32)>,
}

/// How it came to an end.
#[derive(Clone, Debug)]
struct End {
    stay: Stay,
    at: u64,
    by: u32,
    is_invalidated: bool,
    is_reordered: bool,
}

impl Stay {
    fn last(&self) -> (u64, u32) {
        *self.uses.last().expect("every line was brought by somebody")
    }

    fn is_known_to(&self, thread: u32) -> bool {
        let users: BTreeSet<u32> = self.uses.iter().map(|&(_, user)| user).collect();
        users.len() > 1 || users.contains(&thread)
    }
}

/// A cache: its lines from the least recent on, and all stays that have ended.
#[derive(Default)]
struct Cache {
    lines: Vec<Stay>,
    ends: Vec<End>,
}

#[derive(Default)]
struct Model {
    specs: Vec<LevelSpec>,
    is_coherent: bool,
    /// By level and cpu; a shared level has one for cpu 0.
    caches: BTreeMap<(usize, usize), Cache>,
    modified: BTreeMap<u64, usize>,
    running: [u32; CPUS],
    /// By cpu: whose turn it is and since when.
    turns: [(Option<u32>, u64); CPUS],
    now: u64,
    cpu: usize,
    thread: u32,
    matrix: BTreeMap<(u32, u32), u64>,
}

impl Model {
    fn new(specs: &[LevelSpec], is_coherent: bool) -> Self {
        Self { specs: specs.to_vec(), is_coherent, running: [KERNEL; CPUS], ..Self::default() }
    }

    fn at(&mut self, level: usize, cpu: usize) -> &mut Cache {
        let cpu = if self.specs[level].is_shared { 0 } else { cpu };
        self.caches.entry((level, cpu)).or_default()
    }

    fn private_levels(&self) -> Vec<usize> {
        (0..self.specs.len()).filter(|&level| !self.specs[level].is_shared).collect()
    }

    fn holds(&mut self, cpu: usize, line: u64) -> bool {
        self.private_levels().into_iter().any(|level| self.at(level, cpu).lines.iter().any(|stay| stay.line == line))
    }

    fn access(&mut self, cpu: usize, thread: u32, line: u64, is_store: bool) -> Vec<(u8, Cause)> {
        self.now += 1;
        (self.cpu, self.thread) = (cpu, thread);
        if self.turns[cpu].0 != Some(thread) {
            self.turns[cpu] = (Some(thread), self.now);
        }
        let is_transfer = self.is_coherent && !self.private_levels().is_empty() && self.before(line, is_store);
        let mut causes = Vec::new();
        self.demand(0, line, is_store, is_transfer, &mut causes);
        if is_store && self.holds(cpu, line) {
            self.modified.insert(line, cpu);
        }
        let modified: Vec<_> = self.modified.iter().map(|(&line, &cpu)| (line, cpu)).collect();
        for (line, cpu) in modified {
            if !self.holds(cpu, line) {
                self.modified.remove(&line);
            }
        }
        causes
    }

    /// What coherence does first. Returns whether another cpu gives the line.
    fn before(&mut self, line: u64, is_store: bool) -> bool {
        let owner = self.modified.get(&line).copied().filter(|&owner| owner != self.cpu);
        let is_transfer = owner.is_some() && !self.holds(self.cpu, line);
        if is_store {
            let me = self.cpu;
            for cpu in (0..CPUS).filter(|&cpu| cpu != me) {
                for level in self.private_levels() {
                    self.remove(level, cpu, line, true, false);
                }
            }
            self.modified.remove(&line);
        } else if let Some(owner) = owner.filter(|_| is_transfer) {
            for level in self.private_levels() {
                self.at(level, owner)
                    .lines
                    .iter_mut()
                    .filter(|stay| stay.line == line)
                    .for_each(|s| s.is_dirty = false);
            }
            self.modified.remove(&line);
            if let Some(shared) = (0..self.specs.len()).find(|&level| self.specs[level].is_shared) {
                let uses = BTreeSet::from([(self.now, self.thread)]);
                self.write_back(shared, Stay { line, is_dirty: true, uses });
            }
        }
        is_transfer
    }

    fn demand(&mut self, level: usize, line: u64, is_store: bool, is_transfer: bool, causes: &mut Vec<(u8, Cause)>) {
        if level == self.specs.len() || is_transfer && self.specs[level].is_shared {
            return;
        }
        let (now, thread, cpu) = (self.now, self.thread, self.cpu);
        let makes_dirty = is_store && level == 0;
        let cache = self.at(level, cpu);
        if let Some(place) = cache.lines.iter().position(|stay| stay.line == line) {
            let mut stay = cache.lines.remove(place);
            stay.uses.insert((now, thread));
            stay.is_dirty |= makes_dirty;
            cache.lines.push(stay);
            return;
        }
        let cause = self.cause(level, line);
        causes.push((u8::try_from(level).unwrap(), cause));
        self.demand(level + 1, line, is_store, is_transfer, causes);
        self.fill(level, Stay { line, is_dirty: makes_dirty, uses: BTreeSet::from([(now, thread)]) });
    }

    fn fill(&mut self, level: usize, stay: Stay) {
        let LevelSpec { sets, ways, is_shared, is_inclusive } = self.specs[level];
        let (cpu, thread, now, turn) = (self.cpu, self.thread, self.now, self.turns[self.cpu].1);
        let set = stay.line % sets;
        let cache = self.at(level, cpu);
        let in_set: Vec<usize> =
            (0..cache.lines.len()).filter(|&place| cache.lines[place].line % sets == set).collect();
        if in_set.len() < ways {
            cache.lines.push(stay);
            return;
        }
        let mut victim = cache.lines.remove(in_set[0]);
        let last = victim.last();
        let is_behind_others = cache
            .lines
            .iter()
            .filter(|other| other.line % sets == set)
            .any(|other| other.last().1 != thread && other.last().0 > last.0);
        let is_reordered = victim.is_known_to(thread) && last.0 < turn && is_behind_others;
        cache.ends.push(End { stay: victim.clone(), at: now, by: thread, is_invalidated: false, is_reordered });
        cache.lines.push(stay);
        if is_inclusive {
            for inner in 0..level {
                for served in (0..CPUS).filter(|&served| is_shared || served == cpu) {
                    victim.is_dirty |= self.remove(inner, served, victim.line, false, is_reordered);
                }
            }
        }
        if victim.is_dirty {
            self.write_back(level + 1, victim);
        }
    }

    fn write_back(&mut self, level: usize, stay: Stay) {
        if level == self.specs.len() {
            return;
        }
        let cpu = self.cpu;
        let cache = self.at(level, cpu);
        if let Some(place) = cache.lines.iter().position(|other| other.line == stay.line) {
            let mut here = cache.lines.remove(place);
            here.is_dirty = true;
            here.uses.extend(stay.uses);
            cache.lines.push(here);
        } else {
            self.fill(level, stay);
        }
    }

    fn remove(&mut self, level: usize, cpu: usize, line: u64, is_invalidated: bool, is_reordered: bool) -> bool {
        let (at, by) = (self.now, self.thread);
        let cache = self.at(level, cpu);
        let Some(place) = cache.lines.iter().position(|stay| stay.line == line) else { return false };
        let stay = cache.lines.remove(place);
        let is_dirty = stay.is_dirty;
        cache.ends.push(End { stay, at, by, is_invalidated, is_reordered });
        is_dirty
    }

    fn cause(&mut self, level: usize, line: u64) -> Cause {
        let (cpu, thread) = (self.cpu, self.thread);
        let end = self.at(level, cpu).ends.iter().rfind(|end| end.stay.line == line).cloned();
        let since = end.as_ref().map_or(0, |end| end.at);
        let is_private = !self.specs[level].is_shared;
        for other in (0..CPUS).filter(|&other| is_private && thread != KERNEL && other != cpu) {
            let cache = self.at(level, other);
            let present = cache.lines.iter().find(|stay| stay.line == line);
            let gone = cache.ends.iter().rfind(|end| end.stay.line == line).map(|end| &end.stay);
            if present.or(gone).is_some_and(|stay| stay.last().1 == thread && stay.last().0 >= since) {
                return Cause::Migration;
            }
        }
        let Some(end) = end else { return Cause::Compulsory };
        if end.is_invalidated {
            return Cause::Coherence;
        }
        if end.by == thread {
            return if end.is_reordered { Cause::Reordered } else { Cause::Capacity };
        }
        if !end.stay.is_known_to(thread) {
            return Cause::Capacity;
        }
        *self.matrix.entry((thread, end.by)).or_default() += 1;
        Cause::Replaced
    }
}

fn machine(specs: &[LevelSpec], is_coherent: bool) -> MachineConfig {
    let level = |(index, spec): (usize, &LevelSpec)| {
        json!({
            "name": format!("L{index}"), "size": spec.sets * spec.ways as u64 * 64, "ways": spec.ways,
            "shared": spec.is_shared, "inclusion": if spec.is_inclusive { "inclusive" } else { "non-inclusive" },
        })
    };
    let caches: Vec<_> = specs.iter().enumerate().map(level).collect();
    let coherence = if is_coherent { "mesi" } else { "none" };
    let machine = MachineConfig::from_value(json!({"cpus": CPUS, "caches": caches, "coherence": coherence})).unwrap();
    machine.check().unwrap();
    machine
}

fn refer(system: &mut MemorySystem, cpu: u32, line: u64, is_store: bool) -> Vec<(u8, Cause)> {
    let kind = if is_store { AccessKind::Write } else { AccessKind::Read };
    let reference = Reference { vaddr: line * 64, bytes: 1, kind, cpu, asid: 0, ip: 0 };
    system.access(&reference).unwrap().causes.iter().collect()
}

/// Runs the same steps on both, and on a system that tracks nothing.
fn compare(specs: &[LevelSpec], is_coherent: bool, steps: &[(usize, Step)]) -> BTreeMap<Cause, u64> {
    let machine = machine(specs, is_coherent);
    let mut model = Model::new(specs, is_coherent);
    let mut system = MemorySystem::new(&machine, &[], true, 0);
    let mut untracked = MemorySystem::new(&machine, &[], true, 0);
    system.track_causes();
    let mut counts = BTreeMap::new();
    for (number, &(cpu, step)) in steps.iter().enumerate() {
        let cpu_number = u32::try_from(cpu).unwrap();
        let (told, expected) = match step {
            Step::Switch { thread } => {
                // A thread runs on one cpu at a time.
                for other in 0..CPUS {
                    if model.running[other] == thread && thread != KERNEL {
                        model.running[other] = KERNEL;
                        system.set_thread(u32::try_from(other).unwrap(), KERNEL);
                    }
                }
                model.running[cpu] = thread;
                system.set_thread(cpu_number, thread);
                continue;
            }
            Step::Access { line, is_store } => {
                refer(&mut untracked, cpu_number, line, is_store);
                let thread = model.running[cpu];
                (refer(&mut system, cpu_number, line, is_store), model.access(cpu, thread, line, is_store))
            }
            Step::Kernel { line, is_store } => {
                let kind = if is_store { AccessKind::Write } else { AccessKind::Read };
                untracked.access_physical(cpu_number, line * 64, kind);
                let told = system.access_physical(cpu_number, line * 64, kind).causes.iter().collect();
                (told, model.access(cpu, KERNEL, line, is_store))
            }
        };
        assert_eq!(told, expected, "step {number}: {step:?} on cpu {cpu}");
        for (_, cause) in told {
            *counts.entry(cause).or_default() += 1;
        }
    }
    let matrix: Vec<_> = model.matrix.iter().map(|(&(victim, evictor), &count)| (victim, evictor, count)).collect();
    assert_eq!(system.pollution_matrix().collect::<Vec<_>>(), matrix);
    assert_eq!(system.stats(), untracked.stats());
    assert_eq!(untracked.pollution_matrix().count(), 0);
    counts
}

fn a_step() -> impl Strategy<Value = (usize, Step)> {
    let access = (0..40_u64, any::<bool>(), 0..8_u32).prop_map(|(line, is_store, who)| match who {
        0 => Step::Kernel { line, is_store },
        _ => Step::Access { line, is_store },
    });
    let switch = prop_oneof![6 => 0..4_u32, 1 => Just(KERNEL)].prop_map(|thread| Step::Switch { thread });
    (0..CPUS, prop_oneof![7 => access, 1 => switch])
}

fn levels() -> impl Strategy<Value = Vec<LevelSpec>> {
    let level = |sets: u32, ways: usize, is_shared| {
        (0..sets, 1..=ways, any::<bool>()).prop_map(move |(sets, ways, is_inclusive)| LevelSpec {
            sets: 1 << sets,
            ways,
            is_shared,
            is_inclusive,
        })
    };
    prop_oneof![
        2 => (level(2, 4, false), level(3, 4, false), level(3, 6, true)).prop_map(|(a, b, c)| vec![a, b, c]),
        1 => (level(2, 4, false), level(3, 40, true)).prop_map(|(a, b)| vec![a, b]),
        1 => level(3, 8, false).prop_map(|a| vec![a]),
        1 => level(3, 8, true).prop_map(|a| vec![a]),
    ]
    .prop_map(|mut levels| {
        levels[0].is_inclusive = false;
        // Nothing is told to be reordered in larger sets; of these there may be one alone.
        levels.iter_mut().for_each(|level| level.ways = level.ways.min(32));
        levels
    })
}

proptest! {
    #[test]
    fn causes_are_those_of_the_naive_model(
        specs in levels(), is_coherent in any::<bool>(), steps in prop::collection::vec(a_step(), 1..400),
    ) {
        compare(&specs, is_coherent, &steps);
    }
}

/// Steps such as `0:t7 0:r1 1:w2 1:k3`: on a cpu, a thread comes, or a line is read, written, or written by the kernel.
fn steps(text: &str) -> Vec<(usize, Step)> {
    let step = |word: &str| {
        let (cpu, step) = word.split_once(':').unwrap();
        let (kind, number) = step.split_at(1);
        let line = number.parse().unwrap();
        let step = match kind {
            "t" => Step::Switch { thread: number.parse().unwrap() },
            "k" => Step::Kernel { line, is_store: true },
            _ => Step::Access { line, is_store: kind == "w" },
        };
        (cpu.parse().unwrap(), step)
    };
    text.split(' ').map(step).collect()
}

fn one_level(is_shared: bool) -> Vec<LevelSpec> {
    vec![LevelSpec { sets: 1, ways: 2, is_shared, is_inclusive: false }]
}

/// The counts of a cache of two lines: of one cpu each, or of all.
fn counts(is_shared: bool, text: &str) -> Vec<(Cause, u64)> {
    compare(&one_level(is_shared), true, &steps(text)).into_iter().collect()
}

#[test]
fn own_evictions_are_of_capacity() {
    assert_eq!(counts(false, "0:t1 0:r1 0:r2 0:r3 0:r1"), [(Cause::Compulsory, 3), (Cause::Capacity, 1)]);
}

#[test]
fn line_that_others_replaced_is_pollution() {
    let expected = [(Cause::Compulsory, 3), (Cause::Replaced, 1)];
    assert_eq!(counts(false, "0:t1 0:r1 0:t2 0:r2 0:r3 0:t1 0:r1"), expected);
    assert_eq!(counts(false, "0:t1 0:r1 0:k2 0:k3 0:r1"), expected);
    assert_eq!(counts(true, "0:t1 1:t2 0:r1 1:r2 1:r3 0:r1"), expected);
}

#[test]
fn line_that_others_made_older_is_reordered() {
    // Without line 2 of thread 2, line 1 would have stayed beside line 3.
    let trace = "0:t1 0:r1 0:t2 0:r2 0:t1 0:r3 0:r1";
    assert_eq!(counts(false, trace), [(Cause::Compulsory, 3), (Cause::Reordered, 1)]);
    // Line 1 is used again first: it is thread 2's that goes.
    assert_eq!(counts(false, "0:t1 0:r1 0:t2 0:r2 0:t1 0:r1 0:r3 0:r1"), [(Cause::Compulsory, 3)]);
}

#[test]
fn line_used_on_another_cpu_since_is_a_migration() {
    let trace = "0:t1 0:r1 1:t1 1:r1 1:r1";
    assert_eq!(counts(false, trace), [(Cause::Compulsory, 1), (Cause::Migration, 1)]);
    assert_eq!(counts(true, trace), [(Cause::Compulsory, 1)]);
    // The store on the other cpu was its own.
    assert_eq!(counts(false, "0:t1 0:r1 1:t1 1:w1 0:t1 0:r1"), [(Cause::Compulsory, 1), (Cause::Migration, 2)]);
}

#[test]
fn line_that_another_cpu_stored_to_is_a_miss_of_coherence() {
    assert_eq!(counts(false, "0:t1 1:t2 0:r1 1:w1 0:r1"), [(Cause::Compulsory, 2), (Cause::Coherence, 1)]);
}

#[test]
fn what_was_there_before_is_nobodys() {
    let machine = machine(&one_level(false), true);
    let mut system = MemorySystem::new(&machine, &[], true, 0);
    refer(&mut system, 0, 1, false);
    assert_eq!(system.pollution_matrix().count(), 0);
    system.track_causes();
    system.set_thread(0, 1);
    for line in [2, 3] {
        assert_eq!(refer(&mut system, 0, line, false), [(0, Cause::Compulsory)]);
    }
    assert_eq!(refer(&mut system, 0, 1, false), [(0, Cause::Capacity)]);
}
