//! How long something took, each time, and what forks copied.

use crate::base::Picos;
use crate::kernel::Pid;
use crate::vm::work::ForkWork;
use serde_json::{Map, Value, json};

/// Durations in the order in which they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    times: Vec<Picos>,
}

impl Measure {
    /// Notes one.
    pub fn note(&mut self, time: Picos) {
        self.times.push(time);
    }

    /// All of them.
    pub fn times(&self) -> &[Picos] {
        &self.times
    }

    /// Count, sum, mean and the usual quantiles (nearest rank), in ns.
    pub fn summary(&self) -> Value {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let total = sorted.iter().map(|&time| u128::from(time.0)).sum::<u128>() as f64 / 1000.0;
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
            sorted.get(index).copied()
        };
        json!({
            "count": sorted.len(),
            "total_ns": total,
            "mean_ns": if sorted.is_empty() { 0.0 } else { total / sorted.len() as f64 },
            "min_ns": sorted.first(),
            "median_ns": rank(50),
            "p90_ns": rank(90),
            "p99_ns": rank(99),
            "max_ns": sorted.last(),
        })
    }
}

/// What is waited for that is not of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outside {
    /// A device or another machine.
    Io,
    /// The same in a call that takes its thread along.
    Block,
}

/// How often something was waited for, and how long in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    count: u64,
    total: Picos,
}

impl Waits {
    /// Notes one.
    pub fn note(&mut self, time: Picos) {
        self.count += 1;
        self.total += time;
    }

    /// By name: those that there were.
    pub fn rows(waits: &[Self; 2]) -> Map<String, Value> {
        let named = ["io", "block"].into_iter().zip(waits).filter(|(_, waits)| waits.count > 0);
        named.map(|(name, waits)| (name.to_owned(), json!({"count": waits.count, "total_ns": waits.total}))).collect()
    }
}

/// One fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkRecord {
    /// When it was called.
    pub at: Picos,
    /// By whom.
    pub pid: Pid,
    /// The child.
    pub child: Pid,
    /// How long it took.
    pub time: Picos,
    /// What it copied.
    pub work: ForkWork,
}

impl ForkRecord {
    /// As a result shows it.
    pub fn row(&self) -> Value {
        let mut row = json!({"at_ns": self.at, "pid": self.pid, "child": self.child, "time_ns": self.time});
        if let (Some(row), Ok(Value::Object(work))) = (row.as_object_mut(), serde_json::to_value(self.work)) {
            row.extend(work);
        }
        row
    }
}
