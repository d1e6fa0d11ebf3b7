//! What a run came to.

use super::event_log::EventColumns;
use super::latency::HISTOGRAM;
use super::measure::{ForkRecord, Waits};
use super::outcome::ThreadColumns;
use super::run::Run;
use super::tasks::LATE_MAX;
use crate::base::rng::{FNV_START, fnv1a};
use crate::kernel::{Account, Ledger};
use crate::memory::config::{CacheConfig, MachineConfig, TlbConfig};
use crate::memory::stats::{LevelStats, MemoryStats, TlbStats};
use crate::runtime::Model;
use crate::vm::work::FaultCounts;
use serde_json::{Map, Value, json};

/// The result of a run: a tree, columns of its threads, and those of its events if they were kept.
#[derive(Clone, Debug, PartialEq)]
pub struct RunResult(pub Value, pub ThreadColumns, pub Option<EventColumns>);

impl Run {
    /// The most memory that was in use: pages of programs, what the kernel keeps of threads, stacks, tasks, the runtime.
    fn peak_bytes(&self) -> u64 {
        let pages = self.kernel.vm().frames_peak() << 12;
        let runtime = self.runtime.as_ref().or(self.ended_runtime.as_ref());
        let preset = Model::thread_per_task();
        let memory = &self.scenario.model.as_ref().unwrap_or(&preset).memory;
        let threads = u64::from(self.alive_peak) * (memory.thread_kernel_bytes + memory.thread_stack_bytes);
        pages + threads + memory.base_bytes + runtime.map_or(0, |runtime| runtime.task_bytes_peak())
    }

    /// Closes the books: cpus that are behind were idle.
    pub fn finish(mut self) -> RunResult {
        if let Some(until) = self.scenario.until_ns.filter(|_| !self.is_over()) {
            self.catch_up_to(until);
        }
        let elapsed = self.elapsed();
        self.show();
        for cpu in &mut self.cpus {
            cpu.idle_until(elapsed);
        }
        let mut ledger = Ledger::default();
        self.cpus.iter().for_each(|cpu| ledger += cpu.ledger);
        assert_eq!(ledger.total(), elapsed * self.cpus.len() as u64, "every picosecond belongs to one account");
        if let Some(runtime) = self.runtime.as_mut() {
            runtime.note_unseen(elapsed);
        }
        // Nobody is queued any more: with a million threads columns find room in what queues leave.
        self.let_go();
        let deadlock = self.deadlock();
        if let Some(first) = deadlock.get(self.locks.told.len()) {
            let (name, what) =
                (first["process"].as_str().unwrap_or_default(), first["waits_for"].as_str().unwrap_or_default());
            let text = format!(
                "deadlock: thread {} of process {name} waits for {what}, and nothing happens any more",
                first["thread"]
            );
            self.kernel.set_now(elapsed);
            self.kernel.note(text);
        }
        let mut processes: Vec<&crate::kernel::Process> =
            self.kernel.reaped().iter().chain(self.kernel.processes()).collect();
        processes.sort_by_key(|process| process.pid);
        let mut faults = FaultCounts::default();
        processes.iter().for_each(|process| faults += process.faults);
        let measures: Map<String, Value> =
            self.code.measures.iter().cloned().zip(self.measures.iter().map(super::Measure::summary)).collect();
        let variables: Map<String, Value> = self
            .code
            .variables
            .iter()
            .map(|variable| variable.name.clone())
            .zip(self.words.final_values().iter().map(|&value| value.into()))
            .collect();
        let transfers: Map<String, Value> =
            self.code.lines.iter().cloned().zip(self.words.transfers().map(Into::into)).collect();
        // From here on nobody asks where threads are in their programs.
        self.tasks = Vec::new();
        let columns = self.columns();
        let vm = self.kernel.vm();
        let mut tree = json!({
            "scenario": self.scenario.name,
            "machine": self.machine.name,
            "seed": self.seed,
            "makespan_ns": elapsed,
            "events": self.events,
            "cpus": self.cpus.len(),
            "ledger": ledger,
            "ledger_by_cpu": self.cpus.iter().map(|cpu| cpu.ledger).collect::<Vec<_>>(),
            "measures": measures,
            "processes": processes.iter().map(|process| self.kernel.row(process)).collect::<Vec<_>>(),
            "scheduling": self.scheduling(&columns),
            "variables": variables,
            "line_transfers": transfers,
            "deadlock": deadlock,
            "locks": self.lock_rows(),
            "faults": crate::kernel::fault_counts(&faults),
            "memory": {
                "frames_total": vm.frames_total(),
                "frames_free": vm.frames_free(),
                "frames_peak": vm.frames_peak(),
                "swap_outs": vm.swap_outs(),
                "peak_bytes": self.peak_bytes(),
            },
            "forks": self.forks.iter().map(ForkRecord::row).collect::<Vec<_>>(),
            "log": self.kernel.log().iter().map(|line| json!({"at_ns": line.at, "text": line.text})).collect::<Vec<_>>(),
        });
        let waits = Waits::rows(&self.outside);
        if !waits.is_empty() {
            tree["waits"] = waits.into();
        }
        if self.task_latencies.count() > 0 {
            tree["tasks"] = self.task_latencies.summary();
        }
        if !self.loads.is_empty() {
            let rows = self.loads.iter().zip(&self.code.loads).map(|(load, code)| load.summary(&code.name));
            tree["loads"] = rows.collect();
        }
        let dependencies = self.calls.rows(elapsed);
        if !dependencies.is_empty() {
            tree["dependencies"] = dependencies.into();
        }
        if let Some(runtime) = self.runtime.as_ref().or(self.ended_runtime.as_ref()) {
            tree["runtime"] = runtime.summary();
        }
        if let Some(memory) = &self.memory {
            tree["hierarchy"] = hierarchy(&self.machine, &memory.system().stats());
        }
        if self.memory.is_some() || self.footprints.is_some() {
            assert_eq!(self.books.total(), ledger[Account::Stall], "every stall has a cause");
        }
        // Steps say how the run was cut into pieces, not what happened.
        let mut digested = tree.clone();
        digested.as_object_mut().expect("a table").remove("events");
        if let Some(runtime) = digested.get_mut("runtime") {
            runtime.as_object_mut().expect("a table").remove(LATE_MAX);
        }
        drop_histograms(&mut digested);
        let digest = columns.digest(fnv1a(FNV_START, digested.to_string().as_bytes()));
        tree["digest"] = format!("{digest:016x}").into();
        let channels = self.channel_rows();
        if !channels.is_empty() {
            tree["channels"] = channels.into();
        }
        if let Some(races) = self.race_rows() {
            tree["races"] = races;
        }
        if self.has_books() {
            let names: Vec<String> = self.machine.caches.iter().map(|cache| cache.name.clone()).collect();
            tree["misses"] = self.books.row(&names);
            if let Some(memory) = &self.memory {
                tree["misses"]["pollution_matrix"] = memory.pollution();
            }
        }
        debug_assert!(ledger[Account::Idle] <= ledger.total(), "idle time is a part of all");
        let events = self.event_columns();
        RunResult(tree, columns, events)
    }
}

