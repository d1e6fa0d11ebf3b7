//! Shared variables: their values, the lines that they lie on, and the store buffers in front of them.
//!
//! A store waits in the buffer of its cpu until the line is there, and is visible to others from then on; the cpu's own
//! loads find it before. Stores become visible in the order in which they were executed, as on x86. Stores to one line in a
//! row share an entry. Source: Sewell et al., "x86-TSO", CACM 2010. Left out: speculation, and reordering of loads.

use super::ownership::{Legs, Line};
use crate::base::Picos;
use crate::memory::config::MachineConfig;
use crate::workload::Code;
use std::collections::VecDeque;

/// Legs in what a ping-pong between cpus shows one way: an invalidation, a request and the line.
const LEGS_OF_TRANSFER: u64 = 3;

/// A store that is not yet in the values.
#[derive(Clone, Copy, Debug)]
struct Store {
    cpu: usize,
    variable: u32,
    value: i64,
    commit: Picos,
}

/// An entry of a store buffer.
#[derive(Clone, Copy, Debug)]
struct Entry {
    line: u32,
    commit: Picos,
}

/// Rounds of a loop that a cpu has to itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    /// How many.
    pub count: u64,
    /// How long each takes.
    pub period: Picos,
    /// When in a round it stores.
    pub store: Picos,
}

/// All shared variables.
#[derive(Clone, Debug)]
pub(super) struct Words {
    values: Vec<i64>,
    line_of: Vec<u32>,
    lines: Vec<Line>,
    /// By line: what is stored there. It goes to the values when the line is accessed next: each line is accessed in the
    /// order of time, but a cpu may be ahead with another line.
    stores: Vec<Vec<Store>>,
    /// By cpu.
    buffers: Vec<VecDeque<Entry>>,
    legs: Legs,
    commit: Picos,
    entries: usize,
    /// A bit for each cpu on which somebody may spin.
    pub spinners: u64,
}

impl Words {
    pub fn new(machine: &MachineConfig, code: &Code) -> Self {
        let cpus = machine.cpus as usize;
        let transfer = Picos::from_cycles(machine.transfer_cycles.into(), machine.frequency_mhz);
        Self {
            values: code.variables.iter().map(|variable| variable.initial).collect(),
            line_of: code.variables.iter().map(|variable| variable.line).collect(),
            lines: vec![Line::new(cpus); code.lines.len()],
            stores: vec![Vec::new(); code.lines.len()],
            buffers: vec![VecDeque::new(); cpus],
            legs: Legs { leg: Picos(transfer.0 / LEGS_OF_TRANSFER), hold: machine.atomics.hold_ns },
            commit: machine.atomics.commit_ns,
            entries: machine.atomics.store_buffer as usize,
            spinners: 0,
        }
    }

    /// How long anything takes from one cpu to another.
    pub fn leg(&self) -> Picos {
        self.legs.leg
    }

    /// The line of a variable.
    pub fn line_of(&self, variable: u32) -> u32 {
        self.line_of[variable as usize]
    }

    /// What the cpu's own buffer has of a variable.
    pub fn forwarded(&mut self, cpu: usize, variable: u32, at: Picos) -> Option<i64> {
        self.settle(variable, at);
        let stores = &self.stores[self.line_of[variable as usize] as usize];
        stores.iter().rev().find(|store| store.cpu == cpu && store.variable == variable).map(|store| store.value)
    }

    /// When a cpu that wants to load can, from its line.
    pub fn readable(&mut self, cpu: usize, variable: u32, at: Picos) -> Picos {
        self.lines[self.line_of[variable as usize] as usize].read(cpu, at, self.legs)
    }

    /// When a cpu that wants to change a variable at once can.
    pub fn writable(&mut self, cpu: usize, variable: u32, at: Picos) -> Picos {
        self.lines[self.line_of[variable as usize] as usize].own(cpu, at, self.legs)
    }

    /// What all see.
    pub fn value(&mut self, variable: u32, at: Picos) -> i64 {
        self.settle(variable, at);
        self.values[variable as usize]
    }

    /// Changes a variable at once.
    pub fn set(&mut self, variable: u32, value: i64) {
        self.values[variable as usize] = value;
    }

    /// Puts a store into the buffer. Returns when it is visible; or when the buffer has room.
    pub fn store(&mut self, cpu: usize, variable: u32, value: i64, at: Picos) -> Result<Picos, Picos> {
        self.settle(variable, at);
        let line = self.line_of[variable as usize];
        let buffer = self.buffer(cpu, at);
        let (length, last) = (buffer.len(), buffer.back().copied());
        let commit = match last {
            Some(last) if last.line == line => last.commit,
            _ if length >= self.entries => return Err(self.buffers[cpu][0].commit),
            _ => {
                let earliest = last.map_or(Picos::ZERO, |last| last.commit).max(at + self.commit);
                let commit = self.lines[line as usize].commit(cpu, at, earliest, self.legs);
                self.buffers[cpu].push_back(Entry { line, commit });
                commit
            }
        };
        self.add_store(Store { cpu, variable, value, commit });
        Ok(commit)
    }

    /// What of the buffer of a cpu is not yet visible at a time of its own.
    fn buffer(&mut self, cpu: usize, at: Picos) -> &VecDeque<Entry> {
        let buffer = &mut self.buffers[cpu];
        while buffer.front().is_some_and(|entry| entry.commit <= at) {
            buffer.pop_front();
        }
        buffer
    }

