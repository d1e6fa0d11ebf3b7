//! What a run came to, as a tree.

use super::cache::Cache;
use super::simulate::Simulation;
use super::station::Ticket;
use crate::base::rng::{FNV_START, fnv1a};
use serde_json::{Value, json};

impl Simulation {
    /// What it came to.
    pub fn finish(mut self) -> Value {
        let end = self.config.duration_ns;
        self.close_windows(end);
        if self.window_end < end + self.config.window_ns {
            self.series.close(&self.at_window, &self.totals, self.station.queued());
        }
        let served: Vec<Ticket> = self.sent.all().filter(|sent| sent.is_served).map(|sent| sent.ticket).collect();
        self.station.close(end, served.into_iter());
        let mut totals = self.totals;
        totals.breaker_openings = self.caller.openings();
        totals.unfinished = totals.requests - totals.answered - totals.failed - totals.turned_away;
        let stats = self.station.stats;
        let nanos = |picos: u128| picos as f64 / 1000.0;
        let mean = |sum: u128, count: u64| if count == 0 { None } else { Some(nanos(sum) / count as f64) };
        let mut tree = json!({
            "name": self.config.name,
            "seed": self.seed,
            "duration_ns": end,
            "window_ns": self.config.window_ns,
            "totals": totals,
            "latency_ns": self.latencies.summary(),
            "dependency": {
                "admitted": stats.admitted,
                "started": stats.started,
                "expired": stats.expired,
                "mean_wait_ns": mean(stats.wait, stats.started),
                "mean_service_ns": mean(stats.service, stats.started),
                "service_ns": nanos(stats.service),
                "wasted_ns": nanos(self.wasted_service),
                "mean_there": stats.area as f64 / end.0 as f64,
                "area_ns": nanos(stats.area),
                "stay_ns": nanos(stats.stay),
                "queue_peak": stats.queue_peak,
            },
            "stampede": self.cache.as_ref().map(Cache::stampede),
            "series": self.series,
        });
        let digest = fnv1a(FNV_START, tree.to_string().as_bytes());
        tree["digest"] = format!("{digest:016x}").into();
        // What follows from the rest.
        tree["makespan_ns"] = json!(end);
        tree["ledger"] = json!({
            "useful": nanos(stats.busy - self.wasted_service),
            "wasted": nanos(self.wasted_service),
            "idle": nanos(self.station.capacity(end) - stats.busy),
        });
        tree["events"] = self.events.into();
        tree
    }
}
