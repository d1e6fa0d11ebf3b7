//! How long threads waited for a cpu, each time.

use crate::base::Picos;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Digits that are kept of a time.
const DIGITS: u8 = 2;

/// What summaries call their histogram.
pub(super) const HISTOGRAM: &str = "histogram";

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

    /// Times in bins whose bounds are powers of two: from, up to and how many, without bins that are empty.
    fn histogram(&self) -> Vec<(u64, u64, u64)> {
        let mut bins: Vec<(u64, u64, u64)> = Vec::new();
        for recorded in self.nanos.iter_recorded() {
            let time = recorded.value_iterated_to();
            let from = if time == 0 { 0 } else { 1 << time.ilog2() };
            match bins.last_mut() {
                Some((last, _, count)) if *last == from => *count += recorded.count_since_last_iteration(),
                _ => bins.push((from, (2 * from).max(1), recorded.count_since_last_iteration())),
            }
        }
        bins
    }

    /// Count, mean, quantiles in ns with two digits, and the histogram.
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
            HISTOGRAM: self.histogram(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_bin_that_holds_it() {
        let mut times = Latencies::default();
        for nanos in [0, 0, 1, 2, 3, 4, 1000, 1023, 1024, 70_000_000_000] {
            times.note(Picos::from_nanos(nanos));
        }
        let bins = [(0, 1, 2), (1, 2, 1), (2, 4, 2), (4, 8, 1), (512, 1024, 2), (1024, 2048, 1), (1 << 36, 1 << 37, 1)];
        assert_eq!(times.histogram(), bins);
        assert!(Latencies::default().histogram().is_empty());
    }
}
