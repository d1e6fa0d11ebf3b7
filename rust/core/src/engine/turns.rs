//! Whose turn it is: the cpu that something happens on first.
//!
//! When that is on each cpu is kept, and looked at again only on those that have changed. Cpus run one at a time; what one
//! does to another is told by [`Run::come_nearer`] or [`Turns::change`].

use super::cpu::Cpu;
use super::run::Run;
use crate::base::Picos;

/// When something happens next on each cpu.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    times: Vec<Picos>,
    /// A bit for each cpu: somebody runs there; its time has changed.
    busy: u64,
    changed: u64,
}

/// The busy cpu that something happens on first.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub cpu: usize,
    pub time: Picos,
    /// When something happens first on those of lower numbers, and on those of higher ones.
    pub below: Picos,
    pub above: Picos,
}

impl Turns {
    /// Of so many cpus, at most 64, on which nobody runs.
    pub fn new(cpus: usize) -> Self {
        Self { times: vec![Picos::NEVER; cpus], busy: 0, changed: 0 }
    }

    /// Something about a cpu has changed.
    #[inline]
    pub fn change(&mut self, cpu: usize) {
        self.changed |= 1 << cpu;
    }

    #[inline]
    fn set(&mut self, cpu: usize, time: Picos, is_busy: bool) {
        self.times[cpu] = time;
        self.busy = self.busy & !(1 << cpu) | u64::from(is_busy) << cpu;
    }

    /// The first of all, if anybody runs anywhere. Ties go to the lower number.
    #[inline]
    fn first(&self) -> Option<First> {
        let mut first = First { cpu: 0, time: Picos::NEVER, below: Picos::NEVER, above: Picos::NEVER };
        for (cpu, &time) in self.times.iter().enumerate() {
            // Which one is first cannot be foreseen: no branches.
            let is_first = time < first.time;
            let others = first.time.min(first.below).min(first.above);
            first = First {
                cpu: if is_first { cpu } else { first.cpu },
                time: first.time.min(time),
                below: if is_first { others } else { first.below },
                above: if is_first { Picos::NEVER } else { first.above.min(time) },
            };
        }
        (self.busy != 0).then_some(first)
    }
}

impl Run {
    /// The busy cpu that something happens on first, and what it has to know of the others. One that computes does so up to
    /// its end; any other goes on now.
    #[inline]
    pub(super) fn next_cpu(&mut self) -> Option<First> {
        let mut changed = std::mem::take(&mut self.turns.changed);
        while changed != 0 {
            let cpu = changed.trailing_zeros() as usize;
            changed &= changed - 1;
            let state = &self.cpus[cpu];
            self.turns.set(cpu, self.next_on(state), state.running.is_some());
        }
        debug_assert!(
            self.cpus.iter().zip(&self.turns.times).all(|(cpu, &time)| self.next_on(cpu) == time),
            "who changes something on a cpu tells"
        );
        self.turns.first()
    }

    pub(super) fn next_on(&self, cpu: &Cpu) -> Picos {
        let Some(tid) = cpu.executed() else { return Picos::NEVER };
        let left = self.tasks[tid.index()].left;
        (cpu.now + left).min(cpu.stop()).max(cpu.now)
    }

    /// Something has changed on a cpu: who runs elsewhere at the moment must not run far ahead of it.
    #[inline(always)]
    pub(super) fn come_nearer(&mut self, cpu: usize) {
        self.turns.change(cpu);
        if let Some(running) = self.interrupted.filter(|&running| running != cpu) {
            let next = self.next_on(&self.cpus[cpu]);
            self.horizon = self.horizon.min(next + self.window());
            self.turn = self.turn.min(next + tie(running, cpu));
        }
    }
}

/// What a cpu may be later than another and still be the first.
fn tie(cpu: usize, other: usize) -> Picos {
    Picos(u64::from(cpu < other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_knows_when_the_others_follow() {
        let mut turns = Turns::new(5);
        assert!(turns.first().is_none());
        for (cpu, time) in [(0, 7), (2, 3), (3, 3), (4, 9)] {
            turns.set(cpu, Picos(time), true);
        }
        let First { cpu, time, below, above } = turns.first().expect("somebody runs");
        assert_eq!((cpu, time, below, above), (2, Picos(3), Picos(7), Picos(3)));
    }

    #[test]
    fn one_that_waits_for_ever_is_busy_all_the_same() {
        let mut turns = Turns::new(2);
        turns.set(1, Picos::NEVER, true);
        assert_eq!(turns.first().map(|first| first.time), Some(Picos::NEVER));
        turns.set(1, Picos::NEVER, false);
        assert!(turns.first().is_none());
    }
}
