//! What is told of each dependency.

use super::{Calls, Dependency};
use crate::base::Picos;
use serde_json::{Map, Value, json};

impl Dependency {
    /// `left` is how much of what is served is yet to come.
    fn row(&self, openings: u64, elapsed: Picos, left: Picos) -> Value {
        let (stats, station) = (&self.stats, &self.station.stats);
        let [retries, budget, deadline, breaker] = stats.failed;
        let nanos = |picos: u128, count: u64| if count == 0 { 0.0 } else { picos as f64 / 1000.0 / count as f64 };
        let capacity = elapsed.0 as f64 * f64::from(self.servers);
        json!({
            "calls": stats.calls,
            "answered": stats.answered,
            "failed": stats.failed.iter().sum::<u64>(),
            "failed_retries": retries,
            "failed_budget": budget,
            "failed_deadline": deadline,
            "failed_breaker": breaker,
            "not_begun": stats.not_begun,
            "attempts": stats.attempts,
            "retries": stats.retries,
            "timeouts": stats.timeouts,
            "refused": stats.refused,
            "late": stats.late,
            "expired": station.expired,
            "breaker_openings": openings,
            "latency": stats.latency.summary(),
            "mean_wait_ns": nanos(station.wait, station.started),
            "mean_service_ns": nanos(station.service, station.started),
            "utilization": if capacity > 0.0 { (station.service - u128::from(left.0)) as f64 / capacity } else { 0.0 },
            "queue_peak": station.queue_peak,
        })
    }
}

impl Calls {
    /// All dependencies by their names.
    pub fn rows(&self, elapsed: Picos) -> Map<String, Value> {
        let row = |(index, dependency): (u32, &Dependency)| {
            let clients = self.clients.iter().filter(|client| client.dependency == index);
            let openings = clients.map(|client| client.caller.openings()).sum();
            let served = self.sent.iter().filter(|sent| sent.dependency == index);
            let left = served.map(|sent| sent.ends.saturating_sub(elapsed).0).sum();
            (dependency.name.clone(), dependency.row(openings, elapsed, Picos(left)))
        };
        (0..).zip(&self.dependencies).map(row).collect()
    }
}
