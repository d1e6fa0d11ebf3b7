//! Deadlocks among locks: threads each of which waits for a lock that the next one holds. They are told when they form,
//! whatever other threads still do. And spinning for ever: when nobody but spinners could run, nothing happens any more.

use super::super::run::Run;
use super::table::Phase;
use crate::base::Picos;
use crate::kernel::Tid;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A thread of a cycle, as results tell it.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Told {
    pub tid: Tid,
    pub row: Value,
}

impl Run {
    /// A thread begins to wait for a lock: tells whom that closes a circle of.
    pub(super) fn tell_cycle(&mut self, cpu: usize, tid: Tid, index: u32) {
        let Some(cycle) = self.cycle(tid, index) else { return };
        let rows: Vec<Told> = cycle.iter().map(|&tid| Told { tid, row: self.stuck_row(tid) }).collect();
        let parts: Vec<String> = rows
            .iter()
            .map(|told| {
                format!("thread {} waits for {}", told.tid.0, told.row["waits_for"].as_str().unwrap_or_default())
            })
            .collect();
        self.kernel.set_now(self.cpus[cpu].now);
        self.kernel.note(format!("deadlock: {}", parts.join("; ")));
        self.locks.told.extend(rows);
    }

    /// The threads of a cycle through a thread that waits for a lock, it first.
    fn cycle(&self, tid: Tid, index: u32) -> Option<Vec<Tid>> {
        let mut seen = BTreeSet::new();
        let mut path = vec![tid];
        self.leads_back(tid, index, &mut seen, &mut path).then_some(path)
    }

    fn leads_back(&self, start: Tid, index: u32, seen: &mut BTreeSet<Tid>, path: &mut Vec<Tid>) -> bool {
        // An own stack: chains may be as long as there are threads.
        let mut stack: Vec<(usize, Tid)> = Vec::new();
        stack.extend(self.locks.list[index as usize].holders().map(|holder| (1, holder)));
        while let Some((depth, holder)) = stack.pop() {
            path.truncate(depth);
            if holder == start {
                return true;
            }
            if !seen.insert(holder) {
                continue;
            }
            let Some(lock) = self.waits_for_lock(holder) else { continue };
            path.push(holder);
            stack.extend(self.locks.list[lock as usize].holders().map(|next| (depth + 1, next)));
        }
        false
    }

    /// The lock that a thread waits for.
    pub(in crate::engine) fn waits_for_lock(&self, tid: Tid) -> Option<u32> {
        let attempt = self.locks.attempts.get(&tid)?;
        (!matches!(attempt.phase, Phase::Begin | Phase::Granted)).then_some(attempt.lock)
    }

    /// Locks that a thread holds, by name.
    pub(in crate::engine) fn held_by(&self, tid: Tid) -> Vec<&str> {
        let holds = |lock: &super::table::Lock| lock.holders().any(|holder| holder == tid);
        let locks = self.locks.list.iter().zip(&self.code.locks);
        locks.filter(|(lock, _)| holds(lock)).map(|(_, known)| known.name.as_str()).collect()
    }

    /// What a lock is called, and who holds it.
    pub(in crate::engine) fn describe_lock(&self, index: u32) -> String {
        let name = self.lock_name(index);
        match self.locks.list[index as usize].holders().next() {
            None => format!("lock {name}"),
            Some(holder) if self.threads[holder.index()].is_alive() => {
                format!("lock {name}, which thread {} holds", holder.0)
            }
            Some(holder) => format!("lock {name}, which thread {} held when it ended", holder.0),
        }
    }

    /// Whether all that could run only spin, on locks that nobody will give back.
    pub(in crate::engine) fn only_spins(&self) -> bool {
        let running = self.cpus.iter().filter(|cpu| cpu.running.is_some()).count() as u64;
        if u64::from(self.locks.spinning) < running + self.queues.waiting() {
            return false;
        }
        let spinners = self.locks.attempts.values().filter(|attempt| attempt.phase == Phase::Spin);
        spinners.map(|attempt| &self.locks.list[attempt.lock as usize]).all(|lock| lock.holder != Tid::NONE)
    }

    /// Whether a cpu does nothing but spin, without an end of its own.
    pub(in crate::engine) fn spins_for_ever(&self, cpu: usize) -> bool {
        let Some(tid) = self.cpus[cpu].executed() else { return false };
        let task = &self.tasks[tid.index()];
        task.is_trying && task.left > Picos::RUN_MAX && self.locks.attempt(tid).phase == Phase::Spin
    }

    /// A thread that waits, as results tell it.
    pub(in crate::engine) fn stuck_row(&self, tid: Tid) -> Value {
        let thread = &self.threads[tid.index()];
        let process = self.kernel.process(thread.pid).map(|process| process.name.clone()).unwrap_or_default();
        json!({
            "thread": tid.0,
            "pid": thread.pid,
            "process": process,
            "name": self.code.names.get(thread.name as usize),
            "waits_for": self.what_it_waits_for(tid),
            "holds": self.held_by(tid),
        })
    }
}
