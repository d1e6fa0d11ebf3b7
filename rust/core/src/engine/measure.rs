//! How long something took, each time.

use crate::base::Picos;
use serde_json::{Value, json};

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
        let total: Picos = sorted.iter().copied().sum();
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
            sorted.get(index).copied()
        };
        json!({
            "count": sorted.len(),
            "total_ns": total,
            "mean_ns": if sorted.is_empty() { 0.0 } else { total.nanos() / sorted.len() as f64 },
            "min_ns": sorted.first(),
            "median_ns": rank(50),
            "p90_ns": rank(90),
            "p99_ns": rank(99),
            "max_ns": sorted.last(),
        })
    }
}
