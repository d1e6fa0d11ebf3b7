//! How long threads waited for a cpu, each time.

use crate::base::Picos;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Digits that are kept of a time.
const DIGITS: u8 = 2;

/// A histogram of times.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    nanos: Histogram<u64>,
    sum: u128,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { nanos: Histogram::new(DIGITS).expect("up to 5 digits"), sum: 0 }
    }
}

impl Latencies {
    /// Notes one.
    pub fn note(&mut self, time: Picos) {
        self.nanos.record(time.0 / 1000).expect("it grows with what it holds");
        self.sum += u128::from(time.0);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.nanos.len()
    }

    /// Count, mean and quantiles, in ns with two digits.
    pub fn summary(&self) -> Value {
        let count = self.nanos.len();
        let mean = if count == 0 { 0.0 } else { self.sum as f64 / count as f64 / 1000.0 };
        let quantile = |quantile| self.nanos.value_at_quantile(quantile);
        json!({
            "count": count,
            "mean_ns": mean,
            "p50_ns": quantile(0.5),
            "p90_ns": quantile(0.9),
            "p99_ns": quantile(0.99),
            "p999_ns": quantile(0.999),
            "max_ns": self.nanos.max(),
        })
    }
}
