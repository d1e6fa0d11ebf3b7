//! Where tasks are: on which worker, which thread and which cpu.

use crate::base::Picos;
use crate::engine::loads::task_number;
use crate::engine::run::Run;
use crate::engine::task::Wait;
use crate::kernel::{Role, State, Tid};
use crate::runtime::Slot;
use serde_json::{Value, json};

impl Run {
    /// The tasks that have not ended as they are at a time that was just reached, or the one of that number: its state,
    /// what it waits for, and where it runs, whatever a task is under the model.
    pub fn task_rows(&self, only: Option<u32>, at: Picos) -> Vec<Value> {
        let tasks = (0..).map(Tid).zip(&self.threads).filter_map(|(tid, thread)| {
            let number = task_number(thread)?;
            let is_asked = only.map_or(thread.is_alive(), |only| only == number);
            is_asked.then(|| self.task_row(tid, number, at))
        });
        tasks.collect()
    }

    /// The thread that a task is on, the worker that this has, and the cpu that it runs on.
    pub(in crate::engine) fn task_place(&self, tid: Tid) -> (Option<Tid>, Option<Slot>, Option<usize>) {
        let thread = &self.threads[tid.index()];
        // A task in user space is on a thread as long as that carries it.
        let carrier = match thread.role {
            Role::Task => {
                Some(thread.carrier).filter(|&carrier| carrier != Tid::NONE && self.mounted(carrier) == Some(tid))
            }
            _ => Some(tid).filter(|_| thread.is_alive()),
        };
        let cpu = carrier.and_then(|carrier| self.cpus.iter().position(|cpu| cpu.running == Some(carrier)));
        let slot = carrier.and_then(|carrier| {
            let runtime = self.runtime.as_ref()?;
            runtime.carriers[runtime.carrier_id(carrier)? as usize].slot
        });
        (carrier, slot, cpu)
    }

    fn task_row(&self, tid: Tid, number: u32, at: Picos) -> Value {
        let thread = &self.threads[tid.index()];
        let (carrier, slot, cpu) = self.task_place(tid);
        // A cpu that idled is ahead by the time that it takes to wake.
        let is_on_its_way = thread.state == State::Running && thread.since > at;
        let is_called_back = self.tasks[tid.index()].waits == Wait::Block
            && carrier.is_some_and(|carrier| self.threads[carrier.index()].state == State::Ready);
        let state = if is_on_its_way || is_called_back { State::Ready } else { thread.state };
        let cpu = cpu.filter(|_| state == State::Running);
        let waits = (state == State::Waiting).then(|| self.what_it_waits_for(tid));
        json!({
            "task": number,
            "name": self.code.names.get(thread.name as usize),
            "state": state,
            "worker": slot.map(|slot| slot.0),
            "thread": carrier.map(|carrier| carrier.0),
            "cpu": cpu,
            "created_ns": thread.created,
            "waits_for": waits,
        })
    }
}