    /// A store takes the place of one to the same variable that is visible together with it.
    fn add_store(&mut self, new: Store) {
        let stores = &mut self.stores[self.line_of[new.variable as usize] as usize];
        let is_same = |old: &&mut Store| (old.cpu, old.variable, old.commit) == (new.cpu, new.variable, new.commit);
        match stores.iter_mut().rev().find(is_same) {
            Some(old) => old.value = new.value,
            None => stores.push(new),
        }
    }

    /// When the store of a variable is visible that a further one would join.
    pub fn joinable(&mut self, cpu: usize, variable: u32, at: Picos) -> Option<Picos> {
        self.settle(variable, at);
        let line = self.line_of[variable as usize];
        let last = self.buffer(cpu, at).back().copied().filter(|last| last.line == line)?;
        let mut stores = self.stores[line as usize].iter();
        stores
            .any(|store| (store.cpu, store.variable, store.commit) == (cpu, variable, last.commit))
            .then_some(last.commit)
    }

    /// Adds to the last store of a cpu to a variable.
    pub fn add_to_last(&mut self, cpu: usize, variable: u32, count: i64) {
        let stores = &mut self.stores[self.line_of[variable as usize] as usize];
        let last = stores.iter_mut().rev().find(|store| (store.cpu, store.variable) == (cpu, variable));
        let last = last.expect("it is in the buffer");
        last.value = last.value.wrapping_add(count);
    }

    /// When the last store of a cpu is visible; in the past if all are.
    pub fn drained(&self, cpu: usize) -> Picos {
        self.buffers[cpu].back().map_or(Picos::ZERO, |last| last.commit)
    }

    /// Whether a cpu has the line of a variable for itself, with nothing in its buffer.
    pub fn is_alone(&mut self, cpu: usize, variable: u32, at: Picos) -> bool {
        self.buffer(cpu, at).is_empty() && self.is_kept(cpu, variable, at)
    }

    /// Whether a cpu has the line of a variable for itself, and nobody has asked for it.
    pub fn is_kept(&mut self, cpu: usize, variable: u32, at: Picos) -> bool {
        self.settle(variable, at);
        self.lines[self.line_of[variable as usize] as usize].is_kept(cpu, at)
    }

    /// How many entries wait in the buffer of a cpu.
    pub fn waiting(&mut self, cpu: usize, at: Picos) -> usize {
        self.buffer(cpu, at).len()
    }

    /// Until when a cpu may write where it writes now.
    pub fn writable_until(&self, cpu: usize, variable: u32, at: Picos) -> Picos {
        self.lines[self.line_of[variable as usize] as usize].writable_until(cpu, at)
    }

    /// Until when a cpu may read what it reads now.
    pub fn readable_until(&self, cpu: usize, variable: u32, at: Picos) -> Picos {
        self.lines[self.line_of[variable as usize] as usize].readable_until(cpu, at)
    }

    /// Rounds that share one entry of the buffer, of a cpu that is alone: those until the first store is visible.
    pub fn rounds_of_entry(&self, period: Picos) -> u64 {
        self.commit.0.div_ceil(period.0).max(1)
    }

    /// Increments a variable in rounds of which nobody sees single ones: what `store` would do to each, the line being the
    /// cpu's own. The first `joined` rounds join a store that waits; the others are whole entries of `rounds_of_entry`.
    pub fn increment_alone(&mut self, cpu: usize, variable: u32, at: Picos, rounds: Rounds) {
        let first = self.forwarded(cpu, variable, at).unwrap_or(self.values[variable as usize]);
        let end = at + rounds.period * rounds.count;
        let commit = self.last_commit(at, rounds);
        let shared = self.rounds_of_entry(rounds.period);
        let after = |count: u64| first.wrapping_add(i64::try_from(count).unwrap_or(i64::MAX));
        if let Some(waits) = self.joinable(cpu, variable, at) {
            // It is visible before the first entry that follows.
            self.settle(variable, waits);
            self.buffers[cpu].clear();
        }
        let line = self.line_of[variable as usize];
        self.lines[line as usize].commit(cpu, at, commit, self.legs);
        if commit > end {
            self.values[variable as usize] = after(rounds.count - shared);
            self.buffers[cpu].push_back(Entry { line, commit });
            self.add_store(Store { cpu, variable, value: after(rounds.count), commit });
        } else {
            self.values[variable as usize] = after(rounds.count);
        }
    }

    /// When the last entry of such rounds is visible.
    pub fn last_commit(&self, at: Picos, rounds: Rounds) -> Picos {
        at + rounds.period * (rounds.count - self.rounds_of_entry(rounds.period)) + rounds.store + self.commit
    }

    /// Makes visible what is due on the line of a variable.
    fn settle(&mut self, variable: u32, at: Picos) {
        let stores = &mut self.stores[self.line_of[variable as usize] as usize];
        while let Some((_, _, place)) = (0..)
            .zip(&*stores)
            .filter(|(_, store)| store.commit <= at)
            .map(|(place, store)| (store.commit, store.cpu, place))
            .min()
        {
            let store = stores.remove(place);
            self.values[store.variable as usize] = store.value;
        }
    }

    /// All variables once everything is visible.
    pub fn final_values(&mut self) -> &[i64] {
        for variable in 0..self.line_of.len() {
            self.settle(u32::try_from(variable).expect("an index"), Picos::NEVER);
        }
        &self.values
    }

    /// How often each line moved.
    pub fn transfers(&self) -> impl Iterator<Item = u64> + '_ {
        self.lines.iter().map(|line| line.transfers)
    }
}
