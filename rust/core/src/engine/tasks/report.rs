//! What a runtime did.

use crate::base::Picos;
use crate::engine::latency::Latencies;
use serde_json::{Value, json};

/// What results call [`Report::late_max`]. Digests leave it out: `latency` and the times of tasks stand for it.
pub(in crate::engine) const LATE_MAX: &str = "late_max_ns";

/// Counts over a run.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Report {
    pub made: u64,
    pub ended: u64,
    pub alive: u64,
    pub alive_peak: u64,
    pub refused: u64,
    pub steals: u64,
    pub stolen: u64,
    pub wakes: u64,
    pub hand_offs: u64,
    pub preemptions: u64,
    pub blocking_calls: u64,
    pub collections: u64,
    /// The longest that a task waited, behind the time or the input that it waited for, until somebody looked.
    pub late_max: Picos,
    /// Bytes that tasks hold, and the most that they held.
    pub bytes: u64,
    pub bytes_peak: u64,
    /// Of new memory: what does not fill a page yet.
    pub fresh_bytes: u64,
    /// From being able to run to running.
    pub waits: Latencies,
}

impl super::Runtime {
    /// The most that tasks held.
    pub(in crate::engine) fn task_bytes_peak(&self) -> u64 {
        self.report.bytes_peak
    }

    /// A task learns now of a time or an input.
    pub(super) fn note_late(&mut self, time: Picos, now: Picos) {
        self.report.late_max = self.report.late_max.max(now.saturating_sub(time));
    }

    /// Nobody looks any more.
    pub(in crate::engine) fn note_unseen(&mut self, end: Picos) {
        self.note_late(self.due.first_awaited().unwrap_or(end), end);
    }

    /// As results have it.
    pub(in crate::engine) fn summary(&self) -> Value {
        let report = &self.report;
        json!({
            "model": self.model.name,
            "workers": self.slots.len(),
            "threads": self.carriers.len() + usize::from(self.monitor.is_some()) + usize::from(self.poll_thread.is_some()),
            "tasks": report.made,
            "tasks_ended": report.ended,
            "tasks_peak": report.alive_peak,
            "tasks_refused": report.refused,
            "steals": report.steals,
            "stolen": report.stolen,
            "wakes": report.wakes,
            "hand_offs": report.hand_offs,
            "preemptions": report.preemptions,
            "blocking_calls": report.blocking_calls,
            "collections": report.collections,
            LATE_MAX: report.late_max,
            "latency": report.waits.summary(),
        })
    }
}
