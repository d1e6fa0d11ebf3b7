//! What is told of each lock.

use super::super::latency::Latencies;
use super::super::run::Run;
use super::table::Lock;
use crate::base::Picos;
use crate::kernel::Tid;
use serde_json::{Map, Value, json};

/// What is counted of a lock.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Stats {
    pub acquisitions: u64,
    /// Of these, how many had to wait.
    pub contended: u64,
    /// How long those waited.
    pub wait: Latencies,
    pub hold: Latencies,
    /// How often it went to one who waited, without being free in between.
    pub hand_offs: u64,
    pub spun: Picos,
    pub slept: Picos,
    queue_max: u32,
    /// Waiting threads times how long there were so many.
    queue: u128,
}

impl Lock {
    /// So many more wait from a time on.
    pub fn count_waiting(&mut self, at: Picos, more: i32) {
        // A hand-over lies ahead of who decides on it: threads leave in any order, within a few lines' time.
        let now = at.max(self.waiting_since);
        self.stats.queue += u128::from(self.waiting) * u128::from((now - self.waiting_since).0);
        self.waiting_since = now;
        self.waiting = self.waiting.checked_add_signed(more).expect("who leaves has come");
        self.stats.queue_max = self.stats.queue_max.max(self.waiting);
    }

    fn row(&self, critical: Picos, elapsed: Picos) -> Value {
        let stats = &self.stats;
        let rest = u128::from(self.waiting) * u128::from(elapsed.saturating_sub(self.waiting_since).0);
        let mean = |sum: u128| if elapsed == Picos::ZERO { 0.0 } else { sum as f64 / elapsed.0 as f64 };
        json!({
            "kind": self.kind.name(),
            "acquisitions": stats.acquisitions,
            "contended": stats.contended,
            "hand_offs": stats.hand_offs,
            "wait": stats.wait.summary(),
            "hold": stats.hold.summary(),
            "spin_ns": stats.spun,
            "sleep_ns": stats.slept,
            "queue_max": stats.queue_max,
            "queue_mean": mean(stats.queue + rest),
            "critical_ns": critical,
        })
    }
}

impl Run {
    /// All locks by their names.
    pub(in crate::engine) fn lock_rows(&self) -> Value {
        let elapsed = self.elapsed();
        let last = (0..).map(Tid).zip(&self.threads).filter(|(_, thread)| thread.ended != Picos::NEVER);
        let last = last.max_by_key(|(tid, thread)| (thread.ended, std::cmp::Reverse(tid.0))).map(|(tid, _)| tid);
        let path = last.map_or(&[][..], |tid| self.locks.paths.of(tid));
        let rows: Map<String, Value> = self
            .locks
            .list
            .iter()
            .zip(&self.code.locks)
            .enumerate()
            .map(|(index, (lock, known))| {
                let critical = path.get(index).copied().unwrap_or_default();
                (known.name.clone(), lock.row(critical, elapsed))
            })
            .collect();
        Value::Object(rows)
    }
}
