//! A policy written in Python, behind the trait of the core: every question is a call.

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use runq_core::base::Picos;
use runq_core::sched::{Carry, Enqueue, Leave, Scheduler, Task, TaskId, micros};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The first thing that went wrong in a policy. After it the policy answers nothing but what lets the run stop.
#[derive(Clone, Default)]
pub struct Failed(Arc<Mutex<Option<PyErr>>>);

impl Failed {
    /// What went wrong, if anything did.
    pub fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: PyErr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn is_set(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// An object with the methods of `runq.sched.Policy`.
pub struct PyPolicy {
    policy: Py<PyAny>,
    failed: Failed,
    /// Who may be picked.
    queued: BTreeSet<TaskId>,
}

impl PyPolicy {
    /// Wraps an object.
    pub fn new(policy: Py<PyAny>, failed: &Failed) -> Self {
        Self { policy, failed: failed.clone(), queued: BTreeSet::new() }
    }

    /// Calls a method and reads what it returns.
    fn call<T>(&self, method: &str, arguments: impl for<'py> PyCallArgs<'py>, otherwise: T) -> T
    where
        T: for<'a, 'py> FromPyObject<'a, 'py>,
    {
        if self.failed.is_set() {
            return otherwise;
        }
        Python::attach(|py| {
            let answer = self.policy.bind(py).call_method1(method, arguments);
            answer.and_then(|answer| answer.extract::<T>().map_err(Into::into)).unwrap_or_else(|error| {
                self.failed.set(error);
                otherwise
            })
        })
    }

    fn fail(&self, problem: &str) {
        let text = format!("the policy {problem}");
        Python::attach(|py| {
            let class = py.import("runq.errors").and_then(|module| module.getattr("SimulationError"));
            let made = class.and_then(|class| class.call1((text,)));
            self.failed.set(made.map_or_else(|error| error, PyErr::from_value));
        });
    }
}

/// A time as a policy in Python sees it.
fn micros_of(time: Picos) -> f64 {
    time.0 as f64 / 1e6
}

impl Scheduler for PyPolicy {
    fn enqueue(&mut self, task: &Task, reason: Enqueue, now: Picos) {
        let reason = match reason {
            Enqueue::New => "new",
            Enqueue::Wake => "wake",
            Enqueue::Preempted => "preempted",
            Enqueue::Yielded => "yielded",
            Enqueue::SliceUsed => "slice-used",
            Enqueue::Migrated(_) => "migrated",
        };
        self.queued.insert(task.id);
        let task = (task.id.0, micros_of(task.burst), task.weight, task.tickets, task.priority);
        self.call::<Option<bool>>("_enqueue", (task, reason, micros_of(now)), None);
    }

    fn remove(&mut self, id: TaskId, now: Picos) {
        self.queued.remove(&id);
        self.call::<Option<bool>>("remove", (id.0, micros_of(now)), None);
    }

    fn pick(&mut self, now: Picos) -> Option<TaskId> {
        if self.queued.is_empty() {
            return None;
        }
        let id = TaskId(self.call::<Option<u32>>("pick", (micros_of(now),), None)?);
        if !self.queued.remove(&id) {
            self.fail(&format!("picks {}, which is not queued", id.0));
            return None;
        }
        Some(id)
    }

    fn runs_until(&mut self, id: TaskId, now: Picos) -> Picos {
        let Some(slice) = self.call::<Option<f64>>("time_slice", (id.0, micros_of(now)), None) else {
            return Picos::NEVER;
        };
        match micros::from_f64(slice).filter(|&slice| slice > Picos::ZERO) {
            Some(slice) => now + slice,
            None => {
                self.fail(&format!("lets {} run for {slice} us, but a slice is at least 1e-6 us", id.0));
                Picos::NEVER
            }
        }
    }

    fn charge(&mut self, id: TaskId, ran: Picos, now: Picos) {
        self.call::<Option<bool>>("charge", (id.0, micros_of(ran), micros_of(now)), None);
    }

    fn must_yield(&mut self, id: TaskId, now: Picos) -> bool {
        self.call("must_yield", (id.0, micros_of(now)), true)
    }

    fn leave(&mut self, id: TaskId, reason: Leave, now: Picos) {
        let reason = if reason == Leave::Blocked { "blocked" } else { "ended" };
        self.call::<Option<bool>>("leave", (id.0, reason, micros_of(now)), None);
    }

    fn is_preemptive(&self) -> bool {
        true
    }

    fn victim(&mut self, woken: TaskId, running: &[TaskId], now: Picos) -> Option<usize> {
        let ids: Vec<u32> = running.iter().map(|id| id.0).collect();
        let victim = TaskId(self.call::<Option<u32>>("victim", (woken.0, ids, micros_of(now)), None)?);
        let place = running.iter().position(|&id| id == victim);
        if place.is_none() {
            self.fail(&format!("preempts {}, which does not run", victim.0));
        }
        place
    }

    fn give_away(&mut self, now: Picos) -> Option<(TaskId, Carry)> {
        self.pick(now).map(|id| (id, 0))
    }
}
