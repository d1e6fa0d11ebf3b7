//! What a run counts: totals, and the same by windows of time.

use super::policy::GiveUp;
use crate::base::Picos;
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

/// Digits that are kept of a latency.
const DIGITS: u8 = 3;

/// What happened. Requests are those of the load: `requests == answered + failed + turned_away + unfinished`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that failed, for any reason below.
    pub failed: u64,
    /// All attempts had failed.
    pub failed_retries: u64,
    /// The budget had no retry left.
    pub failed_budget: u64,
    /// The deadline had passed.
    pub failed_deadline: u64,
    /// The breaker was open.
    pub failed_breaker: u64,
    /// Requests that found too many unanswered.
    pub turned_away: u64,
    /// Requests that were neither answered nor had failed at the end.
    pub unfinished: u64,
    /// Requests sent to the dependency, for loads of the cache too.
    pub attempts: u64,
    /// Of these, those after a failure.
    pub retries: u64,
    /// Attempts that took too long.
    pub timeouts: u64,
    /// Attempts that the dependency refused.
    pub refused: u64,
    /// Answers that nobody waited for any longer.
    pub late: u64,
    /// How often the breaker opened.
    pub breaker_openings: u64,
    /// Reads that found a fresh entry.
    pub hits: u64,
    /// Reads that were given what was not fresh any longer.
    pub stale_hits: u64,
    /// Reads that waited for the load of another.
    pub joined: u64,
    /// Reads that loaded an entry.
    pub loads: u64,
    /// Loads that nobody waited for.
    pub refreshes: u64,
    /// Reads from the cache of what had been written anew since.
    pub stale_reads: u64,
    /// Writes that the store took.
    pub writes: u64,
}

impl Totals {
    /// A request has failed.
    pub(super) fn fail(&mut self, reason: GiveUp) {
        self.failed += 1;
        *match reason {
            GiveUp::Retries => &mut self.failed_retries,
            GiveUp::Budget => &mut self.failed_budget,
            GiveUp::Deadline => &mut self.failed_deadline,
            GiveUp::Breaker => &mut self.failed_breaker,
        } += 1;
    }
}

/// Columns, a row a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Series {
    /// Requests that arrived.
    pub requests: Vec<u64>,
    /// Requests that were answered.
    pub answered: Vec<u64>,
    /// Requests that failed or were turned away.
    pub failed: Vec<u64>,
    /// Requests sent to the dependency.
    pub attempts: Vec<u64>,
    /// Attempts that took too long.
    pub timeouts: Vec<u64>,
    /// Attempts that were refused.
    pub refused: Vec<u64>,
    /// Requests that waited at the dependency when the window ended.
    pub queued: Vec<u64>,
}

impl Series {
    /// Closes a window: what was counted since the last one.
    pub(super) fn close(&mut self, before: &Totals, now: &Totals, queued: usize) {
        let column = |values: &mut Vec<u64>, of: fn(&Totals) -> u64| values.push(of(now) - of(before));
        column(&mut self.requests, |totals| totals.requests);
        column(&mut self.answered, |totals| totals.answered);
        column(&mut self.failed, |totals| totals.failed + totals.turned_away);
        column(&mut self.attempts, |totals| totals.attempts);
        column(&mut self.timeouts, |totals| totals.timeouts);
        column(&mut self.refused, |totals| totals.refused);
        self.queued.push(queued as u64);
    }
}

/// How long answers took.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    nanos: Histogram<u64>,
    sum: u128,
}

impl Latencies {
    pub fn new() -> Self {
        Self { nanos: Histogram::new(DIGITS).expect("up to 5 digits"), sum: 0 }
    }

    pub fn note(&mut self, time: Picos) {
        self.nanos.record(time.0 / 1000).expect("it grows with what it holds");
        self.sum += u128::from(time.0);
    }

    pub fn summary(&self) -> Value {
        let count = self.nanos.len();
        let quantile = |quantile| (count > 0).then(|| self.nanos.value_at_quantile(quantile));
        json!({
            "count": count,
            "mean": (count > 0).then(|| self.sum as f64 / count as f64 / 1000.0),
            "p50": quantile(0.5),
            "p90": quantile(0.9),
            "p99": quantile(0.99),
            "p999": quantile(0.999),
            "max": quantile(1.0),
        })
    }
}