/// What caches, TLBs and walks counted, over all cpus.
fn hierarchy(machine: &MachineConfig, stats: &MemoryStats) -> Value {
    let cache = |(place, cache): (usize, &CacheConfig)| {
        let of = |count: fn(&LevelStats) -> u64| -> u64 {
            stats.levels.iter().filter_map(|levels| levels.get(place)).map(count).sum()
        };
        json!({
            "name": cache.name,
            "accesses": of(|level| level.reads + level.writes),
            "misses": of(|level| level.misses),
            "write_backs": of(|level| level.write_backs),
            "walk_reads": of(|level| level.walk_reads),
            "walk_read_misses": of(|level| level.walk_read_misses),
        })
    };
    let tlb = |(config, tlb): (&TlbConfig, &TlbStats)| json!({"name": config.name, "lookups": tlb.lookups, "misses": tlb.misses});
    json!({
        "caches": machine.caches.iter().enumerate().map(cache).collect::<Vec<_>>(),
        "tlbs": machine.tlbs.iter().zip(&stats.tlbs).map(tlb).collect::<Vec<_>>(),
        "page_walks": stats.page_walks,
        "references": stats.references,
        "latency_cycles": stats.latency_cycles,
    })
}

/// Takes histograms out: quantiles stand for them in digests.
fn drop_histograms(tree: &mut Value) {
    match tree {
        Value::Object(fields) => {
            // What a user calls so is no array.
            if fields.get(HISTOGRAM).is_some_and(Value::is_array) {
                fields.remove(HISTOGRAM);
            }
            fields.values_mut().for_each(drop_histograms);
        }
        Value::Array(rows) => rows.iter_mut().for_each(drop_histograms),
        _ => {}
    }
}
