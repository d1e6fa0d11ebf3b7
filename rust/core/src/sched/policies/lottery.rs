//! Lottery: who runs is drawn, and every ticket is as likely as any other.
//!
//! Waldspurger & Weihl, OSDI 1994. Shares follow the tickets of those who are there, without any account of the past, so
//! that coming and going needs no care. Its corner is the short run: after n draws a share p is off by about
//! sqrt(p(1-p)/n), which stride scheduling is against. Tickets lie in the order of the tasks' numbers, and one 64-bit
//! number of the stream `sched.lottery` is drawn a pick: the winner holds ticket `floor(number * tickets / 2^64)`.

use crate::base::{ConfigError, Picos, Rng};
use crate::sched::{Enqueue, Scheduler, Task, TaskId, micros};
use serde::{Deserialize, Serialize};

/// How long a winner runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LotteryConfig {
    /// The slice.
    #[serde(with = "micros")]
    pub time_slice_us: Picos,
}

impl Default for LotteryConfig {
    fn default() -> Self {
        Self { time_slice_us: Picos::from_nanos(10_000_000) }
    }
}

impl LotteryConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        crate::sched::config::above_zero("lottery.time_slice_us", self.time_slice_us)
    }
}

/// A lottery. Every operation takes time with the logarithm of the number of tasks.
#[derive(Clone, Debug)]
pub struct Lottery {
    /// Tickets of queued tasks, in a binary indexed tree (Fenwick, 1994): `sums[i]` is over the `i & -i` tasks before `i`.
    sums: Vec<u64>,
    /// By task.
    tickets: Vec<u32>,
    total: u64,
    slice: Picos,
    rng: Rng,
}

impl Lottery {
    /// An empty drum with its own stream of numbers.
    pub fn new(config: &LotteryConfig, seed: u64, index: u64) -> Self {
        Self {
            sums: vec![0],
            tickets: Vec::new(),
            total: 0,
            slice: config.time_slice_us,
            rng: Rng::stream(seed, "sched.lottery", index),
        }
    }

    fn grow(&mut self, tasks: usize) {
        let size = tasks.next_power_of_two();
        self.tickets.resize(size, 0);
        self.sums = vec![0; size + 1];
        for index in 1..=size {
            self.sums[index] += u64::from(self.tickets[index - 1]);
            let next = index + (index & index.wrapping_neg());
            if next <= size {
                self.sums[next] += self.sums[index];
            }
        }
    }

    fn set(&mut self, id: TaskId, tickets: u32) {
        if self.tickets.len() <= id.index() {
            self.grow(id.index() + 1);
        }
        let before = u64::from(std::mem::replace(&mut self.tickets[id.index()], tickets));
        let tickets = u64::from(tickets);
        self.total = self.total - before + tickets;
        let mut index = id.index() + 1;
        while index < self.sums.len() {
            self.sums[index] = self.sums[index] - before + tickets;
            index += index & index.wrapping_neg();
        }
    }

    /// Who holds a ticket.
    fn holder(&self, mut ticket: u64) -> usize {
        let mut place = 0;
        let mut step = self.sums.len() - 1;
        while step > 0 {
            if place + step < self.sums.len() && self.sums[place + step] <= ticket {
                place += step;
                ticket -= self.sums[place];
            }
            step /= 2;
        }
        place
    }
}

impl Scheduler for Lottery {
    fn enqueue(&mut self, task: &Task, _reason: Enqueue, _now: Picos) {
        self.set(task.id, task.tickets);
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        self.set(id, 0);
    }

    fn pick(&mut self, _now: Picos) -> Option<TaskId> {
        if self.total == 0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "the high half of a product, below the total")]
        let ticket = ((u128::from(self.rng.next_u64()) * u128::from(self.total)) >> 64) as u64;
        let winner = TaskId(u32::try_from(self.holder(ticket)).expect("a holder is a task"));
        self.set(winner, 0);
        Some(winner)
    }

    fn runs_until(&mut self, _id: TaskId, now: Picos) -> Picos {
        now + self.slice
    }
}
